"""Ranking the passages of a shared corpus inside PostgreSQL: BM25 over our own terms, vectors, and both fused."""

# ruff: noqa: S608 - statements are put together from constants and integers

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from providers.corpus.base import CorpusHit
from providers.corpus.queries import K1, TITLE_WEIGHT, B, query_terms, rarity, reachable, scaled
from providers.fusion import fused

# The languages a query is tried in; a corpus of more has them by quotation or by mistake.
_MAX_LANGUAGES = 8
# Candidates of either kind for every document that is wanted: a document has several passages, and the two kinds need not agree.
_CANDIDATES = 4
_LEAST_CANDIDATES = 40
# pgvector finds no more neighbours than it visits.
_VISITED = 200
# What pgvector can index.
MOST_INDEXED_DIMENSIONS = 2_000


@dataclass(frozen=True)
class Scope:
    """The documents below a folder, by the range of their URLs; `Scope()` is all."""

    first: str = ""
    beyond: str = ""

    @classmethod
    def of(cls, folder_url: str) -> Scope:
        """The documents below the folder with this `file:` URL."""
        stem = folder_url.rstrip("/")
        return cls(stem + "/", stem + chr(ord("/") + 1))

    def holds(self, url: str) -> bool:
        """Whether a URL is inside."""
        return not self.first or self.first <= url < self.beyond


@dataclass(frozen=True)
class QueryVector:
    """A query's vector of an embedding model, by the number that the database gave the model."""

    model: int
    numbers: Sequence[float]


# Planned for its own terms and folder, which may be large or small; and not compiled, which takes longer than running it.
_PLANNED = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off"
_INSIDE = "d.url >= $2 AND d.url < $3"

_ALL_LANGUAGES = "SELECT language, documents, passages, terms, title_terms FROM deepsearch_corpus.languages WHERE documents > 0"
_LANGUAGES_INSIDE = """
    SELECT language, count(*)::bigint AS documents, sum(passages)::bigint AS passages, sum(terms)::bigint AS terms,
        sum(title_terms::bigint * passages)::bigint AS title_terms
    FROM deepsearch_corpus.documents d WHERE d.url >= $1 AND d.url < $2 GROUP BY language
"""

# BM25 of every passage that has a term of the query, as tantivy scores it: the body, and the title of its document with its weight.
# $1 terms, $2 and $3 the range of URLs, $4 how many, $5 passages, $6 and $7 the mean numbers of terms in a passage and in a title.
_SCORED = f"""
    found AS MATERIALIZED (
        SELECT p.term, p.document, p.in_title, p.numbers, p.frequencies, p.lengths, d.passages, d.title_terms
        FROM deepsearch_corpus.postings p JOIN deepsearch_corpus.documents d ON d.id = p.document
        WHERE p.term = ANY($1::text[]) AND {{inside}}
    ),
    rarities AS MATERIALIZED (
        SELECT term, ln(1 + ($5 - in_body + 0.5) / (in_body + 0.5)) AS body, ln(1 + ($5 - in_title + 0.5) / (in_title + 0.5)) AS title
        FROM (
            SELECT term, sum(cardinality(numbers))::float8 AS in_body,
                coalesce(sum(passages) FILTER (WHERE in_title > 0), 0)::float8 AS in_title
            FROM found GROUP BY term
        ) AS counted
    ),
    bodies AS MATERIALIZED (
        SELECT f.document, u.number,
            sum(r.body * u.frequency * {K1 + 1} / (u.frequency + {K1} * ({1 - B} + {B} * u.length / $6::float8))) AS score
        FROM found f JOIN rarities r USING (term), unnest(f.numbers, f.frequencies, f.lengths) AS u (number, frequency, length)
        GROUP BY f.document, u.number
    ),
    titles AS MATERIALIZED (
        SELECT f.document, sum({TITLE_WEIGHT} * r.title * f.in_title * {K1 + 1}
            / (f.in_title + {K1} * ({1 - B} + {B} * f.title_terms / $7::float8))) AS score
        FROM found f JOIN rarities r USING (term) WHERE f.in_title > 0 GROUP BY f.document
    ),
    best AS (
        SELECT document, coalesce(b.number, 0) AS number, coalesce(b.score, 0) + coalesce(t.score, 0) AS score
        FROM (SELECT DISTINCT ON (document) document, number, score FROM bodies ORDER BY document, score DESC, number) AS b
        FULL JOIN titles t USING (document) ORDER BY score DESC, document LIMIT $4
    )
"""

_SHOWN = """
    SELECT {scores}, d.url, d.title, substr(d.text, p.starts + 1, p.ends - p.starts) AS snippet, p.starts, p.ends, p.heading, d.language,
        d.published, d.page_id, (SELECT json_object_agg(term, body) FROM rarities)::text AS rarities
    FROM {candidates} AS c JOIN deepsearch_corpus.documents d ON d.id = c.document
        JOIN deepsearch_corpus.passages p ON p.document = c.document AND p.number = c.number
"""

