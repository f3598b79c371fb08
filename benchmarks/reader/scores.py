"""How much of a page's text and structure an extraction keeps, against the labels of `tests/pages`."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import regex
from markdown_it import MarkdownIt

PAGES = Path(__file__).parents[2] / "tests" / "pages"

# A character is a word where words are not set apart by spaces.
_WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|[\p{L}\p{M}\p{N}--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]]+", regex.V1)
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class LabelledPage:
    """A page and what it says: `text` is wanted, `optional` (titles, names, dates) counts neither for nor against an extraction."""

    name: str
    markup: str
    kind: str
    language: str
    text: str
    optional: str
    code: list[str]
    rows: list[list[str]]
    links: list[list[str]]


@dataclass(frozen=True)
class Score:
    """Word-level precision, recall and their harmonic mean, 0 to 1, counting every occurrence of a word."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@lru_cache(maxsize=1)
def labelled_pages() -> tuple[LabelledPage, ...]:
    """Every page of `tests/pages`, by name."""
    found = []
    for file in sorted((PAGES / "labels").glob("*.json")):
        markup = gzip.decompress((PAGES / "html" / f"{file.stem}.html.gz").read_bytes()).decode()
        found.append(LabelledPage(file.stem, markup, **json.loads(file.read_text(encoding="utf-8"))))
    return tuple(found)


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.casefold()))


def score(text: str, page: LabelledPage) -> Score:
    """How well the plain text `text` matches what the page says."""
    found, wanted = words(text), words(page.text)
    allowed = wanted + words(page.optional)
    return Score(
        precision=(found & allowed).total() / found.total() if found else 0.0,
        recall=(found & wanted).total() / wanted.total() if wanted else 1.0,
    )


def plain_text(markdown: str) -> str:
    """The text of a Markdown document without its marks and the targets of its links."""
    pieces: list[str] = []
    for token in _MARKDOWN.parse(markdown):
        if token.type in ("fence", "code_block", "html_block"):
            pieces.append(token.content)
        for inline in token.children or []:
            if inline.type in ("text", "code_inline", "html_inline"):
                pieces.append(inline.content)
            elif inline.type.endswith("break"):
                pieces.append("\n")
        pieces.append("\n")
    return "".join(pieces)


def kept_structure(markdown: str, page: LabelledPage) -> dict[str, tuple[int, int]]:
    """Of the page's table rows, lines of code and links: how many the Markdown keeps as such, and how many there are."""
    tables = [_squeezed(line) for line in markdown.splitlines() if line.lstrip().startswith("|")]
    fences = "\n".join(token.content for token in _MARKDOWN.parse(markdown) if token.type in ("fence", "code_block"))
    code = {line.rstrip() for line in fences.splitlines()}
    rows = [[_squeezed(cell) for cell in row] for row in page.rows]
    return {
        "rows": (sum(any(all(cell in line for cell in row) for line in tables) for row in rows), len(rows)),
        "code": (sum(line.rstrip() in code for line in page.code), len(page.code)),
        "links": (sum(f"]({url})" in markdown or f"](<{url}>)" in markdown for url, _ in page.links), len(page.links)),
    }


def _squeezed(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))
