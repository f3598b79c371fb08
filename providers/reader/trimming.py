"""What is taken out of a page's main text although a library took it for text: the frame of the page, going by names, headings, place
and repetition."""

from __future__ import annotations

from itertools import islice

import regex
from lxml.html import HtmlElement

from providers.reader.boilerplate import Role, is_label, leads_elsewhere, role_of, states_rights
from providers.reader.leaves import SOLID, Leaf, link_share, weight_of
from providers.reader.structure import HEADINGS

# Names never remove a part that holds more than this share of the kept text: then the whole page bears that name.
_MOST_OF_PAGE = 0.5
# Letters and digits from which on a block without links begins the text.
_TEXT = 100
_MOST_SECTIONS = 50
# What documentation says of every function, and headings, may be repeated.
_REPEATABLE = frozenset((*HEADINGS, "dt", "dd", "pre", "table", "th", "summary"))
_DIGITS = regex.compile(r"\d+")


def trim(body: HtmlElement, leaves: list[Leaf], *, thread: bool, article: bool) -> None:
    """Mark the leaves that are not part of the main text as unwanted and not kept.

    `thread`: the page is a discussion, and its posts are kept whether a library found them or not. `article`: it is one text.
    """
    _mark_named(body, leaves, thread=thread)
    _mark_leading_elsewhere(body, leaves)
    if not article:
        _mark_repeated(leaves, thread=thread)
    for leaf in leaves:
        leaf.kept = (leaf.kept or (thread and bool(leaf.role & Role.POST))) and not leaf.unwanted and not is_label(leaf.key)
    _mark_head_and_foot(leaves)
    for leaf in leaves:
        leaf.kept = leaf.kept and not leaf.unwanted


def _mark_named(body: HtmlElement, leaves: list[Leaf], *, thread: bool) -> None:
    """The blocks that lie in parts whose names say that they are not the page's subject."""
    avoided = Role.FRAME | (Role.MEMBER if thread else Role.COMMENT if _has_text_before_comments(leaves) else Role.NONE)
    inside: dict[HtmlElement, list[Leaf]] = {}
    for leaf in leaves:
        if not leaf.role & avoided:
            continue
        for part in (leaf.element, *leaf.element.iterancestors()):
            if part is body:
                break
            named = role_of(part) & avoided
            if named and not (named == Role.COMMENT and leaf.role & Role.REVIEW):
                inside.setdefault(part, []).append(leaf)
    # Of all parts with the same name together: the sections of a restaurant's menu are no navigation.
    weights: dict[tuple[str, str | None], int] = {}
    for part, part_leaves in inside.items():
        name = (part.tag, part.get("class"))
        weights[name] = weights.get(name, 0) + weight_of(part_leaves)
    most = _MOST_OF_PAGE * weight_of(leaves)
    for part, part_leaves in inside.items():
        if weights[part.tag, part.get("class")] <= most:
            for leaf in part_leaves:
                leaf.unwanted = True


def _has_text_before_comments(leaves: list[Leaf]) -> bool:
    """Whether comments can be what readers say: they say it below a text. What comes first on a page, as in the documentation of a
    program, is the author's comment."""
    first = next((leaf for leaf in leaves if leaf.kept and len(leaf.key) >= SOLID and not leaf.role & Role.FRAME), None)
    return first is None or not first.role & Role.COMMENT


def _mark_leading_elsewhere(body: HtmlElement, leaves: list[Leaf]) -> None:
    """The sections that hold links to other pages, going by their headings."""
    total = weight_of(leaves)
    headings = (i for i, leaf in enumerate(leaves) if leads_elsewhere(leaf.text))
    for i in islice(headings, _MOST_SECTIONS):
        heading = leaves[i]
        if heading.unwanted or link_share(heading.element) > 0.9:
            continue
        part = _part_begun_by(heading.element, body)
        section: list[Leaf] = []
        for leaf in leaves[i + 1 :]:
            if part not in leaf.element.iterancestors() or _ends_section(leaf.element, heading.element):
                break
            section.append(leaf)
        size = sum(len(leaf.key) for leaf in section)
        linked = sum(len(leaf.key) * link_share(leaf.element) for leaf in section)
        if linked >= 0.3 * size and size <= 0.4 * total:
            for leaf in (heading, *section):
                leaf.unwanted = True


def _part_begun_by(heading: HtmlElement, body: HtmlElement) -> HtmlElement:
    """The outermost element that holds no text before `heading`, or else the one that it lies in."""
    part = heading.getparent()
    while part is not body and part.getparent() is not None and not _has_text_before(part, heading):
        above = part.getparent()
        if above is body or _has_text_before(above, heading):
            break
        part = above
    return part


def _has_text_before(part: HtmlElement, inner: HtmlElement) -> bool:
    for element in part.iter():
        if element is inner:
            return False
        if (element.text and element.text.strip()) or (element is not part and element.tail and element.tail.strip()):
            return True
    return False


def _ends_section(element: HtmlElement, heading: HtmlElement) -> bool:
    return element.tag in HEADINGS and heading.tag in HEADINGS and HEADINGS.index(element.tag) <= HEADINGS.index(heading.tag)


def _mark_repeated(leaves: list[Leaf], *, thread: bool) -> None:
    """Short blocks that a page repeats: what it says of every member of a discussion, or the buttons of every product."""
    groups: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        if not leaf.key or len(leaf.key) > (60 if thread else 30) or leaf.key.isdigit() or leaf.element.tag in _REPEATABLE:
            continue
        if thread or len(leaf.text.split()) <= 2 or link_share(leaf.element) > 0.9:
            groups.setdefault(_DIGITS.sub("", leaf.key) if thread else leaf.key, []).append(leaf)
    for group in groups.values():
        if len(group) >= 3:
            for leaf in group:
                leaf.unwanted = True


def _mark_head_and_foot(leaves: list[Leaf]) -> None:
    """Short blocks before the page's only main heading, all from the line on that reserves the rights at its end, and blocks of
    links before and after the text."""
    total = weight_of(leaves)
    kept = [leaf for leaf in leaves if leaf.kept]
    headings = [leaf for leaf in leaves if leaf.element.tag == "h1" and leaf.key]
    if len(headings) == 1:
        before = [leaf for leaf in leaves[: leaves.index(headings[0])] if leaf.kept]
        if weight_of(before) <= 0.2 * total:
            for leaf in before:
                leaf.unwanted = len(leaf.key) < SOLID or link_share(leaf.element) > 0.5
    after = 0
    for i in range(len(leaves) - 1, -1, -1):
        after += len(leaves[i].key) if leaves[i].kept else 0
        if after > 0.15 * total:
            break
        if leaves[i].kept and states_rights(leaves[i].text):
            for leaf in leaves[i:]:
                leaf.unwanted = True
    _mark_outer_links(kept, 0.15 * total)
    _mark_outer_links(kept[::-1], 0.15 * total)


def _mark_outer_links(leaves: list[Leaf], most: float) -> None:
    """Blocks of links before the first block of text, unless they have more than `most` letters: then they are the text."""
    found: list[Leaf] = []
    size = 0
    for leaf in leaves:
        linked = link_share(leaf.element) > 0.75
        if (len(leaf.key) >= _TEXT and not linked) or leaf.element.tag in ("h1", "pre", "table"):
            break
        size += len(leaf.key)
        if size > most:
            return
        if linked and next(islice(leaf.element.iter("a"), 1, None), None) is not None:
            found.append(leaf)
    else:
        return
    for leaf in found:
        leaf.unwanted = True
