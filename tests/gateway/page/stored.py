"""Runs that are told from stored events: an answer with a verdict on every statement, a team, and a report whose outline waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvicorn
from docarray import DocList
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from gateway import page
from schemas import events as ev
from schemas.answering import Draft
from schemas.planning import Decision, Decomposition, Understanding
from schemas.reading import Illustration, Page, Passage, RelatedImage
from schemas.reporting import Digest, Outline, Section, Synthesis
from schemas.research import Reference, ResearchAnswer, ResearchRequest
from schemas.support import Contradiction, Statement, SupportReport

QUESTION = "How well do heat pumps work in the cold? 🏠"
PAGE_TEXT = (
    "# Field study 🏠🔥 2023\n\nAt −20 °C the 57 monitored heat pumps reached a mean coefficient of performance of 1.9. "
    "Supplementary electric heat covered 6 % of the demand. Between −10 and −15 °C the mean was 2.3."
)
OTHER_TEXT = "The capacity of the units at −25 °C was 60 % of the rated capacity."
ANSWER = """**Heat pumps keep working 🏠 well below −15 °C.** At −20 °C the 57 monitored heat pumps reached a mean coefficient of performance of 1.9 [^1]. Every house was warm & dry, and *nobody* complained [^1].

## What they deliver

- **Capacity:** 71 % of the rated [capacity](https://heat.example.org/capacity_(rated)) at `-25 °C` remained [^2].
- Electric heat covered 6 % of the demand in 2023 [^1]!

| Temperature | COP |
|---|--:|
| −15 °C | 2.3 [^1] |
| −20 °C | 1.9 |

Is it worth it? Ask <https://energy.example.org> first.
"""  # noqa: E501
REMOVED = "All of them paid for themselves within four years."
REFERENCES = (
    Reference(
        number=1,
        evidence_id="e1",
        page_id="p1",
        url="https://energy.example.org/field-study-2023",
        title="Field study of 57 houses",
        quote=PAGE_TEXT[PAGE_TEXT.index("At −20") : PAGE_TEXT.index(" Between")],
        start=PAGE_TEXT.index("At −20"),
        end=PAGE_TEXT.index(" Between"),
        published="2023-11-04",
    ),
    Reference(
        number=2,
        evidence_id="e4",
        page_id="p2",
        url="https://nordic.example.com/report",
        title="Cold-climate report",
        quote=OTHER_TEXT,
        start=0,
        end=len(OTHER_TEXT),
    ),
)
PAGES = {
    "p1": Page(page_id="p1", url=REFERENCES[0].url, title=REFERENCES[0].title, text=PAGE_TEXT, published="2023-11-04"),
    "p2": Page(page_id="p2", url=REFERENCES[1].url, title=REFERENCES[1].title, text=OTHER_TEXT),
}
IMAGES = (
    RelatedImage(
        url="https://pictures.example.net/curve.png",
        page_url=REFERENCES[0].url,
        text="Efficiency by outdoor temperature",
        width=1200,
        height=675,
    ),
    RelatedImage(url="javascript:window.__hit=1", page_url="javascript:1", text="never"),
)
OUTLINE = Outline(
    title="Heat pumps in the cold",
    sections=DocList[Section](
        [
            Section(heading="What was measured", brief="The studies and their houses.", evidence=["e1"], words=200),
            Section(heading="Efficiency", brief="Coefficients of performance by temperature.", evidence=["e1", "e2"], words=400),
            Section(heading="Costs", brief="What it costs to run one.", words=300),
        ]
    ),
)


def spans(text: str, *parts: tuple[str, str, dict[str, Any]]) -> list[Statement]:
    """Statements of `text`: their words there, the verdict, and more fields."""
    return [
        Statement(start=text.index(words), end=text.index(words) + len(words), text=words, verdict=verdict, **more)
        for words, verdict, more in parts
    ]


def support() -> SupportReport:
    found = spans(
        ANSWER,
        ("**Heat pumps keep working 🏠 well below −15 °C.**", "supported", {"score": 0.82, "evidence": ["e1"]}),
        (
            "At −20 °C the 57 monitored heat pumps reached a mean coefficient of performance of 1.9 [^1].",
            "supported",
            {"score": 1.0, "cited": ["e1"], "evidence": ["e1"]},
        ),
        (
            "Every house was warm & dry, and *nobody* complained [^1].",
            "unsupported",
            {"score": 0.1, "cited": ["e1"], "reason": "No passage speaks of comfort.", "judged_by": "model"},
        ),
        (
            "**Capacity:** 71 % of the rated [capacity](https://heat.example.org/capacity_(rated)) at `-25 °C` remained [^2].",
            "contradicted",
            {"score": 0.4, "cited": ["e4"], "evidence": ["e4"], "missing": ["71 %"]},
        ),
        (
            "Electric heat covered 6 % of the demand in 2023 [^1]!",
            "partly",
            {"score": 0.66, "cited": ["e1"], "evidence": ["e1"], "missing": ["2023"]},
        ),
        ("| −15 °C | 2.3 [^1] |", "supported", {"score": 0.9, "cited": ["e1"], "evidence": ["e1"]}),
        ("| −20 °C | 1.9 |", "supported", {"score": 0.9, "evidence": ["e1"]}),
        ("Is it worth it?", "no_claim", {}),
        ("Ask <https://energy.example.org> first.", "no_claim", {}),
    )
    place = ANSWER.index("\n\n## What")
    found.append(Statement(start=place, end=place, text=REMOVED, verdict="unsupported", removed=True))
    against = Contradiction(statement=3, supporting="e9", opposing="e4", quote=OTHER_TEXT, reason="71 % against 60 %")
    return SupportReport(
        statements=DocList[Statement](found),
        contradictions=DocList[Contradiction]([against]),
        supported=4,
        partly=1,
        unsupported=2,
        removed=1,
        judged_by="model",
    )


def answer(run: str, **more: Any) -> ResearchAnswer:
    fields = {
        "run_id": run,
        "question": QUESTION,
        "text": ANSWER,
        "references": DocList[Reference](REFERENCES),
        "stop_reason": "answered",
        "mode": "model",
        "support": support(),
        "images": DocList[RelatedImage](IMAGES),
        "language_code": "en",
        "seconds": 83.4,
        "steps": 6,
    }
    return ResearchAnswer(**(fields | more))


def _begun(**more: Any) -> list[Any]:
    limits = ev.Limits(tokens=500_000, seconds=600, usd=None, searches=30, pages=60, llm_calls=100, steps=30, attempts=2)
    return [
        ev.RunStarted(request=ResearchRequest(question=QUESTION, **more), limits=limits, background=True),
        ev.Understood(
            effect_id="u", understanding=Understanding(language_code="en", mode="model", model="scripted", criteria=["attribution"])
        ),
        ev.Decided(effect_id="d", decision=Decision(action="visit", think="Field studies say it best.", decided_by="model")),
        ev.PageRead(effect_id="r", page=PAGES["p1"].model_copy(update={"text": ""}), passages=[Passage(text="x")]),
    ]


def _called(kind: str, question: str = "", effect: str = "") -> ev.StageCalled:
    return ev.StageCalled(effect=ev.Effect(id=effect or kind, kind=kind, question=question))


SUPPORTED = [
    *_begun(with_images=True),
    ev.Composed(effect_id="c", draft=Draft(text="Heat pumps keep working [e1]. They are loved.")),
    ev.Checked(effect_id="k1", support=support()),
    ev.Revised(effect_id="v", draft=Draft(text="Heat pumps keep working [e1].")),
    ev.Checked(effect_id="k2", support=support()),
    ev.Illustrated(effect_id="i", illustration=Illustration(images=DocList[RelatedImage](IMAGES[:1]))),
    ev.RunEnded(outcome="finished", answer=answer("supported")),
]
TEAM = [
    *_begun(team_size=2),
    ev.Decomposed(
        effect_id="de", decomposition=Decomposition(questions=["How efficient?", "How dear?"], think="Two sides.", decided_by="model")
    ),
    _called("delegate", "How efficient?", "a"),
    _called("delegate", "How dear?", "b"),
    ev.Delegated(effect_id="a", answer=answer("supported", question="How efficient?")),
    ev.Delegated(effect_id="b", answer=answer("team-b", question="How dear?", text="")),
    ev.Reduced(effect_id="re", draft=Draft(text="Efficient [e1].")),
    ev.RunEnded(outcome="finished", answer=answer("team", support=SupportReport(), images=DocList[RelatedImage]([]))),
]
_DIGESTS = [
    Digest(url=REFERENCES[0].url, title=REFERENCES[0].title, findings=["The mean COP at −20 °C was 1.9 [e1].", "6 % was electric [e2]."]),
    Digest(url=REFERENCES[1].url, title=REFERENCES[1].title),
]
PROPOSED = [
    *_begun(mode="report", plan_first=True),
    *(ev.Digested(effect_id=f"g{number}", digest=digest) for number, digest in enumerate(_DIGESTS)),
    ev.Synthesized(
        effect_id="s",
        synthesis=Synthesis(agreements=["They keep working [e1]."], conflicts=["71 % or 60 % [e3] [e4]."], gaps=["What do they cost?"]),
    ),
    ev.Outlined(effect_id="o", outline=OUTLINE),
]
WRITTEN = [
    *_begun(),
    ev.AnswerDelta(text="A pump 🏠 builds the pressure, "),
    ev.AnswerDelta(text="and a valve keeps it [^1].", offset=30),
]
"""Its answer has begun; it goes on when more is put after it."""
WAITS = ev.RunEnded(outcome="waiting")


def written(outline: Outline) -> list[Any]:
    """What follows when `outline` is approved."""
    sections = [
        ev.SectionWritten(effect_id=f"w{n}", draft=Draft(text=f"## {one.heading}\n\nText [e1].")) for n, one in enumerate(outline.sections)
    ]
    return [
        ev.OutlineApproved(outline=outline),
        *sections,
        ev.Checked(effect_id="k", support=support()),
        ev.RunEnded(outcome="finished", answer=answer("report")),
    ]


class Stored:
    """The doors that the page knocks at, for runs whose events are known."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Any]] = {"supported": SUPPORTED, "team": TEAM, "report": [*PROPOSED, WAITS], "written": WRITTEN}
        self.times: dict[str, list[float]] = {}
        """When the events of a run happened, in seconds since the epoch; of others, one after each second."""
        self.outlines: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.app = FastAPI()
        page.install(self.app)
        self._install(self.app)

    def _run(self, name: str) -> dict[str, Any]:
        events = self.runs.get(name)
        if events is None:
            raise HTTPException(404)
        last = events[-1]
        state = last.outcome if isinstance(last, ev.RunEnded) else "running"
        return {
            "run_id": name,
            "question": QUESTION,
            "state": state,
            "stop_reason": "",
            "started_at": 1_700_000_000,
            "seconds": 83.4,
            "steps": 6,
        }

    def _unended(self, name: str) -> list[Any]:
        return [event for event in self.runs[name] if not isinstance(event, ev.RunEnded)]

    def _install(self, app: FastAPI) -> None:
        @app.get("/v1/research")
        def runs() -> dict[str, Any]:
            return {"runs": [self._run(name) for name in self.runs]}

        @app.post("/v1/research", status_code=202)
        async def begin(request: Request) -> dict[str, Any]:
            self.requests.append(await request.json())
            return self._run("supported")

        @app.get("/v1/research/{run}")
        def report(run: str) -> dict[str, Any]:
            return {"run": self._run(run)}

        @app.delete("/v1/research/{run}")
        def cancel(run: str) -> dict[str, Any]:
            self.runs[run] = [*self._unended(run), ev.RunCancelled(), ev.RunEnded(outcome="cancelled")]
            return self._run(run)

        @app.post("/v1/research/{run}/outline")
        async def outline(run: str, request: Request) -> dict[str, Any]:
            self.outlines.append(await request.json())
            self.runs[run] = [*self._unended(run), *written(Outline(**self.outlines[-1]))]
            return self._run(run)

        @app.get("/v1/research/{run}/answer")
        def file(run: str, format: str) -> Response:
            headers = {"Content-Disposition": f'attachment; filename="{run}.{format}"'}
            return Response(f"{run} as {format}", media_type="text/plain", headers=headers)

        @app.get("/v1/research/{run}/pages/{name}")
        def stored(run: str, name: str) -> Any:
            return json.loads(PAGES[name].model_dump_json())

        @app.get("/v1/research/{run}/events")
        async def events(run: str, request: Request) -> Response:
            after = int(request.headers.get("last-event-id", "0").partition(".")[0] or 0)
            return StreamingResponse(self._frames(run, after), media_type="text/event-stream")

    async def _frames(self, run: str, after: int) -> AsyncGenerator[str, None]:
        """The events after `after`; what comes to a run that has not ended is told when it comes."""
        sequence = told = 0
        while True:
            for event in self.runs[run][told:]:
                told += 1
                place = ""
                if isinstance(event, ev.AnswerDelta):
                    place = f".{event.offset + len(event.text)}"
                elif isinstance(event, ev.RunEnded):
                    place = ".end"
                else:
                    sequence += 1
                if not place and sequence <= after:
                    continue
                data = json.loads(event.model_dump_json(exclude={"type"}, exclude_defaults=True))
                time = self.times[run][told - 1] if run in self.times else 1_700_000_000 + told
                frame = {"run_id": run, "sequence": sequence, "time": time, "type": event.type, "data": data}
                yield f"id: {sequence}{place}\nevent: {event.type}\ndata: {json.dumps(frame)}\n\n"
                if place == ".end":
                    return
            await asyncio.sleep(0.02)

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address at which it answers."""
        server = uvicorn.Server(
            uvicorn.Config(self.app, port=0, loop="asyncio", ws="none", lifespan="off", log_level="error", timeout_graceful_shutdown=1)
        )
        socket = server.config.bind_socket()
        thread = Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            socket.close()
