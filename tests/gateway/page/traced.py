"""Runs whose calls and times are known, for the trace: one with everything, one that goes on, and one with 300 calls."""

from __future__ import annotations

from typing import Any

from docarray import DocList

from schemas import events as ev
from schemas.planning import Decision, Decomposition, Understanding
from schemas.ranking import Ranking
from schemas.reading import Page
from schemas.research import Reference, ResearchRequest
from schemas.search import QueryOutcome, SearchResponse
from schemas.usage import Usage
from tests.gateway.page.stored import QUESTION, Stored, answer

START = 1_700_000_000.0
HOSTILE = "<img src=x onerror='window.__hit=1'>\u202e https://evil.example/<script>window.__hit=1</script>"
LIMITS = ev.Limits(tokens=500_000, seconds=600, usd=1.0, searches=30, pages=400, llm_calls=100, steps=99, attempts=2)


class Told:
    """Collects the events of a run, each with its time in seconds after the run's start."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.times: list[float] = []

    def say(self, time: float, event: Any) -> None:
        self.events.append(event)
        self.times.append(START + time)

    def called(self, time: float, effect: str, kind: Any, *items: str, question: str = "") -> None:
        self.say(time, ev.StageCalled(effect=ev.Effect(id=effect, kind=kind, question=question, items=list(items))))

    def failed(self, time: float, effect: str, code: str, message: str) -> None:
        self.say(time, ev.CallFailed(effect_id=effect, code=code, message=message, usage=Usage(pages=1)))

    def give(self, stored: Stored, name: str) -> None:
        stored.times[name] = self.times
        stored.runs[name] = self.events


def _spent(tokens: int, **more: Any) -> Usage:
    return Usage(llm_calls=1, prompt_tokens=tokens, cost_usd=tokens / 1_000_000, **more)


def understood(told: Told) -> None:
    told.say(0, ev.RunStarted(request=ResearchRequest(question=QUESTION), limits=LIMITS, background=True))
    told.called(0.1, "u", "understand")
    understanding = Understanding(language_code="en", mode="model", model="scripted", criteria=[], usage=_spent(300))
    told.say(1.3, ev.Understood(effect_id="u", understanding=understanding))


def _step(told: Told, time: float, name: str, action: Any) -> None:
    told.called(time, f"{name}-rank", "rank")
    told.say(time + 0.05, ev.Ranked(effect_id=f"{name}-rank", ranking=Ranking()))
    told.called(time + 0.05, f"{name}-decide", "decide")
    decision = Decision(action=action, decided_by="model", usage=_spent(1_200))
    told.say(time + 1.05, ev.Decided(effect_id=f"{name}-decide", decision=decision))


def _read(told: Told, time: float, effect: str, url: str) -> None:
    told.say(
        time, ev.PageRead(effect_id=effect, page=Page(page_id="p1", url=url, title="A page"), usage=Usage(pages=1, provider_tokens=50))
    )


def everything() -> Told:
    """Overlapping reads with a failure, an interruption with a call in flight, a team, and a draft that is checked. It takes 20.05 s."""
    told = Told()
    understood(told)
    _step(told, 1.3, "s1", "search")
    told.called(2.35, "s1-search", "search", "heat pumps cold", HOSTILE)
    outcomes = DocList[QueryOutcome]([QueryOutcome(query="heat pumps cold", provider="jina", results=8)])
    told.say(3.85, ev.Searched(effect_id="s1-search", response=SearchResponse(outcomes=outcomes, usage=Usage(searches=2))))
    _step(told, 3.85, "s2", "visit")
    urls = ["https://energy.example.org/study", "https://slow.example.net/" + "a" * 200, "https://third.example.com/"]
    for number, url in enumerate(urls):
        told.called(4.9, f"r{number}", "read", url)
    _read(told, 6.9, "r0", urls[0])
    told.failed(8.9, "r1", "reader", HOSTILE)
    told.say(130.9, ev.RunResumed())  # the process was gone for two minutes and two seconds
    told.called(130.9, "r2", "read", urls[2])
    _read(told, 133.9, "r2", urls[2])
    told.called(133.9, "de", "decompose")
    told.say(134.4, ev.Decomposed(effect_id="de", decomposition=Decomposition(questions=["How efficient?", "How dear?"])))
    told.called(134.4, "a", "delegate", "child-a", question="How efficient?")
    told.called(134.4, "b", "delegate", "child-b", question="How dear? " + HOSTILE)
    told.say(138.4, ev.Delegated(effect_id="b", answer=answer("child-b"), usage=_spent(4_000, searches=2, pages=3)))
    told.say(139.4, ev.Delegated(effect_id="a", answer=answer("child-a"), usage=_spent(6_000, searches=1, pages=2)))
    told.called(139.4, "f", "finalize")
    told.say(142.05, ev.Finalized(effect_id="f", text="Efficient.", usage=_spent(900)))
    told.say(142.05, ev.RunEnded(outcome="finished", answer=answer("everything", text="Efficient.", references=DocList[Reference]([]))))
    return told


def under_way(now: float) -> Told:
    """Two reads of a run that began 60 seconds before `now` (seconds since the epoch) and whose end is not told."""
    told = Told()
    understood(told)
    _step(told, 1.3, "s1", "visit")
    told.called(2.4, "r0", "read", "https://energy.example.org/study")
    told.called(2.4, "r1", "read", "https://nordic.example.com/report")
    told.times = [time - START + now - 60 for time in told.times]
    return told


def large(steps: int = 25) -> Told:
    """A run of 12 calls in each step: rank, decide and ten reads at once, each a little later than the last."""
    told = Told()
    understood(told)
    time = 1.3
    for step in range(steps):
        _step(told, time, f"s{step}", "visit")
        for page in range(10):
            told.called(time + 1.1, f"s{step}-{page}", "read", f"https://site{page}.example.org/{step}")
        for page in range(10):
            if (step, page) == (4, 7):
                told.failed(time + 1.5 + page / 4, f"s{step}-{page}", "reader", "The site did not answer.")
            else:
                _read(told, time + 1.5 + page / 4, f"s{step}-{page}", f"https://site{page}.example.org/{step}")
        time += 4
    told.say(time, ev.RunEnded(outcome="finished", answer=answer("large")))
    return told
