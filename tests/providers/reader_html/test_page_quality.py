"""The reader on labelled pages of seven kinds: how much of the wanted text it keeps, and how much else.

The floors lie a little under the values measured when they were last raised; they guard against losing quality unseen.
"""

from __future__ import annotations

from functools import lru_cache

import pytest

from benchmarks.reader.scores import LabelledPage, Score, kept_structure, labelled_pages, plain_text, score
from providers.reader.html import read_html
from tests.pages.tools import PAGES

FLOORS = {
    "article": (0.98, 0.99),
    "collection": (0.99, 0.99),
    "documentation": (0.94, 0.99),
    "forum": (0.89, 0.99),
    "listing": (0.98, 0.99),
    "product": (0.92, 0.99),
    "service": (0.97, 0.99),
}
"""Precision and recall."""


@lru_cache(maxsize=1)
def read_pages() -> list[tuple[LabelledPage, str]]:
    return [(page, read_html(page.markup, url="https://page.example/a/").text) for page in labelled_pages()]


def scores_of(kind: str) -> list[Score]:
    return [score(plain_text(text), page) for page, text in read_pages() if page.kind == kind]


def test_there_are_pages_of_every_kind() -> None:
    assert {page.kind for page in labelled_pages()} == set(FLOORS)
    assert len(labelled_pages()) >= 75
    # Templates of this project know what its reader looks for; tools do not.
    assert len({page.name for page in labelled_pages()} & PAGES.keys()) >= 46
    assert len({page.language for page in labelled_pages()}) >= 8


@pytest.mark.parametrize("kind", FLOORS)
def test_precision_and_recall(kind: str) -> None:
    scores = scores_of(kind)
    precision, recall = FLOORS[kind]
    assert sum(s.precision for s in scores) / len(scores) >= precision
    assert sum(s.recall for s in scores) / len(scores) >= recall


@pytest.mark.parametrize("page", labelled_pages(), ids=lambda page: page.name)
def test_no_page_is_lost(page: LabelledPage) -> None:
    text = next(text for other, text in read_pages() if other is page)
    assert score(plain_text(text), page).recall >= 0.85


@pytest.mark.parametrize(("part", "floor"), [("rows", 0.95), ("code", 0.99), ("links", 0.95)])
def test_structure_is_kept(part: str, floor: float) -> None:
    kept = [kept_structure(text, page)[part] for page, text in read_pages()]
    assert sum(have for have, _ in kept) >= floor * sum(of for _, of in kept) > 0
