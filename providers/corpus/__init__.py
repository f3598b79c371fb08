"""A folder of documents as a corpus: indexed incrementally on this machine, searched by words, read by `file:` URLs."""

from providers.corpus.access import corpus_folder
from providers.corpus.corpus import Corpus, CorpusHit, IndexProgress, IndexReport, open_corpus

__all__ = ["Corpus", "CorpusHit", "IndexProgress", "IndexReport", "corpus_folder", "open_corpus"]
