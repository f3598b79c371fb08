"""Reading of web pages without a service: fetched by ourselves, behind guards, and converted to Markdown."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence

from providers.guarded import AddressPolicy, Fetched, GuardedClient, Resolve
from providers.lexical import sentences
from providers.reader.base import Reading, ReadOptions
from providers.reader.conversion import convert_document
from providers.reader.documents import DocumentLink
from providers.reader.pages import normalise_url, page_id
from providers.reader.robots import PoliteVisits
from schemas.errors import ReadError
from schemas.reading import Link, Page
from schemas.settings import Settings
from schemas.usage import Usage

_ACCEPT = "text/html,application/xhtml+xml,application/pdf,text/plain,application/json;q=0.9,*/*;q=0.5"
_MOST_LINKS = 200
_URL_CHARACTERS = 4_000
_LINK_CHARACTERS = 300

_BLOCK_PAGE_CHARACTERS = 1_000
_BLOCK_TITLES = re.compile(
    r"(just a moment|attention required|access (to this page has been )?denied|(4\d\d )?forbidden|security (check|verification)"
    r"|robot check|are you a (human|robot)|bot (check|verification)|pardon our interruption|ddos-guard)\s*([|.:!?…–-].{0,60})?",
    re.IGNORECASE,
)
_BLOCK_PHRASES = [
    (re.compile(phrase, re.IGNORECASE), what)
    for phrase, what in (
        (r"captcha|(verify|confirm|prove|make sure|checking if)( that)? you('| a)re( a)? (human|not a (ro)?bot)|not a robot", "a captcha"),
        (
            r"checking (if the site connection|your browser)|unusual (traffic|activity) from|automated (access|requests|queries)",
            "a bot check",
        ),
        (r"you have been blocked|request (was )?(blocked|unsuccessful)|access denied|don't have permission to access", "access denied"),
        (
            r"(enable|activat\w*|turn on|requires?|aktivier\w*|activ\w*|habilit\w*|включит\w*|启用|啟用).{0,30}javascript",
            "JavaScript needed",
        ),
        (r"javascript.{0,30}(is (disabled|required)|to be enabled|aktivier\w*|activ\w*|deaktiviert|отключен\w*|有効)", "JavaScript needed"),
    )
]
_COOKIES = re.compile(
    r"cookie|\bconsent\b|we (and our partners )?value your privacy|datenschutz|einwillig|accept all|reject all", re.IGNORECASE
)


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
            raise ReadError(f"{url[:200]}: reading took longer than {options.timeout_seconds:g} s", usage=Usage(pages=1)) from None
        except ReadError as error:
            raise ReadError(str(error), usage=Usage(pages=1)) from error

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _read(self, url: str, options: ReadOptions) -> Reading:
        deadline = self._now() + options.timeout_seconds
        fetched = await self._get(url, options)
        if fetched.status in (429, 503):
            asked = fetched.headers.get("retry-after", "").strip()
            if asked.isdecimal() and len(asked) < 6 and self._now() + int(asked) < deadline:
                await self._sleep(int(asked))
                fetched = await self._get(url, options)
        shown = fetched.url[:200]
        if not 200 <= fetched.status < 300:
            raise ReadError(f"{shown} answers HTTP {fetched.status}")
        document = await convert_document(
            fetched.body,
            fetched.url,
            media_type=fetched.headers.get("content-type"),
            max_bytes=options.max_bytes,
            timeout_seconds=max(0.1, deadline - self._now()),
        )
        if blocked := block_page(document.title, document.text):
            raise ReadError(f"{shown} looks like a block page: {blocked}")
        address = normalise_url(fetched.url)
        page = Page(
            page_id=page_id(address, document.text), url=address, title=document.title, text=document.text,
            language_code=document.language_code, published=document.published, source=self.name,
        )  # fmt: skip
        return Reading(page, _links(document.links), Usage(pages=1))

    async def _get(self, url: str, options: ReadOptions) -> Fetched:
        return await self._client.get(
            url, timeout_seconds=options.timeout_seconds, max_bytes=options.max_bytes, accept=_ACCEPT, visit=self._visits.visit
        )


def block_page(title: str, text: str) -> str | None:
    """What keeps the page back, when `text` is not the page but a notice in its place; None for a page.

    Only texts under 1,000 characters are suspected. Signs: a title that such notices have; phrases of captchas, bot checks, denials
    and demands for JavaScript; or that half of the sentences or more are about cookies and consent.
    """
    if len(text) >= _BLOCK_PAGE_CHARACTERS:
        return None
    if _BLOCK_TITLES.fullmatch(title.strip()):
        return " ".join(title.split())[:80]
    straight = text.replace("\u2019", "'")
    for phrase, what in _BLOCK_PHRASES:
        if phrase.search(straight):
            return what
    said = [text[start:end] for start, end in sentences(text)]
    if said and 2 * sum(_COOKIES.search(sentence) is not None for sentence in said) >= len(said):
        return "a cookie notice"
    return None


def _links(links: Sequence[DocumentLink]) -> list[Link]:
    found: dict[str, Link] = {}
    for link in links:
        if len(link.url) <= _URL_CHARACTERS and len(found) < _MOST_LINKS and link.url.lower().startswith(("http://", "https://")):
            found.setdefault(link.url, Link(url=link.url, text=" ".join(link.text.split())[:_LINK_CHARACTERS]))
    return list(found.values())
