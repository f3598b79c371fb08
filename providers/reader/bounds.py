"""A page made regular enough that work on it grows with its length alone.

What reads pages, libraries and our own code, needs time that is quadratic, or worse, in the attributes of one element, in the levels of
elements, tables and lists, and in the columns of tables. Real pages have few of each; a page that has more keeps all its text and
loses only structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree
from lxml.html import HtmlElement

_MOST_ATTRIBUTES = 250
_MOST_LEVELS = 120
_MOST_TABLE_LEVELS = 8
# Each level of a list or quotation indents its lines in Markdown.
_MOST_LIST_LEVELS = 16
_MOST_COLUMNS = 1_000
# A table, its rows filled up to the widest one and the spans of its cells filled, has at most this many times the cells it is written
# with; and all tables of a page together may have as many more as the second number says.
_MOST_FILLING = 10
_FILLING_TO_SPARE = 20_000

_ATTRIBUTE = r"(?:[\s/]++[^\s/>=][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+))?+)"
_CROWDED = re.compile(rf"(<[A-Za-z][^\s<>/]*+{_ATTRIBUTE}{{{_MOST_ATTRIBUTES}}}+){_ATTRIBUTE}++")
_LISTS = ("ul", "ol", "dl", "blockquote", "menu", "dir")
_LIST_PARTS = ("li", "dt", "dd")
_TABLE_PARTS = ("tbody", "thead", "tfoot", "tr", "td", "th", "caption", "colgroup", "col")
_CELLS = ("td", "th")


def without_excess_attributes(markup: str) -> str:
    """`markup` with the first 250 attributes of every element; parsers compare each attribute with all before it."""
    return _CROWDED.sub(r"\1", markup)


def bound_structure(tree: HtmlElement) -> None:
    """Make `tree` regular: at most 120 levels of elements, 8 of tables and 16 of lists, and tables of bounded size.

    What lies deeper than the levels allow becomes a sequence on the deepest level; excess tables, lists and their parts become `div`.
    """
    deepest, plain = _excess(tree)
    for element in plain:
        element.tag = "div"
    for element in deepest:
        _flatten(element)
    spare = _FILLING_TO_SPARE
    for table in list(tree.iter("table")):
        spare -= _bound_table(table, spare)


def _excess(tree: HtmlElement) -> tuple[list[HtmlElement], list[HtmlElement]]:
    """The elements on the deepest level with others below them, and the tables, lists and parts of them that lie too deep to be such."""
    deepest: list[HtmlElement] = []
    plain: list[HtmlElement] = []
    levels = tables = lists = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        step = 1 if event == "start" else -1
        tag = element.tag
        levels += step
        if tag == "table":
            tables += step
        elif tag in _LISTS:
            lists += step
        if step > 0:
            if levels == _MOST_LEVELS and len(element):
                deepest.append(element)
            if (tables > _MOST_TABLE_LEVELS and (tag == "table" or tag in _TABLE_PARTS)) or (
                lists > _MOST_LIST_LEVELS and (tag in _LISTS or tag in _LIST_PARTS)
            ):
                plain.append(element)
    return deepest, plain


def _flatten(top: HtmlElement) -> None:
    """Make everything below `top` its child, in order, with the text that followed an element's end behind its last descendant."""
    order: list[HtmlElement] = []
    tails: list[list[str]] = []
    for event, element in etree.iterwalk(top, events=("start", "end")):
        if element is top:
            continue
        if event == "start":
            order.append(element)
            tails.append([])
        elif element.tail:
            tails[-1].append(element.tail)
    # Backwards: then an element has no descendants any more when its turn comes, and moving it is cheap.
    for element, tail in zip(reversed(order), reversed(tails), strict=True):
        element.tail = "".join(tail) or None
        if element.tag in _TABLE_PARTS or element.tag == "table":
            element.tag = "div"
        top.insert(0, element)


def _bound_table(table: HtmlElement, spare: int) -> int:
    """Take the spans from the cells of a table that is too large with them, and make it plain when it is too large even so.

    Returns how much of `spare`, cells more than its own size allows, it needs.
    """
    rows = [[cell for cell in row if cell.tag in _CELLS] for row in table.iter("tr")]
    own = sum(map(len, rows))
    for spanned in (True, False):
        widest = max(_widths(rows, spanned=spanned), default=0)
        more = max(0, len(rows) * widest - _MOST_FILLING * own)
        if widest <= _MOST_COLUMNS and more <= spare:
            return more
        for row in rows:
            for cell in row:
                for name in ("colspan", "rowspan"):
                    cell.attrib.pop(name, None)
    for part in list(table.iter("table", *_TABLE_PARTS)):
        part.tag = "div"
    return 0


def _widths(rows: list[list[HtmlElement]], *, spanned: bool) -> Iterator[int]:
    """Columns of each row, those that cells of rows above reach down into included."""
    ends: dict[int, int] = {}
    hanging = 0
    for number, row in enumerate(rows):
        hanging -= ends.pop(number, 0)
        width = len(row)
        down = 0
        if spanned:
            for cell in row:
                if cell.get("colspan") or cell.get("rowspan"):
                    across, below = _span(cell, "colspan"), _span(cell, "rowspan")
                    width += across - 1
                    if below > 1:
                        down += across
                        ends[number + below] = ends.get(number + below, 0) + across
        yield width + hanging
        hanging += down


def _span(cell: HtmlElement, name: str) -> int:
    value = cell.get(name) or ""
    return max(1, min(int(value), _MOST_COLUMNS)) if value.isdecimal() and len(value) < 10 else 1
