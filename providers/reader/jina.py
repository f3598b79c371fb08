"""Jina reader: web pages as Markdown, by POST to JINA_READER_URL."""

from __future__ import annotations

from typing import Any

from providers.dates import published_date
from providers.http import Endpoint, authorization, count_field, create_client, post_json, text_field
from providers.lexical import language_of
from providers.reader.base import Reading, ReadOptions
from providers.reader.pages import normalise_url, page_id
from schemas.errors import ReadError
from schemas.reading import Link, Page
from schemas.settings import Settings
from schemas.usage import Usage

_LONGEST_SECONDS = 180  # the service's own ceiling for X-Timeout
_TITLE_CHARACTERS = 500
_URL_CHARACTERS = 4_000
_LINK_CHARACTERS = 300
_MOST_LINKS = 2_000


class JinaReader:
    """Reads http(s) pages through Jina's reader service, or any server that speaks its wire format."""

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        headers = {
            "X-Md-Link-Style": "discarded",
            "X-With-Links-Summary": "all",
            "X-Retain-Images": "none",
            **authorization(settings.jina_api_key, "JINA_API_KEY"),
        }
        self._endpoint = Endpoint(
            url=settings.jina_reader_url,
            service="Jina reader",
            key_setting="JINA_API_KEY",
            error=ReadError,
            headers=headers,
            failed_usage=Usage(pages=1),
        )
        self._client = create_client()

    def accepts(self, url: str) -> bool:
        """Whether `url` is an http or https URL."""
        return url.lower().startswith(("http://", "https://"))

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """As the contract in `base.py` says. The page's URL is the one that was reached, after redirects."""
        # A little less than we wait, so that its own message about a slow page still arrives.
        patience = max(1, min(int(options.timeout_seconds) - 1, _LONGEST_SECONDS))
        answer = await post_json(
            self._client,
            self._endpoint,
            {"url": url},
            timeout_seconds=options.timeout_seconds,
            max_bytes=options.max_bytes,
            # A page that would cost more than this is refused and not billed.
            headers={"X-Timeout": str(patience)} | ({"X-Token-Budget": str(options.max_tokens)} if options.max_tokens else {}),
        )
        data = answer.get("data")
        if not isinstance(data, dict):
            raise self._endpoint.fails("sent a malformed body: `data` is not an object")
        reported = data.get("usage")
        usage = Usage(pages=1, provider_tokens=count_field(reported.get("tokens")) if isinstance(reported, dict) else 0)
        text = text_field(data.get("content"), options.max_bytes)
        if not text.strip():
            raise ReadError(f"Jina reader found no text on {url[:200]}", usage=usage)
        reached = _normalised(data.get("url")) or normalise_url(url)
        page = Page(
            page_id=page_id(reached, text),
            url=reached,
            title=text_field(data.get("title"), _TITLE_CHARACTERS).strip(),
            text=text,
            language_code=language_of(text),
            published=published_date(data.get("publishedTime")),
            source=self.name,
        )
        return Reading(page, _links(data.get("links")), usage)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()


def _normalised(url: object) -> str:
    try:
        return normalise_url(url) if isinstance(url, str) and url.lower().startswith("http") else ""
    except ValueError:
        return ""


def _links(links: Any) -> list[Link]:
    """Links in either of the forms `[[text, url], ...]` and `{text: url}`, web pages only, the first of each URL."""
    pairs = list(links.items()) if isinstance(links, dict) else links if isinstance(links, list) else []
    found: dict[str, Link] = {}
    for pair in pairs[:_MOST_LINKS]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            continue
        text, url = pair
        url = text_field(url, _URL_CHARACTERS + 1)
        if len(url) <= _URL_CHARACTERS and url.lower().startswith(("http://", "https://")):
            found.setdefault(url, Link(url=url, text=" ".join(text_field(text, _LINK_CHARACTERS).split())))
    return list(found.values())
