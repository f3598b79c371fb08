"""What every journal does, whatever it keeps its runs in: each sentence of its contract, on a real storage."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from journal_storage import Storage, attachment, line, page, resumed, started

from schemas.errors import InvalidRequest, JournalError, RunLost, RunNotFound, RunUnderWay
from schemas.research import RunSummary

_WAIT_SECONDS = 30.0


async def until(journal: Any, run_id: str, state: str) -> None:
    """Wait until a run has that state."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while (await journal.summary(run_id)).state != state:
            await asyncio.sleep(0.02)


async def whole(journal: Any, run_id: str) -> list[Any]:
    """All that a journal knows of a run."""
    return [
        await journal.summary(run_id),
        await journal.state_digest(run_id),
        await journal.events(run_id),
        [one async for one in journal.pages(run_id)],
        await journal.attachments(run_id),
        await journal.children(run_id),
    ]


# -- one run -----------------------------------------------------------------------------------------------------------


async def test_what_was_written_is_read_by_a_later_process(storage: Storage) -> None:
    journal = storage.open()
    files = {"attachment:1/a.pdf": attachment(), "attachment:2/%E7%B6%B2": attachment("YmFy" * 50_000)}
    await journal.create(line(question="q"), started(), files)
    await journal.append("a", resumed(2), line(steps=1))
    await journal.append("a", resumed(3))
    await journal.save_page("a", page())
    await journal.save_page("a", page(text="another text"))
    assert (await journal.summary("a")).steps == 1
    await journal.update(line(state="finished", steps=3), "digest")
    await storage.close()

    again = storage.open()
    stored = await again.events("a")
    assert stored == [started(), resumed(2), resumed(3)]
    assert await again.events("a", 1) == [resumed(2), resumed(3)] and await again.events("a", 3) == [] == await again.events("a", 9)
    assert await again.page("a", "p") == page() == (await whole(again, "a"))[3][0]
    assert await again.attachments("a") == files
    assert await again.attachment("a", "attachment:1/a.pdf") == attachment()
    kept = await again.summary("a")
    assert (kept.steps, kept.state, kept.question) == (3, "finished", "ü 網 \x00") and await again.state_digest("a") == "digest"


async def test_an_id_is_taken_once_and_nothing_of_the_second_is_kept(storage: Storage) -> None:
    first, second = storage.open(), storage.open()
    await first.create(line(question="first"), started(), {})
    for other in (first, second):
        with pytest.raises(InvalidRequest, match="'a' is taken") as refused:
            await other.create(line(question="second"), started(question="second"), {"attachment:1/x": attachment()})
        assert refused.value.field == "run_id"
        with pytest.raises(InvalidRequest, match="'a' is taken"):
            await other.restore(line(question="third"), "d", [started()], [page()], {"attachment:1/x": attachment()})
    assert (await first.summary("a")).question == "first" and await first.events("a") == [started()]
    assert await first.attachments("a") == {} and [one async for one in first.pages("a")] == []


async def test_of_many_who_create_a_run_at_once_one_does(storage: Storage) -> None:
    journals = [storage.open() for _ in range(8)]

    async def create(number: int) -> int:
        await journals[number].create(line(question=str(number)), started(question=str(number)), {f"attachment:{number}/x": attachment()})
        return number

    made = await asyncio.gather(*map(create, range(8)), return_exceptions=True)
    (winner,) = (number for number in made if isinstance(number, int))
    assert sum(isinstance(error, InvalidRequest) for error in made) == 7
    assert (await journals[0].summary("a")).question == str(winner)
    assert list(await journals[0].attachments("a")) == [f"attachment:{winner}/x"]


async def test_sequences_have_no_gap_and_no_repeat(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line(), started(), {})
    for wrong in (0, 1, 3, 9):
        with pytest.raises(JournalError, match=f"has 1 events: .* number {wrong}"):
            await journal.append("a", resumed(wrong), line(steps=9))
    assert await journal.events("a") == [started()] and (await journal.summary("a")).steps == 0
    await journal.append("a", resumed(2))
    assert [stored.sequence for stored in await journal.events("a")] == [1, 2]


