"""HTML to Markdown: the main text is chosen by extraction libraries and by what the page calls its parts, and the blocks of the
page that hold it are rendered.

The libraries say *which* text counts but flatten it; so their text is only used to mark the page's own blocks. Tables, code and
headings of the marked part are kept even where a library dropped them.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from lxml.html import HtmlElement

from providers.reader.bounds import without_excess_attributes
from providers.reader.cleaning import clean, parse
from providers.reader.embedded import embedded_body
from providers.reader.images import images_of
from providers.reader.leaves import key_of
from providers.reader.limits import MAX_LINKS
from providers.reader.metadata import page_metadata
from providers.reader.plain import plain_text
from providers.reader.printed import remove_printed
from providers.reader.rendering import prepare_listings, render
from providers.reader.selection import main_text, page_kind, prune, select
from providers.reader.structure import regularize
from schemas.reading import DateSource

# A page that shows less main text than this, in letters and digits, may carry it in its scripts instead.
_LITTLE_TEXT = 1_000


@dataclass(frozen=True)
class HtmlText:
    """The main text of a page as Markdown, and what the page says about itself."""

    title: str
    text: str
    author: str
    published: str | None
    modified: str | None
    date_source: DateSource | None
    language_code: str
    links: list[tuple[str, str]]
    images: list[tuple[str, str, int, int]]
    """Images of the main part, each once, in order: absolute URL, caption or alternative text, width and height in pixels (0: unknown)."""


def read_html(markup: str, *, url: str | None = None) -> HtmlText:
    """Main text of an HTML page. `url` resolves relative links; without it they lose their target and keep their text.

    Raises `ValueError` for markup that no parser takes.
    """
    markup = without_excess_attributes(markup)
    tree = parse(markup)
    stated = page_metadata(tree, url)
    kind = page_kind(tree, url)
    found = main_text(tree, kind)
    body = tree.find("body")
    if body is None:
        body = tree
    base = _base(tree, url)
    embedded = embedded_body(tree)
    clean(body)
    remove_printed(body)
    links = _resolve_links(body, base)
    prepare_listings(body)
    regularize(body)
    selection = select(body, found, kind)
    if embedded is not None and selection.weight < min(_LITTLE_TEXT, len(key_of(embedded.text_content())) / 2):
        body = embedded
        clean(body)
        _resolve_links(body, base)
        prepare_listings(body)
    else:
        prune(body, selection)
    images = images_of(body, base)
    # Below the parser's 2,048 levels there can be text yet; the other parser has no limit, but gives no structure.
    text = render(body) or plain_text(markup)
    title = _title(tree, stated.title, body)
    return HtmlText(
        title, text, stated.author, stated.published, stated.modified, stated.date_source, stated.language_code, links, images
    )  # fmt: skip


def _base(tree: HtmlElement, url: str | None) -> str | None:
    """What relative URLs are relative to."""
    element = tree.find(".//base[@href]")
    if element is None:
        return url
    try:
        return str(urljoin(url or "", element.get("href")))
    except ValueError:
        return url


def _resolve_links(body: HtmlElement, base: str | None) -> list[tuple[str, str]]:
    """Make link targets absolute; a link to no http or https page becomes its text. Returns each target once, in order."""
    links: dict[str, str] = {}
    for anchor in list(body.iter("a")):
        href = (anchor.get("href") or "").strip()
        try:
            # An empty one leads to the page itself, like a fragment.
            target = urljoin(base, href) if base and href and not href.startswith("#") else href
        except ValueError:
            target = ""
        if not target.startswith(("http://", "https://")) or len(target.split()) != 1:
            # It stays a link for those that ask how much of a block is links, but leads nowhere.
            anchor.attrib.clear()
            continue
        words = " ".join(anchor.text_content().split())
        if not words:
            anchor.drop_tag()
            continue
        for name in anchor.keys():  # noqa: SIM118  (an element is no mapping)
            del anchor.attrib[name]
        anchor.set("href", target)
        if len(links) < MAX_LINKS:
            links.setdefault(target, words[:200])
    return list(links.items())


def _title(tree: HtmlElement, guessed: str, body: HtmlElement) -> str:
    """The part of the `title` element that is the page's own name: the guessed title or the first heading that is kept."""
    full = " ".join((tree.findtext(".//title") or "").split())
    heading = next((" ".join(h.text_content().split()) for h in body.iter("h1", "h2")), "")
    for name in (guessed.rstrip("¶# "), heading):
        if name and name.casefold() in full.casefold():
            return name
    return full or guessed or heading
