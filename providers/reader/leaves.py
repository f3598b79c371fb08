"""The blocks of a page that hold text themselves, with what their selection needs to know of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lxml.html import HtmlElement

from providers.reader.boilerplate import Role, role_of
from providers.reader.structure import leaves_of

SOLID = 40
"""Letters and digits from which on a block is text by itself and no label."""
HEAVY_LINKS = 0.7
"""Share of links from which on a list or table leads to other pages and says little itself."""


@dataclass(eq=False)
class Leaf:
    """A block that holds text itself; a table or a listing is one block."""

    element: HtmlElement
    text: str
    key: str
    """Letters and digits of the text in lower case."""
    role: int
    """What it is for, by its names and those of what it lies in: bits of `Role`."""
    post: HtmlElement | None
    """The outermost element around it that is a post."""
    kept: bool = False
    unwanted: bool = False
    """It is not part of the main text, whatever the libraries say."""


def key_of(text: str) -> str:
    """`text` reduced to its letters and digits, for comparison."""
    return "".join(filter(str.isalnum, text)).casefold()


def leaves_in(body: HtmlElement) -> list[Leaf]:
    """The leaves of a regular `body`, in order."""
    roles: dict[HtmlElement, int] = {}
    posts: dict[HtmlElement, HtmlElement] = {}
    for element in body.iter():
        above = element.getparent()
        role = roles[element] = role_of(element) | roles.get(above, Role.NONE)
        if role & Role.POST:
            posts[element] = posts.get(above, element)
    found = []
    for element in leaves_of(body):
        text = element.text_content()
        found.append(Leaf(element, text, key_of(text), roles[element], posts.get(element)))
    return found


def weight_of(leaves: Iterable[Leaf]) -> int:
    """Letters and digits of the blocks that are kept."""
    return sum(len(leaf.key) for leaf in leaves if leaf.kept)


def container_of(body: HtmlElement, leaves: list[Leaf]) -> HtmlElement:
    """The innermost element that holds nine tenths of the kept text."""
    weights: dict[HtmlElement, int] = {}
    total = 0
    for leaf in leaves:
        if leaf.kept:
            total += len(leaf.key)
            for ancestor in leaf.element.iterancestors():
                weights[ancestor] = weights.get(ancestor, 0) + len(leaf.key)
    container, inner = body, body
    while inner is not None:
        container = inner
        inner = next((child for child in container if weights.get(child, 0) >= 0.9 * total), None)
    return container


def link_share(element: HtmlElement) -> float:
    """How much of its text is links, 0 to 1."""
    if next(element.iterancestors("a"), None) is not None:
        return 1.0
    anchors = [key_of(a.text_content()) for a in element.iter("a")]
    if not anchors:
        return 0.0
    own = len(key_of(element.text_content()))
    return sum(map(len, anchors)) / own if own else 1.0
