"""Which blocks of a page are its main text.

Two libraries say which text counts, each flattening it: trafilatura, which knows articles best, and resiliparse, which keeps more of
other pages. Their texts are only used to mark the page's own blocks; what kind of page it is decides how far each is followed.
"""

from __future__ import annotations

import logging
from copy import copy
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import regex
from lxml.html import HtmlElement, tostring
from resiliparse.extract.html2text import extract_plain_text

from providers.reader.boilerplate import Role, is_label, is_price, states_rights
from providers.reader.cleaning import PANEL
from providers.reader.leaves import HEAVY_LINKS, SOLID, Leaf, container_of, key_of, leaves_in, link_share, weight_of
from providers.reader.structure import HEADINGS
from providers.reader.trimming import trim

# Where trafilatura keeps less than this share of the words that resiliparse keeps, it has missed the page and resiliparse decides.
_MISSED = 0.3
# Where it keeps more than this share on a page that is neither an article nor a discussion, it has found the page, and the rest is frame.
_ENOUGH = 0.7
# How many levels above a block of text the short blocks that belong to it may begin.
_NEAR = 2
_MOST_TYPES = 1_000
# A few words that are a sentence are no label.
_SENTENCE = regex.compile(r"\w+\W+\w+\W+\w+\W+\w+.{0,400}[.!?]\s*$|[\p{Han}\p{Hiragana}\p{Katakana}].{8,200}[。！？]\s*$", regex.S)
_SECTIONS = ("section", "article", "main")
_NOT_TEXT = Role.FRAME | Role.COMMENT | Role.MEMBER
_MOST_ARTICLES = 2
_EMPTIED = frozenset(("a", "li", "ul", "ol", "dl", "dt", "dd", "blockquote", "figure", "figcaption", "details", "summary", *HEADINGS))
_SHORT_KEY = 24
_SHINGLE = 24
# How far ahead of the last match a short block such as "Home" may match, in characters of the selected text.
_WINDOW = 600

_FORUM_ENGINES = regex.compile(
    r"discourse|phpbb|vbulletin|xenforo|mybb|simple machines|\bsmf\b|flarum|nodebb|vanilla forums|invision|burning board|punbb|fluxbb",
    regex.I,
)
_FORUM_PATHS = regex.compile(
    r"/(?:viewtopic|showthread|threads?|topics?|forums?|questions|discussions?|issues/\d|pull/\d|t/[^/]+/\d|comments/)|^/item$", regex.I
)
_FORUM_DATA = regex.compile(r'"@type"\s{0,3}:\s{0,3}"(?:DiscussionForumPosting|QAPage)"')
_ARTICLE_DATA = regex.compile(
    r'"@type"\s{0,3}:\s{0,3}\[?\s{0,3}"(?:[A-Za-z]{0,20}Article|BlogPosting|LiveBlogPosting|Report|OpinionNewsArticle|Recipe)"'
)


class PageKind(Enum):
    """What kind of page it is, as far as that changes which text counts."""

    ARTICLE = auto()
    """One text. What surrounds it is not its subject, and what readers say of it is not either."""
    THREAD = auto()
    """A discussion: its posts are its subject."""
    OTHER = auto()
    """Documentation, products, lists and services: several parts that are equally important."""


@dataclass(frozen=True)
class Selection:
    """The blocks of a page in order, each marked as kept or not."""

    leaves: list[Leaf]
    weight: int
    """Letters and digits of the blocks in which the libraries' text was found."""


def page_kind(tree: HtmlElement, url: str | None) -> PageKind:
    """What the page says of itself: by microdata, JSON-LD, meta elements, and the address."""
    try:
        parts = urlsplit(url) if url else None
    except ValueError:
        parts = None
    data = "".join((script.text or "")[:200_000] for script in tree.iter("script") if "ld+json" in (script.get("type") or ""))
    meta = {(m.get("property") or m.get("name") or "").lower(): m.get("content") or "" for m in tree.iter("meta")}
    body = tree.find("body")
    identity = " ".join(filter(None, (tree.get("id"), body.get("id") if body is not None else "")))
    typed = [str(name) for name in tree.xpath("descendant-or-self::*/@itemtype")[:_MOST_TYPES]]
    if (
        _FORUM_ENGINES.search(meta.get("generator", ""))
        or identity.lower() in ("phpbb", "xf")
        or _FORUM_DATA.search(data)
        or any("DiscussionForumPosting" in name or "QAPage" in name for name in typed)
    ):
        return PageKind.THREAD
    # `og:type` says nothing: common plugins call every page of a site an article. Several articles are a list of them.
    articles = sum(name.endswith(("Article", "BlogPosting")) for name in typed)
    if (
        "article:published_time" in meta
        or 1 <= len(_ARTICLE_DATA.findall(data)) <= _MOST_ARTICLES
        or articles == 1
        or len(tree.findall(".//*[@itemprop='articleBody']")) == 1
    ):
        return PageKind.ARTICLE
    if parts is not None and _FORUM_PATHS.search(parts.path):
        return PageKind.THREAD
    return PageKind.OTHER