async def test_what_is_not_there(storage: Storage) -> None:
    journal = storage.open()
    for run_id in ("x", "", "x\x00y", "網", "x' OR '1'='1", "x:*"):
        reading = (journal.events, journal.summary, journal.state_digest, journal.asked_by)
        for asked in (*reading, journal.claim, journal.ask_to_cancel, journal.forget):
            with pytest.raises(RunNotFound) as missing:
                await asked(run_id)
            assert missing.value.field == "run_id"
        with pytest.raises(RunNotFound, match="page 'p'"):
            await journal.page(run_id, "p")
        with pytest.raises(RunNotFound, match="attachment 'u'"):
            await journal.attachment(run_id, "u")
        assert await journal.attachments(run_id) == {} and await journal.children(run_id) == []
        assert [one async for one in journal.pages(run_id)] == []
    await journal.create(line(), started(), {})
    with pytest.raises(RunNotFound):
        await journal.page("a", "p\x00")
    with pytest.raises(RunNotFound):
        await journal.attachment("a", "p\x00")
    assert await journal.runs(10) == [await journal.summary("a")] and await journal.unfinished(10) == []


async def test_a_page_of_a_run_that_is_gone_is_not_kept(storage: Storage) -> None:
    journal = storage.open()
    await journal.check()
    before = await storage_size(storage)
    await journal.save_page("a", page(text="x" * 10_000))
    assert await storage_size(storage) == before


async def storage_size(storage: Storage) -> int:
    if storage.name != "sqlite":
        await storage.open().runs(1)  # what a journal writes when it is first used is no run
    return await storage.size()


async def test_every_page_by_its_id(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line(), started(), {})
    await journal.create(line("b"), started(), {})
    for page_id in ("b", "a1", "B", "a", "0", "é"):
        await journal.save_page("a", page(page_id, text=page_id * 1_000))
    await journal.save_page("b", page("other"))
    assert [one.page_id async for one in journal.pages("a")] == ["0", "B", "a", "a1", "b", "é"]
    assert [one.text async for one in journal.pages("b")] == ["text"]
    seen = []
    async for one in journal.pages("a"):  # others write meanwhile
        seen.append(one.page_id)
        await journal.save_page("b", page(one.page_id))
    assert len(seen) == 6


# -- owners ------------------------------------------------------------------------------------------------------------


async def test_a_run_that_is_under_way_has_one_owner(storage: Storage) -> None:
    owner, other = storage.open(), storage.open()
    await owner.create(line(), started(), {})
    for who in (owner, other):
        assert (await who.summary("a")).state == "running"
        with pytest.raises(RunUnderWay, match="run a is under way") as refused:
            await who.claim("a")
        assert refused.value.field == "run_id"
    with pytest.raises(RunLost, match="another process"):
        await other.append("a", resumed(2))
    await other.update(line(state="failed", steps=7), "not mine")
    assert (await other.summary("a")).state == "running" and await other.state_digest("a") == ""
    await owner.append("a", resumed(2))


@pytest.mark.parametrize("state", ["interrupted", "waiting", "finished", "failed", "cancelled"])
async def test_an_owner_that_gives_its_run_up_can_be_followed_by_another(storage: Storage, state: str) -> None:
    owner, other = storage.open(), storage.open()
    await owner.create(line(), started(), {})
    await owner.update(line(state=state), "")
    assert (await owner.summary("a")).state == state
    assert await other.claim("a") is False
    assert (await owner.summary("a")).state == "running"
    with pytest.raises(RunLost):
        await owner.append("a", resumed(2), line(steps=5))
    await owner.update(line(state="failed", steps=5), "wrong")
    await other.append("a", resumed(2))
    assert (await other.summary("a")).state == "running" and (await other.summary("a")).steps == 0
    assert await other.events("a") == [started(), resumed(2)] and await other.state_digest("a") == ""


async def test_a_line_that_comes_with_an_event_can_give_the_run_up_too(storage: Storage) -> None:
    owner, other = storage.open(), storage.open()
    await owner.create(line(), started(), {})
    await owner.append("a", resumed(2), line(state="waiting"))
    assert (await other.summary("a")).state == "waiting"
    await other.claim("a")


