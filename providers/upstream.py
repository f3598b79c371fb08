"""What one upstream is spared, over all calls that one provider makes to it.

It is sent no more requests at a time and in a period than it takes, none during a pause that it asked for, and none for a
while when it keeps failing or refuses us whatever we ask. A call that cannot be made in time is refused at once, with the
reason, so that another provider can be asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OPENED, Context, OpenedState

_LONGEST_PAUSE_SECONDS = 3_600.0


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
    rate: Rate | None = None
    failures: int | None = None
    """Calls in a row that end in a `Fault` before the upstream is left alone; None for never.

    For an upstream whose failures may be those of what it is asked about, such as a reader of pages, leave it unset.
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


class Fault(Failure):
    """The upstream's own failure: it was too slow, unreachable, failing, or sent what is no answer."""


class Rejection(Failure):
    """It refuses us whatever we ask: the key, the credit, a captcha."""


class Refusal(Failure):
    """It is well and refuses this request."""


class NotAsked(Failure):
    """No request was sent, to spare the upstream."""


class Upstream:
    """One upstream, as one process asks it. To be used from one event loop."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
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
            raise NotAsked(f"has too many requests waiting for their turn ({self.limits})") if self._waiting else self.no_turn()
        if self._slots is None:
            yield
            return
        with self._wait(deadline) as task:
            timer = asyncio.get_running_loop().call_later(left, self._end_wait, task, self.no_turn())
            try:
                await self._slots.acquire()
            finally:
                timer.cancel()
        try:
            yield
        finally:
            self._slots.release()

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
            raise NotAsked(f"is not asked for {_seconds(self._paused_until - now)}: it asked for that pause")

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

    def check(self) -> None:
        """Raise `NotAsked` while it is open."""
        if (left := self._left()) and left > 0:
            after = "" if self._threshold == 1 else f", after {self._threshold} failures in a row"
            raise NotAsked(f"is not asked for {_seconds(left)}{after}: it {self._cause}")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Around a call; raises `NotAsked` for one that may not be made."""
        self.check()
        if self._left() is None:
            yield
            return
        if self._trying:
            raise NotAsked(f"is just being tried again: it {self._cause}")
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
