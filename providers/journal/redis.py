"""Runs in a Redis database, for any number of processes on any number of machines."""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import zstandard
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from providers.journal.base import Renewal, StoredEvent, not_found
from providers.journal.owner import this_process
from providers.journal.persistence import answer_seconds, persistently, shown_place
from providers.storage_url import without_user
from schemas.errors import ConfigurationError, InvalidRequest, JournalError, RunLost, RunNotFound, RunUnderWay
from schemas.events import JOURNAL_EVENT
from schemas.reading import Attachment, Page
from schemas.research import RunSummary

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

FORM = "redis://:PASSWORD@HOST:PORT/0"
VERSION = 2
"""Of the keys and what they hold. Those of version 1 are read as they are: no run of theirs belongs to anybody."""

_PREFIX = "deepsearch:journal:"
_CONNECTIONS = 10
_STAGED_SECONDS = 3_600
"""How long parts of a run that is being written are kept when it is never finished."""
_WHOLE_RUN_SECONDS = 600.0
"""Longest that a whole run may take to be written at once, or many to be deleted."""

_LOST = (
    OSError,  # a `TimeoutError` too
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,  # another server takes over
    exceptions.MasterDownError,
    exceptions.TryAgainError,
)
_REFUSED = (exceptions.AuthenticationError, exceptions.AuthorizationError)
"""These are connection errors for redis-py, but no later time is better."""


