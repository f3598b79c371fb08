"""What one caller may do: requests in a minute, runs and followed runs at a time, tokens in a day. Counted in memory, by this gateway
alone."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from schemas.errors import QuotaUsed, TooManyFollowers, TooManyRequests, TooManyRuns
from schemas.settings import Settings

RUN_RETRY_SECONDS = 10
"""Suggested to who must wait for a run to end; nobody knows when one does."""
_DAY = 86_400
_MOST_RUNS_REMEMBERED = 10_000


class CallerLimits:
    """The limits of every caller, by its name."""

    def __init__(self, settings: Settings) -> None:
        self._per_minute = RateLimitItemPerMinute(settings.deepsearch_key_requests_per_minute)
        self._requests = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._most_runs = settings.deepsearch_key_runs
        self._most_followers = settings.deepsearch_key_followers
        self._most_tokens = settings.deepsearch_key_daily_tokens
        self._runs: Counter[str] = Counter()
        self._followers: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._day = 0
        self._counted: OrderedDict[str, int] = OrderedDict()

    async def request(self, caller: str) -> None:
        """Count a request. Raises `TooManyRequests`."""
        if await self._requests.hit(self._per_minute, caller):
            return
        reset = (await self._requests.get_window_stats(self._per_minute, caller)).reset_time
        raise TooManyRequests(
            f"More than {self._per_minute.amount} requests in a minute (DEEPSEARCH_KEY_REQUESTS_PER_MINUTE).",
            retry_after=min(60, max(1, math.ceil(reset - time.time()))),
        )

    def begin_run(self, caller: str) -> None:
        """Count a run as under way until `end_run`. Raises `TooManyRuns` or `QuotaUsed`."""
        self.check_quota(caller)
        if self._runs[caller] >= self._most_runs:
            raise TooManyRuns(f"{self._most_runs} runs are under way (DEEPSEARCH_KEY_RUNS).", retry_after=RUN_RETRY_SECONDS)
        self._runs[caller] += 1

    def check_quota(self, caller: str) -> None:
        """Raise `QuotaUsed` when the caller has no tokens left today."""
        self._turn_day()
        if self._most_tokens and self._tokens[caller] >= self._most_tokens:
            raise QuotaUsed(
                f"The {self._most_tokens:,} tokens of today (UTC) are used up (DEEPSEARCH_KEY_DAILY_TOKENS).",
                retry_after=_DAY - int(time.time()) % _DAY,
            )

    def end_run(self, caller: str) -> None:
        """The run is over."""
        self._runs[caller] -= 1
        if not self._runs[caller]:
            del self._runs[caller]

    def check_followers(self, caller: str) -> None:
        """Raise `TooManyFollowers` when the caller follows as many runs as it may."""
        if self._followers[caller] >= self._most_followers:
            raise TooManyFollowers(
                f"{self._most_followers} runs are followed (DEEPSEARCH_KEY_FOLLOWERS).",
                retry_after=RUN_RETRY_SECONDS,
            )

    @contextmanager
    def following(self, caller: str) -> Iterator[None]:
        """Count the caller as one who follows a run."""
        self._followers[caller] += 1
        try:
            yield
        finally:
            self._followers[caller] -= 1
            if not self._followers[caller]:
                del self._followers[caller]

    def spend(self, caller: str, tokens: int, run_id: str = "") -> int:
        """Count tokens; returns how many were new. With `run_id`, `tokens` are what that run has used so far: a run that is
        resumed, or seen to end twice, counts once."""
        if run_id:
            tokens -= self.remember(run_id, tokens)
        self._turn_day()
        tokens = max(0, tokens)
        if tokens and self._most_tokens:
            self._tokens[caller] += tokens
        return tokens

    def knows(self, run_id: str) -> bool:
        """Whether some of what that run has used is counted."""
        return run_id in self._counted

    def remember(self, run_id: str, tokens: int) -> int:
        """From now on only what the run uses beyond `tokens` is new; returns beyond what it was so far."""
        before = self._counted.pop(run_id, 0)
        self._counted[run_id] = max(before, tokens)
        if len(self._counted) > _MOST_RUNS_REMEMBERED:
            self._counted.popitem(last=False)
        return before

    def forget(self, run_id: str) -> None:
        """The run is deleted; another may have its id now, and pays from its first token."""
        self._counted.pop(run_id, None)

    def _turn_day(self) -> None:
        day = int(time.time()) // _DAY
        if day != self._day:
            self._day = day
            self._tokens.clear()