@dataclass(frozen=True)
class MainText:
    """What each library takes for the main text of a page."""

    article: str
    """By trafilatura."""
    plain: str
    """By resiliparse."""


def main_text(tree: HtmlElement, kind: PageKind) -> MainText:
    """What the libraries take for the main text of the page as it came; nothing is taken out of `tree`."""
    return MainText(_article_text(tree, kind), _plain_text(tree))


def select(body: HtmlElement, found: MainText, kind: PageKind) -> Selection:
    """Mark the blocks of the regular `body` that are the main text."""
    leaves = leaves_in(body)
    article, plain = len(key_of(found.article)), len(key_of(found.plain))
    in_article = _match(leaves, found.article)
    follows = article >= _MISSED * plain
    expected = max(article, plain)
    if kind is PageKind.ARTICLE and follows:
        kept, expected = in_article, article
    elif kind is PageKind.OTHER and article >= _ENOUGH * plain:
        kept = in_article
    else:
        in_plain = _match(leaves, found.plain)
        kept = _joined(body, leaves, in_article, in_plain) if follows else [a or p for a, p in zip(in_article, in_plain, strict=True)]
    for leaf, keep in zip(leaves, kept, strict=True):
        leaf.kept = keep
    matched = weight_of(leaves)
    if matched < 0.5 * expected or not matched:
        # What the libraries found cannot be found in the page: take the page without its frame.
        for leaf in leaves:
            leaf.kept = not leaf.role & Role.FRAME
        if not weight_of(leaves):
            for leaf in leaves:
                leaf.kept = True
    thread = kind is PageKind.THREAD or (kind is PageKind.OTHER and _is_thread(leaves))
    trim(body, leaves, thread=thread, article=kind is PageKind.ARTICLE)
    parts = kind is PageKind.OTHER and not thread
    container = container_of(body, leaves)
    while parts and container.getparent() is not None and container.getparent().tag in _SECTIONS:
        container = container.getparent()
    _complete(container, leaves, parts=parts)
    return Selection(leaves, matched)


def prune(body: HtmlElement, selection: Selection) -> None:
    """Remove the blocks that were not selected, and what is empty without them."""
    for leaf in selection.leaves:
        if not leaf.kept and leaf.element is not body:
            leaf.element.drop_tree()
    filled: set[HtmlElement] = set()
    for element in reversed(list(body.iter())):
        if element in filled or element.tag == "img" or (element.text and element.text.strip()):
            filled.add(element.getparent())
        elif element.tag in _EMPTIED and element is not body:
            element.drop_tree()
            continue
        if element.tail and element.tail.strip():
            filled.add(element.getparent())


def _article_text(tree: HtmlElement, kind: PageKind) -> str:
    from trafilatura import bare_extraction  # noqa: PLC0415

    try:
        found: Any = bare_extraction(copy(tree), fast=True, include_comments=kind is PageKind.THREAD)
    except Exception as error:  # any fault of the library on hostile markup: resiliparse decides instead
        logging.getLogger(__name__).warning("no main text by trafilatura: %s: %s", type(error).__name__, error)
        return ""
    return "\n".join(filter(None, (found.text, found.comments))) if found is not None else ""


def _plain_text(tree: HtmlElement) -> str:
    # The tree again and not the page as it came: on very deep nesting resiliparse is quadratic, and the tree's depth is limited.
    return str(extract_plain_text(tostring(tree, encoding="unicode"), main_content=True, alt_texts=False, list_bullets=False))


def _joined(body: HtmlElement, leaves: list[Leaf], in_article: list[bool], in_plain: list[bool]) -> list[bool]:
    """The blocks that trafilatura found, those of some length that resiliparse found besides, and the short ones beside either."""
    solid = [
        a or (p and len(leaf.key) >= SOLID and link_share(leaf.element) < 0.5)
        for leaf, a, p in zip(leaves, in_article, in_plain, strict=True)
    ]
    if not any(solid):
        return in_plain
    near: set[HtmlElement] = set()
    for leaf, is_solid, a in zip(leaves, solid, in_article, strict=True):
        leaf.kept = a
        if is_solid:
            near.update(islice(leaf.element.iterancestors(), _NEAR))
    container = container_of(body, leaves)
    return [
        is_solid
        or (p and any(part in near for part in islice(leaf.element.iterancestors(), _NEAR)))
        or (p and container is not body and container in leaf.element.iterancestors())
        for leaf, is_solid, p in zip(leaves, solid, in_plain, strict=True)
    ]


