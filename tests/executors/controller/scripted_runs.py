"""Questions run over scripted stages with a real journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from scripted_stages import ScriptedStages

from executors.controller.research import Research
from executors.controller.run import replay
from executors.controller.state import digest
from providers.journal import SQLiteJournal
from schemas.events import ResearchEvent
from schemas.planning import DecideRequest, Decision
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings


class Runner:
    """Runs questions over scripted stages with a real journal."""

    def __init__(self, folder: Path) -> None:
        self.journal = SQLiteJournal(folder / "runs.db")
        self.settings = Settings(_env_file=None)

    async def run(self, stages: ScriptedStages, **request: Any) -> tuple[list[ResearchEvent], ResearchAnswer | None]:
        research = Research(stages, self.journal, self.settings)
        request.setdefault("question", "What is the answer?")
        events = [event async for event in research.run(ResearchRequest(run_id="r1", **request))]
        answer = events[-1].data.get("answer")
        return events, ResearchAnswer(**answer) if answer else None

    async def state(self) -> Any:
        state = replay(await self.journal.events("r1"))
        assert digest(state) == await self.journal.state_digest("r1"), "replay must reach the very state of the run"
        return state


def search(*queries: str) -> Decision:
    return Decision(action="search", queries=list(queries))


def visit(*urls: str) -> Decision:
    return Decision(action="visit", urls=list(urls))


def answer(text: str = "It is 42 [e1].") -> Decision:
    return Decision(action="answer", answer=text)


def researcher(request: DecideRequest) -> Decision:
    """Search for the very question, read what is found, answer from it."""
    if "visit" in request.allowed_actions and request.urls:
        return visit(request.urls[0].url)
    if "answer" in request.allowed_actions and request.knowledge:
        return answer(f"{request.question} It is 42 [e1].")
    return search(request.question)


async def collect(events: AsyncIterator[ResearchEvent]) -> list[ResearchEvent]:
    """All of a stream."""
    return [event async for event in events]
