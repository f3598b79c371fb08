"""What callers have used, counted: the contract, and the counts in the memory of one gateway."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict, defaultdict
from typing import Protocol

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

DAY_SECONDS = 86_400
_MOST_RUNS_REMEMBERED = 10_000


class Counts(Protocol):
    """Requests, places of runs and tokens of every caller, by its name. None of this raises an error."""

    async def request(self, caller: str) -> int:
        """Count a request; 0, or when it is one too many in a minute the seconds until there may be another."""
        ...

    async def take(self, caller: str, place: str, most: int) -> bool:
        """Take a place for a run, under a name that nobody else has; False when the caller has `most` of them."""
        ...

    def give_back(self, caller: str, place: str) -> None:
        """The run is over. Seen at the latest by the next `take` of this gateway."""
        ...

    async def tokens(self, caller: str) -> int:
        """What the caller has used today (UTC)."""
        ...

    async def spend(self, caller: str, tokens: int, run_id: str = "") -> int:
        """Count tokens for today; how many were new. With `run_id`, `tokens` are what that run has used so far, whoever counted it."""
        ...

    async def knows(self, run_id: str) -> bool:
        """Whether some of what that run has used is counted."""
        ...

    async def remember(self, run_id: str, tokens: int) -> int:
        """From now on only what the run uses beyond `tokens` is new; returns beyond what it was so far."""
        ...

    async def forget(self, run_id: str) -> None:
        """Nothing of that run is counted any more."""
        ...

    async def close(self) -> None:
        """Give back what is taken, and release what it holds."""
        ...


class RequestWindow:
    """The requests of the last minute, in a sliding window that `storage` keeps."""

    def __init__(self, storage: Storage, per_minute: int) -> None:
        self._per_minute = RateLimitItemPerMinute(per_minute)
        self._window = SlidingWindowCounterRateLimiter(storage)

    async def count(self, caller: str) -> int:
        """As `Counts.request`."""
        if await self._window.hit(self._per_minute, caller):
            return 0
        reset = (await self._window.get_window_stats(self._per_minute, caller)).reset_time
        return min(60, max(1, math.ceil(reset - time.time())))


class MemoryCounts:
    """Counts in the memory of this gateway, gone when it stops."""

    def __init__(self, per_minute: int) -> None:
        self._requests = RequestWindow(MemoryStorage(), per_minute)
        self._places: defaultdict[str, set[str]] = defaultdict(set)
        self._tokens: Counter[str] = Counter()
        self._day = 0
        self._counted: OrderedDict[str, int] = OrderedDict()

    async def request(self, caller: str) -> int:
        """As in the contract."""
        return await self._requests.count(caller)

    async def take(self, caller: str, place: str, most: int) -> bool:
        """As in the contract."""
        if len(self._places.get(caller, ())) >= most:
            return False
        self.hold(caller, place)
        return True

    def hold(self, caller: str, place: str) -> None:
        """Count a place as taken, however many there are."""
        self._places[caller].add(place)

    def give_back(self, caller: str, place: str) -> None:
        """As in the contract."""
        places = self._places.get(caller, set())
        places.discard(place)
        if not places:
            self._places.pop(caller, None)

    def held(self) -> list[tuple[str, str]]:
        """Every place that is taken, with its caller before it."""
        return [(caller, place) for caller, places in self._places.items() for place in places]

    async def tokens(self, caller: str) -> int:
        """As in the contract."""
        self._turn_day()
        return self._tokens[caller]

    async def spend(self, caller: str, tokens: int, run_id: str = "") -> int:
        """As in the contract. The last 10,000 runs are remembered."""
        if run_id:
            tokens -= await self.remember(run_id, tokens)
        self._turn_day()
        if tokens > 0:
            self._tokens[caller] += tokens
        return max(0, tokens)

    async def knows(self, run_id: str) -> bool:
        """As in the contract."""
        return run_id in self._counted

    async def remember(self, run_id: str, tokens: int) -> int:
        """As in the contract."""
        before = self._counted.pop(run_id, 0)
        self._counted[run_id] = max(before, tokens)
        if len(self._counted) > _MOST_RUNS_REMEMBERED:
            self._counted.popitem(last=False)
        return before

    async def forget(self, run_id: str) -> None:
        """As in the contract."""
        self._counted.pop(run_id, None)

    async def close(self) -> None:
        """As in the contract."""
        self._places.clear()

    def _turn_day(self) -> None:
        day = today()
        if day != self._day:
            self._day = day
            self._tokens.clear()


def today() -> int:
    """The number of the day, in UTC."""
    return int(time.time()) // DAY_SECONDS
