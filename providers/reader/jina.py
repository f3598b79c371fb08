"""Jina reader: web pages as Markdown, by POST to JINA_READER_URL."""

from __future__ import annotations

import re
from typing import Any

import can_ada

from providers.dates import published_date
from providers.guarded import AddressPolicy
from providers.http import Endpoint, authorization, count_field, create_client, post_json, text_field
from providers.lexical import language_of
from providers.policies import page_service
from providers.reader.base import Reading, ReadOptions
from providers.reader.dates import believed
from providers.reader.notices import notice_in_place
from providers.reader.pages import normalise_url, page_id
from providers.reader.reading import reading_time
from providers.upstream import Upstream
from schemas.errors import PageUnavailable, ReadError, UpstreamError
from schemas.reading import Image, Link, Page
from schemas.settings import Settings
from schemas.usage import Usage

_LONGEST_SECONDS = 180  # the service's own ceiling for X-Timeout
_TITLE_CHARACTERS = 500
_URL_CHARACTERS = 4_000
_LINK_CHARACTERS = 300
_MOST_LINKS = 2_000
_MOST_IMAGES = 100
# When images are listed they are in the text as well.
# A mark that opens another image ends the search for the first, so that no text is looked through twice.
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,1000}+\]\((?:[^()\s]|\([^()\s]{0,200}+\)){0,4000}+\)")
_LABEL = re.compile(r"Image \d+(: ?|$)")
# How `providers.http` begins its messages about failures that may pass.
_PASSING = (
    "did not answer", "cannot be reached", "limits the rate", "is failing", "had no turn", "has too many requests", "is not asked for",
    "is just being tried",
)  # fmt: skip
# A service that is left alone says why; for these reasons it will go on refusing us.
_LASTING = ("rejected the key", "asks for a key", "is out of credit")


class _ReaderEndpoint(Endpoint):
    """Tells failures that may pass from those that will not."""

    def fails(self, message: str) -> UpstreamError:
        passing = message.startswith(_PASSING) and not any(reason in message for reason in _LASTING)
        return (PageUnavailable if passing else self.error)(f"{self.service} {message}", usage=self.failed_usage)


class JinaReader:
    """Reads http(s) pages through Jina's reader service, or any server that speaks its wire format."""

    name = "jina"

    def __init__(self, settings: Settings) -> None:
        headers = {
            "X-Md-Link-Style": "discarded",
            "X-With-Links-Summary": "all",
            **authorization(settings.jina_api_key, "JINA_API_KEY"),
        }
        # Only a server of the owner's own may learn the addresses of private pages.
        self._public = settings.jina_reader_url == Settings.model_fields["jina_reader_url"].default
        self._policy = AddressPolicy(settings.deepsearch_allow_hosts)
        self._endpoint = _ReaderEndpoint(
            url=settings.jina_reader_url,
            service="Jina reader",
            key_setting="JINA_API_KEY",
            error=ReadError,
            headers=headers,
            failed_usage=Usage(pages=1),
            upstream=Upstream(page_service(settings)),
        )
        self._client = create_client()

    def accepts(self, url: str) -> bool:
        """Whether `url` is an http or https URL, and for Jina's public service one of a public host."""
        if not url.lower().startswith(("http://", "https://")):
            return False
        try:
            return not (self._public and self._policy.is_private(url))
        except ReadError:  # refused: for nobody
            return False

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """As the contract in `base.py` says. The page's URL is the one that was reached, after redirects."""
        # A little less than we wait, so that its own message about a slow page still arrives.
        patience = max(1, min(int(options.timeout_seconds) - 1, _LONGEST_SECONDS))
        answer = await post_json(
            self._client,
            self._endpoint,
            # As it was checked: another parser might find another host in the spelling that it came in.
            {"url": self._checked(url)},
            timeout_seconds=options.timeout_seconds,
            max_bytes=options.max_bytes,
            headers={
                "X-Timeout": str(patience),
                **({"X-With-Images-Summary": "true"} if options.with_images else {"X-Retain-Images": "none"}),
                # A page that would cost more than this is refused and not billed.
                **({"X-Token-Budget": str(options.max_tokens)} if options.max_tokens else {}),
            },
        )
        data = answer.get("data")
        if not isinstance(data, dict):
            raise self._endpoint.fails("sent a malformed body: `data` is not an object")
        reported = data.get("usage")
        usage = Usage(pages=1, provider_tokens=count_field(reported.get("tokens")) if isinstance(reported, dict) else 0)
        text = text_field(data.get("content"), options.max_bytes)
        if not text.strip():
            raise ReadError(f"Jina reader found no text on {url[:200]}", usage=usage)
        if options.with_images:
            text = _IMAGE.sub("", text)
        title = text_field(data.get("title"), _TITLE_CHARACTERS).strip()
        if notice := notice_in_place(title, text):
            failure = ReadError if notice.gone else PageUnavailable
            raise failure(f"Jina reader got a notice in place of {url[:200]}: {notice.what}", usage=usage)
        published = believed(published_date(data.get("publishedTime")))
        reached = _normalised(data.get("url")) or normalise_url(url)
        page = Page(
            page_id=page_id(reached, text),
            url=reached,
            title=title,
            text=text,
            language_code=language_of(text),
            published=published,
            date_source="service" if published else None,
            source=self.name,
            read_at=reading_time(),
        )
        images = _images(data.get("images"), reached) if options.with_images else []
        return Reading(page, _links(data.get("links")), usage, images)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def _checked(self, url: str) -> str:
        """`url` as the WHATWG URL standard writes it, with its fragment, which can choose the page.

        Raises `ReadError` for one that is refused.
        """
        self._policy.check_url(url)
        return str(can_ada.parse(url).href)


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


def _images(images: Any, page_url: str) -> list[Image]:
    """The images of a page in the form `{label: url}`, in which a label is numbered like "Image 1: its text"."""
    found: dict[str, Image] = {}
    for label, url in list(images.items())[:_MOST_IMAGES] if isinstance(images, dict) else []:
        address = text_field(url, _URL_CHARACTERS + 1)
        if len(address) <= _URL_CHARACTERS and address.lower().startswith(("http://", "https://")):
            words = " ".join(text_field(label, _LINK_CHARACTERS).split())
            found.setdefault(address, Image(url=address, text=_LABEL.sub("", words), page_url=page_url))
    return list(found.values())
