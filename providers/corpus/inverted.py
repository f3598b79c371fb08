"""The inverted index of passages, in tantivy, over terms that are made here: it finds the same words that everything else compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from providers.corpus.queries import TITLE_WEIGHT, query_terms, rarity, reachable, scaled

_HEAP_BYTES = 50_000_000


@dataclass(frozen=True)
class PassageHit:
    """A passage and how well it fits the query, 0 to 1."""

    document_id: int
    passage_id: int
    score: float


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("document", indexed=True, fast=True)
    builder.add_unsigned_field("passage", fast=True)
    builder.add_text_field("title", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("body", tokenizer_name="whitespace", index_option="freq")
    return builder.build()


class InvertedWriter:
    """The one writer of the index in `folder`. Methods raise `ValueError` when the index is damaged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._index = tantivy.Index(_schema(), path=str(folder))
        self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)

    def count(self) -> int:
        """Number of passages that are committed."""
        self._index.reload()
        return int(self._index.searcher().num_docs)

    def add(self, document_id: int, passage_id: int, title_terms: str, terms: str) -> None:
        """Add a passage."""
        document = tantivy.Document()
        document.add_unsigned("document", document_id)
        document.add_unsigned("passage", passage_id)
        document.add_text("title", title_terms)
        document.add_text("body", terms)
        self._writer.add_document(document)

    def remove(self, document_id: int) -> None:
        """Remove the passages of a document that were added before."""
        # By query: the binding's deletion by term takes every number for a signed one and finds nothing.
        self._writer.delete_documents_by_query(tantivy.Query.term_query(self._index.schema, "document", document_id))

    def commit(self) -> None:
        """Make everything so far durable and visible."""
        self._writer.commit()

    def close(self) -> None:
        """Wait for merges and release the index. What was not committed is lost."""
        self._writer.wait_merging_threads()


class InvertedReader:
    """Searches the index in `folder`; sees new commits after `refresh`. Safe for use by many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = tantivy.Index.open(str(folder))
        # Otherwise a thread of tantivy would look for commits all the time.
        self._index.config_reader("manual")
        self._schema = self._index.schema
        self._seen: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """See the latest commit; False when there is none since the last time, which costs one `stat`."""
        status = (self._folder / "meta.json").stat()
        state = (status.st_ino, status.st_mtime_ns)
        if state == self._seen:
            return False
        self._index.reload()
        self._seen = state
        return True

    def search(self, query: str, language_codes: Sequence[str], limit: int) -> list[PassageHit]:
        """The best passages for the query's content terms in each of the languages, best first.

        The score is 1 - exp(-BM25 / most), where most is what a passage with every term many times would reach; the title's
        terms count twice.
        """
        searcher = self._index.searcher()
        passages = searcher.num_docs
        words = query_terms(query, language_codes)
        rarities = {word: rarity(passages, searcher.doc_freq("body", word)) for of_language in words for word in of_language}
        most = reachable(words, rarities)
        if not rarities or not passages:
            return []
        should = tantivy.Occur.Should
        parts = []
        for word in rarities:
            parts.append((should, tantivy.Query.term_query(self._schema, "body", word, "freq")))
            title = tantivy.Query.term_query(self._schema, "title", word, "freq")
            parts.append((should, tantivy.Query.boost_query(title, TITLE_WEIGHT)))
        hits = searcher.search(tantivy.Query.boolean_query(parts), limit=limit, count=False).hits
        addresses = [address for _, address in hits]
        documents: list[Any] = searcher.fast_field_values("document", addresses)
        passage_ids: list[Any] = searcher.fast_field_values("passage", addresses)
        return [
            PassageHit(int(document), int(passage), scaled(score, most))
            for (score, _), document, passage in zip(hits, documents, passage_ids, strict=True)
        ]