def _is_thread(leaves: list[Leaf]) -> bool:
    """Whether posts, at least two of them, are most of what was found."""
    posts: set[HtmlElement | None] = set()
    size = 0
    for leaf in leaves:
        if leaf.role & Role.POST:
            size += len(leaf.key)
            posts.add(leaf.post)
    return len(posts) >= 2 and size >= 0.5 * weight_of(leaves)


def _match(leaves: list[Leaf], selected: str) -> list[bool]:
    """Which blocks occur in the selected text. Both are in document order, so a short block must occur near the last match."""
    if not selected:
        return [False] * len(leaves)
    lines = {key_of(line) for line in selected.splitlines()}
    text = key_of(selected)
    cursor = 0
    kept = []
    # Searching the whole text for each of many blocks would be quadratic.
    budget = 2_000_000_000
    for leaf in leaves:
        key, keep = leaf.key, False
        if leaf.element.tag == "table":
            cells = [cell for cell in (key_of(c.text_content()) for c in leaf.element.iter("td", "th")) if cell][:60]
            keep = bool(cells) and sum(text.find(cell, cursor, cursor + len(key) + 2_000) >= 0 for cell in cells) >= 0.3 * len(cells)
        elif key and len(key) <= _SHORT_KEY:
            position = text.find(key, cursor, cursor + _WINDOW)
            keep = position >= 0
            cursor = position + len(key) if keep else cursor
        elif key:
            budget -= len(text)
            position = text.find(key) if key in lines or budget > 0 else text.find(key, cursor, cursor + 20_000)
            if position >= 0:
                keep, cursor = True, position + len(key)
            else:
                pieces = [key[i : i + _SHINGLE] for i in range(0, len(key) - _SHINGLE + 1, _SHINGLE)]
                places = [place for piece in pieces if (place := text.find(piece, cursor, cursor + len(key) + 20_000)) >= 0]
                if len(places) >= 0.5 * len(pieces):
                    keep, cursor = True, places[-1] + _SHINGLE
        kept.append(keep)
    return kept


def _list_of(element: HtmlElement, container: HtmlElement) -> HtmlElement | None:
    """The outermost list, figure or quotation within `container` that `element` is a part of."""
    found = None
    for ancestor in element.iterancestors():
        if ancestor is container:
            break
        if ancestor.tag in ("ul", "ol", "dl", "figure", "blockquote"):
            found = ancestor
    return found


def _complete(container: HtmlElement, leaves: list[Leaf], *, parts: bool) -> None:
    """Keep the code, tables, captions, list items, notes, opened panels, prices and headings that belong to the kept part; with
    `parts`, as on a page of several equal parts, its text too, of which the libraries then miss some."""
    shares: dict[HtmlElement, float] = {}
    inside = [container is leaf.element or container in leaf.element.iterancestors() for leaf in leaves]
    for leaf, is_inside in zip(leaves, inside, strict=True):
        element = leaf.element
        if element.tag == "pre":
            # The numbers of a listing's lines are no listing.
            leaf.kept = bool(leaf.key) and not leaf.key.isdigit() and not leaf.unwanted
        elif leaf.kept or not leaf.key or leaf.unwanted or not is_inside or is_label(leaf.key):
            continue
        elif element.tag == "table":
            leaf.kept = link_share(element) < HEAVY_LINKS
        elif (owner := _list_of(element, container)) is not None:
            if owner not in shares:
                shares[owner] = link_share(owner)
            leaf.kept = shares[owner] < HEAVY_LINKS
        elif is_price(leaf.text) or leaf.role & Role.NOTE:
            leaf.kept = True
        elif parts and not leaf.role & _NOT_TEXT and (len(leaf.key) >= SOLID or _SENTENCE.search(leaf.text)):
            leaf.kept = link_share(element) < 0.3 and not states_rights(leaf.text)
        elif len(leaf.key) >= SOLID and any(part.get(PANEL) is not None for part in element.iterancestors()):
            leaf.kept = link_share(element) < 0.5
    # Backwards: a heading belongs to the text when something of its section is kept, sections inside it included.
    lowest_kept = 0  # 0: nothing kept since the last heading of the highest level
    for leaf, is_inside in zip(reversed(leaves), reversed(inside), strict=True):
        tag = leaf.element.tag
        if tag in HEADINGS:
            level = HEADINGS.index(tag) + 1
            if leaf.key and (is_inside or tag == "h1") and lowest_kept >= level and not leaf.unwanted:
                leaf.kept = True
            if leaf.kept or lowest_kept >= level:
                # What encloses this heading has kept content; what has the same level has none yet.
                lowest_kept = level - 1
        elif leaf.kept:
            lowest_kept = 7
