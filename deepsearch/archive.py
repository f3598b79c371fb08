"""A run as one file, to be kept elsewhere or taken up by another journal.

The file is gzip of JSON lines: a header; then every run, those first that worked for the one that was exported: a line about it,
its events in order, its files and its pages by id; and a last line, so that a file that was cut short is known by it. Whoever
made the file, nothing is believed: sizes are bounded while it is read, pages must have the ids that their texts give, events
must be ones that the state machine asked for, and must lead to the very state whose digest is in the file.
"""

from __future__ import annotations

import gzip
import re
import tempfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from deepsearch.history import replayed
from executors.controller.attachments import attached
from executors.controller.checking import MOST_ATTACHMENTS, MOST_RESEARCHERS
from executors.controller.state import RunState, digest
from executors.controller.telling import summary_of
from providers.journal.base import Journal, StoredEvent
from providers.reader.pages import page_id
from schemas.errors import InvalidRequest, RunNotFound
from schemas.events import Delegated, JournalEvent, RunStarted, StageCalled
from schemas.reading import Attachment, Page

FORMAT_VERSION = 1

_MOST_LINE_BYTES = 64_000_000
_MOST_BYTES = 2_000_000_000
"""Of the whole file, unpacked; only one page of it is ever in memory."""
_MOST_EVENT_BYTES = 64_000_000
"""Of all events of a file: these are in memory together."""
_MOST_OBJECTS = 20_000
"""JSON objects in a line: three bytes of text can become half a kilobyte of memory."""
_MOST_ATTACHED_BYTES = 64_000_000
_MOST_EVENTS = 100_000
_MOST_PAGES = 100_000
_ID = r"^[A-Za-z0-9_-]{1,64}$"


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Header(_Line):
    kind: Literal["deepsearch run"] = "deepsearch run"
    version: int = Field(ge=1)
    release: str = Field("", max_length=100)
    run_id: str = Field(pattern=_ID)


class _Run(_Line):
    kind: Literal["run"] = "run"
    run_id: str = Field(pattern=_ID)
    state_digest: str = Field("", pattern=r"^([0-9a-f]{64})?$")


class _Event(_Line):
    kind: Literal["event"] = "event"
    sequence: int
    time: float = Field(allow_inf_nan=False, ge=0, le=1e11)
    event: JournalEvent


class _File(_Line):
    kind: Literal["file"] = "file"
    url: str
    attachment: Attachment


class _Page(_Line):
    kind: Literal["page"] = "page"
    page: Page


class _End(_Line):
    kind: Literal["end"] = "end"


_Entry = _Header | _Run | _Event | _File | _Page | _End
_ENTRY: TypeAdapter[_Entry] = TypeAdapter(Annotated[_Entry, Field(discriminator="kind")])


@dataclass
class _Part:
    """One run of a file, all but its pages."""

    run_id: str
    state_digest: str
    events: list[StoredEvent] = field(default_factory=list)
    files: dict[str, Attachment] = field(default_factory=dict)
    pages: int = 0


# -- writing -----------------------------------------------------------------------------------------------------------


async def export_run(journal: Journal, run_id: str, file: Path) -> None:
    """Write a run to `file`, which appears whole or not at all.

    Raises `RunNotFound`, and `InvalidRequest` for a run that works for another one or a file that cannot be written.
    """
    summary = await journal.summary(run_id)
    if summary.parent:
        raise InvalidRequest(f"run {run_id} works for run {summary.parent}: export that one", field="run")
    with _appearing(file) as packed:
        _write(packed, _Header(version=FORMAT_VERSION, release=version("deepsearch"), run_id=run_id))
        for member in [*(child.run_id for child in await journal.children(run_id)), run_id]:
            await _write_run(packed, journal, member)
        _write(packed, _End())


@contextmanager
def _appearing(file: Path) -> Iterator[gzip.GzipFile]:
    """What is written inside is in `file` afterwards, and nothing when it fails."""
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as raw:
            made = Path(raw.name)
            try:
                with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                    yield packed
                raw.flush()
                made.replace(file)
            except BaseException:
                made.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InvalidRequest(f"{file}: {error.strerror or error}", field="output") from error


async def _write_run(packed: gzip.GzipFile, journal: Journal, run_id: str) -> None:
    _write(packed, _Run(run_id=run_id, state_digest=await journal.state_digest(run_id)))
    for stored in await journal.events(run_id):
        _write(packed, _Event(sequence=stored.sequence, time=stored.time, event=stored.event))
    for url, attachment in (await journal.attachments(run_id)).items():
        _write(packed, _File(url=url, attachment=attachment))
    # After the events, so that every page that they name is there.
    async for page in journal.pages(run_id):
        _write(packed, _Page(page=page))


