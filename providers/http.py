"""Requests over HTTP to configured providers: one kind of client, bounded in time and size, with one wording of what went wrong.

For endpoints that the settings name. Addresses from pages, results or users are never fetched with this.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode, urlsplit

import httpx
from pydantic import SecretStr

from providers.content_encoding import ACCEPTED, Body, Damaged, TooLarge, decoder_for
from providers.upstream import Failure, Fault, Limited, NotAsked, Refusal, Rejection, Unavailable, Upstream, retry_after_seconds
from schemas.errors import ConfigurationError, UpstreamError
from schemas.usage import Usage
from telemetry import upstream

_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_REASON_CHARACTERS = 200
_ERROR_BODY_BYTES = 65_536
_LARGEST_INT = 2**31 - 1

T = TypeVar("T")


@dataclass(frozen=True)
class Endpoint:
    """A provider's address and how to speak of it."""

    url: str
    service: str
    """Its name in messages, such as "Jina search"."""
    key_setting: str
    """The setting that holds its key, named when the key is the trouble; empty for a service without keys."""
    error: type[UpstreamError]
    """What a failure is raised as."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    failed_usage: Usage = field(default_factory=Usage)
    """What a failed call counts as; its error carries it."""
    key_header: str = "Authorization"
    """The header that carries the key."""
    answers: frozenset[int] = frozenset()
    """Statuses other than 2xx whose body is an answer too."""
    meanings: Mapping[int, str] = field(default_factory=dict)
    """What statuses mean here, where that is not the usual; each continues the service's name."""
    pause_seconds: float = 0.0
    """Least pause before another attempt."""
    rejections: frozenset[int] = frozenset({401, 402, 403})
    """Statuses with which it refuses us, not the request."""
    upstream: Upstream = field(default_factory=Upstream, compare=False, repr=False)
    """How it is spared; shared by all calls with this endpoint."""

    def __post_init__(self) -> None:
        self.upstream.name = self.upstream.name or self.service

    def fails(self, message: str) -> UpstreamError:
        """The error for a failed call; `message` continues the service's name."""
        return self.error(f"{self.service} {message}", usage=self.failed_usage)

    def said(self, value: object) -> str:
        """What a field of its answer says, for a message: one line of at most 200 characters, empty unless `value` is a string.

        Some services repeat in an error the key that they were sent. Such messages are shown, logged and recorded, so
        the key is taken out, and so is a password in the URL.
        """
        text = text_field(value, _ERROR_BODY_BYTES)
        for secret in self._secrets():  # before the text is cut, which would leave the beginning of a key
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_REASON_CHARACTERS]

    def _secrets(self) -> list[str]:
        key = self.headers.get(self.key_header, "").split(" ")[-1]
        try:
            password = urlsplit(self.url).password or ""
        except ValueError:  # no URL: nothing was sent
            password = ""
        return sorted(filter(None, {key, password, unquote(password)}), key=len, reverse=True)

    async def malformed(self, message: str) -> UpstreamError:
        """The error for the answer just given, which is none: it counts as a failure of the service's own."""
        await self.upstream.retract(Fault(f"sent a malformed body: {message}"))
        return self.fails(f"sent a malformed body: {message}")

    async def rejects(self, message: str) -> UpstreamError:
        """The error for the answer just given, which refuses us whatever we ask: nothing is asked for a while."""
        await self.upstream.retract(Rejection(message))
        return self.fails(message)


def create_client() -> httpx.AsyncClient:
    """A client for providers, to be kept and closed by its owner: it follows no redirects and keeps its connections."""
    return httpx.AsyncClient(
        headers={"User-Agent": "deepsearch", "Accept": "application/json", "Accept-Encoding": ACCEPTED},
        follow_redirects=False,
        timeout=httpx.Timeout(None, connect=10.0),  # `_send` limits the whole call
        limits=httpx.Limits(max_connections=256, max_keepalive_connections=32),
        event_hooks=upstream.HOOKS,
    )


def authorization(key: SecretStr | None, setting: str) -> dict[str, str]:
    """The header that carries `key`; none without a key.

    Raises `ConfigurationError` naming `setting` for a key that cannot be sent: the client's own error would show it.
    """
    return {} if key is None else {"Authorization": f"Bearer {required_key(key, setting)}"}