class RedisJournal:
    """A journal in Redis: one server, with or without replicas, since a run and the lists of runs are written in one step.

    Every write is a script, which the server runs whole or not at all, by its own clock (`TIME`). Every write of an owner has a
    number that is stored with it: one that was made although its answer was lost is known by it when it is made again, and
    one that arrives late changes nothing. What survives the server's death is what its append-only file holds.
    """

    def __init__(self, url: str, lease_seconds: float = 10.0) -> None:
        """`url` such as `redis://:password@host:6379/0`, or `rediss://` with TLS. Nothing is connected yet."""
        self._place = shown_place(url, FORM)
        self._lease_seconds = lease_seconds
        # Two journals of one process are two owners: what one has lost, the other may have claimed.
        self._owner = f"{this_process()}:{secrets.token_hex(8)}"
        self._writes = itertools.count(1)
        seconds = answer_seconds(lease_seconds)
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=seconds,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),  # `persistently` does it
                client_name="deepsearch",
            )
            pool.connection_class(**pool.connection_kwargs)  # an option that redis-py does not know is told now
        except (ValueError, TypeError):
            # What redis-py says of a URL may repeat it.
            message = f"DEEPSEARCH_STATE_URL must look like {FORM}, with options that redis-py knows"
            raise ConfigurationError(message, field="DEEPSEARCH_STATE_URL") from None
        self._client: Any = Redis(connection_pool=pool)
        self._scripts = {name: self._client.register_script(text) for name, text in _scripts().items()}
        self._checked = False
        self._closed = False

    async def create(self, summary: RunSummary, first: StoredEvent, attachments: Mapping[str, Attachment], asked_by: str = "") -> None:
        """Register a new run of ours. Raises `InvalidRequest` when the id is taken."""
        await self._register(summary, "", [first], [], attachments, lease_seconds=self._lease_seconds, asked_by=asked_by)

    async def _register(
        self,
        summary: RunSummary,
        state_digest: str,
        events: Collection[StoredEvent],
        pages: Collection[Page],
        attachments: Mapping[str, Attachment],
        *,
        lease_seconds: float = 0.0,
        asked_by: str = "",
    ) -> None:
        run_id, number, attempts = summary.run_id, next(self._writes), itertools.count(1)

        async def register() -> None:
            # What an attempt before has sent may still arrive: each has a place of its own, whose parts expire from the first on.
            staged = f"{run_id}:{self._owner}:{number}:{next(attempts)}"
            stage = self._client.pipeline(transaction=True)
            for event in events:
                stage.rpush(_key("events", staged), _entry(event))
            for url, attachment in attachments.items():
                stage.hset(_key("attachments", staged), url, _packed(attachment.model_dump_json()))
            for kind in ("events", "attachments"):
                stage.expire(_key(kind, staged), _STAGED_SECONDS)
            await stage.execute()
            for page in pages:
                stage.hset(_key("pages", staged), page.page_id, _packed(page.model_dump_json()))
                stage.expire(_key("pages", staged), _STAGED_SECONDS)
                await stage.execute()
            made = await self._run(
                "register", run_id, staged, self._owner, number, lease_seconds, summary.parent, int(summary.background), summary.state,
                repr(summary.started_at), summary.model_dump_json(), state_digest, asked_by,
            )  # fmt: skip
            if made == b"taken":
                raise InvalidRequest(f"run_id {run_id!r} is taken: choose another or none", field="run_id")

        await self._do(register, _WHOLE_RUN_SECONDS if pages else None)

    async def append(self, run_id: str, stored: StoredEvent, summary: RunSummary | None = None) -> None:
        """Append the next event of a run of ours. Raises `RunLost` when it belongs to another process."""
        line = (summary.model_dump_json(), summary.state) if summary else ("", "")
        made = await self._script("append", run_id, self._owner, next(self._writes), stored.sequence, _entry(stored), *line)
        if made == b"lost":
            raise RunLost(f"run {run_id} is continued by another process", field="run_id")
        if made != b"ok":
            raise JournalError(f"run {run_id} has {made} events: the next one cannot have the number {stored.sequence}")

    async def save_page(self, run_id: str, page: Page) -> None:
        """Keep a page's text with the run."""
        await self._script("save_page", run_id, page.page_id, _packed(page.model_dump_json()))

    async def update(self, summary: RunSummary, state_digest: str = "") -> None:
        """Replace the line about a run of ours."""
        line = (summary.model_dump_json(), summary.state, state_digest)
        await self._script("update", summary.run_id, self._owner, next(self._writes), *line)

    async def claim(self, run_id: str) -> bool:
        """Become the owner of a run. Raises `RunNotFound`, or `RunUnderWay` when it has an owner."""
        made = await self._script("claim", run_id, self._owner, next(self._writes), self._lease_seconds)
        if made == b"missing":
            raise not_found(run_id)
        if made == b"under way":
            raise RunUnderWay(f"run {run_id} is under way", field="run_id")
        return bool(made == b"owner gone")

    async def renew(self, runs: Collection[str]) -> Renewal:
        """Keep these runs of ours for another lease."""
        if not runs:
            return Renewal()
        ours = {run_id.decode(): asked == b"1" for run_id, asked in await self._script("renew", self._owner, self._lease_seconds, *runs)}
        return Renewal(lost=frozenset(runs) - ours.keys(), cancelled=frozenset(run_id for run_id, asked in ours.items() if asked))

    async def ask_to_cancel(self, run_id: str) -> None:
        """Have the owner of a run learn that the run is to be cancelled. Raises `RunNotFound`."""
        if not await self._script("ask_to_cancel", run_id):
            raise not_found(run_id)

    async def events(self, run_id: str, after: int = 0) -> list[StoredEvent]:
        """The events after a sequence number, in order. Raises `RunNotFound`, and `JournalError` when one cannot be read."""
        first = max(after, 0)
        entries = await self._do(lambda: self._client.lrange(_key("events", run_id), first, -1))
        if not entries:
            await self._line(run_id)
        try:
            return [_event(sequence, entry) for sequence, entry in enumerate(entries, start=first + 1)]
        except ValueError as error:
            raise JournalError(f"run {run_id} at {self._place} holds an event that this version cannot read") from error

    async def summary(self, run_id: str) -> RunSummary:
        """The line about a run. Raises `RunNotFound`."""
        return _summary(await self._line(run_id))

    async def state_digest(self, run_id: str) -> str:
        """Digest of the final state, empty when the run has not ended. Raises `RunNotFound`."""
        digest: bytes = (await self._line(run_id))[2]
        return digest.decode()

    async def asked_by(self, run_id: str) -> str:
        """Name of the key that a run belongs to. Raises `RunNotFound`."""
        name: bytes = (await self._line(run_id))[3]
        return name.decode()

    async def runs(self, limit: int, asked_by: Collection[str] | None = None) -> list[RunSummary]:
        """The newest runs, newest first."""
        which = ("runs", limit) if asked_by is None else ("runs of", limit, *asked_by)
        return [_summary(line) for line in await self._script("lines", *which)]

    async def unfinished(self, limit: int) -> list[RunSummary]:
        """Interrupted jobs, oldest first."""
        return [_summary(line) for line in await self._script("lines", "unfinished", limit)]

    async def children(self, run_id: str) -> list[RunSummary]:
        """The runs that work for this one."""
        found = [_summary(line) for line in await self._script("lines", "children", run_id)]
        return sorted(found, key=lambda child: (len(child.run_id), child.run_id))

    async def page(self, run_id: str, page_id: str) -> Page:
        """A page that was read in a run. Raises `RunNotFound`."""
        stored = await self._do(lambda: self._client.hget(_key("pages", run_id), page_id))
        if stored is None:
            raise RunNotFound(f"no page {page_id!r} in run {run_id!r}", field="page_id")
        return Page.model_validate_json(_unpacked(stored))

    async def pages(self, run_id: str) -> AsyncIterator[Page]:
        """Every page that was read in a run, by page id."""
        page_ids = sorted(await self._do(lambda: self._client.hkeys(_key("pages", run_id))))
        for page_id in page_ids:
            stored = await self._do(lambda field=page_id: self._client.hget(_key("pages", run_id), field))  # type: ignore[misc]
            if stored is not None:  # else the run was deleted meanwhile
                yield Page.model_validate_json(_unpacked(stored))

    async def attachment(self, run_id: str, url: str) -> Attachment:
        """A file that came with the question. Raises `RunNotFound`."""
        stored = await self._do(lambda: self._client.hget(_key("attachments", run_id), url))
        if stored is None:
            raise RunNotFound(f"no attachment {url!r} in run {run_id!r}", field="url")
        return Attachment.model_validate_json(_unpacked(stored))

    async def attachments(self, run_id: str) -> dict[str, Attachment]:
        """The files that came with the question, by URL."""
        stored = await self._do(lambda: self._client.hgetall(_key("attachments", run_id)))
        return {url.decode(): Attachment.model_validate_json(_unpacked(attachment)) for url, attachment in sorted(stored.items())}

    async def restore(
        self,
        summary: RunSummary,
        state_digest: str,
        events: Collection[StoredEvent],
        pages: Collection[Page],
        attachments: Mapping[str, Attachment],
    ) -> None:
        """Keep a run that came from another journal. Raises `InvalidRequest` when the id is taken."""
        kept = summary.model_copy(update={"state": "interrupted"}) if summary.state == "running" else summary
        await self._register(kept, state_digest, events, pages, attachments)

    async def forget(self, run_id: str) -> None:
        """Delete a run. Raises `RunNotFound`, or `RunUnderWay` when it or one that works for it has an owner."""
        await self._line(run_id)  # when the deletion is made again, a run that is gone is no error
        under_way = await self._script("forget", run_id)
        if under_way:
            raise RunUnderWay(f"run {under_way.decode()} is under way: cancel it first", field="run_id")

    async def forget_before(self, time: float) -> int:
        """Forget every run that has not an owner and was last written before `time`."""
        old = await self._do(lambda: self._client.zrangebyscore(_key("written"), "-inf", f"({time!r}"))
        return sum([int(await self._script("forget_before", run_id, repr(time))) for run_id in old])

    async def check(self) -> None:
        """Raise `JournalError` when the server cannot be reached now, or takes no writes."""
        await self._do(lambda: self._client.set(_key("checked"), 1), again=False)

    async def close(self) -> None:
        """Release the connections."""
        self._closed = True
        await self._client.aclose()
        await self._client.connection_pool.aclose()

    async def _line(self, run_id: str) -> Any:
        lines = await self._script("lines", "one", run_id)
        if not lines:
            raise not_found(run_id)
        return lines[0]

    async def _script(self, name: str, *values: Any) -> Any:
        return await self._do(lambda: self._run(name, *values))

    async def _run(self, name: str, *values: Any) -> Any:
        return await self._scripts[name](keys=[], args=values)

    async def _do(self, step: Callable[[], Awaitable[Result]], seconds: float | None = None, *, again: bool = True) -> Result:
        """What `step` gives; made again when the connection is lost. `seconds` bounds one that takes longer than a write does."""
        if self._closed:
            raise JournalError(f"the journal {self._place} is closed")

        async def attempt() -> Result:
            await self._check_server()
            return await step()

        try:
            return await persistently(attempt, _is_lost if again else _is_final, self._lease_seconds, seconds)
        except (OSError, exceptions.RedisError) as error:
            cause = without_user(" ".join(f"{type(error).__name__}: {error}".split()))[:200].rstrip(": ")
            raise JournalError(f"the journal {self._place} cannot be used ({cause}): check DEEPSEARCH_STATE_URL") from error

    async def _check_server(self) -> None:
        """Once: that it keeps what it is given, and that this release knows its version.

        Raises `ConfigurationError` when it may throw runs away, `JournalError` when a later release has written it.
        """
        if self._checked:
            return
        server = await self._client.info()
        policy = str(server.get("maxmemory_policy", "noeviction"))
        if policy.startswith("allkeys"):
            message = f"the Redis server of DEEPSEARCH_STATE_URL deletes runs when it is full (maxmemory-policy {policy}): use noeviction"
            raise ConfigurationError(message, field="DEEPSEARCH_STATE_URL")
        if int(server.get("cluster_enabled", 0)):
            message = "DEEPSEARCH_STATE_URL names a Redis Cluster, and the journal needs one server, with or without replicas"
            raise ConfigurationError(message, field="DEEPSEARCH_STATE_URL")
        await self._client.set(_key("version"), VERSION, nx=True)
        version = int(await self._client.get(_key("version")) or VERSION)
        if version > VERSION:
            raise JournalError(f"the journal has version {version} and this release knows {VERSION}: use the release that wrote it")
        if version < VERSION:
            await self._client.set(_key("version"), VERSION)
        if not self._checked and not int(server.get("aof_enabled", 1)):
            logger.warning("the Redis server of DEEPSEARCH_STATE_URL has no append-only file (appendonly yes): runs are lost when it stops")
        self._checked = True


