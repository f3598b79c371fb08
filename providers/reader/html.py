"""HTML to Markdown: the main text is chosen by extraction libraries, and the blocks of the page that hold it are rendered.

The extractors say *which* text counts but flatten it; so their text is only used to mark the page's own blocks. Tables, code and
headings of the marked part are kept even where an extractor dropped them.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import regex
from html_to_markdown import ConversionOptions, PreprocessingOptions
from html_to_markdown import convert as markdown_of
from html_to_markdown.exceptions import ConversionError
from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring, tostring
from resiliparse.extract.html2text import extract_plain_text

from providers.reader.dates import iso_date
from providers.reader.limits import MAX_LINKS

_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li",
        "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    }
)  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BOILERPLATE = frozenset({"nav", "footer", "aside", "form", "dialog"})
_DROPPED = ("script", "style", "template", "svg", "iframe", "object", "button", "input", "select", "textarea", "link", "meta")
# Marks beside headings and citations that are about the page and not part of its text.
_DROPPED_CLASSES = frozenset({"headerlink", "anchor-link", "mw-editsection", "linenos", "sr-only", "visually-hidden", "noprint"})
_SPACE = regex.compile(r"[ \t\n\f]+")
_KEY = regex.compile(r"[\W_]+")

# Where trafilatura keeps less than this share of the words that resiliparse keeps, the page is no article and resiliparse decides
# (measured: F1 0.956 on articles and 0.867 on seven page types, against 0.962 and 0.825 without).
_GUARD = 0.55
_SHORT_KEY = 24
_SHINGLE = 24
# How far ahead of the last match a short block such as "Home" may match, in characters of the selected text.
_WINDOW = 600

_OPTIONS = ConversionOptions(
    extract_metadata=False,
    autolinks=False,
    compact_tables=True,
    skip_images=True,
    bullets="-",
    # The tree has been pruned already; a second, blind pruning could only lose text.
    preprocessing=PreprocessingOptions(enabled=False),
)


@dataclass(frozen=True)
class HtmlText:
    """The main text of a page as Markdown, and what the page says about itself."""

    title: str
    text: str
    author: str
    published: str | None
    language_code: str
    links: list[tuple[str, str]]


def read_html(markup: str, *, url: str | None = None) -> HtmlText:
    """Main text of an HTML page. `url` resolves relative links; without it they lose their target and keep their text.

    Raises `ValueError` for markup that no parser takes.
    """
    tree = _parse(markup)
    title, author, published = _metadata(tree, url)
    language = (tree.get("lang") or tree.get("{http://www.w3.org/XML/1998/namespace}lang") or "")[:2].lower()
    selected = _main_text(tree)
    body = tree.find("body")
    if body is None:
        body = tree
    _clean(body)
    links = _resolve_links(body, (urljoin(url, base) if (base := _base(tree)) else url) if url else _base(tree))
    _unwrap_layout_tables(body)
    _wrap_inline_runs(body)
    _prune(body, selected)
    _join_source_lines(body)
    try:
        text = markdown_of(tostring(body, encoding="unicode"), _OPTIONS).content or ""
    except ConversionError as error:
        raise ValueError(f"its markup cannot be rendered ({error})") from error
    # Below the parser's 2,048 levels there can be text yet; the other parser has no limit, but gives no structure.
    text = text.strip() or extract_plain_text(markup)
    title = _title(tree, title, body)
    return HtmlText(title, text, author, published, language if len(language) == 2 else "", links)


def _parse(markup: str) -> HtmlElement:
    try:
        # Bytes, because lxml refuses text with an encoding declaration.
        tree = document_fromstring(
            markup.encode("utf-8"), parser=HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
        )
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise ValueError(str(error)) from error
    return tree


def _metadata(tree: HtmlElement, url: str | None) -> tuple[str, str, str | None]:
    """Title, author and date: from JSON-LD and meta elements, otherwise guessed from the text."""
    from trafilatura.metadata import extract_metadata  # noqa: PLC0415

    try:
        found = extract_metadata(copy(tree), url, extensive=False)
    except Exception as error:  # any fault of the guesser on hostile markup; the page itself can still be read
        _log_fault("metadata", error)
        title = tree.find(".//title")
        return ((title.text or "") if title is not None else ""), "", None
    return (found.title or "").rstrip("¶# "), found.author or "", iso_date(found.date or "")


def _main_text(tree: HtmlElement) -> str:
    """The text that counts, by trafilatura, or by resiliparse where trafilatura finds too little; empty when neither finds any."""
    from trafilatura import bare_extraction  # noqa: PLC0415

    try:
        found: Any = bare_extraction(copy(tree), fast=True, include_comments=True)
    except Exception as error:  # as above: resiliparse decides instead
        _log_fault("main text", error)
        found = None
    text = "\n".join(filter(None, (found.text, found.comments))) if found is not None else ""
    # The tree again and not the page as it came: on very deep nesting resiliparse is quadratic, and the tree's depth is limited.
    plain = extract_plain_text(tostring(tree, encoding="unicode"), main_content=True, alt_texts=False, list_bullets=False)
    return text if len(_key(text)) >= _GUARD * len(_key(plain)) else plain


def _log_fault(what: str, error: Exception) -> None:
    import logging  # noqa: PLC0415

    logging.getLogger(__name__).warning("no %s by trafilatura: %s: %s", what, type(error).__name__, error)


def _key(text: str) -> str:
    """`text` reduced to its letters and digits, for comparison."""
    return _KEY.sub("", text).casefold()


def _base(tree: HtmlElement) -> str | None:
    base = tree.find(".//base[@href]")
    return base.get("href") if base is not None else None


def _clean(body: HtmlElement) -> None:
    """Remove what is never text: scripts, forms' fields, hidden elements and marks."""
    doomed = []
    for element in body.iter(etree.Element):
        classes = (element.get("class") or "").split()
        style = (element.get("style") or "").replace(" ", "").lower()
        hidden = element.get("hidden") is not None or "display:none" in style
        citation = element.tag == "sup" and "reference" in classes
        if element.tag in _DROPPED or hidden or citation or not _DROPPED_CLASSES.isdisjoint(classes):
            doomed.append(element)
        elif element.tag == "img":
            # A formula is often a picture whose text is in `alt`.
            element.text = element.get("alt") if any("math" in name or "tex" in name for name in classes) else None
            element.tag = "span"
    for element in doomed:
        if element is not body:
            element.drop_tree()


