"""Was anything lost, repeated or paid twice? What clients saw and what was answered outside, held against the journal.

The account of a run. Everything that is asked outside belongs to a call that the journal names before it is made (`stage_called`), and
whose usage the journal settles once, with its result. So for the runs about one subject:

    answered = settled + repeated

`answered` is what the upstreams really answered, `settled` the usage that the journals hold. `repeated` may only come from calls whose
answer was lost with a process or a connection. There are two kinds, and the journal and the log of faults tell both:

- lost calls: without a result when the run was resumed (`run_resumed`), or failed because the stage went away. They were in flight when a
  fault happened, and are made again, once for each time the run was resumed.
- calls whose stage died or was cut off while they were under way: the controller makes them again, at most once for each such fault.

A run with neither has `repeated` = 0, exactly; others at most what those calls were allowed to spend (`Effect`: model calls, searches,
pages), as often as they may have been made again. Tokens are exact too in runs with neither, where no storm made the model's server refuse
anything (a connection that broke counts its prompt, by estimate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from docarray import BaseDoc

from executors.controller.run import replay
from executors.controller.stages import STAGE_OF_ENDPOINT
from executors.controller.state import digest
from providers.journal.base import Journal, StoredEvent
from schemas import events as ev
from schemas.events import Effect
from schemas.research import RunSummary
from schemas.usage import Usage
from tests.faults.chaos import Fault
from tests.faults.clients import Seen
from tests.faults.upstream import Account

_LOST = {"stage_unavailable", "deadline_exceeded", "internal", "overloaded"}
"""Codes of calls that failed because of a process or a connection."""
_CLOCKS_SECONDS = 1.0
"""Between a fault, its being noticed, and its entry in the journal."""


@dataclass
class Run:
    """A run as its journal has it."""

    summary: RunSummary
    entries: Sequence[StoredEvent]
    state_digest: str
    settled: Usage = field(default_factory=Usage)
    lost: list[Effect] = field(default_factory=list)
    hit: list[Effect] = field(default_factory=list)
    """Calls during which their stage had a fault, each as often as it had one."""
    resumed: int = 0
    failed: list[str] = field(default_factory=list)
    """Calls that failed, and how."""


async def runs_of(journal: Journal, faults: Sequence[Fault]) -> dict[str, Run]:
    """Every run and those that work for it, read and checked: no gap, no call settled twice, and the digest that replay reaches."""
    found = {}
    for summary in await journal.runs(1000):
        for one in [summary, *await journal.children(summary.run_id)]:
            found[one.run_id] = _read(one, await journal.events(one.run_id), await journal.state_digest(one.run_id), faults)
    return found


def _read(summary: RunSummary, entries: Sequence[StoredEvent], state_digest: str, faults: Sequence[Fault]) -> Run:
    run = Run(summary, entries, state_digest)
    name = summary.run_id
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1)), f"{name} has gaps"
    state = replay(entries)
    if state.outcome != "running":
        assert summary.state == state.outcome, f"{name} is {summary.state} and has ended as {state.outcome}"
        assert state_digest == digest(state), f"{name}: replay reaches another state than the one with digest {state_digest!r}"
    under_way: dict[str, tuple[Effect, float]] = {}
    ends = [*_failed_or_settled(run, entries, under_way, faults)]
    assert len(ends) == len(set(ends)), f"{name} has settled a call twice: {ends}"
    if state.answer is not None and state.outcome == "finished":
        assert _numbers(state.answer.usage) == _numbers(run.settled), f"{name}: {state.answer.usage} is not what was settled: {run.settled}"
    return run


def _failed_or_settled(
    run: Run, entries: Sequence[StoredEvent], under_way: dict[str, tuple[Effect, float]], faults: Sequence[Fault]
) -> list[tuple[str, int]]:
    """Each call that has ended, as its id and how often the run had been resumed until then."""
    ends = []
    for entry in entries:
        event = entry.event
        if isinstance(event, ev.StageCalled):
            assert event.effect.id not in under_way, f"{run.summary.run_id} makes {event.effect.id} twice at once"
            under_way[event.effect.id] = (event.effect, entry.time)
        elif isinstance(event, ev.RunResumed):
            run.lost += [effect for effect, _ in under_way.values()]
            run.resumed += 1
            under_way.clear()
        elif (effect_id := getattr(event, "effect_id", None)) in under_way:
            effect, called = under_way.pop(effect_id)
            ends.append((effect_id, run.resumed))
            run.settled = run.settled + _usage_of(event)
            hits = _hits(effect, called, entry.time, faults)
            run.hit += [effect] * hits
            if isinstance(event, ev.CallFailed):
                run.failed.append(f"{effect.id}: {event.code}")
                if event.code in _LOST and effect.kind != "delegate":
                    assert hits, f"{run.summary.run_id}: {effect.id} was lost without a fault: {event.message}"
                    run.lost.append(effect)
    run.lost += [effect for effect, _ in under_way.values()]  # of a run that nobody has gone on with, or that ended without them
    return ends


def _hits(effect: Effect, called: float, ended: float, faults: Sequence[Fault]) -> int:
    """How many faults of its stage a call met."""
    stage = STAGE_OF_ENDPOINT.get(f"/{effect.kind}", "")
    near = [fault for fault in faults if fault.begun - _CLOCKS_SECONDS <= ended and called <= fault.ended + _CLOCKS_SECONDS]
    return sum(fault.where == stage for fault in near)


def _usage_of(event: object) -> Usage:
    usage = getattr(event, "usage", None)
    if isinstance(usage, Usage):
        return usage
    results = (value for value in vars(event).values() if isinstance(value, BaseDoc))
    return next((result.usage for result in results if hasattr(result, "usage")), Usage())


def _numbers(usage: Usage) -> dict[str, object]:
    return usage.model_dump(exclude={"id"})


@dataclass
class Bill:
    """What the runs about one subject settled, and how much more was answered."""

    lost_calls: int
    in_peace: bool
    """No call met a fault of its stage."""
    repeated: dict[str, int]
    """Requests answered beyond those that are settled, of the model, the search and the reader."""
    resumed: int


def bill_of(subject: str, runs: Sequence[Run], account: Account) -> Bill:
    """The account of all runs about a subject, balanced. `runs` are those that no other run asked for, and their teams."""
    usage = Usage()
    for run in runs:
        if not run.summary.parent:
            usage = usage + run.settled
    parents = [run for run in runs if not run.summary.parent]
    for run in runs:  # a researcher whose parent has not settled it yet
        if run.summary.parent and not any(_settled_for(run, parent) for parent in parents):
            usage = usage + run.settled
    lost = [effect for run in runs for effect in run.lost if effect.kind != "delegate"]
    unsure = [*lost, *(effect for run in runs for effect in run.hit)]
    settled = {"model": usage.llm_calls, "search": usage.searches, "reader": usage.pages}
    most = {
        "model": sum(effect.llm_calls for effect in unsure),
        "search": sum(effect.searches for effect in unsure),
        "reader": sum(effect.pages for effect in unsure),
    }
    repeated = {kind: account.answered[kind] - settled[kind] for kind in settled}
    for kind, number in repeated.items():
        told = f"{subject}: {kind} answered {account.answered[kind]}, asked {account.asked[kind]}, settled {settled[kind]}"
        assert number <= most[kind], f"{told}; at most {most[kind]} may be repeated: {[(run.summary.run_id, run.failed) for run in runs]}"
        # A search or a reading that failed counts, although it was never answered; so does a page that is then read directly.
        failed = kind != "model" and (account.refused or any(run.failed for run in runs))
        assert number >= 0 or failed, f"{told}: more is counted than was answered"
    if not unsure and not account.refused and not usage.estimated:
        assert (usage.prompt_tokens, usage.completion_tokens) == (account.prompt_tokens, account.completion_tokens), subject
    return Bill(len(lost), not unsure, {kind: max(0, number) for kind, number in repeated.items()}, sum(run.resumed for run in runs))


def _settled_for(run: Run, parent: Run) -> bool:
    called = {e.event.effect.id: e.event.effect for e in parent.entries if isinstance(e.event, ev.StageCalled)}
    ended = {getattr(entry.event, "effect_id", "") for entry in parent.entries}
    return any(effect.items == [run.summary.run_id] and effect_id in ended for effect_id, effect in called.items())


def check_seen(seen: Seen, run: Run) -> None:
    """What a client saw is the journal, each event once; and the answer came in one piece, or was begun anew."""
    assert run.summary.state == "finished", f"{run.summary.run_id} is {run.summary.state}"
    answer = replay(run.entries).answer
    assert answer is not None and answer.text and answer.stop_reason, f"{run.summary.run_id} has no answer"
    if not seen.events:
        assert answer.text in seen.text or seen.text.startswith(answer.text[:20]), f"{run.summary.run_id}: {seen.text!r}"
        return
    told = [(event.sequence, event.type) for event in seen.events if event.type not in ("answer_delta", "run_ended")]
    assert told == [(entry.sequence, entry.event.type) for entry in run.entries], f"{run.summary.run_id}: {told}"
    assert [event.type for event in seen.events].count("run_ended") == 1
    written = ""
    for event in seen.events:
        if event.type == "finalized":  # the text so far, for who came too late to see it written
            assert event.data["text"].startswith(written), f"{run.summary.run_id}: {written!r} became {event.data['text']!r}"
            written = event.data["text"]
        if event.type == "answer_delta":
            offset = event.data.get("offset", 0)
            written = "" if offset == 0 else written
            assert offset == len(written), f"{run.summary.run_id}: {offset} follows {len(written)}"
            written += event.data["text"]
    assert seen.answer is not None and written == seen.answer.text == answer.text, (
        f"{run.summary.run_id}: {written!r} is not {answer.text!r}"
    )