def required_key(key: SecretStr | None, setting: str) -> str:
    """The text of `key`, fit for a header. Raises `ConfigurationError` naming `setting` for no key, or one that cannot be sent."""
    if key is None:
        raise ConfigurationError(f"{setting} is not set", field=setting)
    secret = key.get_secret_value().strip()
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ConfigurationError(f"{setting} holds characters that no key has, such as spaces or line breaks", field=setting)
    return secret


async def post_json(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    payload: Mapping[str, Any],
    *,
    timeout_seconds: float,
    max_bytes: int = 10_000_000,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Post `payload` and return the object that is answered.

    Broken connections and statuses 429, 502, 503 and 504 are tried up to three times, after `Retry-After` or a random
    pause, as long as `timeout_seconds` for everything together allows. A body of more than `max_bytes` is not read to
    its end. Raises `endpoint.error` with one line that names the cause and, where there is one, the setting to change.
    """
    content = json.dumps(payload).encode("ascii")  # escaped, so that any text can be sent
    all_headers = {"Content-Type": "application/json", **endpoint.headers, **(headers or {})}
    request = _Request("POST", endpoint.url, all_headers, content)
    return await _Call(client, endpoint, request, timeout_seconds, max_bytes).answer(_json_object)


async def post_form(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    form: Mapping[str, str],
    *,
    timeout_seconds: float,
    max_bytes: int = 10_000_000,
) -> bytes:
    """Post `form` as a browser would and return the body as it is; limits and errors as in `post_json`."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **endpoint.headers}
    request = _Request("POST", endpoint.url, headers, urlencode(form, errors="replace").encode("ascii"))
    return await _Call(client, endpoint, request, timeout_seconds, max_bytes).answer(bytes)


async def get_json(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    parameters: Mapping[str, str | int],
    *,
    timeout_seconds: float,
    max_bytes: int = 10_000_000,
) -> dict[str, Any]:
    """Get `endpoint.url` with `parameters` and return the object that is answered; limits and errors as in `post_json`."""
    request = _get(endpoint, parameters)
    return await _Call(client, endpoint, request, timeout_seconds, max_bytes).answer(_json_object)


async def get_body(
    client: httpx.AsyncClient,
    endpoint: Endpoint,
    parameters: Mapping[str, str | int],
    *,
    timeout_seconds: float,
    max_bytes: int = 10_000_000,
) -> bytes:
    """Get `endpoint.url` with `parameters` and return the body as it is; limits and errors as in `post_json`."""
    return await _Call(client, endpoint, _get(endpoint, parameters), timeout_seconds, max_bytes).answer(bytes)


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None = None


def _get(endpoint: Endpoint, parameters: Mapping[str, str | int]) -> _Request:
    return _Request("GET", f"{endpoint.url}?{urlencode(parameters, errors='replace')}", endpoint.headers)


class _Call:
    """One request, sent until there is an answer or no more sense in it."""

    def __init__(self, client: httpx.AsyncClient, endpoint: Endpoint, request: _Request, timeout_seconds: float, max_bytes: int) -> None:
        self._client = client
        self._endpoint = endpoint
        self._request = request
        self._timeout = timeout_seconds
        self._max_bytes = max_bytes
        self._deadline = time.monotonic() + timeout_seconds
        self._sent_at: float | None = None

    async def answer(self, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the body. Raises the endpoint's error."""
        endpoint = self._endpoint
        try:
            async with endpoint.upstream.slot(self._deadline), endpoint.upstream.call():
                return read(await self._body())
        except NotAsked as failure:
            usage = Usage() if self._sent_at is None else endpoint.failed_usage
            failed = endpoint.fails(str(failure))
            raise type(failed)(failed.message, usage=usage) from failure
        except Failure as failure:
            raise endpoint.fails(str(failure)) from failure

    async def _body(self) -> bytes:
        endpoint = self._endpoint
        sending = endpoint.upstream.attempts(self._attempt, self._deadline, least_pause=endpoint.pause_seconds)
        try:
            return await asyncio.wait_for(sending, self._deadline - time.monotonic())
        except asyncio.TimeoutError:
            raise self._late() from None

    def _late(self) -> Failure:
        upstream = self._endpoint.upstream
        if self._sent_at is None:
            return upstream.no_turn()
        message = f"did not answer within {self._timeout:g} s"
        patient = time.monotonic() - self._sent_at >= upstream.policy.patience_seconds
        return Fault(message) if patient else Failure(message)

    async def _attempt(self) -> bytes:
        self._sent_at = self._sent_at or time.monotonic()
        with upstream.request(self._endpoint.service, self._request.method, self._request.url):
            return await self._exchange()

    async def _exchange(self) -> bytes:
        endpoint, request = self._endpoint, self._request
        try:
            async with self._client.stream(request.method, request.url, content=request.content, headers=request.headers) as response:
                status = response.status_code
                if status not in endpoint.meanings and (response.is_success or status in endpoint.answers):
                    body = await _read(response, self._max_bytes)
                    if body is None:
                        raise Fault(f"sent more than {self._max_bytes} bytes")
                    return body
                reason = _reason(endpoint, await _error_body(response))
        except httpx.TimeoutException as failure:
            raise Unavailable("cannot be reached: connecting took too long") from failure
        except (httpx.NetworkError, httpx.RemoteProtocolError) as failure:
            raise Unavailable(f"cannot be reached: {endpoint.said(str(failure)) or type(failure).__name__}") from failure
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise Failure(f"cannot be used: {endpoint.said(str(failure)) or type(failure).__name__}") from failure
        raise _failure(endpoint, request, response, reason)


def _failure(endpoint: Endpoint, request: _Request, response: httpx.Response, reason: str) -> Failure:
    """What a status that is no answer means."""
    status = response.status_code
    kind = Rejection if status in endpoint.rejections else Fault if status >= 500 else Refusal
    if status in endpoint.meanings:
        return kind(f"{endpoint.meanings[status]}{reason}")
    if status in (401, 403) and endpoint.key_setting:
        if endpoint.key_header in request.headers:
            return kind(f"rejected the key: check {endpoint.key_setting}{reason}")
        return kind(f"asks for a key: set {endpoint.key_setting}{reason}")
    if status == 402 and endpoint.key_setting:
        return kind(f"is out of credit: top up the account of {endpoint.key_setting}{reason}")
    if status in _RETRIED_STATUSES:
        retry_after = retry_after_seconds(response.headers.get("Retry-After", ""))
        when = f", it asks to wait {retry_after:g} s" if retry_after else ""
        if status == 429:
            return Limited(f"limits the rate: HTTP {status}{when}{reason}", retry_after)
        return Unavailable(f"is failing: HTTP {status}{when}{reason}", retry_after)
    return kind(f"{'is failing' if status >= 500 else 'refused the request'}: HTTP {status}{reason}")


async def _read(response: httpx.Response, max_bytes: int) -> bytes | None:
    """The body; None when it is larger than `max_bytes`, as it arrives or decompressed. Raises `Fault` when it cannot be decompressed."""
    coding = response.headers.get("Content-Encoding", "")
    decoder = decoder_for(coding)
    if decoder is None:
        raise Fault(f"cannot be used: it sent an encoding that was not asked for, {text_field(coding, 50)!r}")
    body = Body(max_bytes)
    received = 0
    try:
        # Raw, because the client's own decoders make the whole of a small piece at once, however large that becomes.
        async for piece in response.aiter_raw():
            received += len(piece)
            decoder.feed(piece, body)
            if received > max_bytes:
                raise TooLarge
        decoder.finish()
    except TooLarge:
        return None
    except Damaged as error:
        raise Fault(f"cannot be used: its answer cannot be decompressed, {error}") from error
    return bytes(body)


async def _error_body(response: httpx.Response) -> bytes:
    """The body of an answer whose status says enough; empty when it cannot be read."""
    try:
        return await _read(response, _ERROR_BODY_BYTES) or b""
    except Fault:
        return b""


def _json_object(body: bytes) -> dict[str, Any]:
    answer = _object(body)
    if answer is None:
        raise Fault("sent a malformed body: not a JSON object")
    return answer


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _reason(endpoint: Endpoint, body: bytes) -> str:
    """What an error's body says in one of the usual fields, as the end of a message; empty when it says nothing."""
    answer = _object(body) or {}
    said: Any = answer.get("readableMessage") or answer.get("message") or answer.get("detail") or answer.get("error")
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail")
    line = endpoint.said(said)
    return f" ({line})" if line else ""


def text_field(value: object, characters: int) -> str:
    """A field of a provider's answer as text of at most `characters`: empty unless it is a string, fit to be encoded as UTF-8."""
    return value[:characters].encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def count_field(value: object) -> int:
    """A field of a provider's answer as a count within 32 bits: 0 unless it is a number that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:  # NaN is not either
        return 0
    return int(min(value, _LARGEST_INT))
