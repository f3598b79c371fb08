"""What tools print around a text so that it looks or reads like a book: the numbers of list items, rules in tables, and lines that lead
to the next and the previous chapter."""

from __future__ import annotations

import regex
from lxml.html import HtmlElement

_LINES = ("p", "div", "td", "span", "li", "small", "center")
# Relations of pages in an ordered whole, by the registry of link types and by the tools that made books of the web first.
_ALONG = frozenset(("next", "prev", "previous", "up", "start", "first", "last", "index", "contents", "top", "toc", "help", "home"))
_LABELS_CHARACTERS = 60
_WORD = regex.compile(r"\w+")


def remove_printed(body: HtmlElement) -> None:
    """Take all of it out of `body`, whose links still have their relations (`rel`)."""
    for item in body.iter("li"):
        _remove_number(item)
    doomed = [row for row in body.iter("tr") if len(row) and _is_blank(row)]
    for anchor in body.iter("a"):
        line = anchor.getparent()
        if line is not None and line.tag in _LINES and line is not body and anchor is line.find("a") and _leads_along(line):
            doomed.append(line)
    for element in doomed:
        element.drop_tree()


def _is_blank(row: HtmlElement) -> bool:
    return next((text for text in row.itertext() if text.strip()), None) is None and next(row.iter("img"), None) is None


def _remove_number(item: HtmlElement) -> None:
    """The mark in an element of its own that begins an item: a bullet or its number, which the list gives it anyway."""
    part = item
    while len(part) and not (part.text or "").strip():
        part = part[0]
    mark = (part.text or "").strip()
    if part is item or len(part) or part.tag == "a" or not 1 <= len(mark) <= 4:
        return
    numbered = item.getparent() is not None and item.getparent().tag == "ol" and mark.rstrip(".)").isdigit() and mark[-1] in ".)"
    if numbered or mark in "•–—◦▪":
        part.drop_tree()


def _leads_along(line: HtmlElement) -> bool:
    """Whether a line is made of links to other parts of the whole and what they are called."""
    links = line.findall("a")
    if len(links) != len(line) or not all(_ALONG & set((link.get("rel") or "").lower().split()) for link in links):
        return False
    labels = [line.text or "", *(link.tail or "" for link in links)]
    return sum(map(len, labels)) <= _LABELS_CHARACTERS and len(_WORD.findall(" ".join(labels))) <= 2 * len(links)