async def test_of_many_who_claim_a_run_at_once_one_does(storage: Storage) -> None:
    journals = [storage.open() for _ in range(10)]
    for number in range(5):
        run_id = f"r{number}"
        await journals[0].create(line(run_id), started(), {})
        await journals[0].update(line(run_id, state="interrupted"))
        claims = await asyncio.gather(*(one.claim(run_id) for one in journals for _ in range(2)), return_exceptions=True)
        assert [claim for claim in claims if claim is False] == [False]
        assert all(claim is False or isinstance(claim, RunUnderWay) for claim in claims)
        appended = await asyncio.gather(*(one.append(run_id, resumed(2)) for one in journals), return_exceptions=True)
        assert [one for one in appended if one is None] == [None]
        assert all(one is None or isinstance(one, RunLost) for one in appended)
        assert await journals[0].events(run_id) == [started(), resumed(2)]


async def test_a_lease_that_is_not_renewed_runs_out(storage: Storage) -> None:
    owner, other = storage.open(lease_seconds=0.3), storage.open()
    await owner.create(line(), started(), {})
    await until(other, "a", "interrupted")
    assert await other.claim("a") is True, "it was never given up"
    assert await owner.renew(["a"]) == (frozenset("a"), frozenset())
    with pytest.raises(RunLost):
        await owner.append("a", resumed(2))
    assert await other.renew(["a"]) == (frozenset(), frozenset())


async def test_a_lease_that_is_renewed_lasts(storage: Storage) -> None:
    owner, other = storage.open(lease_seconds=2.0), storage.open()
    await owner.create(line(), started(), {})
    owner._lease_seconds = 60.0
    assert await owner.renew(["a"]) == (frozenset(), frozenset())
    begun = time.monotonic()
    while time.monotonic() < begun + 2.2:
        assert (await other.summary("a")).state == "running"
        await asyncio.sleep(0.2)
    with pytest.raises(RunUnderWay):
        await other.claim("a")


async def test_an_owner_that_was_late_keeps_a_run_that_nobody_has_claimed(storage: Storage) -> None:
    owner, other = storage.open(lease_seconds=0.2), storage.open()
    await owner.create(line(), started(), {})
    await until(other, "a", "interrupted")
    owner._lease_seconds = 60.0
    assert await owner.renew(["a"]) == (frozenset(), frozenset())
    assert (await other.summary("a")).state == "running"
    await owner.append("a", resumed(2))


async def test_leases_are_measured_by_the_clock_of_the_storage(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    if storage.name == "sqlite":
        pytest.skip("its clock is the machine's")
    owner, other = storage.open(), storage.open()
    real = time.time
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: real() + 100_000)
        await owner.create(line(), started(), {})
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: real() - 100_000)
        await owner.renew(["a"])
        assert (await other.summary("a")).state == "running"
        with pytest.raises(RunUnderWay):
            await other.claim("a")
        await owner.update(line(state="finished"))
        assert await other.forget_before(real() - 1_000) == 0  # it was written now, whatever the writer's clock said


async def test_renewing_tells_what_is_lost_and_what_is_to_be_cancelled(storage: Storage) -> None:
    owner, other = storage.open(), storage.open()
    for run_id in ("kept", "lost", "gone", "cancelled", "both", "ended"):
        await owner.create(line(run_id), started(), {})
    for run_id in ("lost", "gone", "both"):
        await owner.update(line(run_id, state="interrupted"))
    await other.claim("lost")
    await other.claim("both")
    await other.forget("gone")
    await other.ask_to_cancel("cancelled")
    await other.ask_to_cancel("both")
    await owner.update(line("ended", state="finished"))
    asked = {"kept", "lost", "gone", "cancelled", "both", "ended", "never"}
    assert await owner.renew(asked) == (frozenset({"lost", "gone", "both", "never"}), frozenset({"cancelled"}))
    assert await owner.renew(asked) == (frozenset({"lost", "gone", "both", "never"}), frozenset({"cancelled"}))
    assert await other.renew(["both"]) == (frozenset(), frozenset({"both"}))
    assert await owner.renew([]) == (frozenset(), frozenset())


async def test_a_cancellation_that_was_asked_for_is_not_for_the_next_owner(storage: Storage) -> None:
    owner, other = storage.open(), storage.open()
    await owner.create(line(), started(), {})
    await other.ask_to_cancel("a")
    await owner.update(line(state="waiting"))
    await other.claim("a")
    assert await other.renew(["a"]) == (frozenset(), frozenset())


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_the_newest_runs_without_those_that_work_for_another(storage: Storage) -> None:
    journal = storage.open()
    for number in (3, 1, 4, 0, 2):
        await journal.create(line(str(number), started_at=1_000.0 + number), started(), {})
    await journal.create(line("4-1", started_at=2_000.0, parent="4"), started(), {})
    assert [run.run_id for run in await journal.runs(3)] == ["4", "3", "2"]
    assert [run.run_id for run in await journal.runs(100)] == ["4", "3", "2", "1", "0"]
    await journal.update(line("2", started_at=1_002.0, state="finished"))
    assert [run.state for run in await journal.runs(3)] == ["running", "running", "finished"]


