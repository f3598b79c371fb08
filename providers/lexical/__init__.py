"""Words of any language: terms, sentences, lexical relevance and similarity, without a model.

Everything that compares texts without embeddings uses these, so that a query, an index and a passage agree on what a word is.
"""

from providers.lexical.asking import Asked, asked
from providers.lexical.language import SURE, identify, language_of, written_chinese
from providers.lexical.relevance import aboutness, coverage, relevance, similarity, weighed
from providers.lexical.segments import sentences
from providers.lexical.terms import content_terms, terms

__all__ = [
    "SURE",
    "Asked",
    "aboutness",
    "asked",
    "content_terms",
    "coverage",
    "identify",
    "language_of",
    "relevance",
    "sentences",
    "similarity",
    "terms",
    "weighed",
    "written_chinese",
]
