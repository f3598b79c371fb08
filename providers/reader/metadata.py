"""What an HTML page says about itself: title, authors, dates and language.

What the page states for programs is believed first: JSON-LD, then meta elements, then `time` elements. A date in the URL and one
guessed from the text come last and are marked as such: the first kinds are wrong about 3.5 % of the time, guesses about 15 %.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

import regex
from lxml import etree
from lxml.html import HtmlElement, document_fromstring

from providers.reader.dates import EARLIEST, latest
from providers.reader.linked_data import LinkedData, linked_data
from providers.reader.stated import MOST_AUTHORS, NAME_CHARACTERS, believable_date, date_of, line_of, names_of
from schemas.reading import DateSource

_TITLE_CHARACTERS = 500
_MOST_META = 500

_PUBLISHED = (
    "article:published_time", "og:article:published_time", "og:published_time", "datepublished", "rnews:datepublished",
    "citation_online_date", "citation_publication_date", "citation_date", "dcterms.issued", "dc.date.issued", "dc.issued",
    "dcterms.created", "dc.date.created", "dc.created", "dcterms.date", "dc.date", "parsely-pub-date", "sailthru.date",
    "cxenseparse:recs:publishtime",
    "bt:pubdate", "pubdate", "publishdate", "publish-date", "publish_date", "publication_date", "publication-date", "published_date",
    "published", "originalpublicationdate", "article_date_original", "article.published", "datecreated", "date",
)  # fmt: skip
_MODIFIED = (
    "article:modified_time", "og:updated_time", "og:article:modified_time", "datemodified", "dcterms.modified", "dc.date.modified",
    "dc.modified", "bt:moddate", "article.updated", "lastmod", "last-modified", "last_modified", "revised",
)  # fmt: skip
_AUTHORS = (
    "citation_author", "author", "article:author", "parsely-author", "sailthru.author", "dcterms.creator", "dc.creator", "rnews:author",
    "cxenseparse:author", "byl",
)  # fmt: skip

_URL_DATE = regex.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([/_.-])(0?[1-9]|1[0-2])\2(0?[1-9]|[12][0-9]|3[01])(?![0-9])")
_URL_COMPACT_DATE = regex.compile(r"(?<![0-9A-Za-z])(20[0-9]{2})(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(?![0-9A-Za-z])")
# What htmldate makes of a year without a month, such as that of a copyright.
_YEAR_ALONE = "-01-01"
_DATED_CHARACTERS = 1_500
_LANGUAGE = regex.compile(r"\s*([A-Za-z]{2})(?:[-_,; ]|$)")
_SECONDARY_CLASS = regex.compile(r"comment|related|sidebar|widget|recommend|teaser", regex.IGNORECASE)


@dataclass(frozen=True)
class PageMetadata:
    """What a page says about itself; empty or None where it says nothing."""

    title: str = ""
    author: str = ""
    """Several are joined by ", "."""
    published: str | None = None
    """ISO 8601 date."""
    modified: str | None = None
    """ISO 8601 date, never before `published`."""
    date_source: DateSource | None = None
    """Where `published`, or else `modified`, was found; "url" and "text" are guesses."""
    language_code: str = ""
    """ISO 639-1, as the page states it."""


def page_metadata(tree: HtmlElement, url: str | None) -> PageMetadata:
    """The metadata of a parsed page, scripts and all; `tree` stays as it is. `url` is where it was read, when that is known.

    Dates before 1995 or later than tomorrow are not believed. Never raises for what a page holds.
    """
    linked = linked_data(tree)
    meta = _meta_elements(tree)
    published, modified, source = _stated_dates(linked, tree, meta)
    guessed_title, guessed_author, guessed_date = _guess(tree, url, with_date=published is None)
    if published is None:
        if in_url := _url_date(url):
            published, source = in_url, "url"
        elif guessed_date and modified is None and not guessed_date.endswith(_YEAR_ALONE):
            published, source = guessed_date, "text"
    if published and modified and modified < published:
        modified = None
    return PageMetadata(
        title=line_of(guessed_title or linked.headline or _first(meta, ("og:title", "twitter:title", "dc.title")), _TITLE_CHARACTERS),
        author=", ".join(linked.authors or _meta_authors(tree, meta) or names_of([guessed_author.replace(";", ", ")])),
        published=published,
        modified=modified,
        date_source=source,
        language_code=_stated_language(tree, meta),
    )


def _stated_dates(linked: LinkedData, tree: HtmlElement, meta: dict[str, list[str]]) -> tuple[str | None, str | None, DateSource | None]:
    in_times = _time_elements(tree)
    found: list[tuple[DateSource, str | None, str | None]] = [
        ("json-ld", linked.published, linked.modified),
        ("meta", _first_date(meta, _PUBLISHED), _first_date(meta, _MODIFIED)),
        ("time", *in_times),
    ]
    published, source = next(((day, where) for where, day, _ in found if day), (None, None))
    modified, modified_source = next(((day, where) for where, _, day in found if day), (None, None))
    return published, modified, source or modified_source


# -- meta and time elements --------------------------------------------------------------------------------------------


def _meta_elements(tree: HtmlElement) -> dict[str, list[str]]:
    """Contents of meta elements, and of elements with an `itemprop` for a date, by their name in lower case."""
    found: dict[str, list[str]] = {}
    for count, element in enumerate(tree.iter("meta")):
        if count >= _MOST_META:
            break
        content = element.get("content")
        if content and content.strip():
            for attribute in ("property", "name", "itemprop", "http-equiv"):
                if name := element.get(attribute):
                    # Dublin Core is spelled with a colon too.
                    key = name.strip().lower()
                    key = key.replace(":", ".", 1) if key.startswith(("dc:", "dcterms:")) else key
                    found.setdefault(key, []).append(content.strip()[:1_000])
    for element in tree.xpath(".//*[@itemprop='datePublished' or @itemprop='dateModified'][not(self::meta or self::time)]")[:20]:
        if text := element.get("content") or element.text_content()[:100]:
            found.setdefault(element.get("itemprop").lower(), []).append(text.strip())
    return found


def _first(meta: dict[str, list[str]], names: Iterable[str]) -> str:
    return next((content for name in names for content in meta.get(name, ())), "")


def _first_date(meta: dict[str, list[str]], names: Iterable[str]) -> str | None:
    return next((day for name in names for content in meta.get(name, ())[:3] if (day := believable_date(content))), None)


def _meta_authors(tree: HtmlElement, meta: dict[str, list[str]]) -> list[str]:
    for name in _AUTHORS:
        contents = meta.get(name, [])[:MOST_AUTHORS]
        if name == "citation_author":
            # Family name first, as scholars list them.
            contents = [" ".join(reversed(text.split(", "))) if text.count(", ") == 1 else text for text in contents]
        if authors := names_of(contents):
            return authors
    marked = tree.xpath(".//*[@itemprop='author' or @itemprop='creator'][not(self::meta)]")[:MOST_AUTHORS]
    texts = []
    for element in marked:
        named = next(iter(element.xpath(".//*[@itemprop='name']")), element)
        texts.append(named.get("content") or named.text_content()[: 2 * NAME_CHARACTERS])
    return names_of(texts)


def _time_elements(tree: HtmlElement) -> tuple[str | None, str | None]:
    """Dates of publication and change in `time` elements: those that say so, else the only one, or the first of the only article."""
    plain: list[tuple[HtmlElement, str]] = []
    published = modified = None
    for count, element in enumerate(tree.iter("time")):
        if count >= 100:
            break
        day = believable_date(element.get("datetime") or element.text_content()[:100])
        if day is None:
            continue
        # WordPress marks a single date, which is the first one too, with all of these.
        said = " ".join(element.get(name) or "" for name in ("itemprop", "class", "pubdate")).lower()
        if element.get("pubdate") is not None or "publish" in said:
            published = published or day
        elif "modif" in said or "updated" in said:
            modified = modified or day
        elif not _is_secondary(element):
            plain.append((element, day))
    if published is None and plain:
        articles = {next(element.iterancestors("article"), None) for element, _ in plain}
        if len(articles) == 1:
            published = plain[0][1]
    return published, modified


def _is_secondary(element: HtmlElement) -> bool:
    for above in element.iterancestors():
        if above.tag in ("body", "html"):
            break
        # An article's own footer says when it was published; that of the page does not.
        if above.tag in ("aside", "nav") or (above.tag == "footer" and next(above.iterancestors("article"), None) is None):
            return True
        if _SECONDARY_CLASS.search(f"{above.get('class') or ''} {above.get('id') or ''}"[:500]):
            return True
    return False


def _stated_language(tree: HtmlElement, meta: dict[str, list[str]]) -> str:
    stated = (tree.get("lang"), tree.get("{http://www.w3.org/XML/1998/namespace}lang"), tree.get("xml:lang"))
    for text in (*stated, _first(meta, ("content-language", "language", "dc.language", "dcterms.language", "og:locale", "inlanguage"))):
        if text and (code := _LANGUAGE.match(text)):
            return str(code.group(1).lower())
    return ""


# -- guesses -----------------------------------------------------------------------------------------------------------


def _guess(tree: HtmlElement, url: str | None, *, with_date: bool) -> tuple[str, str, str | None]:
    """Title, author and date as trafilatura and htmldate make them out."""
    from htmldate import find_date  # noqa: PLC0415
    from trafilatura.metadata import extract_metadata  # noqa: PLC0415

    page = copy(tree)
    # What JSON-LD says has been read, and dates of other things in it must not come back as guesses.
    for script in [script for script in page.iter("script") if "ld+json" in (script.get("type") or "").lower()]:
        script.text = None
    dating: dict[str, Any] = {"original_date": True, "min_date": EARLIEST.isoformat(), "max_date": latest().isoformat()}
    try:
        found = extract_metadata(page, url, date_config={**dating, "extensive_search": False})
        day = found.date
        if with_date and not day:
            day = find_date(document_fromstring(f"<p>{escape(_beginning(tree))}</p>"), **dating)
    except Exception as error:  # any fault of the guesser on hostile markup; the page itself can still be read
        import logging  # noqa: PLC0415

        logging.getLogger(__name__).warning("no metadata by trafilatura: %s: %s", type(error).__name__, error)
        return tree.findtext(".//title") or "", "", None
    return (found.title or "").rstrip("¶# "), found.author or "", believable_date(day)


def _beginning(tree: HtmlElement) -> str:
    """The first words of a page, where a line with its author and date would stand. Searching more of it takes longer than reading it."""
    words = ""
    for element in tree.iter(etree.Element):
        if element.tag not in ("script", "style", "head", "title", "noscript"):
            words += f" {element.text or ''}"
        words += f" {element.tail or ''}"
        if len(words) > _DATED_CHARACTERS:
            break
    return " ".join(words.split())[:_DATED_CHARACTERS]


def _url_date(url: str | None) -> str | None:
    try:
        path = urlsplit(url or "").path[:2_000]
    except ValueError:
        return None
    if named := _URL_DATE.search(path):
        return date_of(named.group(1), named.group(3), named.group(4))
    if named := _URL_COMPACT_DATE.search(path):
        return date_of(*named.groups())
    return None
