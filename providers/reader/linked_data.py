"""What the JSON-LD of a page says about it (schema.org): its dates, its authors and its headline.

Scripts may be wrapped, damaged or hostile; how many, how long and how much of them is looked at have limits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import regex
from lxml.html import HtmlElement

from providers.reader.stated import MOST_AUTHORS, believable_date, names_of

_MOST_SCRIPTS = 30
_SCRIPT_CHARACTERS = 500_000
_MOST_NODES = 2_000

# How far a node of JSON-LD with this type speaks for the page; a type that is in neither list speaks for it least.
_ARTICLES = ("article", "posting", "report", "newsarticle", "recipe", "howto", "qapage", "question", "dataset", "claimreview")
_PAGES = ("webpage", "aboutpage", "faqpage", "itempage", "medicalwebpage", "creativework", "videoobject", "podcastepisode")
# Things that have dates of their own, which are not the page's.
_OTHER_THINGS = frozenset(
    {
        "answer", "book", "breadcrumblist", "comment", "event", "imageobject", "itemlist", "jobposting", "movie", "musicalbum",
        "musicrecording", "offer", "organization", "newsmediaorganization", "person", "product", "review", "tvepisode", "tvseason",
        "tvseries", "usercomments", "videogame", "website",
    }
)  # fmt: skip
# Properties that lead to other things than what the page is about.
_ASIDE = frozenset(
    {
        "acceptedanswer", "author", "associatedmedia", "breadcrumb", "citation", "comment", "creator", "editor", "haspart", "image",
        "isbasedon", "ispartof", "itemlistelement", "itemreviewed", "logo", "mentions", "offers", "potentialaction", "publisher",
        "relatedlink", "review", "subjectof", "suggestedanswer", "thumbnail", "video",
    }
)  # fmt: skip
_NO_RANK = 3
_NODE_PUBLISHED = ("datepublished", "uploaddate", "datecreated")
# A page whose articles have more different dates than this lists articles and is none.
_MOST_ARTICLES = 2
_STATED = regex.compile(r'"(datePublished|dateModified)"\s{0,5}:\s{0,5}"([^"]{8,40})"')
_WRAPPING = regex.compile(
    r"^\s*(?:<!--|/\*\s*<!\[CDATA\[\s*\*/|//\s*<!\[CDATA\[|<!\[CDATA\[)|(?:-->|/\*\s*\]\]>\s*\*/|//\s*\]\]>|\]\]>)\s*;?\s*$"
)
_TRAILING_COMMA = regex.compile(r",(?=\s{0,200}[}\]])")


@dataclass(frozen=True)
class LinkedData:
    """What the JSON-LD of a page says."""

    published: str | None = None
    modified: str | None = None
    authors: tuple[str, ...] = ()
    headline: str = ""


def linked_data(tree: HtmlElement) -> LinkedData:
    """What the node that speaks most for the page says; what it leaves open is taken from the next."""
    nodes: list[tuple[int, dict[str, Any]]] = []
    names: dict[str, object] = {}
    damaged: dict[str, str] = {}
    for script in _scripts(tree):
        try:
            value = _parsed(script)
        except (ValueError, RecursionError):
            for name, text in _STATED.findall(script):
                damaged.setdefault(name, text)
        else:
            nodes += _nodes(value, names, _MOST_NODES - len(nodes))
    articles = {day for rank, node in nodes if rank == 1 and (day := _node_date(node, *_NODE_PUBLISHED))}
    if len(articles) > _MOST_ARTICLES:
        nodes = [ranked for ranked in nodes if ranked[0] != 1]
    nodes.sort(key=lambda ranked: ranked[0])  # stable: of equals, the first of the page
    nodes = [ranked for ranked in nodes if ranked[0] == nodes[0][0] or ranked[0] < _NO_RANK]
    published = next((day for _, node in nodes if (day := _node_date(node, *_NODE_PUBLISHED))), None)
    modified = next((day for _, node in nodes if (day := _node_date(node, "datemodified"))), None)
    authors = next((found for _, node in nodes if (found := _node_authors(node, names))), [])
    headline = next((text for _, node in nodes if isinstance(text := node.get("headline"), str)), "")
    return LinkedData(
        published or believable_date(damaged.get("datePublished")),
        modified or believable_date(damaged.get("dateModified")),
        tuple(authors),
        headline,
    )


def _scripts(tree: HtmlElement) -> Iterator[str]:
    count = 0
    for element in tree.iter("script"):
        if "ld+json" in (element.get("type") or "").lower():
            text = element.text or ""
            if 0 < len(text) <= _SCRIPT_CHARACTERS:
                yield _WRAPPING.sub("", text)
            count += 1
            if count >= _MOST_SCRIPTS:
                return


def _parsed(script: str) -> object:
    try:
        return json.loads(script, strict=False)
    except ValueError:
        return json.loads(_TRAILING_COMMA.sub("", script), strict=False)


def _nodes(value: object, names: dict[str, object], most: int) -> list[tuple[int, dict[str, Any]]]:
    """Nodes that may speak for the page with their rank, lowest best, in the order of the page. `names` gets the name of each @id."""
    found: list[tuple[int, dict[str, Any]]] = []
    waiting: list[tuple[object, bool]] = [(value, True)]
    seen = 0
    while waiting and seen < max(0, most):
        item, about = waiting.pop()
        seen += 1
        if isinstance(item, list):
            waiting += [(part, about) for part in reversed(item[:_MOST_NODES])]
        elif isinstance(item, dict):
            node = {str(key).rpartition("/")[2].rpartition(":")[2].lower(): part for key, part in item.items()}
            if isinstance(identity := node.get("@id"), str) and (name := node.get("name")):
                names.setdefault(identity, name)
            if about and (rank := _rank(node.get("@type"))) <= _NO_RANK:
                found.append((rank, node))
            waiting += [(part, about and key not in _ASIDE) for key, part in reversed(node.items()) if isinstance(part, dict | list)]
    return found


def _rank(kind: object) -> int:
    kinds = [str(name).rpartition("/")[2].lower() for name in (kind if isinstance(kind, list) else [kind])[:10] if name]
    if any(name.endswith(_ARTICLES) and name not in _OTHER_THINGS for name in kinds):
        return 1
    if any(name in _OTHER_THINGS for name in kinds):
        return _NO_RANK + 1
    return 2 if any(name in _PAGES for name in kinds) else _NO_RANK


def _node_date(node: dict[str, Any], *names: str) -> str | None:
    for name in names:
        value = node.get(name)
        for text in value[:3] if isinstance(value, list) else [value]:
            inner = text.get("@value") if isinstance(text, dict) else text
            if day := believable_date(inner):
                return day
    return None


def _node_authors(node: dict[str, Any], names: dict[str, object]) -> list[str]:
    for key in ("author", "creator"):
        value = node.get(key)
        found: list[object] = []
        for person in value[:MOST_AUTHORS] if isinstance(value, list) else [value]:
            name: object = person
            if isinstance(person, dict):
                # A node's keys were put into lower case, those of the nodes in it were not.
                identity = person.get("@id")
                name = person.get("name") or (names.get(identity) if isinstance(identity, str) else None)
            found += name[:MOST_AUTHORS] if isinstance(name, list) else [name]
        if authors := names_of(found):
            return authors
    return []
