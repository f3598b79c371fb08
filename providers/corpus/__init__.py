"""A folder of documents as a corpus: indexed incrementally on this machine, searched by words, read by `file:` URLs."""

from providers.corpus.access import corpus_folder
from providers.corpus.corpus import Corpus, CorpusHit, IndexProgress, IndexReport, open_corpus
from providers.corpus.opened import OpenCorpora

__all__ = ["Corpus", "CorpusHit", "IndexProgress", "IndexReport", "OpenCorpora", "corpus_folder", "open_corpus"]