def _resolve_links(body: HtmlElement, base: str | None) -> list[tuple[str, str]]:
    """Make link targets absolute; a link to no http or https page becomes its text. Returns each target once, in order."""
    links: dict[str, str] = {}
    for anchor in list(body.iter("a")):
        href = (anchor.get("href") or "").strip()
        try:
            target = urljoin(base, href) if base and not href.startswith("#") else href
        except ValueError:
            target = ""
        if not target.startswith(("http://", "https://")) or any(c.isspace() for c in target):
            anchor.drop_tag()
            continue
        words = " ".join(anchor.text_content().split())
        for name in anchor.keys():  # noqa: SIM118  (an element is no mapping)
            del anchor.attrib[name]
        anchor.set("href", target)
        if words and len(links) < MAX_LINKS:
            links.setdefault(target, words[:200])
    return list(links.items())


def _is_data_table(table: HtmlElement) -> bool:
    """Whether a table holds data, and not the layout of the page or the line numbers of a listing."""
    if next(table.iterdescendants("table", "pre", "form", *_HEADINGS), None) is not None:
        return False
    rows = list(table.iter("tr"))
    cells = [len(row) for row in rows]
    longest = max((len(cell.text_content()) for cell in table.iter("td", "th")), default=0)
    return bool(cells) and max(cells) >= 2 and longest <= 2_000


