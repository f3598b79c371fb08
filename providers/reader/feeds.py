"""RSS, Atom and JSON feeds as Markdown, and XML of other kinds as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urljoin

from lxml import etree

from providers.dates import published_date
from providers.reader.dates import believed

_MOST_ITEMS = 500
_TITLE_CHARACTERS = 300
_ITEM_CHARACTERS = 200_000
_NAMED_CHARACTERS = 200


@dataclass(frozen=True)
class Item:
    """An entry of a feed."""

    title: str
    url: str
    """Absolute http or https URL, or empty."""
    date: str | None
    """ISO 8601."""
    text: str


@dataclass(frozen=True)
class Feed:
    """A feed, newest items as it orders them."""

    title: str
    description: str
    updated: str | None
    """ISO 8601 date: what the feed says, or else its newest item."""
    items: tuple[Item, ...]

    @property
    def text(self) -> str:
        """Markdown: a heading for each item, below it date, link and text."""
        parts = [f"# {self.title}" if self.title else "", self.description]
        for item in self.items:
            parts.append(f"## {item.title or item.date or 'Untitled'}")
            parts.append(" ".join(filter(None, (item.date, f"<{item.url}>" if item.url else ""))))
            parts.append(item.text)
        return "\n\n".join(filter(None, parts))


def read_feed(markup: str, url: str | None) -> Feed | None:
    """The feed in RSS (0.9 to 2.0) or Atom `markup`; `url` resolves relative links. None when it is no feed.

    Raises `ValueError` for markup that is no XML.
    """
    root = _parsed(markup)
    if _name(root) not in ("rss", "feed", "RDF"):
        return None
    channel = next(root.iterchildren("{*}channel"), root)
    items = tuple(_item(element, url) for element in islice(root.iter("{*}item", "{*}entry"), _MOST_ITEMS))
    said = _date(channel, "lastBuildDate", "updated", "pubDate", "modified", "date")
    return Feed(
        _words(_text(channel, "title")),
        _plain(_text(channel, "description", "subtitle", "tagline")),
        said or max((item.date for item in items if item.date), default=None),
        items,
    )


def json_feed(value: object, url: str | None) -> Feed | None:
    """The feed that a parsed JSON document is (jsonfeed.org), or None."""
    if not isinstance(value, dict) or "jsonfeed.org/version" not in str(value.get("version")):
        return None
    entries = value.get("items")
    items = []
    for entry in entries[:_MOST_ITEMS] if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            told = {key: part for key, part in entry.items() if isinstance(part, str)}
            html, plain = told.get("content_html", ""), told.get("content_text") or told.get("summary") or ""
            items.append(
                Item(
                    _words(told.get("title", "")),
                    _address(told.get("url") or told.get("external_url") or "", url),
                    believed(published_date(told.get("date_published") or told.get("date_modified"))),
                    _plain(html) if html else plain[:_ITEM_CHARACTERS].strip(),
                )
            )
    newest = max((item.date for item in items if item.date), default=None)
    return Feed(_words(str(value.get("title") or "")), str(value.get("description") or "").strip(), newest, tuple(items))


def read_xml(markup: str) -> tuple[str, str]:
    """Title and text of an XML document of any kind: mixed content as paragraphs, short single values as `name: value`.

    Raises `ValueError` for markup that is no XML.
    """
    root = _parsed(markup)
    title = next((_words("".join(element.itertext())) for element in root.iter("{*}title")), "")
    return title, "\n".join(_lines(root)).strip()


def _parsed(markup: str) -> etree._Element:
    # Entities of the document's own are neither read nor expanded, and nothing is fetched.
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, recover=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(markup.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
    if root is None:
        raise ValueError("it holds no element")
    return root


def _item(element: etree._Element, url: str | None) -> Item:
    return Item(
        _words(_plain(_text(element, "title"))),
        _address(_link(element), url),
        _date(element, "pubDate", "published", "issued", "date", "updated", "modified"),
        _plain(_text(element, "encoded", "content", "description", "summary")),
    )


def _link(element: etree._Element) -> str:
    for link in element.iterchildren("{*}link"):
        if link.get("rel", "alternate") == "alternate" and (target := link.get("href") or (link.text or "").strip()):
            return str(target)
    guid = next((child for child in element.iterchildren("{*}guid") if child.get("isPermaLink") != "false"), None)
    return (guid.text or "").strip() if guid is not None else ""


def _address(link: str, url: str | None) -> str:
    try:
        target = urljoin(url or "", link.strip())[:4_000] if link.strip() else ""
    except ValueError:
        return ""
    return target if target.startswith(("http://", "https://")) and not any(c.isspace() or c in "<>" for c in target) else ""


def _date(element: etree._Element, *names: str) -> str | None:
    return believed(published_date(_text(element, *names)))


def _text(element: etree._Element, *names: str) -> str:
    """What the first child of one of these names holds, as text or markup."""
    for name in names:
        for child in element.iterchildren(f"{{*}}{name}"):
            inner = "".join(etree.tostring(part, encoding="unicode") for part in child if isinstance(part.tag, str))
            if text := f"{child.text or ''}{inner}"[: 2 * _ITEM_CHARACTERS].strip():
                return text
    return ""


def _plain(text: str) -> str:
    """The text of what may be HTML."""
    if "<" not in text and "&" not in text:
        return text[:_ITEM_CHARACTERS]
    from providers.reader.plain import plain_text  # noqa: PLC0415  (resiliparse)

    return plain_text(text)[:_ITEM_CHARACTERS]


def _words(text: str) -> str:
    return " ".join(text.split())[:_TITLE_CHARACTERS]


def _lines(element: etree._Element) -> Iterator[str]:
    children = _children(element)
    mixed = any((child.tail or "").strip() for child in element) or (children and (element.text or "").strip())
    if mixed or not children:
        text = " ".join("".join(part for part in element.itertext() if isinstance(part, str)).split())
        if text:
            yield f"{_name(element)}: {text}" if not mixed and len(text) <= _NAMED_CHARACTERS else f"\n{text}\n"
        return
    for child in children:
        yield from _lines(child)
    if any(_children(child) for child in children):
        yield ""


def _children(element: Any) -> list[etree._Element]:
    return [child for child in element if isinstance(child.tag, str)]


def _name(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]
