"""What each mode makes of the cache: the one place that decides whether something is asked outside or remembered.

off           everything is asked outside.
read-write    what is known and fresh is not asked again, and costs nothing; successes are kept.
record        everything is asked outside; what came of it is kept, with its cost, be it an answer or an error.
replay        nothing is asked outside: what was recorded is given again, with its cost, and an error is raised again.

A run may ask the same question twice and be answered differently, as when it tries again after a failure. A recording
keeps all answers to a question in the order in which one process got them, and a replay gives them in that order, then
from the beginning again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from providers.cache.base import Cache, Kind
from providers.cache.entries import Kept, unpacked
from providers.cache.keys import Question
from schemas.errors import CacheError, DeepSearchError, NotRecorded
from schemas.usage import Usage
from telemetry.metrics import CACHE_LOOKUPS

Mode = Literal["off", "read-write", "record", "replay"]
T = TypeVar("T")

_SHOWN_CHARACTERS = 120
_AGEING: frozenset[Kind] = frozenset({"search", "page"})
"""What changes outside while the question stays the same."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How answers become bytes and back. `decode` raises `ValueError` for bytes that it cannot read."""

    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]


class Memory:
    """Answers questions from the cache and from outside, as `mode` says; for one event loop.

    `max_age_seconds` limits the age of search results and pages in read-write mode. There a fault of the cache is logged
    once and costs no answer; in the other modes it is raised as `CacheError`. `now` gives seconds since the epoch.
    """

    def __init__(self, cache: Cache | None, mode: Mode, max_age_seconds: float, *, now: Callable[[], float] = time.time) -> None:
        self.mode = mode if cache is not None else "off"
        self._cache = cache
        self._max_age = max_age_seconds
        self._now = now
        self._complained = False
        self._in_flight: dict[str, asyncio.Future[bytes | None]] = {}
        self._recording = uuid.uuid4().hex[:8]
        self._given: dict[str, tuple[int, str]] = {}
        """Of each question in a recording or a replay: how many answers there were, and the recording they belong to."""

    async def answer(
        self,
        question: Question,
        ask: Callable[[], Awaitable[tuple[T, Usage]]],
        codec: Codec[T],
        *,
        worth: Callable[[T], bool] | None = None,
        patience: float | None = None,
    ) -> tuple[T, Usage]:
        """The answer to one question and what it costs; see `answers`."""

        async def ask_all(_: Sequence[int]) -> tuple[list[T], Usage]:
            answer, usage = await ask()
            return [answer], usage

        answers, usage = await self.answers([question], ask_all, codec, worth=worth, patience=patience)
        return answers[0], usage

    async def answers(
        self,
        questions: Sequence[Question],
        ask: Callable[[Sequence[int]], Awaitable[tuple[list[T], Usage]]],
        codec: Codec[T],
        *,
        worth: Callable[[T], bool] | None = None,
        patience: float | None = None,
    ) -> tuple[list[T], Usage]:
        """The answers to questions of one kind, in their order, and what they cost together.

        `ask` asks those with the given indices outside, at once. In read-write mode answers that are not `worth` it are
        neither kept nor taken from the cache; and what is being asked at this moment is not asked again: its answer is
        waited for, `patience` seconds at most (None: until it comes).

        Raises what `ask` raises; in replay `NotRecorded` for what was never recorded.
        """
        if self._cache is None or not questions:
            return await ask(range(len(questions)))
        if self.mode == "replay":
            return await self._replayed(questions, codec)
        if self.mode == "record":
            return await self._recorded(questions, ask, codec)
        return await self._saved(questions, ask, codec, worth or (lambda _: True), patience)

    async def recall(self, question: Question, codec: Codec[T], *, worth: Callable[[T], bool]) -> tuple[T, Usage] | None:
        """An answer that need not be asked for, and its cost; None when it must be. For answers that come in pieces."""
        if self.mode == "replay":
            answers, usage = await self._replayed([question], codec)
            return answers[0], usage
        if self.mode == "read-write":
            for answer in (await self._fresh(question.kind, [question.key()], codec, worth)).values():
                return answer, Usage()
        return None

    async def keep(self, question: Question, answer: T, usage: Usage, codec: Codec[T], *, worth: bool) -> None:
        """Keep an answer that `recall` did not know."""
        if self.mode == "record":
            await self._record([question], [self._part(codec, answer, usage)])
        elif self.mode == "read-write" and worth:
            encoded = self._encoded({question.key(): answer}, codec)
            await self._put(question.kind, {key: Kept(value).packed() for key, value in encoded.items()})

    async def close(self) -> None:
        """Close the cache."""
        if self._cache is not None:
            await self._cache.close()

    # -- read-write ----------------------------------------------------------------------------------------------------

    async def _saved(
        self,
        questions: Sequence[Question],
        ask: Callable[[Sequence[int]], Awaitable[tuple[list[T], Usage]]],
        codec: Codec[T],
        worth: Callable[[T], bool],
        patience: float | None,
    ) -> tuple[list[T], Usage]:
        kind, keys = questions[0].kind, [question.key() for question in questions]
        # What others ask may come while the cache is looked into, which is before they keep it or after they are done.
        before = {key: self._in_flight[key] for key in keys if key in self._in_flight}
        known = await self._fresh(kind, keys, codec, worth)
        missing = {key: index for index, key in enumerate(keys) if key not in known}
        in_flight = before | self._in_flight
        others = {key: in_flight[key] for key in missing if key in in_flight}
        encoded: dict[str, bytes] = {}

        async def fetch(wanted: Sequence[str]) -> Usage:
            if not wanted:
                return Usage()
            answers, cost = await ask([missing[key] for key in wanted])
            known.update(zip(wanted, answers, strict=True))
            # Encoded before it is given away, because what is given away may be changed.
            encoded.update(self._encoded({key: known[key] for key in wanted if worth(known[key])}, codec))
            await self._put(kind, {key: Kept(encoded[key]).packed() for key in wanted if key in encoded})
            return cost

        mine = [key for key in missing if key not in others]
        self._in_flight.update((key, asyncio.get_running_loop().create_future()) for key in mine)
        try:
            usage = await fetch(mine)
        finally:
            for key in mine:
                self._in_flight.pop(key).set_result(encoded.get(key))
        if others:
            done, _ = await asyncio.wait(others.values(), timeout=patience)
            for key, future in others.items():
                if future in done and (given := future.result()) is not None and worth(answer := codec.decode(given)):
                    known[key] = answer
            try:
                usage += await fetch([key for key in others if key not in known])
            except DeepSearchError as error:
                raise type(error)(error.message, field=error.field, usage=usage + error.usage) from error
        return [known[key] for key in keys], usage

    async def _fresh(self, kind: Kind, keys: Sequence[str], codec: Codec[T], worth: Callable[[T], bool]) -> dict[str, T]:
        """The answers that are known, young enough and worth it, by key."""
        oldest = self._now() - self._max_age if kind in _AGEING else float("-inf")
        fresh: dict[str, T] = {}
        try:
            entries = await self._store.get(kind, list(dict.fromkeys(keys)))
        except CacheError as error:
            self._complain(error)
            return {}
        for key, entry in entries.items():
            try:
                kept = unpacked(entry.value)
                if kept.error is None and entry.stored_at >= oldest and worth(answer := codec.decode(kept.value)):
                    fresh[key] = answer
            except ValueError:
                self._complain(CacheError(f"an entry of the cache cannot be read and is replaced ({kind} {key})"))
        CACHE_LOOKUPS.count(kind, "hit", by=len(fresh))
        CACHE_LOOKUPS.count(kind, "miss", by=len(set(keys)) - len(fresh))
        return fresh

    def _encoded(self, answers: Mapping[str, T], codec: Codec[T]) -> dict[str, bytes]:
        """The answers as bytes; without those that have no such form."""
        encoded: dict[str, bytes] = {}
        for key, answer in answers.items():
            try:
                encoded[key] = codec.encode(answer)
            except ValueError as error:
                self._complain(CacheError(f"an answer cannot be kept ({error})"))
        return encoded

    async def _put(self, kind: Kind, values: Mapping[str, bytes]) -> None:
        try:
            if values:
                await self._store.put(kind, values)
        except CacheError as error:
            self._complain(error)

    def _complain(self, error: CacheError) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("%s; answers come from outside meanwhile", error)

    # -- recording -----------------------------------------------------------------------------------------------------

    async def _recorded(
        self, questions: Sequence[Question], ask: Callable[[Sequence[int]], Awaitable[tuple[list[T], Usage]]], codec: Codec[T]
    ) -> tuple[list[T], Usage]:
        try:
            answers, usage = await ask(range(len(questions)))
        except DeepSearchError as error:
            await self._record(questions, [Kept(error=error, recording=self._recording)] * len(questions))
            raise
        # The cost of all of them is kept with the first: a replay adds it up again.
        costs = [usage, *[Usage()] * (len(questions) - 1)]
        await self._record(questions, [self._part(codec, answer, cost) for answer, cost in zip(answers, costs, strict=True)])
        return answers, usage

    def _part(self, codec: Codec[T], answer: T, usage: Usage) -> Kept:
        """An answer as a part of the recording."""
        try:
            return Kept(codec.encode(answer), usage, recording=self._recording)
        except ValueError as error:
            raise CacheError(f"an answer cannot be recorded ({error})") from error

    async def _record(self, questions: Sequence[Question], kept: Sequence[Kept]) -> None:
        values: dict[str, bytes] = {}
        for question, answer in zip(questions, kept, strict=True):
            key = question.key()
            number, _ = self._given.get(key, (0, ""))
            self._given[key] = (number + 1, self._recording)
            values[_numbered(key, number)] = answer.packed()
        await self._store.put(questions[0].kind, values)

    async def _replayed(self, questions: Sequence[Question], codec: Codec[T]) -> tuple[list[T], Usage]:
        answers: list[T] = []
        usage = Usage()
        # An error was recorded for all that was asked at once: all of them go on to their next answer.
        recorded = [await self._next(question) for question in questions]
        for question, kept in zip(questions, recorded, strict=True):
            if kept.error is not None:
                raise kept.error
            try:
                answers.append(codec.decode(kept.value))
            except ValueError as error:
                raise _unreadable(question) from error
            usage += kept.usage
        return answers, usage

    async def _next(self, question: Question) -> Kept:
        """The next answer of the recording; after the last one the first again."""
        key = question.key()
        number, recording = self._given.get(key, (0, ""))
        self._given[key] = (number + 1, recording)
        kept = await self._found(question, _numbered(key, number))
        if number and (kept is None or kept.recording != recording):
            number, kept = 0, await self._found(question, key)
        if kept is None:
            raise NotRecorded(f"no answer is recorded for {_named(question)}: record the run again with DEEPSEARCH_CACHE=record")
        self._given[key] = (number + 1, kept.recording)
        return kept

    async def _found(self, question: Question, key: str) -> Kept | None:
        entry = (await self._store.get(question.kind, [key])).get(key)
        try:
            return unpacked(entry.value) if entry is not None else None
        except ValueError as error:
            raise _unreadable(question) from error

    @property
    def _store(self) -> Cache:
        assert self._cache is not None
        return self._cache


def seconds_left(deadline: float) -> float:
    """What waiting for another's answer has left of the time until `deadline` of `time.monotonic`: in whole tenths, so that a
    look into the cache does not turn a limit of 10 s into one of 9.9987 s in messages."""
    return max(0, math.ceil(10 * (deadline - time.monotonic()))) / 10


def _numbered(key: str, number: int) -> str:
    """Where the answer with that number is kept, counted from 0; the first one is where read-write mode looks."""
    return f"{key}.{number}" if number else key


def _named(question: Question) -> str:
    shown = " ".join(question.shown.encode("utf-8", "replace").decode("utf-8").split())
    return f"{question.kind}: {shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 1] + '…'}"


def _unreadable(question: Question) -> CacheError:
    return CacheError(f"the recording cannot be read for {_named(question)}: record the run again with DEEPSEARCH_CACHE=record")
