"""A controller that tells the events of a run from a script; the last message's text names the script."""

from typing import Any, AsyncGenerator, Dict, List, Tuple  # noqa: UP035  (the only forms jina knows)

from jina import Executor, requests

from schemas.events import ResearchEvent
from schemas.research import ResearchRequest

Told = Tuple[str, Dict[str, Any]]  # noqa: UP006

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 60, "provider_tokens": 7, "llm_calls": 3}
REFERENCE = {
    "number": 1,
    "evidence_id": "e7",
    "url": "https://a.org/x",
    "title": "A [title]",
    "quote": "It is\n so.",
    "published": "2026-01-02",
}
SECOND = {"number": 2, "evidence_id": "e9", "url": "https://b.org/y z", "title": "", "quote": "And so."}


def delta(text: str, offset: int = 0) -> Told:
    return "answer_delta", {"text": text, **({"offset": offset} if offset else {})}


def called(kind: str, *items: str) -> Told:
    return "stage_called", {"effect": {"id": "e", "kind": kind, "items": list(items)}}


def finished(text: str, references: List[Dict[str, Any]], **more: Any) -> Told:  # noqa: UP006
    answer = {"text": text, "references": references, "stop_reason": "token_budget", "mode": "model", "usage": USAGE, "notice": "Note."}
    urls = {"visited_urls": ["https://a.org/x", "https://b.org/y"], "read_urls": ["https://a.org/x"], "found_urls": ["https://c.org/"]}
    return "run_ended", {"outcome": "finished", "answer": {**answer, **urls, **more}}


STARTED: Told = ("run_started", {})
TEXT = "First it is so [^1]. 雪 And more [^2], again [^1]."
SUPPORT = {
    "supported": 1,
    "partly": 1,
    "removed": 1,
    "judged_by": "model",
    "statements": [
        {"start": 0, "end": 20, "text": "First it is so", "verdict": "supported", "score": 0.98765, "cited": ["e7"], "evidence": ["e7"]},
        {"start": 20, "end": 20, "text": "It costs 5.", "verdict": "unsupported", "missing": ["5"], "reason": "No 5.", "removed": True},
        {
            "start": 21,
            "end": len(TEXT),
            "text": "雪 And more",
            "verdict": "partly",
            "score": 0.5,
            "cited": ["e9", "e7"],
            "evidence": ["e9"],
        },
    ],
    "contradictions": [{"statement": 2, "supporting": "e9", "opposing": "e7", "quote": "It is not.", "reason": "It says no."}],
}
IMAGES = [{"url": f"https://a.org/{n}.png", "page_url": "https://a.org/x", "score": 0.5} for n in range(12)]
OUTLINE = {"title": "Snow", "sections": [{"heading": "Ice", "brief": "What it is.", "words": 1200}, {"heading": "Rain"}]}
WORK: List[Told] = [  # noqa: UP006
    STARTED,
    ("decided", {"decision": {"action": "search", "think": "I search. </think><think>"}}),
    called("search", "snow", "ice", "snow"),
    called("search", "ice", "rain"),
    called("rank", "not a query"),
    called("read", "https://a.org/x"),
    called("read", "https://a.org/x"),
    ("page_read", {"page": {"url": "https://a.org/x"}}),
    ("evaluated", {"evaluation": {"passed": False, "think": "It fails."}}),
    ("analyzed", {"analysis": {"recap": "Recap.", "blame": "Blame.", "improvement": "Improve."}}),
]
LONG: List[Told] = [  # noqa: UP006
    STARTED,
    ("decomposed", {"decomposition": {"questions": ["What is snow?", "What is ice?"]}}),
    ("delegated", {"answer": {"question": "What is snow?", "stop_reason": "answered"}}),
    ("digested", {"digest": {"url": "https://a.org/x", "title": "On </think>snow", "findings": ["It is so [e7].", "And so [e9]."]}}),
    ("digested", {"digest": {"url": "https://b.org/"}}),
    ("synthesized", {"synthesis": {"agreements": ["It is cold [e7, e9]."], "gaps": ["How cold?"]}}),
    ("outlined", {"outline": OUTLINE}),
    ("section_written", {"draft": {"text": "First it is so [e7]."}}),
    ("checked", {"support": {"supported": 5, "partly": 1, "unsupported": 2}}),
    ("revised", {"draft": {"text": TEXT}}),
    ("checked", {"support": {"supported": 7}}),
    ("illustrated", {"illustration": {}}),
]
SCRIPTS: Dict[str, List[Told]] = {  # noqa: UP006
    "tokens": [*WORK, *(delta(c, n) for n, c in enumerate(TEXT)), finished(TEXT, [REFERENCE, SECOND], support=SUPPORT, images=IMAGES)],
    "long": [*LONG, finished(TEXT, [REFERENCE, SECOND], support=SUPPORT)],
    "restarted support": [STARTED, delta("Old half"), delta(TEXT), finished(TEXT, [REFERENCE, SECOND], support=SUPPORT)],
    "guess": [STARTED, finished("Perhaps.", [], guessed=True)],
    "waiting": [STARTED, ("outlined", {"outline": OUTLINE}), ("run_ended", {"outcome": "waiting"})],
    "restart": [STARTED, delta("Old half"), delta("New answer"), delta(" [^1].", 10), finished("New answer [^1].", [REFERENCE])],
    "repeat": [STARTED, delta("Half an"), delta("Half"), delta(" an answer.", 4), finished("Half an answer.", [])],
    "silent": [STARTED, finished("Never streamed.", [])],
    "json": [*WORK, delta("Text."), finished(TEXT, [REFERENCE], support=SUPPORT, json_text='{"so": true}')],
    "json failed": [*WORK, delta("Text."), finished("Text.", [], json_error="the model gave none")],
    "json empty": [STARTED, finished("Text.", [])],
    "json broken": [STARTED, finished("Text.", [], json_text="Text.")],
    "refused": [("run_ended", {"outcome": "failed", "code": "invalid_request", "message": "question is too odd"})],
    "fails": [
        *WORK,
        (
            "run_ended",
            {"outcome": "failed", "code": "model_rejected", "message": "The key is wrong.", "answer": finished("", [])[1]["answer"]},
        ),
    ],
    "cancelled": [STARTED, ("run_ended", {"outcome": "cancelled", "answer": finished("", [])[1]["answer"]})],
    "interrupted": [STARTED, ("run_ended", {"outcome": "interrupted"})],
    "cut off": [STARTED],
    "nothing": [],
    "damaged": [STARTED, ("answer_delta", {})],
}


class ScriptedController(Executor):
    """The only stage of the Flow."""

    @requests(on="/research/stream")
    async def research_stream(self, doc: ResearchRequest, **kwargs) -> AsyncGenerator[ResearchEvent, None]:
        name = doc.messages[-1].content
        told = SCRIPTS.get(name) or [] if name in SCRIPTS else [STARTED, finished(doc.model_dump_json(), [])]
        for number, (kind, data) in enumerate(told, start=1):
            yield ResearchEvent(run_id=doc.run_id, sequence=number, type=kind, data=data)