async def test_the_newest_runs_of_some_keys(storage: Storage) -> None:
    journal = storage.open()
    owners = ("", "key a", "key b", "key a", "", "key 網")
    for number, asked_by in enumerate(owners):
        await journal.create(line(str(number), started_at=1_000.0 + number), started(), {}, asked_by)
    await journal.create(line("5-1", started_at=2_000.0, parent="5"), started(), {}, "key a")

    async def listed(limit: int, *asked_by: str) -> str:
        return "".join(run.run_id for run in await storage.open().runs(limit, frozenset(asked_by)))

    assert [run.run_id for run in await journal.runs(9)] == list("543210") and len(await journal.runs(4)) == 4
    assert await listed(9, "") == "40" and await listed(9, "key a") == "31"
    assert await listed(9, "", "key a") == "4310" and await listed(3, "", "key a") == "431" and await listed(1, "", "key b") == "4"
    assert await listed(9, "key c") == "" == await listed(9, "key") == await listed(9, "%") and await listed(9) == ""
    assert await listed(9, "", "key 網", "key b") == "5420"
    await journal.append("3", resumed(2), line("3", started_at=1_003.0, steps=1))
    await journal.update(line("3", started_at=1_003.0, state="interrupted"))
    await storage.open().claim("3")
    assert await listed(9, "", "key a") == "4310"
    await journal.update(line("1", started_at=1_001.0, state="finished"))
    await journal.forget("1")
    assert await listed(9, "", "key a") == "430" and [run.run_id for run in await journal.runs(9)] == list("54320")


async def test_whose_a_run_is(storage: Storage) -> None:
    journal, other = storage.open(), storage.open()
    await journal.create(line(), started(), {}, "key a")
    await journal.create(line("a-1", parent="a"), started(), {}, "key a")
    await journal.create(line("free"), started(), {})
    await journal.restore(line("restored", state="finished"), "d", [started()], [], {})
    assert [await other.asked_by(run_id) for run_id in ("a", "a-1", "free", "restored")] == ["key a", "key a", "", ""]
    with pytest.raises(InvalidRequest, match="'a' is taken"):
        await other.create(line(), started(), {}, "key b")
    await journal.append("a", resumed(2), line(steps=1))
    for run_id in ("a", "a-1"):
        await journal.update(line(run_id, parent="a" if run_id != "a" else "", state="finished"), "digest")
    assert await other.asked_by("a") == "key a"
    told = [await other.summary("a"), *await other.events("a"), *await other.children("a"), *await other.runs(9)]
    assert "key a" not in str(told)
    await other.forget("a")
    for run_id in ("a", "a-1"):
        with pytest.raises(RunNotFound):
            await other.asked_by(run_id)
    await other.create(line(), started(), {}, "key b")
    assert await journal.asked_by("a") == "key b"


async def test_interrupted_jobs_oldest_first(storage: Storage) -> None:
    journal = storage.open()
    jobs = {"b3": 3.0, "b1": 1.0, "b2": 2.0, "b0": 0.5}
    for run_id, at in jobs.items():
        await journal.create(line(run_id, started_at=at, background=True), started(), {})
        await journal.update(line(run_id, started_at=at, background=True, state="interrupted"))
    for state in ("running", "waiting", "finished", "failed", "cancelled"):
        await journal.create(line(state, background=True), started(), {})
        await journal.update(line(state, background=True, state=state))
    await journal.create(line("attended"), started(), {})
    await journal.update(line("attended", state="interrupted"))
    await journal.create(line("b1-1", background=True, parent="b1"), started(), {})
    await journal.update(line("b1-1", background=True, parent="b1", state="interrupted"))
    assert [run.run_id for run in await journal.unfinished(10)] == ["b0", "b1", "b2", "b3"]
    assert [run.run_id for run in await journal.unfinished(2)] == ["b0", "b1"]
    await journal.claim("b0")
    assert [run.run_id for run in await journal.unfinished(2)] == ["b1", "b2"]
    await journal.update(line("b0", background=True, state="finished"))
    assert [run.run_id for run in await journal.unfinished(10)] == ["b1", "b2", "b3"]


