"""Reading of web pages without a service: fetched by ourselves, behind guards, and converted to Markdown."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from providers.guarded import AddressPolicy, Fetched, GuardedClient, Resolve
from providers.reader.base import Reading, ReadOptions
from providers.reader.conversion import convert_document
from providers.reader.dates import believed
from providers.reader.documents import DocumentLink
from providers.reader.notices import notice_in_place
from providers.reader.pages import normalise_url
from providers.reader.reading import reading_of
from providers.reader.robots import PoliteVisits
from providers.upstream import retry_after_seconds
from schemas.errors import PageUnavailable, ReadError
from schemas.settings import Settings
from schemas.usage import Usage

_ACCEPT = "text/html,application/xhtml+xml,application/pdf,text/plain,application/rss+xml,application/json;q=0.9,*/*;q=0.5"
_MOST_LINKS = 200
_URL_CHARACTERS = 4_000
_LINK_CHARACTERS = 300

# Statuses that may pass, those of Cloudflare for a server behind it included.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507, *range(520, 531)})
# A page made for this very request says that it was changed just now.
_JUST_NOW = timedelta(hours=1)


class DirectReader:
    """Reads public http(s) pages, and those that DEEPSEARCH_ALLOW_HOSTS names, as robots.txt allows.

    `resolve`, `now` (monotonic seconds) and `sleep` take the place of the system's.
    """

    name = "direct"

    def __init__(
        self,
        settings: Settings,
        *,
        resolve: Resolve | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        agent = settings.reader_user_agent
        self._now, self._sleep = now, sleep
        self._policy = AddressPolicy(settings.deepsearch_allow_hosts)
        self._client = GuardedClient(self._policy, user_agent=agent, resolve=resolve)
        name = re.match(r"\s*([A-Za-z_-]*)", agent)
        self._visits = PoliteVisits(
            self._client, agent=name.group(1) if name else "", obey=settings.reader_robots, now=now, sleep=sleep
        )  # fmt: skip

    def accepts(self, url: str) -> bool:
        """Whether `url` is an http or https URL."""
        return url.strip().lower().startswith(("http://", "https://"))

    async def read(self, url: str, options: ReadOptions) -> Reading:
        """As the contract in `base.py` says. The page's URL is the one that was reached, after redirects.

        A URL that may not be connected to is a `ReadError` that says so, and no page counts as fetched.
        """
        self._policy.check_url(url)
        try:
            return await asyncio.wait_for(self._read(url, options), options.timeout_seconds)
        except asyncio.TimeoutError:
            raise PageUnavailable(f"{url[:200]}: reading took longer than {options.timeout_seconds:g} s", usage=Usage(pages=1)) from None
        except ReadError as error:
            raise type(error)(str(error), usage=Usage(pages=1)) from error

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _read(self, url: str, options: ReadOptions) -> Reading:
        deadline = self._now() + options.timeout_seconds
        fetched = await self._get(url, options)
        if fetched.status in (429, 503):
            pause = retry_after_seconds(fetched.headers.get("retry-after", ""))
            if pause is not None and self._now() + pause < deadline:
                await self._sleep(pause)
                fetched = await self._get(url, options)
        shown = fetched.url[:200]
        if not 200 <= fetched.status < 300:
            if fetched.headers.get("cf-mitigated", "").lower() == "challenge":
                raise PageUnavailable(f"{shown} answers HTTP {fetched.status} and a notice in place of the page: a bot check")
            raise (PageUnavailable if fetched.status in _PASSING else ReadError)(f"{shown} answers HTTP {fetched.status}")
        document = await convert_document(
            fetched.body,
            fetched.url,
            media_type=fetched.headers.get("content-type"),
            max_bytes=options.max_bytes,
            timeout_seconds=max(0.1, deadline - self._now()),
        )
        if notice := notice_in_place(document.title, document.text):
            raise (ReadError if notice.gone else PageUnavailable)(f"{shown} is a notice in place of the page: {notice.what}")
        if document.published is None and document.modified is None and (modified := _last_modified(fetched.headers)):
            document = replace(document, modified=modified, date_source="header")
        document = replace(document, links=tuple(_links(document.links)))
        return reading_of(document, normalise_url(fetched.url), self.name, Usage(pages=1), with_images=options.with_images)

    async def _get(self, url: str, options: ReadOptions) -> Fetched:
        return await self._client.get(
            url, timeout_seconds=options.timeout_seconds, max_bytes=options.max_bytes, accept=_ACCEPT, visit=self._visits.visit
        )


def _last_modified(headers: Mapping[str, str]) -> str | None:
    """The date that the server gives for the file, when it is not the time of the answer itself."""
    moment = _moment(headers.get("last-modified", ""))
    answered = _moment(headers.get("date", "")) or datetime.now(timezone.utc)
    return believed(moment.date().isoformat()) if moment and answered - moment > _JUST_NOW else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text[:100])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _links(links: Sequence[DocumentLink]) -> list[DocumentLink]:
    found: dict[str, DocumentLink] = {}
    for link in links:
        if len(link.url) <= _URL_CHARACTERS and len(found) < _MOST_LINKS and link.url.lower().startswith(("http://", "https://")):
            found.setdefault(link.url, DocumentLink(link.url, " ".join(link.text.split())[:_LINK_CHARACTERS]))
    return list(found.values())
