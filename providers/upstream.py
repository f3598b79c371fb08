"""What one upstream is spared, over all calls that one provider makes to it: the mechanism; `policies.py` says who gets what.

It is sent no more requests at a time and in a period than it takes, none during a pause that it asked for, and none for a
while when it keeps failing or refuses us whatever we ask. What may pass is tried again, after a pause that no two clients
make alike. A call that cannot be made in time is refused at once, with the reason, so that another provider can be asked.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal, TypeVar

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OPENED, Context, OpenedState
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random_exponential,
)
from tenacity.stop import stop_any

from providers.dates import internet_time
from telemetry.upstream import UPSTREAMS

_LONGEST_PAUSE_SECONDS = 3_600.0
_LONGEST_BACKOFF_SECONDS = 8.0
_TRIED_SECONDS = 1.0
"""After so long it may be known whether an upstream that is being tried again is well."""
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_LARGEST_NUMBER = 1e9

T = TypeVar("T")
State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class Rate:
    """At most `requests` in any `seconds`, also all at once: a sliding window."""

    requests: int
    seconds: float


@dataclass(frozen=True)
class Policy:
    """How an upstream is spared. Pauses that it asks for are always kept."""

    at_once: int | None = None
    """Calls under way, those that pause before another attempt included; None for any number."""
    waiting: int = 1_000
    """Calls that may wait for their turn; more are refused at once."""
    attempts: int = 3
    """How often one call is sent in all, when what went wrong may pass."""
    backoff_seconds: float = 0.2
    """Longest pause before the second attempt; it doubles with every further one, up to 8 seconds, and half of it is chance."""
    rate: Rate | None = None
    failures: int | None = None
    """Calls in a row that end in a `Fault` before the upstream is left alone; None for never.

    For an upstream whose failures may be those of what it is asked about, such as a reader of pages, take a higher number.
    """
    failing_seconds: float = 30.0
    """How long it is left alone then, before one call tries again."""
    rejected_seconds: float | None = None
    """How long it is left alone after a `Rejection`, before one call tries again; None for not at all."""
    patience_seconds: float = 0.0
    """Time an upstream must have had before a missing answer is its fault, because a call may have little left."""


class Failure(Exception):
    """A call without a usable answer that proves nothing about the upstream. The message continues the upstream's name."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.attempts = 1
        """How often the call was sent."""
        self.too_late: float | None = None
        """Seconds until the next attempt, which would have come too late; None when there was to be none."""


class Fault(Failure):
    """The upstream's own failure: it was too slow, unreachable, failing, or sent what is no answer."""


class Rejection(Failure):
    """It refuses us whatever we ask: the key, the credit, a captcha."""


class Refusal(Failure):
    """It is well and refuses this request."""


class Unavailable(Fault):
    """Unreachable or overloaded, which may pass."""


class Limited(Refusal):
    """Too many requests, which will pass."""


class NotAsked(Failure):
    """No request was sent, to spare the upstream; `retry_after` is when one may be, where that is known."""


def retry_after_seconds(header: str) -> float | None:
    """Seconds that a Retry-After header asks for, a number or a time; None when it asks for nothing."""
    header = header.strip()
    if _NUMBER.fullmatch(header):  # in ASCII: other scripts have digits too, not all of which are numbers
        return min(float(header[:20]), _LARGEST_NUMBER)
    moment = internet_time(header)
    if moment is None:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def backoff(seconds: float) -> Callable[[RetryCallState], float]:
    """The pause before the next attempt: at most `seconds`, doubled with every one, half of it chance, so that clients that
    failed together do not come back together."""
    half, longest = seconds / 2, _LONGEST_BACKOFF_SECONDS / 2
    fixed, chance = wait_exponential(multiplier=half, max=longest), wait_random_exponential(multiplier=half, max=longest)
    return lambda state: fixed(state) + chance(state)


