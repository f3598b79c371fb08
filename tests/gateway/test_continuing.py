"""Controllers that die at any moment, in front of the gateway's part that goes on: each event once, the answer in one piece."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from docarray import DocList
from hypothesis import given, settings
from hypothesis import strategies as st
from jina.types.request.data import DataRequest, SingleDocumentRequest

from gateway import continuing
from gateway.continuing import Continuing
from gateway.errors import Unreached
from schemas.errors import DeepSearchError, InvalidRequest, NotWaiting, Overloaded, RunNotFound, StageUnavailable
from schemas.events import ResearchEvent
from schemas.reporting import OutlineApproval
from schemas.research import Message, ResearchAnswer, ResearchRequest, RunList, RunQuery, RunSummary

PIECES = ["Page ", "readers ", "scale", "."]


def run_events(run_id: str) -> list[ResearchEvent]:
    """A run of five events in the journal; the answer is written after the fourth."""
    events = [ResearchEvent(run_id=run_id, sequence=number, type=f"event_{number}") for number in range(1, 5)]
    written = 0
    for piece in PIECES:
        events.append(ResearchEvent(run_id=run_id, sequence=4, type="answer_delta", data={"text": piece, "offset": written}))
        written += len(piece)
    events.append(ResearchEvent(run_id=run_id, sequence=5, type="event_5"))
    answer = ResearchAnswer(run_id=run_id, text="".join(PIECES), stop_reason="answered", mode="model").model_dump()
    return [*events, ResearchEvent(run_id=run_id, sequence=5, type="run_ended", data={"outcome": "finished", "answer": answer})]


def wire(event: ResearchEvent) -> SingleDocumentRequest:
    response = SingleDocumentRequest()
    response.document_cls = ResearchEvent
    response.proto_with_data.document.CopyFrom(event.to_protobuf())
    return response


def request(endpoint: str, document: Any) -> SingleDocumentRequest:
    asked = SingleDocumentRequest()
    asked.header.exec_endpoint = endpoint
    asked.proto_with_data.document.CopyFrom(document.to_protobuf())
    return asked


class Controllers:
    """Controllers that have one journal. `deaths` says what happens to each call: after how many events it dies and how, or None."""

    def __init__(self, deaths: list[tuple[int, str] | None]) -> None:
        self.deaths = iter(deaths)
        self.asked: list[str] = []
        self.begun: list[str] = []

    async def send(self, asked: Any) -> AsyncGenerator[Any, None]:
        endpoint = asked.header.exec_endpoint
        self.asked.append(endpoint)
        document = asked.proto_with_data.document
        run_id = document.data["run_id"].text
        death = next(self.deaths, None)
        if death is not None and death[1] == "unreached":
            raise Unreached("no connection")
        if death is not None and death[1] in ("journal", "run_under_way", "stage_unavailable") and self.begun:
            yield wire(ResearchEvent(run_id="", type="run_ended", data={"outcome": "failed", "code": death[1], "message": "not now"}))
            return
        if death is not None and death[1] == "not begun":
            raise StageUnavailable("reset")
        after = offset = 0
        if endpoint == "/research/stream":
            if run_id in self.begun:
                data = {"outcome": "failed", "code": "invalid_request", "message": "taken", "field": "run_id"}
                yield wire(ResearchEvent(type="run_ended", data=data))
                return
            self.begun.append(run_id)
        else:
            query = RunQuery.from_protobuf(document)
            after, offset = query.after, query.after_offset
            if run_id not in self.begun:
                data = {"outcome": "failed", "code": "run_not_found", "message": "no such run", "field": "run_id"}
                yield wire(ResearchEvent(type="run_ended", data=data))
                return
        events = [
            event for event in run_events(run_id) if event.type == "run_ended" or event.sequence > after - (event.type == "answer_delta")
        ]
        for number, event in enumerate(events):
            if death is not None and number >= death[0]:
                if death[1] == "interrupted":
                    yield wire(ResearchEvent(run_id=run_id, sequence=max(after, 1), type="run_ended", data={"outcome": "interrupted"}))
                    return
                if death[1] == "reset":
                    raise StageUnavailable("reset")
                return  # as if all were well
            if event.type == "answer_delta":
                start = event.data["offset"]
                if start + len(event.data["text"]) <= offset:
                    continue
                cut = max(0, offset - start)
                event = event.model_copy(update={"data": {"text": event.data["text"][cut:], "offset": start + cut}})  # noqa: PLW2901
            yield wire(event)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuing, "_FIRST_PAUSE_SECONDS", 0.0)


def made(lease_seconds: float = 10.0) -> Continuing:
    return Continuing(lease_seconds, asyncio.Event())


async def collect(part: Continuing, asked: Any, controllers: Controllers) -> list[ResearchEvent]:
    return [ResearchEvent.from_protobuf(r.proto_with_data.document) async for r in part.stream(asked, controllers.send)]


def check(events: list[ResearchEvent], sequences: list[int], known: int = 0) -> None:
    assert [event.sequence for event in events if event.type not in ("answer_delta", "run_ended")] == sequences
    assert [event.type for event in events].count("run_ended") == 1 and events[-1].data["outcome"] == "finished"
    text = "".join(PIECES)[:known]
    for event in events:
        if event.type == "answer_delta":
            assert event.data.get("offset", 0) == len(text)
            text += event.data["text"]
    assert text == "".join(PIECES) or not sequences


DEATHS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(["reset", "end", "interrupted", "unreached", "journal", "run_under_way", "stage_unavailable", "not begun"]),
        ),
    ),
    max_size=8,
)


@given(deaths=DEATHS)
@settings(max_examples=300, deadline=None)
def test_a_run_is_whole_however_often_its_controllers_die(deaths: list[tuple[int, str] | None]) -> None:
    async def scenario() -> None:
        continuing._FIRST_PAUSE_SECONDS = 0.0
        controllers = Controllers(deaths)
        check(await collect(made(), request("/research/stream", ResearchRequest(question="q")), controllers), [1, 2, 3, 4, 5])
        assert len(controllers.begun) == 1, "the question is asked once"

    asyncio.run(scenario())


@given(deaths=DEATHS, after=st.integers(0, 5), known=st.integers(0, 19))
@settings(max_examples=200, deadline=None)
def test_who_follows_sees_each_event_once(deaths: list[tuple[int, str] | None], after: int, known: int) -> None:
    deaths = [death for death in deaths if death is None or death[1] in ("reset", "end", "unreached", "not begun")]

    async def scenario() -> None:
        continuing._FIRST_PAUSE_SECONDS = 0.0
        controllers = Controllers(deaths)
        controllers.begun.append("r")
        offset = known if after == 4 else 0
        query = RunQuery(run_id="r", after=after, after_offset=offset)
        for endpoint in ("/events", "/continue"):
            check(await collect(made(), request(endpoint, query), controllers), list(range(after + 1, 6)), offset)
        assert set(controllers.asked) <= {"/events", "/continue"}

    asyncio.run(scenario())


async def test_a_run_that_nobody_takes_up_ends_honestly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuing, "_TAKE_OVER_SECONDS", 0.2)
    asked = request("/research/stream", ResearchRequest(question="q", run_id="mine"))
    with pytest.raises(StageUnavailable, match="Run mine is kept and can be resumed"):
        await collect(made(0.0), asked, Controllers([(2, "reset")] + [(0, "unreached")] * 10_000))
    events = await collect(made(0.0), asked, Controllers([(2, "interrupted")] + [(0, "unreached")] * 10_000))
    assert events[-1].data == {"outcome": "interrupted"}


async def test_a_run_that_kills_its_controllers_is_given_up() -> None:
    asked = 0

    async def dying(request: Any) -> AsyncGenerator[Any, None]:
        nonlocal asked
        asked += 1
        yield wire(ResearchEvent(run_id="r", sequence=asked, type=f"event_{asked}"))
        raise StageUnavailable("reset")

    with pytest.raises(StageUnavailable):
        async for _ in made().stream(request("/research/stream", ResearchRequest(question="q")), dying):
            pass
    assert asked == continuing._MOST_BREAKS + 1


async def test_nothing_is_waited_for_when_the_gateway_stops() -> None:
    stopping = asyncio.Event()
    stopping.set()
    controllers = Controllers([(3, "reset")])
    with pytest.raises(StageUnavailable):
        await collect(Continuing(10.0, stopping), request("/research/stream", ResearchRequest(question="q")), controllers)
    assert controllers.asked == ["/research/stream"]


async def test_a_refusal_is_passed_on() -> None:
    class Refusing(Controllers):
        async def send(self, asked: Any) -> AsyncGenerator[Any, None]:
            self.asked.append(asked.header.exec_endpoint)
            data = {"outcome": "failed", "code": "invalid_request", "message": "taken", "field": "run_id"}
            yield wire(ResearchEvent(type="run_ended", data=data))

    controllers = Refusing([])
    events = await collect(made(), request("/research/stream", ResearchRequest(question="q", run_id="taken")), controllers)
    assert events[-1].data["code"] == "invalid_request" and controllers.asked == ["/research/stream"]

    async def overloaded(asked: Any) -> AsyncGenerator[Any, None]:
        raise Overloaded("too many")
        yield

    with pytest.raises(Overloaded):
        async for _ in made().stream(request("/research/stream", ResearchRequest(question="q")), overloaded):
            pass


async def test_a_client_that_leaves_ends_the_call() -> None:
    closed = asyncio.Event()

    async def endless(asked: Any) -> AsyncGenerator[Any, None]:
        try:
            yield wire(ResearchEvent(run_id="r", sequence=1, type="run_started"))
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = made().stream(request("/research/stream", ResearchRequest(question="q")), endless)
    await anext(stream)
    await stream.aclose()
    assert closed.is_set()


# -- calls that are answered once -------------------------------------------------------------------------------------------


def unary(endpoint: str, document: Any) -> DataRequest:
    asked = DataRequest()
    kind: Any = type(document)
    asked.document_array_cls = DocList[kind]
    asked.data.docs = DocList[kind]([document])
    asked.header.exec_endpoint = endpoint
    return asked


def answered(document: Any) -> DataRequest:
    return unary("", document)


def first(response: DataRequest, kind: Any) -> Any:
    return kind.from_protobuf(response.proto_with_data.data.docs.docs[0])


async def never(asked: Any) -> AsyncGenerator[Any, None]:
    raise AssertionError("no stream is asked for")
    yield


async def test_a_whole_answer_comes_from_whoever_goes_on() -> None:
    controllers = Controllers([(3, "reset")])

    async def dying(asked: DataRequest) -> DataRequest:
        controllers.begun.append(asked.proto_with_data.data.docs.docs[0].data["run_id"].text)
        raise StageUnavailable("reset")

    response = await made().call(unary("/research", ResearchRequest(question="q")), dying, controllers.send)
    answer = first(response, ResearchAnswer)
    assert answer.text == "".join(PIECES) and answer.run_id == controllers.begun[0] and controllers.asked == ["/continue"] * 2


async def test_a_whole_answer_that_was_never_begun_is_asked_for_again() -> None:
    controllers = Controllers([])

    async def refusing(asked: DataRequest) -> DataRequest:
        raise StageUnavailable("reset")

    response = await made().call(unary("/research", ResearchRequest(question="q")), refusing, controllers.send)
    assert first(response, ResearchAnswer).text == "".join(PIECES) and controllers.asked == ["/continue", "/research/stream"]


async def test_a_job_is_begun_once() -> None:
    begun: list[str] = []

    async def dying_after_it_began(asked: DataRequest) -> DataRequest:
        run_id = asked.proto_with_data.data.docs.docs[0].data["run_id"].text
        if asked.header.exec_endpoint == "/runs":
            return answered(RunList(runs=DocList[RunSummary]([RunSummary(run_id=run_id, question="q", state="running", background=True)])))
        if run_id in begun:
            raise InvalidRequest("taken", field="run_id")
        begun.append(run_id)
        raise StageUnavailable("reset")

    response = await made().call(unary("/submit", ResearchRequest(question="q")), dying_after_it_began, never)
    summary = first(response, RunSummary)
    assert [summary.run_id] == begun and summary.state == "running"


TAKEN = InvalidRequest("run_id 'taken' is taken: choose another or none", field="run_id")


@pytest.mark.parametrize(
    ("endpoint", "first_failure", "refusal"),
    [
        ("/submit", Unreached("no connection"), TAKEN),
        ("/submit", StageUnavailable("reset"), TAKEN),
        ("/submit", StageUnavailable("reset"), InvalidRequest("team_size is 99", field="team_size")),
        ("/approve", StageUnavailable("reset"), InvalidRequest("the outline has 99 sections", field="outline")),
        ("/approve", StageUnavailable("reset"), RunNotFound("no run", field="run_id")),
        ("/approve", Unreached("no connection"), NotWaiting("it does not wait", field="run_id")),
    ],
)
async def test_a_refusal_is_not_answered_with_another_run(endpoint: str, first_failure: DeepSearchError, refusal: InvalidRequest) -> None:
    failures = [first_failure]

    async def refusing(asked: DataRequest) -> DataRequest:
        if asked.header.exec_endpoint == "/runs":
            return answered(RunList(runs=DocList[RunSummary]([RunSummary(run_id="taken", question="another's", background=True)])))
        raise failures.pop() if failures else refusal

    document = ResearchRequest(question="mine", run_id="taken") if endpoint == "/submit" else OutlineApproval(run_id="taken")
    with pytest.raises(InvalidRequest) as raised:
        await made().call(unary(endpoint, document), refusing, never)
    assert raised.value is refusal


async def test_an_approval_is_heard_once() -> None:
    failures = [StageUnavailable("reset")]

    async def dying_after_it_went_on(asked: DataRequest) -> DataRequest:
        if asked.header.exec_endpoint == "/runs":
            return answered(RunList(runs=DocList[RunSummary]([RunSummary(run_id="r", state="running")])))
        raise failures.pop() if failures else NotWaiting("it does not wait", field="run_id")

    response = await made().call(unary("/approve", OutlineApproval(run_id="r")), dying_after_it_went_on, never)
    assert first(response, RunSummary).state == "running"


@pytest.mark.parametrize(("question", "is_ours"), [("mine", True), ("another's", False)])
@pytest.mark.parametrize("unary_call", [False, True])
async def test_another_run_of_the_same_id_is_never_passed_on(question: str, is_ours: bool, unary_call: bool) -> None:
    asked_for: list[str] = []

    async def send(asked: Any) -> AsyncGenerator[Any, None]:
        asked_for.append(asked.header.exec_endpoint)
        if asked_for[-1] == "/research/stream":
            raise StageUnavailable("reset")
        yield wire(ResearchEvent(run_id="taken", sequence=1, type="run_started", data={"request": {"question": question}}))
        for event in run_events("taken")[1:]:
            yield wire(event)

    async def refusing(asked: DataRequest) -> DataRequest:
        raise StageUnavailable("reset")

    document = ResearchRequest(messages=DocList[Message]([Message(role="user", content=" mine ")]), run_id="taken")

    async def ask() -> str:
        if unary_call:
            return str(first(await made().call(unary("/research", document), refusing, send), ResearchAnswer).text)
        events = [
            ResearchEvent.from_protobuf(r.proto_with_data.document)
            async for r in made().stream(request("/research/stream", document), send)
        ]
        return str(events[-1].data["answer"]["text"])

    if is_ours:
        assert await ask() == "".join(PIECES)
    else:
        with pytest.raises(InvalidRequest, match="run_id 'taken' is taken") as raised:
            await ask()
        assert raised.value.field == "run_id"
    assert asked_for[-1] == "/continue"


@pytest.mark.parametrize(("endpoint", "again"), [("/run", True), ("/runs", True), ("/cancel", True), ("/read", False), ("/decide", False)])
async def test_only_what_does_no_harm_is_asked_again(endpoint: str, again: bool) -> None:
    asked = 0

    async def failing_once(request: DataRequest) -> DataRequest:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StageUnavailable("reset")
        return answered(RunSummary(run_id="r"))

    call = made().call(unary(endpoint, RunQuery(run_id="r")), failing_once, never)
    if again:
        assert first(await call, RunSummary).run_id == "r"
    else:
        with pytest.raises(StageUnavailable):
            await call
    assert asked == (2 if again else 1)


async def test_errors_of_the_run_are_errors() -> None:
    async def unknown(asked: DataRequest) -> DataRequest:
        raise RunNotFound("no run", field="run_id")

    with pytest.raises(RunNotFound):
        await made().call(unary("/run", RunQuery(run_id="r")), unknown, never)
    with pytest.raises(DeepSearchError):
        await made().call(unary("/submit", ResearchRequest(question="q")), unknown, never)


def test_no_two_pauses_are_the_same() -> None:
    random.seed(1)
    part = continuing._Pauses(1.0, asyncio.Event())
    part._seconds = 0.001

    async def pauses() -> list[bool]:
        return [await part.pause() for _ in range(3)]

    assert asyncio.run(pauses()) == [True] * 3 and part._seconds == 0.008
