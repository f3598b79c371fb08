"""The runs that pass through the gateway, whichever protocol asked for them: their places, their limits, their tokens.

Every call to a stage goes through the streamer, so here is the one place where nothing can be forgotten. A run that streams,
or is waited for, holds its place as long as its call; a job's run goes on in the controller, so the gateway follows its events
until it ends. What is not seen: runs of other gateways, whose counts it may share, jobs begun before this gateway's start, and
what a run of a client that left spends after the gateway has asked for its report.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager, nullcontext
from typing import Any, TypeVar

from docarray import DocList
from docarray.proto import DocProto, NodeProto
from jina.serve.runtimes.gateway.streamer import GatewayStreamer
from jina.types.request.data import DataRequest

from gateway import metrics
from gateway.calls import StageCalls
from gateway.continuing import Continuing, identify
from gateway.guard.admission import Admission
from gateway.guard.call import CURRENT, Call
from gateway.guard.limits import CallerLimits
from gateway.jina_patches import EndpointStreamer
from gateway.passing import run_of
from schemas.errors import ClientLeft, DeepSearchError, InvalidRequest
from schemas.events import ResearchEvent
from schemas.research import RunList, RunQuery, RunReport
from schemas.settings import Settings

logger = logging.getLogger(__name__)

RUNS = frozenset({"/research", "/research/stream", "/resume", "/continue"})
"""Endpoints whose call is as long as the run."""
JOBS = frozenset({"/submit", "/approve"})
"""Endpoints after which a run goes on by itself."""
_GOING_ON = frozenset({"/resume", "/continue", "/approve"})
"""Endpoints that go on with a run, which has used tokens before."""
_FOLLOWING = "/events"
_ABOUT_RUNS = frozenset({"/events", "/run", "/runs", "/page", "/cancel", "/forget"})
"""Endpoints that spend nothing. All others are single stages, which may."""
_FREE = frozenset({"/export"})
"""Single stages that do not."""

Result = TypeVar("Result")

_GATEWAY = "gateway"
_ONLY_THE_END = 2**31 - 1


class Runs:
    """Gives each run its place, and counts what it spends."""

    def __init__(self, settings: Settings, limits: CallerLimits) -> None:
        self.limits = limits
        self._admission = Admission(settings)
        metrics.RUNS.set_function(lambda: self._admission.under_way)
        metrics.WAITING.set_function(lambda: self._admission.waiting)

    async def enter(self) -> ExitStack:
        """A place for a run of the current caller; closing it gives it back.

        Waits when all are taken. Raises `LimitReached`, `Overloaded` when too many wait already, or `ClientLeft`.
        """
        call = CURRENT.get() or Call(_GATEWAY)
        with ExitStack() as held:
            with _refusing(call):
                held.callback(await self.limits.begin_run(call.caller))
                await self._wait(call)
            held.callback(self._admission.leave)
            begun = time.monotonic()
            held.callback(lambda: metrics.RUN_SECONDS.observe(time.monotonic() - begun))
            return held.pop_all()

    async def permit(self, endpoint: str) -> None:
        """Raise `QuotaUsed` when the current caller has no tokens left for a single stage, `TooManyFollowers` when it follows too much."""
        call = CURRENT.get()
        if endpoint not in RUNS | JOBS | _ABOUT_RUNS | _FREE:
            call = call or Call(_GATEWAY)
            with _refusing(call):
                await self.limits.check_quota(call.caller)
        elif endpoint == _FOLLOWING and call is not None:
            with _refusing(call):
                self.limits.check_followers(call.caller)

    def following(self) -> AbstractContextManager[None]:
        """Around following a run for the current caller, which `permit` has allowed. The gateway's own business is not counted."""
        call = CURRENT.get()
        return self.limits.following(call.caller) if call is not None else nullcontext()

    async def _wait(self, call: Call) -> None:
        if call.left is None:
            await self._admission.enter()
            return
        entering, leaving = asyncio.ensure_future(self._admission.enter()), asyncio.ensure_future(call.left())
        try:
            await asyncio.wait({entering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not entering.done():
                raise ClientLeft("The client left before its run's turn came.", retry_after=1)
            entering.result()
        except BaseException:
            if entering.done() and not entering.cancelled() and entering.exception() is None:
                self._admission.leave()  # the place came at the moment of a cancellation
            raise
        finally:
            for task in (entering, leaving):
                task.cancel()
            await asyncio.gather(entering, leaving, return_exceptions=True)

    async def spend(self, caller: str, tokens: int, run_id: str = "") -> None:
        """Count tokens that a caller's run, or stage, has used."""
        metrics.TOKENS.inc(await self.limits.spend(caller, tokens, run_id))


class GuardedStreamer(EndpointStreamer):
    """A streamer that asks for a place before a run, and counts what every answer says was spent."""

    runs: Runs
    _continuing: Continuing
    _tasks: set[asyncio.Task[Any]]

    @classmethod
    def guard(cls, streamer: GatewayStreamer, runs: Runs, continuing: Continuing) -> None:
        """Make jina's own streamer one of these."""
        cls.adopt(streamer)
        assert isinstance(streamer, cls)
        streamer.runs, streamer._continuing, streamer._tasks = runs, continuing, set()

    async def answers(self, requests: AsyncIterator[DataRequest]) -> AsyncGenerator[DataRequest, None]:
        """As before; the runs among the requests are answered one after the other, each when it has its place."""
        source, caller, counted = aiter(requests), caller_name(), 0
        run: list[Any] = []

        async def others() -> AsyncIterator[Any]:
            """The requests up to the next run."""
            nonlocal counted
            async for request in source:
                counted += 1
                if counted > 1:  # the first was counted with the call
                    await self.runs.limits.request(caller)
                await self.runs.permit(request.header.exec_endpoint)
                if request.header.exec_endpoint in RUNS | JOBS:
                    run.append(request)
                    return
                yield request

        while True:
            async with aclosing(self._counted(super().answers(others()))) as answers:
                async for answer in answers:
                    yield answer
            if not run:
                return
            request = run.pop()
            endpoint, documents = request.header.exec_endpoint, _documents(request)
            async with aclosing(self._run(endpoint, len(documents), super().answers(_once(request)))) as answers:
                async for answer in answers:
                    yield answer

    async def cancellable(self, request: DataRequest, documents: Any = None) -> DataRequest:
        """As before; a client that leaves ends it, whatever the protocol, and pays for what its run has spent.

        Only what is about a run that goes on by itself is done also for who has left.
        """
        endpoint, caller = request.header.exec_endpoint, caller_name()
        sending = self._continued_call(request, documents)
        if endpoint in JOBS | _ABOUT_RUNS:
            return await asyncio.shield(self._later(sending))
        run_ids = [identify(document) for document in _documents(request)] if endpoint in RUNS else []
        try:
            return await _while_there(sending)
        except (ClientLeft, asyncio.CancelledError):
            for run_id in run_ids:
                self._later(self._settle(run_id, caller))
            raise

    async def stream_docs(
        self, docs: DocList[Any], *, exec_endpoint: str | None = None, return_results: bool = False, **more: Any
    ) -> AsyncIterator[Any]:
        """As before, with a place for a run."""
        endpoint = str(exec_endpoint)
        await self.runs.permit(endpoint)
        if exec_endpoint is None:
            yield docs
            return
        responses: Any = super().stream_docs(docs, exec_endpoint=endpoint, return_results=True, **more)
        guarded = self._run(endpoint, len(docs), responses) if endpoint in RUNS | JOBS else self._counted(responses)
        async with aclosing(guarded):
            async for response in guarded:
                yield response if return_results else response.docs

    async def permit(self, endpoint: str) -> None:
        """As `Runs.permit`."""
        await self.runs.permit(endpoint)

    async def rpc_stream_doc(self, request: Any, return_type: Any = DocList, **_: Any) -> AsyncGenerator[Any, None]:
        """As before, with a place for a run."""
        endpoint, caller, run_id, ended = request.header.exec_endpoint, caller_name(), "", False
        is_run = endpoint in RUNS
        await self.runs.permit(endpoint)
        with await self.runs.enter() if is_run else self.runs.following() if endpoint == _FOLLOWING else nullcontext():
            if endpoint in _GOING_ON:
                await self._know(run_of(request.proto_with_data.document))
            try:
                async with aclosing(self._continued_stream(request)) as responses:
                    async for response in responses:
                        if is_run:
                            event = response.proto_with_data.document.data
                            run_id = event["run_id"].text if "run_id" in event else run_id
                            if "type" in event and event["type"].text == "run_ended":
                                answer = _inner(event["data"], "answer")
                                await self.runs.spend(caller, _tokens(_inner(answer, "usage")), run_id)
                                ended = answer is not None  # without one it does not tell what it has spent
                        elif endpoint != _FOLLOWING:  # a run's events tell what it spent, but not at whose expense
                            await self._spent_by(caller, response.proto_with_data.document)
                        yield response
            finally:
                if run_id and not ended:
                    self._later(self._settle(run_id, caller))

    def _continued_stream(self, request: Any) -> AsyncGenerator[Any, None]:
        """The responses of whichever controllers serve a streaming request."""
        send: Any = super().rpc_stream_doc
        return self._continuing.stream(request, send) if self._can_continue else send(request)

    async def _continued_call(self, request: DataRequest, documents: Any) -> DataRequest:
        async def send(asked: DataRequest) -> DataRequest:
            return await EndpointStreamer.cancellable(self, asked, documents if asked is request else None)

        endpoint, stream = request.header.exec_endpoint, super().rpc_stream_doc
        run_ids = [run_of(document) for document in _documents(request)] if endpoint in _GOING_ON | {"/forget"} else []
        if endpoint in _GOING_ON:
            for run_id in run_ids:
                await self._know(run_id)
        response = await (self._continuing.call(request, send, stream) if self._can_continue else send(request))
        if endpoint == "/forget":
            for run_id in run_ids:
                await self.runs.limits.forget(run_id)
        if documents is not None:
            response.document_array_cls = documents
        return response

    @property
    def _can_continue(self) -> bool:
        return "/continue" in (self._endpoints_models_map or {})

    async def close(self) -> None:
        """Forget the jobs, and close the connections to the stages."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.runs.limits.close()
        await super().close()

    async def _run(self, endpoint: str, documents: int, responses: Any) -> AsyncGenerator[Any, None]:
        """The responses of a call that is a run or begins one, when it has its place."""
        if endpoint in JOBS and documents > 1:
            raise InvalidRequest(f"{endpoint} takes one question at a time.", field="data")
        caller = caller_name()
        with await self.runs.enter() as held:
            async with aclosing(self._counted(responses)) as counted:
                async for response in counted:
                    if endpoint in JOBS and (found := _documents(response)):
                        self._later(self._follow(found[0].data["run_id"].text, caller, held.pop_all()))
                    yield response

    async def _counted(self, responses: Any) -> AsyncGenerator[Any, None]:
        caller = caller_name()
        try:
            async with aclosing(responses):
                async for response in responses:
                    await self._spent(caller, response)
                    yield response
        except DeepSearchError as error:
            await self.runs.spend(caller, error.usage.total_tokens)
            raise

    async def _spent(self, caller: str, response: Any) -> None:
        for document in _documents(response):
            await self._spent_by(caller, document)

    async def _spent_by(self, caller: str, document: DocProto) -> None:
        if "usage" in document.data:
            run_id = document.data["run_id"].text if "run_id" in document.data else ""
            await self.runs.spend(caller, _tokens(document.data["usage"]), run_id)

    async def _follow(self, run_id: str, caller: str, held: ExitStack) -> None:
        """Hold a job's place until its run ends."""
        CURRENT.set(None)  # it is the gateway that follows
        with held:
            try:
                query = RunQuery(run_id=run_id, after=_ONLY_THE_END)
                async with aclosing(StageCalls(self).stream(_FOLLOWING, query, ResearchEvent)) as events:
                    async for _ in events:
                        pass  # it ends with the run
            except DeepSearchError as error:
                logger.warning("the run %s is no longer followed: %s", run_id, error)
        await self._settle(run_id, caller)

    async def _know(self, run_id: str) -> None:
        """Take what a run has used so far as paid for: who goes on with it, or reads its end once more, pays what it uses from here on.

        It may have been begun at another gateway, or before this one's start. Of one that is under way nothing is paid yet: whoever sees
        its end pays all of it.
        """
        if not run_id or await self.runs.limits.knows(run_id):
            return
        try:
            found = await StageCalls(self).call("/runs", RunQuery(run_id=run_id), RunList)
        except InvalidRequest:
            return  # there is no such run
        except DeepSearchError as error:
            logger.warning("what the run %s has used before is not known: %s", run_id, error)
        else:
            if found.runs[0].state != "running":
                await self.runs.limits.remember(run_id, found.runs[0].total_tokens)

    async def _settle(self, run_id: str, caller: str) -> None:
        """Count what a run has spent whose end was not seen."""
        try:
            report = await StageCalls(self).call("/run", RunQuery(run_id=run_id), RunReport)
        except DeepSearchError as error:
            logger.warning("what the run %s has used is not counted: %s", run_id, error)
        else:
            await self.runs.spend(caller, report.run.total_tokens, run_id)

    def _later(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


@contextmanager
def _refusing(call: Call) -> Iterator[None]:
    """Note a refusal, for the response and the metrics."""
    try:
        yield
    except DeepSearchError as error:
        call.refusal = error
        metrics.REFUSED.labels(error.code).inc()
        raise


async def _while_there(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled as soon as the client has gone; then `ClientLeft` is raised."""
    call = CURRENT.get()
    if call is None or call.left is None:
        return await work
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(call.left())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft("The client left before its answer was there.", retry_after=1)
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def caller_name() -> str:
    """Who asked for what is being done."""
    call = CURRENT.get()
    return call.caller if call else _GATEWAY


async def _once(request: Any) -> AsyncIterator[Any]:
    yield request


def _documents(message: Any) -> list[DocProto]:
    """The documents of a jina request or response, as they travel: to look at one field, none is decoded."""
    return list(message.proto_with_data.data.docs.docs)


def _inner(node: NodeProto | None, name: str) -> NodeProto | None:
    """A field of a document or dictionary, None when there is none."""
    if node is None:
        return None
    kind = node.WhichOneof("content")
    data = node.doc.data if kind == "doc" else node.dict.data
    return data[name] if name in data else None  # noqa: SIM401  (`get` of a protobuf map adds what is missing)


def _tokens(usage: NodeProto | None) -> int:
    fields = (_inner(usage, name) for name in ("prompt_tokens", "completion_tokens", "provider_tokens"))
    return sum(max(0, field.integer) for field in fields if field is not None)