class Upstream:
    """One upstream, as one process asks it. To be used from one event loop."""

    def __init__(self, policy: Policy | None = None, name: str = "") -> None:
        """`name` is for those who measure, such as "Jina search"."""
        self.policy = policy or Policy()
        self.name = name
        self.under_way = 0
        """Calls that have a slot."""
        rate = self.policy.rate
        self._slots = asyncio.Semaphore(self.policy.at_once) if self.policy.at_once else None
        self._window = _Window(rate) if rate else None
        self._queue = asyncio.Lock()
        self._failing = _Circuit(self.policy.failures, self.policy.failing_seconds)
        self._rejecting = _Circuit(None if self.policy.rejected_seconds is None else 1, self.policy.rejected_seconds or 0.0)
        self._paused_until = 0.0
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._called_off: dict[asyncio.Task[Any], NotAsked] = {}
        self._answered = False
        UPSTREAMS.add(self)

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot, for their turn, or for the end of a pause."""
        return len(self._waiting)

    @property
    def state(self) -> State:
        """`open` while it is left alone, `half-open` when one call may try, or tries, whether it is well again."""
        if self._answered:  # which counts as soon as nobody can retract it
            return "closed"
        states = {self._rejecting.state, self._failing.state}
        return "open" if "open" in states else "half-open" if "half-open" in states else "closed"

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Around a call with all its attempts. Learns from a `Failure` that is raised inside, and from none.

        Raises `NotAsked` when the upstream is left alone, or when another call is just trying whether it is well again.
        """
        await self._settle()
        with self._rejecting.admitted(), self._failing.admitted():
            try:
                yield
            except (Fault, Rejection, Refusal) as failure:
                await self._settle()
                await self._note(failure)
                raise
            self._answered = True

    @asynccontextmanager
    async def slot(self, deadline: float) -> AsyncIterator[None]:
        """Around all attempts of a call: waits for one of the slots. `deadline` is in the seconds of `time.monotonic`.

        Raises `NotAsked`, here and in `turn`, as soon as it is known that nothing can be sent before the deadline, or when
        the upstream comes to be left alone meanwhile.
        """
        left = deadline - time.monotonic()
        if self._window is not None and self._window.seconds_until_free(len(self._waiting)) > max(0.0, left):
            raise self._crowded() if self._waiting else self.no_turn()
        if self._slots is None:
            with self._counted():
                yield
            return
        if self._slots.locked() and len(self._waiting) >= self.policy.waiting:
            raise self._crowded()
        with self._wait(deadline) as task:
            timer = asyncio.get_running_loop().call_later(left, self._end_wait, task, self.no_turn())
            try:
                await self._slots.acquire()
            finally:
                timer.cancel()
        try:
            with self._counted():
                yield
        finally:
            self._slots.release()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def attempts(self, attempt: Callable[[], Awaitable[T]], deadline: float, *, least_pause: float = 0.0) -> T:
        """What `attempt` returns, which sends one request. Each waits for its turn first.

        It is made again after an `Unavailable` or `Limited` failure: as often as the policy says, after what the upstream asked
        for or `least_pause` seconds and a little more by chance, and never when that would be beyond `deadline`. Raises the last
        failure, which knows how many attempts there were.
        """
        chance = backoff(self.policy.backoff_seconds)
        most = self.policy.attempts

        def pause(state: RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            asked = failure.retry_after if isinstance(failure, Failure) else None
            return chance(state) if asked is None and not least_pause else max(asked or 0.0, least_pause) + chance(state)

        def given_up(state: RetryCallState) -> T:
            failure = state.outcome.exception() if state.outcome else None
            assert isinstance(failure, Failure)
            failure.attempts = state.attempt_number
            failure.too_late = state.upcoming_sleep if state.attempt_number < most else None
            raise failure

        async def once() -> T:
            await self.turn(deadline)
            try:
                return await attempt()
            except Failure as failure:
                if failure.retry_after:
                    self.pause(failure.retry_after)
                raise

        retrying = AsyncRetrying(
            retry=retry_if_exception_type((Unavailable, Limited)),
            stop=stop_any(stop_after_attempt(most), stop_before_delay(deadline - time.monotonic())),
            wait=pause,
            retry_error_callback=given_up,
        )
        answer: T = await retrying(once)
        return answer

    async def turn(self, deadline: float) -> None:
        """Before one attempt: waits until the rate allows it and no pause holds; the caller sees to the deadline."""
        # First come, first served: only the first one watches the clock. Were the rate counted before a pause, all who waited
        # for its end would be sent at once.
        with self._wait(deadline):
            async with self._queue:
                while (left := self._seconds_until_free()) > 0:  # noqa: ASYNC110 - a pause may be asked for meanwhile
                    await asyncio.sleep(left)
                if self._window is not None:
                    self._window.sent()

    def _seconds_until_free(self) -> float:
        paused = self._paused_until - time.monotonic()
        return paused if self._window is None else max(paused, self._window.seconds_until_free())

    def pause(self, seconds: float) -> None:
        """Send nothing for `seconds`, but an hour at most, because the upstream asked for that."""
        self._paused_until = max(self._paused_until, time.monotonic() + min(seconds, _LONGEST_PAUSE_SECONDS))
        self._call_off()

    async def retract(self, failure: Fault | Rejection) -> None:
        """The answer that was just given is none after all, as only its reader can see: malformed, or a captcha."""
        self._answered = False
        await self._note(failure)

    async def _settle(self) -> None:
        """Let the last answer count, which nobody retracted."""
        if self._answered:
            self._answered = False
            await self._note(None)

    async def _note(self, failure: Failure | None) -> None:
        if not isinstance(failure, Fault):  # an upstream that is down says nothing about a key
            await self._rejecting.record(failure if isinstance(failure, Rejection) else None)
        await self._failing.record(failure if isinstance(failure, Fault) else None)
        self._call_off()

    def _crowded(self) -> NotAsked:
        return NotAsked(f"has too many requests waiting for their turn ({self.limits})")

    def no_turn(self) -> NotAsked:
        """What is raised when a deadline passes while waiting."""
        return NotAsked(f"had no turn for it in time ({self.limits})")

    @property
    def limits(self) -> str:
        """The limits in words; empty when there are none."""
        rate = self.policy.rate
        words = [
            f"{self.policy.at_once} at a time" if self.policy.at_once else "",
            f"{rate.requests} in {rate.seconds:g} s" if rate else "",
        ]
        return ", ".join(filter(None, words))

    def _check(self, deadline: float) -> None:
        self._rejecting.check()
        self._failing.check()
        now = time.monotonic()
        if self._paused_until > max(now, deadline):
            left = self._paused_until - now
            raise NotAsked(f"is not asked for {_seconds(left)}: it asked for that pause", left)

    @contextmanager
    def _wait(self, deadline: float) -> Iterator[asyncio.Task[Any]]:
        """Around a wait of the current task, which `_end_wait` may end."""
        self._check(deadline)
        task = asyncio.current_task()
        assert task is not None
        self._waiting[task] = deadline
        try:
            yield task
        except asyncio.CancelledError:
            reason = self._called_off.get(task)
            # From Python 3.11 on a task counts who cancelled it; another one may have done so too.
            if reason is None or (hasattr(task, "uncancel") and task.uncancel()):
                raise
            raise reason from None
        finally:
            del self._waiting[task]
            self._called_off.pop(task, None)

    def _call_off(self) -> None:
        """End every wait that has become vain."""
        for task, deadline in self._waiting.items():
            try:
                self._check(deadline)
            except NotAsked as reason:
                self._end_wait(task, reason)

    def _end_wait(self, task: asyncio.Task[Any], reason: NotAsked) -> None:
        if task not in self._called_off:
            self._called_off[task] = reason
            task.cancel()


class _Window:
    """When the last requests that a rate allows were sent: another one may follow once the oldest of them is a period ago."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._sent: deque[float] = deque(maxlen=rate.requests)

    def sent(self) -> None:
        """A request is sent now."""
        self._sent.append(time.monotonic())

    def seconds_until_free(self, ahead: int = 0) -> float:
        """Seconds until a request may be sent, after `ahead` others that go as early as they may; 0 or less for now."""
        requests, seconds = self._rate.requests, self._rate.seconds
        periods, place = divmod(ahead, requests)
        place += len(self._sent) - requests  # of the request that has to be a period ago; negative for none
        since = time.monotonic() - self._sent[place] if place >= 0 else seconds
        return max(0.0, seconds - since) + periods * seconds


class _Circuit:
    """Opens after `threshold` failures in a row (None: never), for `seconds`; then one call tries whether it may close."""

    def __init__(self, threshold: int | None, seconds: float) -> None:
        self._threshold = threshold
        self._seconds = seconds
        self._circuits = AsyncCircuitBreakerFactory()
        self._state: Context | None = None
        self._cause = ""
        self._trying = False

    @property
    def state(self) -> State:
        """Where it is now."""
        left = self._left()
        return "closed" if left is None else "open" if left > 0 else "half-open"

    def check(self) -> None:
        """Raise `NotAsked` while it is open."""
        if (left := self._left()) and left > 0:
            after = "" if self._threshold == 1 else f", after {self._threshold} failures in a row"
            raise NotAsked(f"is not asked for {_seconds(left)}{after}: it {self._cause}", left)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Around a call; raises `NotAsked` for one that may not be made."""
        self.check()
        if self._left() is None:
            yield
            return
        if self._trying:
            raise NotAsked(f"is just being tried again: it {self._cause}", _TRIED_SECONDS)
        self._trying = True
        try:
            yield
        finally:
            self._trying = False

    async def record(self, failure: Failure | None) -> None:
        """Count a failure, or forget them all. What a call says that began before the circuit opened is not heard."""
        if self._threshold is None:
            return
        breaker = await self._circuits.get_breaker("upstream", self._threshold, self._seconds)
        self._state = breaker.context
        with suppress(OpenedState, Failure):
            async with breaker:
                if failure is not None:
                    self._cause = str(failure)
                    raise failure

    def _left(self) -> float | None:
        """Seconds until it may be tried again, not above 0 when it may now; None when it is closed."""
        if self._state is None or self._state.state != OPENED:
            return None
        return (self._state.opened_at or 0.0) + self._seconds - time.time()


def _seconds(seconds: float) -> str:
    return f"{math.ceil(seconds)} s"
