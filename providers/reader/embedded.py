"""The text of pages that scripts build in the browser: it comes with the page as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import regex
from lxml import etree
from lxml.html import HtmlElement, fragment_fromstring

_MOST_CHARACTERS = 5_000_000
_MOST_VALUES = 100_000
_SHORTEST = 150
_TEXT_KEYS = frozenset(
    ("articlebody", "body", "bodyhtml", "content", "contenthtml", "description", "html", "markdown", "rendered", "text", "value")
)
_STATE_IDS = frozenset(("__NEXT_DATA__", "__NUXT_DATA__", "__APOLLO_STATE__", "__INITIAL_STATE__"))
_MARKUP = regex.compile(r"</?(?:p|div|h[1-6]|ul|ol|li|br|table|pre|blockquote|section|span)\b[^<>]{0,500}>", regex.I)


def embedded_body(tree: HtmlElement) -> HtmlElement | None:
    """A `body` with what the page's JSON says, None when it says nothing of length.

    Of JSON-LD the text of the article or the product's description counts, of a framework's state its longest text.
    """
    best, heading, facts = "", "", ""
    state = ""
    for script in tree.iter("script"):
        text = script.text or ""
        linked = "ld+json" in (script.get("type") or "")
        if not 2 < len(text) <= _MOST_CHARACTERS or not (linked or script.get("id") in _STATE_IDS):
            continue
        try:
            value = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        for node in _objects(value):
            long = max((v for k, v in node.items() if k.lower() in _TEXT_KEYS and isinstance(v, str)), key=len, default="")
            if linked and len(long) > len(best):
                best, heading, facts = long, _string(node.get("headline")) or _string(node.get("name")), _offer(node)
            elif not linked and len(long) > len(state):
                state = long
    if len(state) > len(best) + 200 or not best:
        best, heading, facts = state, "", ""
    if len(best) < _SHORTEST:
        return None
    return _body_of(best, heading, facts)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    waiting = [value]
    for _ in range(_MOST_VALUES):
        if not waiting:
            return
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(part for part in item.values() if isinstance(part, dict | list))
        elif isinstance(item, list):
            waiting.extend(part for part in item if isinstance(part, dict | list))


def _offer(node: dict[str, Any]) -> str:
    offer = node.get("offers")
    offer = offer[0] if isinstance(offer, list) and offer else offer
    if not isinstance(offer, dict):
        return ""
    return " ".join(filter(None, (_string(offer.get("price")), _string(offer.get("priceCurrency")))))


def _string(value: object) -> str:
    return str(value)[:500] if isinstance(value, str | int | float) else ""


def _body_of(text: str, heading: str, facts: str) -> HtmlElement:
    if _MARKUP.search(text):
        try:
            body = fragment_fromstring(text, create_parent="body")
        except (etree.ParserError, ValueError):
            body = etree.Element("body")
    else:
        body = fragment_fromstring("<p></p>", create_parent="body")
        for paragraph in text.splitlines():
            if paragraph.strip():
                element = body.makeelement("p")
                element.text = paragraph.strip()
                body.append(element)
    for tag, words in (("p", facts), ("h1", heading)):
        if words:
            element = body.makeelement(tag)
            element.text = words
            body.insert(0, element)
    return body
