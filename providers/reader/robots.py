"""What a site asks of programs that visit it, and visits that do as they are asked: robots.txt (RFC 9309) and Crawl-delay.

A parser of our own, because the file is hostile until checked: this one takes time in proportion to the file, whatever it says.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from providers.guarded import GuardedClient, Target
from schemas.errors import PageUnavailable, ReadError

_MAX_BYTES = 512_000  # RFC 9309 asks for at least 500 KiB
_FETCH_SECONDS = 10.0
_KEPT_SECONDS = 3_600.0
_FAILURE_KEPT_SECONDS = 300.0
_MOST_SITES = 1_000
_AT_ONCE = 2
_LONGEST_DELAY = 5.0
_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")


@dataclass(frozen=True)
class Robots:
    """The rules that hold for one program on one site."""

    rules: tuple[tuple[str, bool], ...] = ()
    """Patterns of paths, and whether they are allowed; the longest that matches decides, and of equals the one that allows."""
    delay: float = 0.0
    """Seconds between visits, as asked for and at most 5."""
    failure: str = ""
    """Why the rules are not known; then nothing is allowed."""

    def allows(self, path: str) -> bool:
        """Whether `path`, with its query, may be visited."""
        if self.failure:
            return False
        spelled = _spelled(path)
        matching = [(len(pattern), allowed) for pattern, allowed in self.rules if _matches(pattern, spelled)]
        return max(matching)[1] if matching else True


def parse_robots(text: str, agent: str) -> Robots:
    """The rules of a robots.txt for the program named `agent`: its own group, otherwise the one of `*`, otherwise none."""
    agent = agent.lower()
    rules: dict[str, list[tuple[str, bool]]] = {agent: [], "*": []}
    delays: dict[str, float] = {}
    named: set[str] = set()
    group: set[str] = set()
    in_rules = False
    for line in text.lstrip("\ufeff").splitlines():
        key, _, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if key == "user-agent":
            if in_rules:
                group, in_rules = set(), False
            name = value.partition("/")[0].strip().lower()
            if name in rules:
                group.add(name)
                named.add(name)
        elif key in ("allow", "disallow"):
            in_rules = True
            if value:
                for name in group:
                    rules[name].append((_spelled(value), key == "allow"))
        elif key == "crawl-delay":
            in_rules = True
            if re.fullmatch(r"\d{1,6}(\.\d{0,3})?", value):
                delays.update(dict.fromkeys(group, min(float(value), _LONGEST_DELAY)))
    chosen = agent if agent in named else "*"
    return Robots(tuple(rules[chosen]), delays.get(chosen, 0.0))


@dataclass
class _Site:
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    robots: Robots | None = None
    expires: float = 0.0
    next_visit: float = 0.0


class PoliteVisits:
    """Visits to sites, at most two at once on each, spaced and restricted as its robots.txt asks for the program named `agent`.

    Without `obey` no robots.txt is fetched. `now` gives monotonic seconds. Kept within one event loop.
    """

    def __init__(
        self,
        client: GuardedClient,
        *,
        agent: str,
        obey: bool,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client, self._agent, self._obey, self._now, self._sleep = client, agent, obey, now, sleep
        self._sites: OrderedDict[str, _Site] = OrderedDict()

    @asynccontextmanager
    async def visit(self, target: Target) -> AsyncIterator[None]:
        """Surrounds one request. Raises `ReadError` when the site does not want it, `PageUnavailable` when that cannot be found out."""
        site = self._site(target.origin)
        robots = await self._robots(site, target) if self._obey else Robots()
        if not robots.allows(target.path):
            if robots.failure:
                raise PageUnavailable(f"{target.url[:200]} is not read: its robots.txt cannot be read ({robots.failure})")
            raise ReadError(f"{target.url[:200]} is not read: its robots.txt forbids it")
        async with site.slots:
            begin = max(self._now(), site.next_visit)
            site.next_visit = begin + robots.delay
            if (wait := begin - self._now()) > 0:
                await self._sleep(wait)
            yield

    def _site(self, origin: str) -> _Site:
        site = self._sites.setdefault(origin, _Site())
        self._sites.move_to_end(origin)
        if len(self._sites) > _MOST_SITES:
            self._sites.popitem(last=False)
        return site

    async def _robots(self, site: _Site, target: Target) -> Robots:
        async with site.lock:
            if site.robots is None or self._now() >= site.expires:
                site.robots = await self._fetch(f"{target.origin}/robots.txt")
                site.expires = self._now() + (_FAILURE_KEPT_SECONDS if site.robots.failure else _KEPT_SECONDS)
            return site.robots

    async def _fetch(self, url: str) -> Robots:
        try:
            fetched = await self._client.get(url, timeout_seconds=_FETCH_SECONDS, max_bytes=_MAX_BYTES, truncate=True)
        except ReadError as error:
            return Robots(failure=str(error))
        if 200 <= fetched.status < 300:
            return parse_robots(fetched.body.decode("utf-8", "replace"), self._agent)
        # RFC 9309, 2.3.1: a file that is not there forbids nothing, a server that fails forbids everything.
        return Robots() if 400 <= fetched.status < 500 else Robots(failure=f"HTTP {fetched.status}")


def _spelled(path: str) -> str:
    """`path` with the escapes that a URL needs, in capitals, so that patterns and paths compare."""
    return _ESCAPE.sub(lambda escape: escape.group().upper(), quote(path, safe="%/*$?&=:;,@!~'()+[]|", errors="replace"))


def _matches(pattern: str, path: str) -> bool:
    """Whether `pattern`, in which `*` stands for anything and a last `$` for the end, matches the beginning of `path`."""
    anchored = pattern.endswith("$")
    first, *parts = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not parts:
        return not anchored or path == first
    position = len(first)
    for part in parts[:-1]:
        found = path.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    last = parts[-1]
    return path.endswith(last) and len(path) - len(last) >= position if anchored else path.find(last, position) >= 0