async def test_a_job_whose_lease_is_over_is_interrupted(storage: Storage) -> None:
    owner, other = storage.open(lease_seconds=0.2), storage.open()
    await owner.create(line(background=True), started(), {})
    async with asyncio.timeout(_WAIT_SECONDS):
        while not (found := await other.unfinished(5)):
            await asyncio.sleep(0.02)
    assert [(run.run_id, run.state) for run in found] == [("a", "interrupted")]
    assert [run.state for run in await other.runs(5)] == ["interrupted"]


async def test_children_in_the_order_of_their_numbers(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line(), started(), {})
    for number in (10, 2, 1):
        await journal.create(line(f"a-{number}", parent="a"), started(), {})
    await journal.create(line("b-1", parent="b"), started(), {})
    assert [(run.run_id, run.parent) for run in await journal.children("a")] == [("a-1", "a"), ("a-2", "a"), ("a-10", "a")]
    assert await journal.children("a-1") == []


# -- moving and deleting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["running", "interrupted", "waiting", "finished", "failed", "cancelled"])
async def test_a_run_that_came_from_elsewhere(storage: Storage, state: str) -> None:
    journal, other = storage.open(), storage.open()
    files = {"attachment:1/x": attachment()}
    pages = [page("b"), page("a", "x" * 100_000)]
    digest = "" if state in ("running", "interrupted", "waiting") else "d"
    await journal.restore(line(state=state, background=True), digest, [started(), resumed(2)], pages, files)
    kept = "interrupted" if state == "running" else state
    assert (await other.summary("a")).state == kept and await other.state_digest("a") == digest
    assert await other.events("a") == [started(), resumed(2)] and await other.attachments("a") == files
    assert [one async for one in other.pages("a")] == [pages[1], pages[0]]
    assert [run.run_id for run in await other.unfinished(5)] == (["a"] if kept == "interrupted" else [])
    assert await other.claim("a") is False
    await other.append("a", resumed(3))
    with pytest.raises(RunLost):
        await journal.append("a", resumed(4))


async def test_a_restored_run_is_kept_whole_or_not_at_all(storage: Storage) -> None:
    journal = storage.open()

    class Broken(list[Any]):
        """Fails when its second page is asked for, as a file does that cannot be read on."""

        def __iter__(self) -> Any:
            yield page("a")
            raise RuntimeError("cut short")

    with pytest.raises(RuntimeError, match="cut short"):
        await journal.restore(line(), "", [started()], Broken([1]), {"attachment:1/x": attachment()})
    with pytest.raises(RunNotFound):
        await journal.summary("a")
    assert await journal.runs(5) == [] and await journal.attachments("a") == {} and [one async for one in journal.pages("a")] == []
    await journal.restore(line(), "", [started()], [page("b")], {})
    assert [one.page_id async for one in journal.pages("a")] == ["b"] and await journal.attachments("a") == {}


async def test_a_run_that_is_forgotten_leaves_nothing(storage: Storage) -> None:
    journal, other = storage.open(), storage.open()
    await journal.create(line("other"), started(), {})
    await journal.save_page("other", page())
    await journal.update(line("other", state="finished"))
    before, rest = await storage_size(storage), await whole(other, "other")
    for run_id, parent in (("a", ""), ("a-1", "a"), ("a-2", "a")):
        await journal.create(line(run_id, parent=parent, background=True), started(), {"attachment:1/x": attachment("Zm9v" * 10_000)})
        await journal.append(run_id, resumed(2))
        await journal.save_page(run_id, page(text="secret " * 10_000))
        with pytest.raises(RunUnderWay, match=f"run {run_id} is under way: cancel it"):
            await other.forget("a")
        await journal.update(line(run_id, parent=parent, background=True, state="interrupted"))
    assert await storage_size(storage) > before
    await other.forget("a")
    assert await storage_size(storage) == before and await whole(other, "other") == rest
    for run_id in ("a", "a-1", "a-2"):
        with pytest.raises(RunNotFound):
            await journal.events(run_id)
        with pytest.raises(RunNotFound):
            await journal.page(run_id, "p")
    assert await journal.unfinished(5) == [] and [run.run_id for run in await journal.runs(5)] == ["other"]
    with pytest.raises(RunLost):
        await journal.append("a", resumed(3))
    await journal.save_page("a", page())
    await journal.update(line())
    assert await storage_size(storage) == before
    with pytest.raises(RunNotFound):
        await other.forget("a")
    await other.create(line("a"), started(), {})
    assert await other.events("a") == [started()]