def _unwrap_layout_tables(body: HtmlElement) -> None:
    for table in [table for table in body.iter("table") if not _is_data_table(table)]:
        for part in list(table.iter("table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption")):
            # A data table inside keeps its parts.
            owner = part if part.tag == "table" else next(part.iterancestors("table"), None)
            if owner is table or owner is None:
                part.tag = "div"


def _wrap_inline_runs(body: HtmlElement) -> None:
    """Give text that stands beside block elements a paragraph of its own, so that every text has exactly one block."""
    for container in _containers(body):
        run: HtmlElement | None = None
        children = list(container)
        lead, container.text = container.text, None
        if lead and lead.strip():
            run = container.makeelement("p")
            run.text = lead
            container.insert(0, run)
        for child in children:
            if child.tag in _BLOCKS or _holds_block(child):
                tail, child.tail = child.tail, None
                run = None
                if tail and tail.strip():
                    run = container.makeelement("p")
                    run.text = tail
                    child.addnext(run)
            elif run is None:
                if not child.text_content().strip() and not (child.tail or "").strip():
                    continue
                run = container.makeelement("p")
                child.addprevious(run)
                run.append(child)  # its tail moves with it
            else:
                run.append(child)


def _holds_block(element: HtmlElement) -> bool:
    return next(element.iterdescendants(*_BLOCKS), None) is not None


def _containers(body: HtmlElement) -> list[HtmlElement]:
    """Elements with block elements below them, outside tables of data and code, whatever their own tag is."""
    found: dict[HtmlElement, None] = {}
    atoms = set()
    for element in body.iter(*_BLOCKS):
        above: list[HtmlElement] = []
        for ancestor in element.iterancestors():
            if ancestor.tag in ("table", "pre") or ancestor in atoms:
                above = []
                atoms.add(element)
                break
            if ancestor in found or ancestor is body.getparent():
                break
            above.append(ancestor)
        found.update(dict.fromkeys(above))
    return list(found)


def _leaves(body: HtmlElement) -> list[HtmlElement]:
    """The blocks that hold text themselves, in order; a table or a listing is one block."""
    containers = set(_containers(body))
    leaves: list[HtmlElement] = []
    skip: HtmlElement | None = None
    for element in body.iter(*_BLOCKS):
        if skip is not None and skip in element.iterancestors("table", "pre"):
            continue
        if element.tag in ("table", "pre") or element not in containers:
            leaves.append(element)
            skip = element if element.tag in ("table", "pre") else None
    return leaves


def _join_source_lines(body: HtmlElement) -> None:
    """Make every run of white space outside listings one space, as a browser does: the lines of the source are no lines of the text."""
    listings = {element for listing in body.iter("pre") for element in listing.iter()}
    for element in body.iter():
        if element.text and element not in listings:
            element.text = _SPACE.sub(" ", element.text)
        if element.tail and (element not in listings or element.tag == "pre"):
            element.tail = _SPACE.sub(" ", element.tail)


def _title(tree: HtmlElement, guessed: str, body: HtmlElement) -> str:
    """The part of the `title` element that is the page's own name: the guessed title or the first heading that is kept."""
    full = " ".join((tree.findtext(".//title") or "").split())
    heading = next((" ".join(h.text_content().split()) for h in body.iter("h1", "h2")), "")
    for name in (guessed, heading):
        if name and name.casefold() in full.casefold():
            return name
    return full or guessed or heading


def _prune(body: HtmlElement, selected: str) -> None:
    """Remove the blocks that are not part of the selected text, and keep the structure that belongs to it."""
    leaves = _leaves(body)
    keys = [_key(leaf.text_content()) for leaf in leaves]
    kept = _match(leaves, keys, selected)
    total = sum(len(key) for key, keep in zip(keys, kept, strict=True) if keep)
    if total < 0.5 * len(_key(selected)) or not total:
        # The selection cannot be found in the page (or is empty): take the page without its navigation.
        kept = [not _in_boilerplate(leaf) for leaf in leaves]
        if not any(key for key, keep in zip(keys, kept, strict=True) if keep):
            kept = [True] * len(leaves)
        total = sum(len(key) for key, keep in zip(keys, kept, strict=True) if keep)
    container = _container_of(body, leaves, keys, kept, total)
    _rescue(container, leaves, keys, kept)
    for leaf, keep in zip(leaves, kept, strict=True):
        if not keep and leaf is not body:
            leaf.drop_tree()