def _write(packed: gzip.GzipFile, entry: _Line) -> None:
    packed.write(entry.model_dump_json().encode() + b"\n")


# -- reading -----------------------------------------------------------------------------------------------------------


async def import_run(journal: Journal, file: Path, new_id: str = "") -> str:
    """Keep the run of `file`, under `new_id` when there is one; gives its id.

    Raises `InvalidRequest` naming what is wrong with the file, or that the id is taken. Then nothing of it is kept.
    """
    run_id, parts = _read(file)
    for part in parts:
        _check(part, run_id)
    names = {part.run_id: (new_id or run_id) + part.run_id.removeprefix(run_id) for part in parts}
    for name in names.values():
        if not re.fullmatch(_ID, name):
            raise InvalidRequest(f"{name!r} is no id for a run: it may hold letters, digits, - and _, at most 64", field="as")
        if await _is_taken(journal, name):
            raise InvalidRequest(f"there is a run {name!r} already: give the imported one another id with --as", field="as")
    restored: list[str] = []
    try:
        for part in parts:  # the run itself comes last: until then nobody sees it, or goes on with it
            await _restore(journal, file, part, names)
            restored.append(names[part.run_id])
    except BaseException:
        for name in restored:
            await journal.forget(name)
        raise
    return names[run_id]


async def _is_taken(journal: Journal, run_id: str) -> bool:
    try:
        await journal.summary(run_id)
    except RunNotFound:
        return False
    return True


async def _restore(journal: Journal, file: Path, part: _Part, names: dict[str, str]) -> None:
    events = [stored._replace(event=_renamed(stored.event, names)) for stored in part.events]
    state = _replayed(events)
    if state.outcome == "running":  # it goes on when somebody asks for that, and not by itself with whatever limits it has
        events[0] = events[0]._replace(event=events[0].event.model_copy(update={"background": False}))
        state = _replayed(events)
    reached = digest(state) if state.outcome != "running" else ""
    await journal.restore(summary_of(state, interrupted=True), reached, events, _Pages(file, part), part.files)


def _renamed(event: JournalEvent, names: dict[str, str]) -> JournalEvent:
    """The event with new names for runs, where it has any."""

    def new(run_id: str) -> str:
        return names.get(run_id, run_id)

    if isinstance(event, RunStarted):
        # A file says nothing of whose a run is that this journal would believe.
        request = event.request.model_copy(update={"run_id": new(event.request.run_id), "owner": ""})
        return event.model_copy(update={"request": request, "parent": new(event.parent)})
    if isinstance(event, StageCalled) and event.effect.kind == "delegate":
        return event.model_copy(update={"effect": event.effect.model_copy(update={"items": [new(item) for item in event.effect.items]})})
    if isinstance(event, Delegated):
        return event.model_copy(update={"answer": event.answer.model_copy(update={"run_id": new(event.answer.run_id)})})
    return event


class _Pages(Collection[Page]):
    """The pages of one run of a file, read again each time, one after the other."""

    def __init__(self, file: Path, part: _Part) -> None:
        self._file = file
        self._part = part

    def __len__(self) -> int:
        return self._part.pages

    def __contains__(self, page: object) -> bool:
        return any(page == one for one in self)

    def __iter__(self) -> Iterator[Page]:
        run_id = ""
        for entry in _entries(self._file):
            if isinstance(entry, _Run):
                run_id = entry.run_id
            if isinstance(entry, _Page) and run_id == self._part.run_id:
                _check_page(entry.page)
                yield entry.page


def _read(file: Path) -> tuple[str, list[_Part]]:
    """The id of the run in a file, and all its runs without their pages, which are checked and let go."""
    entries = _entries(file)
    header = next(entries, None)
    if not isinstance(header, _Header):
        raise _wrong(file, "it does not begin with a header")
    if header.version > FORMAT_VERSION:
        raise _wrong(file, f"it has format version {header.version} and this release knows {FORMAT_VERSION}: use release {header.release}")
    parts: list[_Part] = []
    ended = False
    events = files = 0
    last_page = ""
    for entry in entries:
        if ended or isinstance(entry, _Header):
            raise _wrong(file, "there is more in it after its end" if ended else "it has two headers")
        if isinstance(entry, _Run):
            parts.append(_Part(entry.run_id, entry.state_digest))
            if len(parts) > MOST_RESEARCHERS + 1:
                raise _wrong(file, f"it has more than {MOST_RESEARCHERS + 1} runs")
            files = 0
            last_page = ""
        elif isinstance(entry, _End):
            ended = True
        elif not parts:
            raise _wrong(file, f"a line of kind {entry.kind!r} comes before any run")
        elif isinstance(entry, _Event):
            events += len(entry.event.model_dump_json())
            if events > _MOST_EVENT_BYTES or len(parts[-1].events) >= _MOST_EVENTS:
                raise _wrong(file, "its events are larger than those of any run")
            parts[-1].events.append(StoredEvent(entry.sequence, entry.time, entry.event))
        elif isinstance(entry, _File):
            files += len(entry.attachment.content)
            if files > _MOST_ATTACHED_BYTES or len(parts[-1].files) >= MOST_ATTACHMENTS:
                raise _wrong(file, "what is attached to its question is larger than may be")
            if entry.url in parts[-1].files:
                raise _wrong(file, "it has the same file twice")
            parts[-1].files[entry.url] = entry.attachment
        else:
            if entry.page.page_id <= last_page:
                raise _wrong(file, "its pages are not in the order of their ids, each once")
            last_page = entry.page.page_id
            _check_page(entry.page)
            parts[-1].pages += 1
            if parts[-1].pages > _MOST_PAGES:
                raise _wrong(file, "it has a larger number of pages than any run")
    if not ended or not parts or parts[-1].run_id != header.run_id:
        raise _wrong(file, "it was cut short")
    return header.run_id, parts


