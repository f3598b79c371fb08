"""The images of a page's main part."""

from __future__ import annotations

from urllib.parse import urljoin

from lxml.html import HtmlElement

_MAX_IMAGES = 100
_MAX_TEXT = 300
_MAX_URL = 2_000
# Where pages that load their images late put the address, before `src`, which then holds a placeholder.
_ADDRESSES = ("data-src", "data-original", "data-lazy-src", "src")
# Smaller ones are counters, bullets and icons.
_MIN_PIXELS = 32
_BOILERPLATE = ("nav", "footer", "aside", "form", "dialog")


def images_of(body: HtmlElement, base: str | None) -> list[tuple[str, str, int, int]]:
    """Images below `body` outside navigation, each once, in order, at most 100: absolute http or https URL, caption or else
    alternative text, width and height in pixels as stated (0: unknown). `base` resolves relative addresses."""
    found: dict[str, tuple[str, str, int, int]] = {}
    for image in body.iter("img", "amp-img"):
        width, height = _pixels(image.get("width")), _pixels(image.get("height"))
        if 0 < width < _MIN_PIXELS or 0 < height < _MIN_PIXELS:
            continue
        url = _address(image, base)
        if not url or url in found or any(e.tag in _BOILERPLATE for e in image.iterancestors()):
            continue
        found[url] = (url, _text(image), width, height)
        if len(found) == _MAX_IMAGES:
            break
    return list(found.values())


def _address(image: HtmlElement, base: str | None) -> str:
    sets = (image.get("srcset") or image.get("data-srcset") or "").split(None, 1)
    for address in (*(image.get(name) for name in _ADDRESSES), sets[0].rstrip(",") if sets else None):
        if not address or address.startswith("data:") or len(address) > _MAX_URL:
            continue
        try:
            url = str(urljoin(base or "", address.strip()))
        except ValueError:
            continue
        if url.startswith(("http://", "https://")) and not any(c.isspace() for c in url):
            return str(url)
    return ""


def _pixels(stated: str | None) -> int:
    number = (stated or "").strip().lower().removesuffix("px")
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 5 else 0


def _text(image: HtmlElement) -> str:
    figure = next(image.iterancestors("figure"), None)
    caption = figure.find(".//figcaption") if figure is not None else None
    words = caption.text_content() if caption is not None else ""
    return " ".join((words or image.get("alt") or image.get("title") or "").split())[:_MAX_TEXT]