_BY_WORDS = "WITH" + _SCORED + _SHOWN.format(scores="c.score", candidates="best") + "ORDER BY c.score DESC, c.document"

# $8 the vector. The model and the dimensions stand in the statement, because the index is one for each.
_BY_BOTH = (
    f"WITH{_SCORED},"
    """
    near AS MATERIALIZED (
        SELECT document, number FROM {vectors} ORDER BY e.vector::vector({dimensions}) <=> $8::text::vector({dimensions}) LIMIT $4
    ),
    candidates AS (SELECT document, number FROM best UNION SELECT document, number FROM near)
    """
    + _SHOWN.format(
        scores="""coalesce(b.score, 0) + coalesce(t.score, 0) AS score,
            1 - (e.vector::vector({dimensions}) <=> $8::text::vector({dimensions})) AS similarity""",
        candidates="candidates",
    )
    + """
    LEFT JOIN bodies b ON b.document = c.document AND b.number = c.number LEFT JOIN titles t ON t.document = c.document
    LEFT JOIN deepsearch_corpus.embeddings e ON e.document = c.document AND e.number = c.number AND e.model = {model}
    ORDER BY c.document, c.number
    """
)
_NEAR_ALL = "deepsearch_corpus.embeddings e WHERE e.model = {model}"
# Within a folder all its vectors are compared: those that the index finds first may all lie outside.
_NEAR_INSIDE = """(
    SELECT e.document, e.number, e.vector FROM deepsearch_corpus.embeddings e JOIN deepsearch_corpus.documents d ON d.id = e.document
    WHERE e.model = {model} AND d.url >= $2 AND d.url < $3 OFFSET 0
) AS e"""


async def best_documents(
    connection: Any, query: str, limit: int, *, language_code: str | None, scope: Scope, vector: QueryVector | None
) -> list[CorpusHit] | None:
    """The documents in `scope` that fit best, each with its best passage; None when there are none at all in it."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_PLANNED + (f"; SET LOCAL hnsw.ef_search = {_VISITED}" if vector else ""))
        found = await (connection.fetch(_LANGUAGES_INSIDE, scope.first, scope.beyond) if scope.first else connection.fetch(_ALL_LANGUAGES))
        if not found:
            return None
        frequent = sorted(found, key=lambda row: (-row["documents"], row["language"]))[:_MAX_LANGUAGES]
        codes = dict.fromkeys([*(row["language"] for row in frequent), *([language_code[:2].lower()] if language_code else [])])
        words = query_terms(query, codes)
        terms = list(dict.fromkeys(word for of_language in words for word in of_language))
        passages = sum(row["passages"] for row in found)
        means = [max(1.0, sum(row[kind] for row in found) / max(1, passages)) for kind in ("terms", "title_terms")]
        most = max(_LEAST_CANDIDATES, _CANDIDATES * limit)
        # The second is true of all and keeps the numbers of the parameters.
        inside = _INSIDE if scope.first else "$2::text = '' AND $3::text = ''"
        given = [terms, scope.first, scope.beyond, most if vector else limit, float(passages), *means]
        if vector is None:
            rows = await connection.fetch(_BY_WORDS.format(inside=inside), *given) if terms else []
            return [_hit(row, scaled(row["score"], _reachable(words, passages, row))) for row in rows]
        near = (_NEAR_INSIDE if scope.first else _NEAR_ALL).format(model=int(vector.model))
        statement = _BY_BOTH.format(inside=inside, vectors=near, dimensions=len(vector.numbers), model=int(vector.model))
        rows = await connection.fetch(statement, *given, vector_text(vector.numbers))
    similarities = [0.0 if row["similarity"] is None or math.isnan(row["similarity"]) else row["similarity"] for row in rows]
    scores = fused([row["score"] for row in rows], similarities)
    hits: dict[str, CorpusHit] = {}
    for place in sorted(range(len(rows)), key=lambda place: -scores[place]):
        if rows[place]["score"] > 0 or similarities[place] > 0:  # a neighbour in the vectors may be one that is merely less far than others
            hits.setdefault(rows[place]["url"], _hit(rows[place], scores[place]))
    return list(hits.values())[:limit]


def vector_text(numbers: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(format(float(number), '.7g') for number in numbers)}]"


def _reachable(words: Sequence[Sequence[str]], passages: float, row: Any) -> float:
    rarities: dict[str, float] = json.loads(row["rarities"])
    nowhere = rarity(passages, 0)
    return reachable(words, {word: rarities.get(word, nowhere) for of_language in words for word in of_language})


def _hit(row: Any, score: float) -> CorpusHit:
    return CorpusHit(
        row["url"], row["title"], row["snippet"], row["starts"], row["ends"], row["heading"], score, row["language"], row["published"],
        row["page_id"],
    )  # fmt: skip
