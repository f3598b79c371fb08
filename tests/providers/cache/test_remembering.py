"""What each mode makes of the cache: what is asked outside, what is remembered, what it costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.cache import Cache, Codec, Entry, Kind, Memory, Question, address
from providers.cache.entries import Kept, unpacked
from providers.cache.redis import RedisCache
from providers.cache.remembering import Mode
from providers.cache.sqlite import SQLiteCache
from schemas.errors import BudgetExceeded, CacheError, DeepSearchError, NotRecorded, SearchError
from schemas.usage import Usage

TEXT: Codec[str] = Codec(lambda text: text.encode(), lambda value: value.decode())
PAID = Usage(searches=1, provider_tokens=10, cost_usd=0.1)
FREE = Usage()


def spent(usage: Usage) -> dict[str, Any]:
    return usage.model_dump(exclude={"id"}, exclude_defaults=True)


def question(text: str = "q", kind: Any = "search") -> Question:
    return Question(kind, {"text": text}, text)


class Outside:
    """Gives the answers one after the other; an error is raised."""

    def __init__(self, *answers: str | DeepSearchError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> tuple[str, Usage]:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, DeepSearchError):
            raise answer
        return answer, PAID


@pytest.fixture(params=["sqlite", "redis"])
async def memory_of(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[..., Memory]]:
    made: list[Memory] = []
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""

    def make(mode: Mode, **options: Any) -> Memory:
        cache: Cache = (
            RedisCache(url, 1_000_000, read_only=mode == "replay")
            if url
            else SQLiteCache(tmp_path / "cache.db", 1_000_000, read_only=mode == "replay")
        )
        made.append(Memory(cache, mode, 60.0, **options))
        return made[-1]

    yield make
    for memory in made:
        await memory.close()


# -- modes -------------------------------------------------------------------------------------------------------------


async def test_off_remembers_nothing() -> None:
    memory, outside = Memory(None, "off", 60.0), Outside("a", "b")
    assert [(await memory.answer(question(), outside, TEXT))[0] for _ in range(2)] == ["a", "b"]
    await memory.close()


async def test_read_write_asks_once_and_the_rest_is_free(memory_of: Callable[..., Memory]) -> None:
    outside = Outside("a")
    first, cost = await memory_of("read-write").answer(question(), outside, TEXT)
    again, free = await memory_of("read-write").answer(question(), outside, TEXT)
    assert (first, again, outside.asked) == ("a", "a", 1)
    assert (spent(cost), spent(free)) == (spent(PAID), {})


async def test_read_write_keeps_no_failure(memory_of: Callable[..., Memory]) -> None:
    memory, outside = memory_of("read-write"), Outside(SearchError("down", usage=PAID), "a")
    with pytest.raises(SearchError, match="down") as raised:
        await memory.answer(question(), outside, TEXT)
    assert spent(raised.value.usage) == spent(PAID)
    assert (await memory.answer(question(), outside, TEXT))[0] == "a"


async def test_search_results_and_pages_age_and_nothing_else_does(memory_of: Callable[..., Memory]) -> None:
    now = [1e9]
    memory = memory_of("read-write", now=lambda: now[0])
    memory._store._now = lambda: now[0]  # type: ignore[attr-defined]
    for kind, later in {"search": "new", "page": "new", "embedding": "old", "rerank": "old", "llm": "old"}.items():
        outside = Outside("old", "new")
        now[0] = 1e9
        for seconds, expected in {0: "old", 60: "old", 61: later}.items():
            now[0] = 1e9 + seconds
            assert (await memory.answer(question(kind=kind), outside, TEXT))[0] == expected
        assert (await memory.answer(question(kind=kind), outside, TEXT))[0] == later


async def test_an_answer_that_is_not_worth_it_is_asked_for_again(memory_of: Callable[..., Memory]) -> None:
    memory, outside = memory_of("read-write"), Outside("bad", "bad", "good", "other")

    async def asked(worth: Callable[[str], bool]) -> str:
        return (await memory.answer(question(), outside, TEXT, worth=worth))[0]

    assert [await asked(lambda text: text == "good") for _ in range(4)] == ["bad", "bad", "good", "good"]
    assert await asked(lambda text: text == "other") == "other"
    assert await asked(lambda _: True) == "other"


async def test_a_recording_is_replayed_with_its_costs_and_errors_in_order(memory_of: Callable[..., Memory]) -> None:
    recording = memory_of("record")
    error = SearchError("down", field="url", usage=PAID)
    outside = Outside(error, "first", "second", "other question")
    with pytest.raises(SearchError):
        await recording.answer(question(), outside, TEXT)
    for _ in range(2):
        assert spent((await recording.answer(question(), outside, TEXT))[1]) == spent(PAID)
    await recording.answer(question("another"), outside, TEXT)
    assert outside.asked == 4

    replay, nobody = memory_of("replay"), Outside()
    for _ in range(2):  # after the last answer the first again
        with pytest.raises(SearchError) as raised:
            await replay.answer(question(), nobody, TEXT)
        assert (raised.value.message, raised.value.field, spent(raised.value.usage)) == ("down", "url", spent(PAID))
        answers = [await replay.answer(question(), nobody, TEXT) for _ in range(2)]
        assert [(text, spent(usage)) for text, usage in answers] == [("first", spent(PAID)), ("second", spent(PAID))]
    assert (await replay.answer(question("another"), nobody, TEXT))[0] == "other question"
    assert nobody.asked == 0


async def test_a_new_recording_takes_the_place_of_the_old(memory_of: Callable[..., Memory]) -> None:
    old = memory_of("record")
    for _ in range(3):
        await old.answer(question(), Outside("old"), TEXT)
    await memory_of("record").answer(question(), Outside("new"), TEXT)
    replay = memory_of("replay")
    assert [(await replay.answer(question(), Outside(), TEXT))[0] for _ in range(3)] == ["new"] * 3


async def test_a_call_that_was_given_up_leaves_no_gap(memory_of: Callable[..., Memory]) -> None:
    async def never() -> tuple[str, Usage]:
        await asyncio.Event().wait()
        raise AssertionError

    recording = memory_of("record")
    given_up = asyncio.create_task(recording.answer(question(), never, TEXT))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    await recording.answer(question(), Outside("a"), TEXT)
    assert (await memory_of("replay").answer(question(), Outside(), TEXT))[0] == "a"


async def test_what_was_not_recorded_is_told_in_one_line(memory_of: Callable[..., Memory]) -> None:
    await memory_of("record").answer(question(), Outside("a"), TEXT)
    with pytest.raises(NotRecorded) as raised:
        await memory_of("replay").answer(question(f"what\nis {'x' * 500}\ud800?"), Outside(), TEXT)
    assert (
        raised.value.message == f"no answer is recorded for search: what is {'x' * 111}…: record the run again with DEEPSEARCH_CACHE=record"
    )


async def test_read_write_and_recordings_share_answers(memory_of: Callable[..., Memory]) -> None:
    await memory_of("record").answer(question("recorded"), Outside("a"), TEXT)
    with pytest.raises(SearchError):
        await memory_of("record").answer(question("failed"), Outside(SearchError("down")), TEXT)
    memory = memory_of("read-write")
    text, usage = await memory.answer(question("recorded"), Outside(), TEXT)
    assert (text, spent(usage)) == ("a", {})
    assert (await memory.answer(question("failed"), Outside("up again"), TEXT))[0] == "up again"
    assert (await memory_of("replay").answer(question("failed"), Outside(), TEXT))[0] == "up again"


# -- several questions at once -----------------------------------------------------------------------------------------


def questions(texts: str) -> list[Question]:
    return [question(text, "embedding") for text in texts]


async def test_only_what_is_unknown_is_asked_for_and_nothing_twice(memory_of: Callable[..., Memory]) -> None:
    asked: list[str] = []

    def asking(texts: str) -> Callable[[Sequence[int]], Any]:
        async def ask(wanted: Sequence[int]) -> tuple[list[str], Usage]:
            asked.append("".join(texts[index] for index in wanted))
            return [texts[index].upper() for index in wanted], Usage(provider_tokens=len(wanted))

        return ask

    memory = memory_of("read-write")
    assert (await memory.answers(questions("aba"), asking("aba"), TEXT))[0] == ["A", "B", "A"]
    answers, usage = await memory.answers(questions("bcad"), asking("bcad"), TEXT)
    assert (answers, usage.provider_tokens) == (["B", "C", "A", "D"], 2)
    assert sorted(asked[0]) == ["a", "b"]
    assert asked[1:] == ["cd"]
    assert (await memory.answers(questions("abcd"), asking("abcd"), TEXT))[0] == ["A", "B", "C", "D"]
    assert len(asked) == 2


async def test_a_recorded_batch_fails_and_succeeds_as_one(memory_of: Callable[..., Memory]) -> None:
    async def fail(wanted: Sequence[int]) -> tuple[list[str], Usage]:
        raise SearchError("down", usage=PAID)

    async def succeed(wanted: Sequence[int]) -> tuple[list[str], Usage]:
        return [f"{index}" for index in wanted], PAID

    recording, replay = memory_of("record"), memory_of("replay")
    with pytest.raises(SearchError):
        await recording.answers(questions("abca"), fail, TEXT)
    await recording.answers(questions("abca"), succeed, TEXT)
    for _ in range(2):
        with pytest.raises(SearchError, match="down"):
            await replay.answers(questions("abca"), fail, TEXT)
        answers, usage = await replay.answers(questions("abca"), fail, TEXT)
        assert (answers, spent(usage)) == (["0", "1", "2", "3"], spent(PAID))


# -- single flight -----------------------------------------------------------------------------------------------------


class Gate:
    """Answers when it is opened."""

    def __init__(self, *answers: str | DeepSearchError) -> None:
        self.outside = Outside(*answers)
        self.open = asyncio.Event()

    async def __call__(self) -> tuple[str, Usage]:
        await self.open.wait()
        return await self.outside()


def all_looked(memory: Memory, callers: int) -> asyncio.Event:
    """Set when so many callers have looked into the cache, and wait for an answer."""
    event, get, left = asyncio.Event(), memory._store.get, [callers]

    async def counted(kind: Kind, keys: Sequence[str]) -> dict[str, Entry]:
        found = await get(kind, keys)
        left[0] -= 1
        if left[0] == 0:
            asyncio.get_running_loop().call_soon(event.set)
        return found

    memory._store.get = counted  # type: ignore[method-assign]
    return event


async def test_the_same_question_at_the_same_time_is_asked_once(memory_of: Callable[..., Memory]) -> None:
    memory, gate = memory_of("read-write"), Gate("a")
    looked = all_looked(memory, 5)
    waiting = [asyncio.create_task(memory.answer(question(), gate, TEXT)) for _ in range(5)]
    await looked.wait()
    gate.open.set()
    answers = await asyncio.gather(*waiting)
    assert [text for text, _ in answers] == ["a"] * 5
    assert sorted((spent(usage) for _, usage in answers), key=len) == [{}, {}, {}, {}, spent(PAID)]
    assert gate.outside.asked == 1
    assert memory._in_flight == {}


async def test_a_failure_is_not_shared(memory_of: Callable[..., Memory]) -> None:
    memory, gate = memory_of("read-write"), Gate(BudgetExceeded("too dear for the first"), "a")
    looked = all_looked(memory, 2)
    waiting = [asyncio.create_task(memory.answer(question(), gate, TEXT)) for _ in range(2)]
    await looked.wait()
    gate.open.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["BudgetExceeded", "tuple"]
    assert [end[0] for end in ended if isinstance(end, tuple)] == ["a"]


async def test_who_is_given_up_takes_nobody_along(memory_of: Callable[..., Memory]) -> None:
    memory, gate = memory_of("read-write"), Gate("a")
    looked = all_looked(memory, 3)
    waiting = [asyncio.create_task(memory.answer(question(), gate, TEXT)) for _ in range(3)]
    await looked.wait()
    waiting[0].cancel()
    waiting[1].cancel()
    gate.open.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ended[:2]] == [asyncio.CancelledError] * 2
    assert isinstance(ended[2], tuple)
    assert ended[2][0] == "a"


async def test_nobody_waits_longer_than_its_patience(memory_of: Callable[..., Memory]) -> None:
    memory, gate = memory_of("read-write"), Gate("late")
    looked = all_looked(memory, 1)
    first = asyncio.create_task(memory.answer(question(), gate, TEXT))
    await looked.wait()
    assert (await memory.answer(question(), Outside("mine"), TEXT, patience=0.01))[0] == "mine"
    gate.open.set()
    assert (await first)[0] == "late"


# -- faults ------------------------------------------------------------------------------------------------------------


async def test_a_broken_cache_costs_no_answer_in_read_write_mode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache.db").write_bytes(b"nothing of the kind" * 1_000)
    memory = Memory(SQLiteCache(tmp_path / "cache.db", 1_000_000), "read-write", 60.0)
    outside = Outside("a", "b")
    assert [(await memory.answer(question(), outside, TEXT))[0] for _ in range(2)] == ["a", "b"]
    [record] = caplog.records
    assert "cannot be used (file is not a database)" in record.message
    assert record.message.endswith("answers come from outside meanwhile")
    await memory.close()


@pytest.mark.parametrize("mode", ["record", "replay"])
async def test_a_broken_cache_is_an_error_in_the_other_modes(tmp_path: Path, mode: Mode) -> None:
    (tmp_path / "cache.db").write_bytes(b"nothing of the kind" * 1_000)
    memory = Memory(SQLiteCache(tmp_path / "cache.db", 1_000_000, read_only=mode == "replay"), mode, 60.0)
    with pytest.raises(CacheError, match="file is not a database"):
        await memory.answer(question(), Outside("a"), TEXT)


@pytest.mark.parametrize("value", [b"", b"no JSON\n", b"[]\n", b'{"usage": 3}\n', b"{}\n\xff"])
async def test_an_entry_that_cannot_be_read(memory_of: Callable[..., Memory], value: bytes) -> None:
    await memory_of("read-write")._store.put("search", {question().key(): value})
    with pytest.raises(CacheError, match="the recording cannot be read for search: q: record the run again"):
        await memory_of("replay").answer(question(), Outside(), TEXT)
    assert (await memory_of("read-write").answer(question(), Outside("a"), TEXT))[0] == "a"
    assert (await memory_of("replay").answer(question(), Outside(), TEXT))[0] == "a"


async def test_an_answer_that_has_no_bytes(memory_of: Callable[..., Memory]) -> None:
    assert (await memory_of("read-write").answer(question(), Outside("\ud800"), TEXT))[0] == "\ud800"
    with pytest.raises(CacheError, match="an answer cannot be recorded"):
        await memory_of("record").answer(question(), Outside("\ud800"), TEXT)


# -- keys and entries --------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text(), values, max_size=4))
def test_a_key_does_not_depend_on_the_order_of_fields(material: dict[str, Any]) -> None:
    assert Question("llm", material, "a").key() == Question("llm", reordered(material), "b").key()
    assert Question("llm", material, "a").key() != Question("page", material, "a").key()


@given(st.dictionaries(st.text(), values, max_size=3), st.dictionaries(st.text(), values, max_size=3))
def test_different_questions_have_different_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (Question("llm", one, "").key() == Question("llm", other, "").key()) == same


def test_an_address_holds_no_credentials() -> None:
    assert address("https://me:secret@host:8080/v1?x=1") == "https://host:8080/v1?x=1"
    assert address("http://[::1]:80/") == "http://[::1]:80/"


@given(st.binary(), st.integers(0, 1_000), st.booleans(), st.text(alphabet="0123456789abcdef", max_size=8))
def test_entries_are_what_they_were(value: bytes, tokens: int, estimated: bool, recording: str) -> None:
    kept = unpacked(Kept(value, Usage(prompt_tokens=tokens, estimated=estimated), recording=recording).packed())
    assert (kept.value, kept.error, kept.recording) == (value, None, recording)
    assert (kept.usage.prompt_tokens, kept.usage.estimated) == (tokens, estimated)