def _match(leaves: list[HtmlElement], keys: list[str], selected: str) -> list[bool]:
    """Which blocks occur in the selected text. Both are in document order, so a short block must occur near the last match."""
    lines = {_key(line) for line in selected.splitlines()}
    text = _key(selected)
    cursor = 0
    kept = []
    # Searching the whole text for each of many blocks would be quadratic.
    budget = 2_000_000_000
    for leaf, key in zip(leaves, keys, strict=True):
        keep = False
        if leaf.tag == "table":
            cells = [cell for cell in (_key(c.text_content()) for c in leaf.iter("td", "th")) if cell][:60]
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


def _in_boilerplate(element: HtmlElement) -> bool:
    return any(e.tag in _BOILERPLATE or e.get("role") in ("navigation", "contentinfo") for e in (element, *element.iterancestors()))


def _container_of(body: HtmlElement, leaves: list[HtmlElement], keys: list[str], kept: list[bool], total: int) -> HtmlElement:
    """The innermost element that holds nine tenths of the kept text."""
    weights: dict[HtmlElement, int] = {}
    for leaf, key, keep in zip(leaves, keys, kept, strict=True):
        if keep:
            for ancestor in leaf.iterancestors():
                weights[ancestor] = weights.get(ancestor, 0) + len(key)
    container, inner = body, body
    while inner is not None:
        container = inner
        inner = next((child for child in container if weights.get(child, 0) >= 0.9 * total), None)
    return container


def _link_share(element: HtmlElement) -> float:
    own = len(_key(element.text_content()))
    return sum(len(_key(a.text_content())) for a in element.iter("a")) / own if own else 1.0


def _list_of(leaf: HtmlElement, container: HtmlElement) -> HtmlElement | None:
    """The outermost list within `container` that `leaf` is an item of, or the figure that it describes."""
    found = None
    for ancestor in leaf.iterancestors():
        if ancestor is container:
            break
        if ancestor.tag in ("ul", "ol", "dl", "figure"):
            found = ancestor
    return found


def _rescue(container: HtmlElement, leaves: list[HtmlElement], keys: list[str], kept: list[bool]) -> None:
    """Keep code and tables wherever they are, and the headings, captions and list items of the kept part."""
    inside = [container is leaf or container in leaf.iterancestors() for leaf in leaves]
    for i, leaf in enumerate(leaves):
        if kept[i] or not keys[i] or _in_boilerplate(leaf):
            continue
        if leaf.tag == "pre":
            kept[i] = not keys[i].isdigit()
        elif leaf.tag == "table":
            kept[i] = _link_share(leaf) < 0.7
        elif inside[i] and (owner := _list_of(leaf, container)) is not None:
            kept[i] = _link_share(owner) < 0.7
    # Backwards: a heading belongs to the text when something of its section is kept, sections inside it included.
    lowest_kept = 0  # 0: nothing kept since the last heading of the highest level
    for i in range(len(leaves) - 1, -1, -1):
        tag = leaves[i].tag
        if tag in _HEADINGS:
            level = _HEADINGS.index(tag) + 1
            if keys[i] and (inside[i] or tag == "h1") and lowest_kept >= level and not _in_boilerplate(leaves[i]):
                kept[i] = True
            if kept[i]:
                # What encloses this heading has kept content; what has the same level has none yet.
                lowest_kept = level - 1
            elif lowest_kept >= level:
                lowest_kept = level - 1
        elif kept[i]:
            lowest_kept = 7
