"""The stages as processes of their own, called directly over gRPC.

A call is a normal jina call, the one the gateway makes, without the gateway: typed, with a deadline, cancelled when the
caller is, and with the stage's own error. Each stage has one client for the life of the process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from itertools import count
from time import monotonic
from typing import Any

import grpc
from docarray import BaseDoc
from jina.proto.jina_pb2 import DataRequestProto, SingleDocumentRequestProto, StatusProto
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay

from executors.controller.stages import STAGE_OF_ENDPOINT, Result
from providers.upstream import backoff
from schemas.errors import DeadlineExceeded, DeepSearchError, Overloaded, StageUnavailable, from_wire
from schemas.settings import Settings
from telemetry.stage_calls import StageCall, answered_by

REPEATABLE = frozenset({"/search", "/rank", "/dedupe", "/read"})
"""Endpoints that cost little and change nothing: when a replica dies during one, another replica is asked."""

_BACKOFF_SECONDS = 0.5
"""Longest first pause before a stage that is overloaded is asked again, beside what it asks for."""

CONNECT_SECONDS = 5.0
"""Longest a connection may take; a refused one fails at once."""

_CHANNEL_OPTIONS = [
    # A name (dns:///) stands for several replicas; without this gRPC would stay with the first.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # When a stage ends a connection the name is asked for again at once, so that replicas that came later are found; gRPC would
    # ask at most every 30 seconds.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # A stage that comes back is found within this time; gRPC would wait up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class RemoteStages:
    """Calls stages over gRPC. Implements `Stages`."""

    def __init__(self, addresses: Mapping[str, str] | Settings) -> None:
        """`addresses` has for each stage a comma-separated list of host:port, or a gRPC target such as `dns:///name:port`."""
        stages = sorted(set(STAGE_OF_ENDPOINT.values()))
        if isinstance(addresses, Settings):
            addresses = {stage: addresses.stage_address(stage) for stage in stages}
        self._clients = {stage: _StageClient(stage, address) for stage, address in addresses.items()}

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result], *, timeout: float) -> Result:
        """See `Stages.call`."""
        with StageCall(STAGE_OF_ENDPOINT[endpoint], endpoint) as watched:
            return await self._client(endpoint).call(endpoint, request, returns, timeout, watched)

    async def stream(self, endpoint: str, request: BaseDoc, returns: type[Result], *, timeout: float) -> AsyncIterator[Result]:
        """See `Stages.stream`."""
        with StageCall(STAGE_OF_ENDPOINT[endpoint], endpoint).ending() as watched:
            async for piece in self._client(endpoint).stream(endpoint, request, returns, timeout, watched):
                yield piece

    async def ready(self) -> bool:
        """See `Stages.ready`."""
        return all(await asyncio.gather(*(client.ready() for client in self._clients.values())))

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.close()

    def _client(self, endpoint: str) -> _StageClient:
        return self._clients[STAGE_OF_ENDPOINT[endpoint]]


class _Replica:
    """A connection to one address, which for a `dns:///` name stands for all replicas behind it."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self.unary = self.channel.unary_unary(
            "/jina.JinaSingleDataRequestRPC/process_single_data",
            request_serializer=DataRequestProto.SerializeToString,
            response_deserializer=DataRequestProto.FromString,
        )
        self.streaming = self.channel.unary_stream(
            "/jina.JinaSingleDocumentRequestRPC/stream_doc",
            request_serializer=SingleDocumentRequestProto.SerializeToString,
            response_deserializer=SingleDocumentRequestProto.FromString,
        )

    async def connected(self, timeout: float) -> bool:
        """Whether there is a connection, or one can be made within `timeout` seconds."""
        deadline = monotonic() + min(timeout, CONNECT_SECONDS)
        while (state := self.channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
                return False
            try:
                await asyncio.wait_for(self.channel.wait_for_state_change(state), deadline - monotonic())
            except asyncio.TimeoutError:
                return False
        return True


class _StageClient:
    """One stage: its replicas in turn, and what their failures mean."""

    def __init__(self, stage: str, addresses: str) -> None:
        self._stage = stage
        self._addresses = [address.strip() for address in addresses.split(",") if address.strip()]
        self._replicas: list[_Replica] = []
        self._turn = count()

    async def call(self, endpoint: str, request: BaseDoc, returns: type[Result], timeout: float, watched: StageCall) -> Result:
        message = DataRequestProto()
        message.header.exec_endpoint = endpoint
        message.data.docs.docs.append(request.to_protobuf())
        deadline = monotonic() + timeout

        async def once() -> DataRequestProto:
            refusal: Overloaded | None = None
            for replica in self._in_turn():
                if not await replica.connected(deadline - monotonic()):
                    continue
                try:
                    sent = replica.unary(message, timeout=max(0.0, deadline - monotonic()), metadata=watched.metadata())
                    reply: DataRequestProto = await sent
                    answered_by(self._stage, await sent.initial_metadata())
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.UNAVAILABLE and endpoint in REPEATABLE:
                        continue
                    raise self._failure(error, endpoint, timeout) from error
                try:
                    _check(reply.header.status)
                except Overloaded as overloaded:  # it has begun nothing, so another one may be asked, whatever the endpoint
                    refusal = overloaded
                    continue
                return reply
            raise refusal or self._unreachable(endpoint, deadline, timeout)

        answer: DataRequestProto = await _until_admitted(deadline)(once)
        if not answer.routes:  # jina returns a request as its own answer when the stage does not bind the endpoint
            raise DeepSearchError(f"The stage {self._stage} has no endpoint {endpoint}.")
        return returns.from_protobuf(answer.data.docs.docs[0])

    async def stream(
        self, endpoint: str, request: BaseDoc, returns: type[Result], timeout: float, watched: StageCall
    ) -> AsyncIterator[Result]:
        message = SingleDocumentRequestProto()
        message.header.exec_endpoint = endpoint
        message.document.CopyFrom(request.to_protobuf())
        deadline = monotonic() + timeout

        async def admitted() -> tuple[Any, Any]:
            """A stream that has its place, and the first piece of it."""
            refusal: Overloaded | None = None
            for replica in self._in_turn():
                if not await replica.connected(deadline - monotonic()):
                    continue
                call = replica.streaming(message, timeout=max(0.0, deadline - monotonic()), metadata=watched.metadata())
                try:
                    answer = await call.read()
                    if answer is not grpc.aio.EOF:
                        _check(answer.header.status)
                except Overloaded as overloaded:
                    call.cancel()
                    refusal = overloaded
                    continue
                except BaseException:
                    call.cancel()
                    raise
                answered_by(self._stage, await call.initial_metadata())
                return call, answer
            raise refusal or self._unreachable(endpoint, deadline, timeout)

        try:
            call: Any
            answer: Any
            call, answer = await _until_admitted(deadline)(admitted)
            try:
                while answer is not grpc.aio.EOF:
                    _check(answer.header.status)
                    if answer.header.exec_endpoint:  # the request itself, as above
                        raise DeepSearchError(f"The stage {self._stage} has no endpoint {endpoint}.")
                    yield returns.from_protobuf(answer.document)
                    answer = await call.read()
            finally:
                call.cancel()  # no effect on one that is over
        except grpc.aio.AioRpcError as error:
            raise self._failure(error, endpoint, timeout) from error

    async def ready(self) -> bool:
        for replica in self._in_turn():
            if await replica.connected(CONNECT_SECONDS):
                return True
        return False

    async def close(self) -> None:
        for replica in self._replicas:
            await replica.channel.close()
        self._replicas = []

    def _in_turn(self) -> list[_Replica]:
        """The replicas, beginning with the one whose turn it is. A single address may be several replicas, so it gets a second try."""
        if not self._replicas:  # made here because a channel belongs to the event loop it is born in
            self._replicas = [_Replica(address) for address in self._addresses]
        first = next(self._turn) % len(self._replicas)
        order = self._replicas[first:] + self._replicas[:first]
        return order if len(order) > 1 else order * 2

    def _failure(self, error: grpc.aio.AioRpcError, endpoint: str, timeout: float) -> DeepSearchError:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"{endpoint} took longer than {timeout:g} s.")
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return StageUnavailable(
                f"The stage {self._stage} at {', '.join(self._addresses)} went away during {endpoint}.",
                field=f"{self._stage.upper()}_ADDRESS",
            )
        return DeepSearchError(f"{endpoint} of the stage {self._stage} failed with {error.code().name}: {error.details()}")

    def _unreachable(self, endpoint: str, deadline: float, timeout: float) -> DeepSearchError:
        if monotonic() >= deadline:
            return DeadlineExceeded(f"{endpoint} took longer than {timeout:g} s.")
        return StageUnavailable(
            f"The stage {self._stage} cannot be reached at {', '.join(self._addresses)}; "
            f"start it, or correct {self._stage.upper()}_ADDRESS.",
            field=f"{self._stage.upper()}_ADDRESS",
        )


def _until_admitted(deadline: float) -> AsyncRetrying:
    """Asks an overloaded stage again, after what it asks for and a little more by chance, unless that is beyond `deadline`."""
    chance = backoff(_BACKOFF_SECONDS)

    def pause(state: RetryCallState) -> float:
        refusal = state.outcome.exception() if state.outcome else None
        return chance(state) + ((refusal.retry_after or 0) if isinstance(refusal, Overloaded) else 0)

    return AsyncRetrying(
        retry=retry_if_exception_type(Overloaded), stop=stop_before_delay(deadline - monotonic()), wait=pause, reraise=True
    )


def _check(status: Any) -> None:
    """Raise the error that a response header carries."""
    if status.code == StatusProto.ERROR:
        raise from_wire(status.exception.name, list(status.exception.args), status.description)