def _entries(file: Path) -> Iterator[_Entry]:
    """The lines of a file, one after the other, as long as they are not too long."""
    total = number = 0
    try:
        with gzip.open(file, "rb") as unpacked:
            while line := unpacked.readline(_MOST_LINE_BYTES + 1):
                number += 1
                total += len(line)
                if len(line) > _MOST_LINE_BYTES or total > _MOST_BYTES:
                    raise _wrong(file, "it is larger, unpacked, than a run may be")
                if _objects(line) > _MOST_OBJECTS:
                    raise _wrong(file, f"line {number} holds more than any run could")
                yield _ENTRY.validate_json(line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _wrong(file, "it was cut short, or is none of `deepsearch export run`") from error
    except ValidationError as error:
        cause = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in cause["loc"][-3:])
        raise _wrong(file, f"line {number} is not as it should be ({where}: {cause['msg'][:200]})") from None
    except OSError as error:
        raise InvalidRequest(f"{file}: {error.strerror or error}", field="file") from error


def _objects(line: bytes) -> int:
    """Number of JSON objects in a line; braces inside of strings do not count."""
    return _STRING.sub(b"", line).count(b"{") if line.count(b"{") > _MOST_OBJECTS else 0


def _check(part: _Part, run_id: str) -> None:
    """Raise `InvalidRequest` when what is in a file is not a run as this program leaves it."""
    name = f"run {part.run_id}"
    if not part.events or not isinstance(part.events[0].event, RunStarted):
        raise InvalidRequest(f"{name} does not begin with its start", field="file")
    started = part.events[0].event
    is_child = part.run_id != run_id
    number = part.run_id.removeprefix(f"{run_id}-")
    if started.request.run_id != part.run_id or started.parent != (run_id if is_child else "") or (is_child and not number.isdecimal()):
        raise InvalidRequest(f"{name} is another run by its events", field="file")
    if [stored.sequence for stored in part.events] != list(range(1, len(part.events) + 1)):
        raise InvalidRequest(f"the events of {name} have gaps", field="file")
    if not part.files.keys() <= attached(started.request).keys():
        raise InvalidRequest(f"{name} has files that did not come with its question", field="file")
    state = _replayed(part.events)
    if state.request.run_id != part.run_id:
        raise InvalidRequest(f"{name} is another run by its events", field="file")
    if part.state_digest and digest(state) != part.state_digest:
        raise InvalidRequest(f"the events of {name} do not lead to the state that was kept: the file was changed", field="file")
    if state.outcome == "running" and part.state_digest:
        raise InvalidRequest(f"{name} has the digest of an end, and has not ended", field="file")


def _replayed(events: list[StoredEvent]) -> RunState:
    """The state that events lead to. Raises `InvalidRequest` when they are not those of a run."""
    try:
        state, misfit = replayed(events)
    except Exception as error:  # the state machine is made for events of its own, anything else may break it
        raise InvalidRequest(f"the events are not those of a run ({type(error).__name__})", field="file") from error
    if misfit:
        raise InvalidRequest(f"the events are not those of a run: {misfit}", field="file")
    return state


def _check_page(page: Page) -> None:
    try:
        right = page_id(page.url, page.text)
    except ValueError as error:
        raise InvalidRequest(f"a page has an address that is none: {page.url[:100]!r}", field="file") from error
    if page.page_id != right:
        raise InvalidRequest(f"page {page.page_id[:40]!r} has another text, or another address, than its id says", field="file")


def _wrong(file: Path, why: str) -> InvalidRequest:
    return InvalidRequest(f"{file} is no run that was exported: {why}", field="file")