@cache
def _scripts() -> dict[str, str]:
    folder = Path(__file__).parent / "lua"
    shared = (folder / "shared.lua").read_text()
    return {file.stem: shared + file.read_text() for file in folder.glob("*.lua") if file.stem != "shared"}


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, _LOST) and not isinstance(error, _REFUSED)


def _is_final(error: BaseException) -> bool:
    return False


def _key(kind: str, run_id: str = "") -> str:
    return f"{_PREFIX}{kind}:{run_id}" if run_id else f"{_PREFIX}{kind}"


def _entry(stored: StoredEvent) -> bytes:
    """An event as it is kept in the list: its time, a newline, its JSON; its place in the list is its sequence."""
    return f"{stored.time!r}\n{stored.event.model_dump_json()}".encode()


def _event(sequence: int, entry: bytes) -> StoredEvent:
    time, _, event = entry.partition(b"\n")
    return StoredEvent(sequence, float(time), JOURNAL_EVENT.validate_json(event))


def _packed(text: str) -> bytes:
    """A page or a file, compressed: a Redis server keeps everything in memory."""
    return zstandard.compress(text.encode())


def _unpacked(stored: bytes) -> bytes:
    return zstandard.decompress(stored)


def _summary(line: Any) -> RunSummary:
    return RunSummary.model_validate_json(line[0]).model_copy(update={"state": line[1].decode()})
