"""What one caller may do: requests in a minute, runs and followed runs at a time, tokens in a day."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gateway.guard.counts import DAY_SECONDS, Counts, MemoryCounts
from schemas.errors import QuotaUsed, TooManyFollowers, TooManyRequests, TooManyRuns
from schemas.settings import Settings

RUN_RETRY_SECONDS = 10
"""Suggested to who must wait for a run to end; nobody knows when one does."""


def create_counts(settings: Settings) -> Counts:
    """The counts of DEEPSEARCH_LIMITS_URL: shared through Redis, or without it in the memory of this gateway.

    Raises `ConfigurationError` when it has another scheme, or the server cannot be used now.
    """
    own = MemoryCounts(settings.deepsearch_key_requests_per_minute)
    if settings.deepsearch_limits_url is None:
        return own
    # Imported here, as a gateway without it needs none of this.
    from gateway.guard.redis_counts import RedisCounts  # noqa: PLC0415
    from gateway.guard.shared_counts import SharedCounts  # noqa: PLC0415

    url, lease = settings.deepsearch_limits_url.get_secret_value(), settings.deepsearch_lease_seconds
    shared = RedisCounts(url, settings.deepsearch_key_requests_per_minute, lease)
    shared.check()
    return SharedCounts(shared, own, lease)


class CallerLimits:
    """The limits of every caller, by its name. Raises what `create_counts` raises."""

    def __init__(self, settings: Settings) -> None:
        self._counts = create_counts(settings)
        self._per_minute = settings.deepsearch_key_requests_per_minute
        self._most_runs = settings.deepsearch_key_runs
        self._most_followers = settings.deepsearch_key_followers
        self._most_tokens = settings.deepsearch_key_daily_tokens
        self._followers: Counter[str] = Counter()

    async def request(self, caller: str) -> None:
        """Count a request. Raises `TooManyRequests`."""
        if wait := await self._counts.request(caller):
            raise TooManyRequests(
                f"More than {self._per_minute} requests in a minute (DEEPSEARCH_KEY_REQUESTS_PER_MINUTE).", retry_after=wait
            )

    async def begin_run(self, caller: str) -> Callable[[], None]:
        """Count a run as under way, until what this returns is called. Raises `TooManyRuns` or `QuotaUsed`."""
        await self.check_quota(caller)
        place = secrets.token_hex(8)
        if not await self._counts.take(caller, place, self._most_runs):
            raise TooManyRuns(f"{self._most_runs} runs are under way (DEEPSEARCH_KEY_RUNS).", retry_after=RUN_RETRY_SECONDS)
        return partial(self._counts.give_back, caller, place)

    async def check_quota(self, caller: str) -> None:
        """Raise `QuotaUsed` when the caller has no tokens left today."""
        if self._most_tokens and await self._counts.tokens(caller) >= self._most_tokens:
            raise QuotaUsed(
                f"The {self._most_tokens:,} tokens of today (UTC) are used up (DEEPSEARCH_KEY_DAILY_TOKENS).",
                retry_after=DAY_SECONDS - int(time.time()) % DAY_SECONDS,
            )

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

    async def spend(self, caller: str, tokens: int, run_id: str = "") -> int:
        """Count tokens; returns how many were new. With `run_id`, `tokens` are what that run has used so far: a run that is
        resumed, or seen to end twice, counts once."""
        return await self._counts.spend(caller, tokens, run_id) if run_id or tokens > 0 else 0

    async def knows(self, run_id: str) -> bool:
        """Whether some of what that run has used is counted."""
        return await self._counts.knows(run_id)

    async def remember(self, run_id: str, tokens: int) -> None:
        """From now on only what the run uses beyond `tokens` is new."""
        await self._counts.remember(run_id, tokens)

    async def forget(self, run_id: str) -> None:
        """The run is deleted; another may have its id now, and pays from its first token."""
        await self._counts.forget(run_id)

    async def close(self) -> None:
        """Give back the places of runs that are still under way, and close connections."""
        await self._counts.close()