async def test_a_child_can_be_forgotten_alone(storage: Storage) -> None:
    journal = storage.open()
    for run_id, parent in (("a", ""), ("a-1", "a"), ("a-2", "a")):
        await journal.create(line(run_id, parent=parent), started(), {})
        await journal.update(line(run_id, parent=parent, state="finished"))
    await journal.forget("a-1")
    assert [run.run_id for run in await journal.children("a")] == ["a-2"]
    assert [run.run_id for run in await journal.runs(5)] == ["a"]


async def test_old_runs_are_forgotten_with_those_that_worked_for_them(storage: Storage) -> None:
    journal, other = storage.open(), storage.open()
    states = {"f": "finished", "x": "failed", "c": "cancelled", "i": "interrupted", "w": "waiting", "r": "running", "t": "finished"}
    for run_id, state in states.items():
        await journal.create(line(run_id), started(), {})
        await journal.create(line(f"{run_id}-1", parent=run_id), started(), {})
        await journal.save_page(run_id, page())
        await journal.update(line(run_id, state=state))
        if run_id != "t":  # one that works for it is under way
            await journal.update(line(f"{run_id}-1", parent=run_id, state="finished"))
    assert await other.forget_before(time.time() - 1_000) == 0
    assert len(await other.runs(50)) == 7
    assert await other.forget_before(time.time() + 1_000) == 4
    assert sorted(run.run_id for run in await other.runs(50)) == ["r", "t", "w"]
    for run_id in "fxci":
        assert await other.children(run_id) == []
        with pytest.raises(RunNotFound):
            await other.summary(f"{run_id}-1")
    assert await other.forget_before(time.time() + 1_000) == 0


async def test_every_write_of_the_owner_counts_as_the_last(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line("old"), started(), {})
    await journal.create(line("new"), started(), {})
    await journal.update(line("old", state="interrupted"))
    between = await moment(journal)
    await journal.append("new", resumed(2))
    await journal.update(line("new", state="interrupted"))
    assert await journal.forget_before(between) == 1
    assert [run.run_id for run in await journal.runs(5)] == ["new"]


async def moment(journal: Any) -> float:
    """A time between the writes before and those after; the clocks of one machine go alike."""
    now = time.time()
    while time.time() <= now + 0.01:
        await asyncio.sleep(0.005)
    return now + 0.005


# -- the storage -------------------------------------------------------------------------------------------------------


async def test_a_storage_that_is_there(storage: Storage) -> None:
    await storage.open().check()


async def test_a_journal_that_is_closed(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line(), started(), {})
    await journal.close()
    with pytest.raises(JournalError):
        await journal.summary("a")
    await journal.close()


async def test_many_runs_at_once(storage: Storage) -> None:
    """More writers than connections."""
    journal = storage.open()

    async def run(run_id: str) -> None:
        await journal.create(line(run_id), started(), {})
        for number in range(2, 12):
            await journal.append(run_id, resumed(number), line(run_id, steps=number) if number % 3 == 0 else None)
        await journal.update(line(run_id, state="finished", steps=11), "d")

    await asyncio.gather(*(run(f"r{number}") for number in range(30)))
    for number in range(30):
        assert [stored.sequence for stored in await journal.events(f"r{number}")] == list(range(1, 12))
    assert {run.state for run in await journal.runs(50)} == {"finished"} and len(await journal.runs(50)) == 30


async def test_a_call_that_is_cancelled_leaves_the_journal_usable(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line(), started(), {})
    for pause in range(12):
        task = asyncio.create_task(journal.events("a"))
        for _ in range(pause):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.gather(*(journal.events("a") for _ in range(20))) == [[started()]] * 20


async def test_a_summary_is_a_document_of_its_own(storage: Storage) -> None:
    journal = storage.open()
    await journal.create(line(), started(), {})
    one = await journal.summary("a")
    one.question = "changed"
    assert isinstance(one, RunSummary) and (await journal.summary("a")).question == "ü 網 \x00"
