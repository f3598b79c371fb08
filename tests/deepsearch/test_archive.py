"""A run as a file: what is imported is what was exported, from any storage to any other; what was tampered with is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from docarray import DocList
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "executors" / "controller"))
sys.path.insert(0, str(Path(__file__).parents[1] / "providers" / "journal"))

from journal_storage import NAMES, Storage
from scripted_runs import answer, collect, search, visit
from scripted_stages import ScriptedStages

from deepsearch import archive
from deepsearch.archive import export_run, import_run
from deepsearch.history import replayed
from executors.controller.research import Research
from executors.controller.state import digest
from executors.controller.telling import summary_of
from providers.journal import Journal, SQLiteJournal
from providers.reader.pages import page_id
from schemas import events as ev
from schemas.errors import InvalidRequest, RunNotFound
from schemas.planning import DecideRequest, Decision
from schemas.reading import Attachment, ReadRequest, ReadResponse
from schemas.research import Message, ResearchRequest
from schemas.settings import Settings

_URLS = ("https://a.example/x", "https://b.example/y", "https://c.example/z")


def read(request: ReadRequest) -> ReadResponse:
    """A page whose id is what its text and address give."""
    from scripted_stages import page

    made = page(request.url, f"On {request.url} it is 42. 網")
    right = page_id(made.page.url, made.page.text)
    made.page.page_id = right
    return made


def decide(request: DecideRequest) -> Decision:
    if "visit" in request.allowed_actions and request.urls:
        return visit(request.urls[0].url)
    if "answer" in request.allowed_actions and request.knowledge:
        return answer(f"{request.question} It is 42 [e1].")
    return search(request.question)


def stages() -> ScriptedStages:
    return ScriptedStages(decide=[decide] * 200, read=[read] * 200)


async def run(journal: Journal, run_id: str, *, stop_after: int = 0, background: bool = False, **request: Any) -> None:
    """A run over scripted stages; with `stop_after`, its client leaves after so many events."""
    research = Research(stages(), journal, Settings(_env_file=None))
    request.setdefault("question", "What is it?")
    async with aclosing(research.run(ResearchRequest(run_id=run_id, **request), background=background)) as events:
        count = 0
        async for _ in events:
            count += 1
            if count == stop_after:
                break


FILE = Attachment(name="a b.txt", media_type="text/plain", content="Zm9v" * 100)
KINDS: dict[str, dict[str, Any]] = {
    "answer": {},
    "team": {"team_size": 2},
    "waiting": {"mode": "report", "plan_first": True},
    "interrupted": {"stop_after": 8},
    "attached": {
        "question": "",
        "messages": DocList[Message]([Message(role="user", content="What is it?", attachments=DocList[Attachment]([FILE]))]),
    },
}


async def whole(journal: Journal, run_id: str) -> dict[str, Any]:
    """Everything that is kept of a run and of those that worked for it."""
    kept: dict[str, Any] = {}
    for member in [run_id, *(child.run_id for child in await journal.children(run_id))]:
        summary = await journal.summary(member)
        kept[member] = (
            summary.model_copy(update={"id": ""}),
            await journal.state_digest(member),
            await journal.events(member),
            [page async for page in journal.pages(member)],
            await journal.attachments(member),
        )
    return kept


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    opened = SQLiteJournal(tmp_path / "from.db")
    yield opened
    await opened.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[SQLiteJournal]:
    opened = SQLiteJournal(tmp_path / "to.db")
    yield opened
    await opened.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_imported_is_what_was_exported(journal: SQLiteJournal, other: SQLiteJournal, tmp_path: Path, kind: str) -> None:
    await run(journal, "r1", **KINDS[kind])
    before = await whole(journal, "r1")
    assert len(before) == (3 if kind == "team" else 1) and (before["r1"][3] or kind == "interrupted")
    await export_run(journal, "r1", tmp_path / "run")
    assert await import_run(other, tmp_path / "run") == "r1"
    after = await whole(other, "r1")
    assert after == before
    await export_run(other, "r1", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "run").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == "") == ["again", "run"]


@pytest.mark.parametrize("kind", KINDS)
async def test_under_another_id(journal: SQLiteJournal, tmp_path: Path, kind: str) -> None:
    """In the same journal too; the state is the same but for its names."""
    await run(journal, "r1", **KINDS[kind])
    await export_run(journal, "r1", tmp_path / "run")
    assert await import_run(journal, tmp_path / "run", "copy") == "copy"
    before, after = await whole(journal, "r1"), await whole(journal, "copy")
    assert list(after) == [name.replace("r1", "copy") for name in before]
    for name, (summary, kept, events, pages, files) in after.items():
        old = before[name.replace("copy", "r1")]
        assert summary == old[0].model_copy(update={"run_id": name, "parent": old[0].parent.replace("r1", "copy")})
        state, misfit = replayed(events)
        assert misfit == "" and state.request.run_id == name and kept == (digest(state) if state.outcome != "running" else "")
        assert (pages, files) == (old[3], old[4])
        assert '"r1' not in "".join(stored.event.model_dump_json() for stored in events)


async def test_an_interrupted_run_goes_on_where_it_was_imported(journal: SQLiteJournal, other: SQLiteJournal, tmp_path: Path) -> None:
    await run(journal, "whole")
    (expected,) = [(await whole(journal, "whole"))["whole"][0].steps]
    for stop_after in (3, 8, 12):
        name = f"r{stop_after}"
        await run(journal, name, stop_after=stop_after, background=True)
        await export_run(journal, name, tmp_path / name)
        await import_run(other, tmp_path / name)
        assert [run.run_id for run in await journal.unfinished(10)][-1] == name
        assert await other.unfinished(10) == [], "nothing that a file asks for is done by itself"
        ended = (await collect(Research(stages(), other, Settings(_env_file=None)).resume(name)))[-1]
        assert ended.data["outcome"] == "finished" and (await other.summary(name)).steps == expected


async def test_a_team_that_was_interrupted_goes_on_under_another_id(journal: SQLiteJournal, other: SQLiteJournal, tmp_path: Path) -> None:
    await run(journal, "r1", team_size=2, stop_after=9)
    await export_run(journal, "r1", tmp_path / "run")
    await import_run(other, tmp_path / "run", "copy")
    ended = (await collect(Research(stages(), other, Settings(_env_file=None)).resume("copy")))[-1]
    assert ended.data["outcome"] == "finished"
    assert [child.run_id for child in await other.children("copy")] == ["copy-1", "copy-2"]


async def test_an_imported_run_is_nobodys_whatever_its_file_says(journal: SQLiteJournal, other: SQLiteJournal, tmp_path: Path) -> None:
    await run(journal, "r1", owner="key of alice", team_size=2)
    assert [await journal.asked_by(run_id) for run_id in ("r1", "r1-1")] == ["key of alice"] * 2
    await export_run(journal, "r1", tmp_path / "run")
    assert b"alice" not in gzip.decompress((tmp_path / "run").read_bytes())
    await import_run(other, tmp_path / "run")
    assert [await other.asked_by(run_id) for run_id in ("r1", "r1-1")] == ["", ""]

    events = await journal.events("r1-1")
    told = events[0].event
    assert isinstance(told, ev.RunStarted)
    lie = told.model_copy(update={"request": told.request.model_copy(update={"run_id": "lie", "owner": "key of bob"}), "parent": ""})
    events[0] = events[0]._replace(event=lie)
    state, _ = replayed(events)
    await journal.restore(summary_of(state), digest(state), events, [one async for one in journal.pages("r1-1")], {})
    await export_run(journal, "lie", tmp_path / "lie")
    assert b"key of bob" in gzip.decompress((tmp_path / "lie").read_bytes())
    await import_run(other, tmp_path / "lie")
    (summary, kept, stored, _, _) = (await whole(other, "lie"))["lie"]
    assert await other.asked_by("lie") == "" and "bob" not in f"{summary} {stored}" and kept == digest(replayed(stored)[0])


@pytest.mark.parametrize("source", NAMES)
async def test_from_any_storage_to_any_other(source: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    urls = {name: str(tmp_path / f"{name}.db") if name == "sqlite" else request.getfixturevalue(f"{name}_url") for name in NAMES}
    origin = Storage(source, urls[source])
    journal = origin.open()
    await run(journal, "r1", team_size=2)
    await run(journal, "r2", **KINDS["attached"])
    before = {**await whole(journal, "r1"), **await whole(journal, "r2")}
    for run_id in ("r1", "r2"):
        await export_run(journal, run_id, tmp_path / run_id)
        await journal.forget(run_id)
    for name in NAMES:
        target = Storage(name, urls[name])
        there = target.open()
        for run_id in ("r1", "r2"):
            await import_run(there, tmp_path / run_id)
            await export_run(there, run_id, tmp_path / "again")
            assert (tmp_path / "again").read_bytes() == (tmp_path / run_id).read_bytes()
        assert {**await whole(there, "r1"), **await whole(there, "r2")} == before
        await target.close()
    await origin.close()


async def test_ids_that_are_taken_or_none(journal: SQLiteJournal, tmp_path: Path) -> None:
    await run(journal, "r1", team_size=2)
    await export_run(journal, "r1", tmp_path / "run")
    before = await whole(journal, "r1")
    with pytest.raises(InvalidRequest, match=r"there is a run 'r1-1' already: .* --as"):
        await import_run(journal, tmp_path / "run")
    assert await whole(journal, "r1") == before
    for wrong in ("a b", "../x", "x" * 63, "a\n", "網"):
        with pytest.raises(InvalidRequest, match="is no id for a run"):
            await import_run(journal, tmp_path / "run", wrong)
    await run(journal, "copy-2")
    with pytest.raises(InvalidRequest, match="there is a run 'copy-2' already"):
        await import_run(journal, tmp_path / "run", "copy")
    with pytest.raises(RunNotFound):
        await journal.summary("copy-1")
    with pytest.raises(InvalidRequest, match="works for run r1: export that one"):
        await export_run(journal, "r1-1", tmp_path / "child")
    with pytest.raises(RunNotFound):
        await export_run(journal, "nobody", tmp_path / "nobody")
    assert not (tmp_path / "child").exists() and not (tmp_path / "nobody").exists()
    assert not list(tmp_path.glob(".*"))


async def test_files_that_cannot_be_written_or_read(journal: SQLiteJournal, tmp_path: Path) -> None:
    await run(journal, "r1")
    for file in (tmp_path, tmp_path / "missing" / "run"):
        with pytest.raises(InvalidRequest, match=str(file)):
            await export_run(journal, "r1", file)
        with pytest.raises(InvalidRequest, match=str(file)):
            await import_run(journal, file)


# -- files that were made by hand --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("exported")

    async def make() -> None:
        journal = SQLiteJournal(folder / "from.db")
        await run(journal, "r1", team_size=2)
        await export_run(journal, "r1", folder / "run")
        await journal.close()

    asyncio.run(make())
    return (folder / "run").read_bytes()


def lines(exported: bytes) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(exported).splitlines()]


def packed(entries: list[Any]) -> bytes:
    return gzip.compress(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries), 1)


def refused(folder: Path, content: bytes) -> str:
    """The one line with which a file is refused; nothing of it is kept, and nothing is written anywhere."""
    (folder / "run").write_bytes(content)

    async def attempt() -> str:
        journal = SQLiteJournal(folder / "to.db")
        try:
            with pytest.raises(InvalidRequest) as told:
                await import_run(journal, folder / "run")
            assert await journal.runs(9) == []
            for name in ("r1", "r1-1", "r1-2"):
                with pytest.raises(RunNotFound):
                    await journal.summary(name)
        finally:
            await journal.close()
        assert {path.name.partition("-")[0] for path in folder.iterdir()} <= {"run", "to.db"}
        return str(told.value)

    message = asyncio.run(attempt())
    assert "\n" not in message and len(message) < 600
    return message


def first(entries: list[Any], kind: str, run_id: str = "r1-1") -> Any:
    begun = entries.index(next(entry for entry in entries if entry.get("kind") == "run" and entry["run_id"] == run_id))
    return next(entry for entry in entries[begun:] if entry["kind"] == kind)


def change(kind: str, **values: Any) -> Callable[[list[Any]], Any]:
    return lambda entries: first(entries, kind).update(values)


def change_page(**values: Any) -> Callable[[list[Any]], Any]:
    return lambda entries: first(entries, "page")["page"].update(values)


def swap_events(entries: list[Any]) -> None:
    numbers = [index for index, entry in enumerate(entries) if entry["kind"] == "event"]
    entries[numbers[2]], entries[numbers[3]] = entries[numbers[3]], entries[numbers[2]]


def drop_event(entries: list[Any]) -> None:
    del entries[[index for index, entry in enumerate(entries) if entry["kind"] == "event"][-1]]


def other_answer(entries: list[Any]) -> None:
    entry = next(one for one in reversed(entries) if one["kind"] == "event" and one["event"]["type"] == "finalized")
    entry["event"]["text"] = "It is 43 [^1]."


def hidden_file(entries: list[Any]) -> None:
    at = next(index for index, entry in enumerate(entries) if entry["kind"] == "page")
    entries.insert(at, {"kind": "file", "url": "../../etc/passwd", "attachment": {"name": "../../x", "content": "Zm9v"}})


def same_file(entries: list[Any]) -> None:
    hidden_file(entries)
    hidden_file(entries)


def other_run(entries: list[Any]) -> None:
    first(entries, "event")["event"]["request"]["run_id"] = "another"


def repeat_page(entries: list[Any]) -> None:
    at = next(index for index, entry in enumerate(entries) if entry["kind"] == "page")
    entries.insert(at, entries[at])


def too_many(entries: list[Any]) -> None:
    entries[1:1] = [{"kind": "run", "run_id": f"r1-{number}"} for number in range(20)]


BAD: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "newer": (
        lambda entries: entries[0].update(version=2, release="9.9"),
        "has format version 2 and this release knows 1: use release 9.9",
    ),
    "no header": (lambda entries: entries.pop(0), "does not begin with a header"),
    "two headers": (lambda entries: entries.insert(1, entries[0]), "two headers"),
    "no end": (lambda entries: entries.pop(), "cut short"),
    "more after the end": (lambda entries: entries.append(entries[-1]), "more in it after its end"),
    "another name": (lambda entries: entries[0].update(run_id="../../x"), "line 1 is not as it should be"),
    "a wrong digest": (change("run", state_digest="0" * 64), "do not lead to the state that was kept"),
    "a gap": (change("event", sequence=2), "have gaps"),
    "events out of order": (swap_events, "have gaps"),
    "an event less": (drop_event, "the events of run r1|digest of an end"),
    "another answer": (other_answer, "do not lead to the state that was kept"),
    "not a number": (change("event", time=float("nan")), "is not as it should be"),
    "no such event": (change("event", event={"type": "exec"}), "is not as it should be"),
    "another text": (change_page(text="It is 43."), "has another text, or another address, than its id says"),
    "another address": (change_page(url="https://evil.example/"), "has another text, or another address"),
    "no address": (change_page(url="javascript:alert(1)"), "has an address that is none|another address"),
    "a page twice": (repeat_page, "not in the order of their ids"),
    "a file twice": (same_file, "files that did not come|the same file twice"),
    "a file of nobody": (hidden_file, "files that did not come with its question"),
    "events of another run": (other_run, "is another run by its events"),
    "too many runs": (too_many, "more than 9 runs"),
    "nothing": (lambda entries: entries.clear(), "does not begin with a header"),
    "a child of nobody": (lambda entries: entries[0].update(run_id="r1-2"), "cut short|another run"),
    "deep": (lambda entries: entries[0].update(release=json.loads("[" * 900 + "]" * 900)), "line 1 is not as it should be"),
    "a crowd": (lambda entries: entries[2]["event"].update(images=[{"url": "{"}] * 20_001), "line 3 holds more than any run could"),
    "a lone surrogate": (lambda entries: entries[0].update(release="\ud800"), "line 1 is not as it should be"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_was_changed_is_refused(exported: bytes, tmp_path: Path, bad: str) -> None:
    entries = lines(exported)
    tamper, message = BAD[bad]
    tamper(entries)
    told = refused(tmp_path, packed(entries))
    assert any(part in told for part in message.split("|")), told


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b""), gzip.compress(b"no json\n"), gzip.compress(b"\n" * 50), b"\x1f\x8b"]
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "is no run that was exported" in refused(tmp_path, content)


def bomb(begin: bytes, filler: bytes, count: int) -> Iterator[bytes]:
    yield begin
    for _ in range(count):
        yield filler


@pytest.mark.parametrize("kind", ["one line", "many lines", "many events"])
def test_a_file_that_unpacks_to_more_than_any_run_is_given_up_early(
    exported: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(archive, "_MOST_LINE_BYTES", 1_000_000)
    monkeypatch.setattr(archive, "_MOST_BYTES", 20_000_000)
    monkeypatch.setattr(archive, "_MOST_EVENT_BYTES", 1_000_000)
    entries = lines(exported)
    head = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries[:3])
    if kind == "one line":
        content = b"".join(bomb(head + b'{"kind":"', b"x" * 1_000_000, 100))
    elif kind == "many lines":
        content = b"".join(bomb(head, json.dumps({"kind": "page", "page": {}}).encode() + b"\n", 500_000))
    else:
        content = b"".join(bomb(head, json.dumps(entries[2]).encode() + b"\n", 5_000))
    bomb_file = gzip.compress(content, 9)
    assert len(bomb_file) < len(content) / 50
    del content
    tracemalloc.start()
    told = refused(tmp_path, bomb_file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ("larger" in told or kind == "many lines") and peak < 40_000_000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), what=st.sampled_from(["bytes", "cut", "value", "line"]))
def test_whatever_was_changed_it_is_the_same_run_or_refused(
    exported: bytes, tmp_path_factory: pytest.TempPathFactory, seed: int, what: str
) -> None:
    choice = random.Random(seed)
    folder = tmp_path_factory.mktemp("mutated")
    if what == "bytes":
        content = bytearray(exported)
        for _ in range(choice.randint(1, 4)):
            content[choice.randrange(len(content))] = choice.randrange(256)
        mutated = bytes(content)
    elif what == "cut":
        mutated = exported[: choice.randrange(len(exported))]
    else:
        entries = lines(exported)
        if what == "line":
            at = choice.randrange(len(entries))
            entries[at : at + 1] = choice.choice([[], [entries[at]] * 2, [choice.choice(entries)]])
        else:
            mutate(choice, entries[choice.randrange(len(entries))])
        mutated = packed(entries)
    (folder / "run").write_bytes(mutated)

    async def attempt() -> None:
        journal = SQLiteJournal(folder / "to.db")
        try:
            try:
                await import_run(journal, folder / "run")
            except InvalidRequest:
                assert await journal.runs(9) == []
                return
            for member in ("r1", "r1-1", "r1-2"):
                state, misfit = replayed(await journal.events(member))
                assert misfit == "" and state.outcome == "finished" and digest(state) == await journal.state_digest(member)
                async for page in journal.pages(member):
                    assert page.page_id == page_id(page.url, page.text)
        finally:
            await journal.close()

    asyncio.run(attempt())


def mutate(choice: random.Random, value: Any) -> None:
    """Change one thing, somewhere within a JSON value."""
    while isinstance(value, (dict, list)) and value:
        key = choice.choice(list(value)) if isinstance(value, dict) else choice.randrange(len(value))
        if not isinstance(value[key], (dict, list)) or not value[key] or choice.random() < 0.1:
            value[key] = choice.choice([None, "", "x" * 99, -1, 1e300, 2**70, [], {}, True, "\x00", {"type": "x"}])
            return
        value = value[key]
