"""Documents as a corpus: a folder indexed incrementally on this machine, or a database that all processes of a cluster share; searched by
words (the shared one by vectors too), read by `file:` URLs."""

from providers.corpus.access import corpus_folder
from providers.corpus.base import Corpus, CorpusHit, CorpusHits, CorpusPage, IndexProgress, IndexReport
from providers.corpus.corpus import FolderCorpus, open_corpus
from providers.corpus.opened import OpenCorpora, SharedCorpora

__all__ = [
    "Corpus",
    "CorpusHit",
    "CorpusHits",
    "CorpusPage",
    "FolderCorpus",
    "IndexProgress",
    "IndexReport",
    "OpenCorpora",
    "SharedCorpora",
    "corpus_folder",
    "open_corpus",
]
