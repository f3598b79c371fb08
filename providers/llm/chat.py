"""A chat model on any OpenAI-compatible server: structured answers from models good and bad, within an exact allowance."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

import anyio
import openai
from typing_extensions import NotRequired

from providers.cache import Memory, address, create_memory
from providers.llm.account import Account
from providers.llm.answers import Answer, answer_of, counted_in, delta_of, error_in, is_cut
from providers.llm.base import Generated, Output, Prompt, Role, TextChunk
from providers.llm.cached import SPOKEN, TOLD, Spoken, Told, turn
from providers.llm.dialect import Dialect
from providers.llm.failures import (
    asked_pause,
    cause_and_fix,
    is_transient,
    may_have_been_billed,
    rejection,
    rejects_form,
    words_of,
)
from providers.llm.forms import LAST_RUNG, Form, form_of
from providers.llm.objects import InvalidOutput, read_object
from providers.llm.prompts import environment
from providers.llm.thinking import ThinkingFilter
from providers.llm.tokens import count_tokens, truncate, valid_unicode
from providers.policies import model_server
from providers.upstream import Failure, Fault, Limited, NotAsked, Unavailable, Upstream
from schemas.errors import DeadlineExceeded, DeepSearchError, ModelOutputInvalid, ModelRejected, ModelUnavailable
from schemas.settings import Settings
from schemas.usage import Allowance, Usage
from telemetry import upstream
from telemetry.model_calls import ModelCall

_INSTRUCTIONS = environment(Path(__file__).parent / "instructions")
_FORM, _REPAIR = _INSTRUCTIONS.get_template("form.md"), _INSTRUCTIONS.get_template("repair.md")

_PUBLIC_SERVER = "https://api.openai.com/v1"
_PATH = "/chat/completions"
_TOKENS_PER_IMAGE = 1_600  # the most that OpenAI's and Anthropic's documentation name for a picture that is shrunk to fit
_TOKENS_PER_MESSAGE = 4  # role and separators, in OpenAI's chat format
_SHOWN_TOKENS = 1_000  # of an invalid answer, when the model is asked to correct it
_CONNECT_SECONDS = 10.0
_LONGEST_TOKEN = 16  # characters, on average, that any text has to a token; a stream beyond it ignores its limit
_CHANGEABLE = {400, 404, 415, 422, 501}
"""Statuses that may be about one parameter of the request."""


class Turn(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str
    images: NotRequired[Sequence[str]]


@dataclass
class _Call:
    """What belongs to one call, over all its requests."""

    model: str
    temperature: float
    dialect: Dialect
    account: Account
    deadline: float
    cut: bool = False
    """Whether a streamed answer ended because it reached the limit."""

    @property
    def seconds_left(self) -> float:
        return self.deadline - anyio.current_time()


@dataclass(frozen=True)
class _Accepted:
    """A request that was answered with 200, and what is known about it."""

    response: Any
    rung: int
    counted: int
    """Tokens of the prompt, by the tokenizer."""
    charge: int
    """Tokens opened on the account."""
    most_output: int


class OpenAIModel:
    """The `ChatModel` of an OpenAI-compatible server; `models` names the model of each role.

    Requests share one connection pool, which belongs to the event loop that is running. What the server turns out to
    support is remembered for each model. Turns are remembered as DEEPSEARCH_CACHE says: below everything that decides
    what is asked, so that a replay decides as the recorded run did, and above the requests, none of which it makes.
    """

    def __init__(self, settings: Settings, models: Mapping[Role, str]) -> None:
        self._settings = settings
        self._models = dict(models)
        self._base_url = settings.openai_base_url or _PUBLIC_SERVER
        self._key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
        self._server = address(self._base_url)
        self._host = urlsplit(self._server).netloc
        self._dialects = {model: Dialect() for model in models.values()}
        self._client: openai.AsyncOpenAI | None = None
        self._upstream = Upstream()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._memory: Memory = create_memory(settings)

    def name(self, role: Role) -> str:
        """The model configured for `role`."""
        return self._models[role]

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by the o200k vocabulary; an estimate for models that use another."""
        return count_tokens(text)

    async def close(self) -> None:
        """Close connections and the cache. The next call opens new ones."""
        await self._memory.close()
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def generate(
        self,
        role: Role,
        prompt: Prompt,
        output: type[Output],
        allowance: Allowance,
        *,
        check: Callable[[Output], str | None] | None = None,
    ) -> Generated[Output]:
        """Return an object of type `output`; see `ChatModel.generate`.

        An invalid answer is shown to the model once, with what is wrong with it.
        """
        call = self._begin(role, allowance)
        form = form_of(output)
        turns = _turns(prompt)

        def valid(answer: Answer) -> bool:
            return _judge(answer, output, check)[0] is not None

        told = await self._told(call, turns, form, call.dialect.rung, valid)
        answer, rung = told.answer, told.rung
        value, problem, ignored = _judge(answer, output, check)
        if value is None:
            # What ignores the form of this rung gets the next one; there the prompt shows the schema.
            rung = min(rung + 1, LAST_RUNG) if ignored and not answer.cut else rung
            repair = _with_repair(turns, answer, form, problem)
            told = await self._told(call, repair, form, rung, valid, because=f" (the first answer cannot be used: {problem})")
            rung = told.rung
            value, problem, _ = _judge(told.answer, output, check)
        if value is None:
            message = f"model {call.model!r} gave no valid {form.name} in two attempts: {problem}"
            raise ModelOutputInvalid(message, usage=call.account.spent)
        call.dialect.rung = max(call.dialect.rung, rung)
        return Generated(value, call.account.spent)

    async def stream(self, role: Role, prompt: Prompt, allowance: Allowance) -> AsyncGenerator[TextChunk, None]:
        """Yield the text as it is written; see `ChatModel.stream`.

        Raises `ModelOutputInvalid` when nothing was written beside thoughts. A stream that breaks is not begun again,
        because its beginning has been given away.
        """
        call = self._begin(role, allowance)
        turns = _turns(prompt)
        nothing = Usage()
        question = turn(call.model, call.temperature, turns, None)
        if self._memory.mode == "replay":
            self._room(call, turns, None, 0, "")
        if (known := await self._memory.recall(question, SPOKEN, worth=self._is_whole)) is not None:
            spoken, usage = known
            for piece in spoken.pieces:
                yield TextChunk(piece, nothing)
            if spoken.failure is not None:
                raise spoken.failure
            yield TextChunk("", usage)
            return
        pieces: list[str] = []
        try:
            async with aclosing(self._written(call, turns)) as written:
                async for piece in written:
                    pieces.append(piece)
                    yield TextChunk(piece, nothing)
        except DeepSearchError as error:
            broken = Spoken(tuple(pieces), self._server, (type(error).__name__, *error.args))
            await self._memory.keep(question, broken, Usage(), SPOKEN, worth=False)
            raise
        await self._memory.keep(question, Spoken(tuple(pieces), self._server), call.account.spent, SPOKEN, worth=not call.cut)
        yield TextChunk("", call.account.spent)

    def _is_whole(self, spoken: Spoken) -> bool:
        return spoken.server == self._server and not spoken.error

    # -- one call ------------------------------------------------------------------------------------------------------

    async def _written(self, call: _Call, turns: Sequence[Turn]) -> AsyncGenerator[str, None]:
        """The text as the server sends it; `call` is settled at the end."""
        traced = self._traced(call)
        with traced.ending():
            async with self._spared(call), aclosing(self._sent(call, turns, traced)) as sent:
                async for text in sent:
                    yield text

    async def _sent(self, call: _Call, turns: Sequence[Turn], traced: ModelCall) -> AsyncGenerator[str, None]:
        accepted: _Accepted | None = None
        ends_at = anyio.current_time() + self._settings.llm_timeout_seconds
        with anyio.move_on_after(call.seconds_left), traced.span.current():
            accepted = await self._request(call, turns, stream=True)
        if accepted is None:
            raise self._too_late(call)
        said = ThinkingFilter()
        received: list[str] = []
        reported: Any = None
        room = accepted.most_output * _LONGEST_TOKEN
        spoke = False
        try:
            while room > 0:
                with anyio.move_on_after(min(call.seconds_left, ends_at - anyio.current_time())) as scope:
                    event = await anext(accepted.response, None)
                if scope.cancelled_caught:
                    self._settle(call, accepted, reported, received)
                    raise self._too_late(call) if call.seconds_left <= 0 else self._timed_out(call)
                if event is None:
                    break
                if isinstance(event, dict) and event.get("usage"):
                    reported = event
                call.cut = call.cut or is_cut(event)
                content, reasoning = delta_of(event)
                received.append(content or reasoning)
                room -= len(content) + len(reasoning)
                if content and (text := said.feed(content)):
                    spoke = True
                    yield text
            if text := said.finish():
                spoke = True
                yield text
        except (openai.APIError, ValueError) as error:
            self._settle(call, accepted, reported, received)
            words = words_of(error, self._key) if isinstance(error, openai.APIError) else ""
            message = f"the model server {self._host} broke off while {call.model!r} was writing{words}"
            raise ModelUnavailable(message, usage=call.account.spent) from None
        finally:
            await accepted.response.close()
        self._settle(call, accepted, reported, received)
        if not spoke:
            raise ModelOutputInvalid(f"model {call.model!r} wrote no text", usage=call.account.spent)
        call.cut = call.cut or room <= 0

    def _begin(self, role: Role, allowance: Allowance) -> _Call:
        call = _Call(
            model=self._models[role],
            temperature=getattr(self._settings, f"llm_temperature_{role}"),
            dialect=self._dialects[self._models[role]],
            account=Account(allowance, self._settings),
            deadline=anyio.current_time() + allowance.seconds,
        )
        if allowance.seconds <= 0:
            raise self._too_late(call)
        return call

    async def _told(
        self, call: _Call, turns: Sequence[Turn], form: Form, rung: int, valid: Callable[[Answer], bool], *, because: str = ""
    ) -> Told:
        """The model's answer to one turn, remembered or from its server; what is not `valid` is not remembered."""
        if self._memory.mode == "replay":
            self._room(call, _with_form(turns, form, rung), form, rung, because)

        async def ask() -> tuple[Told, Usage]:
            async with self._spared(call):
                with anyio.move_on_after(call.seconds_left), self._traced(call):
                    told = await self._ask(call, turns, form, rung, because)
                    return told, call.account.spent
                raise self._too_late(call)

        told, spent = await self._memory.answer(
            turn(call.model, call.temperature, turns, form),
            ask,
            TOLD,
            worth=lambda told: told.server == self._server and not told.answer.cut and valid(told.answer),
            patience=call.seconds_left,
        )
        if self._memory.mode == "replay":
            call.account.restore(spent)
        return told

    async def _ask(self, call: _Call, turns: Sequence[Turn], form: Form, rung: int, because: str) -> Told:
        """The model's answer, from its server."""
        accepted = await self._request(call, turns, form, rung, because)
        answer = answer_of(accepted.response)
        self._settle(call, accepted, accepted.response, [answer.text, answer.hidden] if answer else [])
        if answer is None:
            said = error_in(accepted.response)[0] if isinstance(accepted.response, dict) and "error" in accepted.response else ""
            said = " ".join(said.split()).replace(self._key or "\0", "***")[:200]
            what = f'reported "{said}"' if said else "sent something that is no chat completion"
            message = f"the model server {self._host} {what}: check OPENAI_BASE_URL and LLM_MODEL"
            raise ModelUnavailable(message, usage=call.account.spent)
        return Told(answer, accepted.rung, self._server)

    def _settle(self, call: _Call, accepted: _Accepted, response: Any, written: Sequence[str]) -> None:
        """Charge an answered request: by the server's counts, or by the tokenizer's when those cannot be used."""
        text = "".join(written)
        counted = counted_in(response, wrote=bool(text))
        if counted is not None:
            call.dialect.observe(accepted.counted, counted.prompt_tokens)
            usage = Usage(
                llm_calls=1,
                prompt_tokens=counted.prompt_tokens,
                completion_tokens=counted.completion_tokens,
                cached_tokens=counted.cached_tokens,
            )
        else:
            completion = call.dialect.estimate(count_tokens(text))
            usage = Usage(llm_calls=1, prompt_tokens=accepted.charge, completion_tokens=completion, estimated=True)
        call.account.settle(accepted.charge, usage)

    def _traced(self, call: _Call) -> ModelCall:
        return ModelCall(call.model, call.temperature, self._base_url, lambda: call.account.spent)

    # -- one request ---------------------------------------------------------------------------------------------------

    async def _request(
        self, call: _Call, turns: Sequence[Turn], form: Form | None = None, rung: int = 0, because: str = "", *, stream: bool = False
    ) -> _Accepted:
        """Send until the server accepts: without what it rejects, and again after what passes.

        The budget is looked at before every single request.
        """
        first_rung = rung

        async def attempt() -> _Accepted:
            nonlocal rung
            while True:
                messages = _with_form(turns, form, rung)
                counted, most_output = self._room(call, messages, form, rung, because)
                charge = call.dialect.estimate(counted)
                body = {
                    "model": call.model,
                    "messages": [_sent(turn) for turn in messages],
                    **call.dialect.parameters(most_output, call.temperature, stream=stream),
                    **(form.parameters(rung) if form else {}),
                }
                call.account.open(charge)
                try:
                    response = await self._post(call, body)
                except openai.APIStatusError as error:
                    call.account.release(charge)
                    if is_transient(error):
                        raise self._passing(error) from None
                    if error.status_code in _CHANGEABLE and call.dialect.adapt(rejection(error), body):
                        continue
                    if form is not None and rung < LAST_RUNG and rejects_form(error):
                        rung += 1
                        continue
                    raise ModelRejected(cause_and_fix(error, call.model, self._host, self._key), usage=call.account.spent) from None
                except openai.APIConnectionError as error:
                    if not may_have_been_billed(error):
                        call.account.release(charge)
                    raise Unavailable(f"cannot be reached ({_reason(error)})") from None
                return _Accepted(response, rung, counted, charge, most_output)

        try:
            accepted = await self._upstream.attempts(attempt, time.monotonic() + call.seconds_left)
        except (Unavailable, Limited) as failure:
            raise self._unavailable(call, failure) from failure
        if rung > first_rung:
            call.dialect.rung = max(call.dialect.rung, rung)
        return accepted

    def _room(self, call: _Call, messages: Sequence[Turn], form: Form | None, rung: int, because: str) -> tuple[int, int]:
        """Tokens of the prompt, and how many its answer may have. Raises `BudgetExceeded` when they are too few."""
        counted = sum(map(_tokens, messages)) + (form.tokens[rung] if form else 0)
        return counted, call.account.most_output(call.dialect.upper_estimate(counted), because)

    async def _post(self, call: _Call, body: dict[str, Any]) -> Any:
        """The parsed response, or an open stream of events. Parsing into the package's own types would cost more than all the rest."""
        client = self._connected()
        with anyio.move_on_after(self._settings.llm_timeout_seconds), upstream.request("llm", "POST", self._base_url):
            try:
                if "stream" in body:
                    return await client.post(_PATH, body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object])
                return await client.post(_PATH, body=body, cast_to=object)
            except (ValueError, openai.APIResponseValidationError):
                return None  # 200, but no JSON
        raise self._timed_out(call)

    def _passing(self, error: openai.APIStatusError) -> Failure:
        """A status after which the same request may succeed."""
        kind = Unavailable if error.status_code >= 500 else Limited
        return kind(f"failed ({error.status_code}){words_of(error, self._key)}", asked_pause(error))

    def _unavailable(self, call: _Call, failure: Failure) -> ModelUnavailable:
        """The error for a request that was not tried again."""
        if failure.too_late is not None:
            end = f"; a retry in {failure.too_late:.0f} s would come too late"
        else:
            tries = f" after {failure.attempts} tries" if failure.attempts > 1 else ""
            end = tries if str(failure).startswith("failed") else f"{tries}: check OPENAI_BASE_URL"
        return ModelUnavailable(f"the model server {self._host} {failure}{end}", usage=call.account.spent)

    @asynccontextmanager
    async def _spared(self, call: _Call) -> AsyncIterator[None]:
        """Around all requests for one answer: a slot of the server's, which is left alone while it keeps failing.

        Raises `ModelUnavailable` when it is not asked.
        """
        self._connected()
        try:
            async with self._upstream.slot(time.monotonic() + call.seconds_left), self._upstream.call():
                begun = time.monotonic()
                try:
                    yield
                except (ModelUnavailable, DeadlineExceeded) as error:
                    cause = error.__cause__
                    impatient = isinstance(error, DeadlineExceeded) and time.monotonic() - begun < self._upstream.policy.patience_seconds
                    kind = type(cause) if isinstance(cause, Failure) else Failure if impatient else Fault
                    raise kind(str(cause if isinstance(cause, Failure) else error)) from error
        except NotAsked as failure:
            retry_after = None if failure.retry_after is None else math.ceil(failure.retry_after)
            message = f"the model server {self._host} {failure}"
            raise ModelUnavailable(message, usage=call.account.spent, retry_after=retry_after) from None
        except Failure as failure:
            assert isinstance(failure.__cause__, DeepSearchError)
            raise failure.__cause__ from None

    def _connected(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._upstream = Upstream(model_server(self._settings), name=f"model server {self._host}")
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._base_url,
                # Retries are ours: each must be seen by the account, and none may outlast the deadline.
                max_retries=0,
                timeout=openai.Timeout(None, connect=_CONNECT_SECONDS),
                # The package's own wrapper closes itself when collected, which fails once its loop is gone.
                http_client=openai.DefaultAsyncHttpxClient(event_hooks=upstream.HOOKS),
            )
        return self._client

    def _too_late(self, call: _Call) -> DeadlineExceeded:
        return DeadlineExceeded(f"model {call.model!r} did not finish within the time allowed", usage=call.account.spent)

    def _timed_out(self, call: _Call) -> ModelUnavailable:
        seconds = self._settings.llm_timeout_seconds
        message = f"model {call.model!r} at {self._host} did not finish within {seconds:g} s: raise LLM_TIMEOUT_SECONDS"
        return ModelUnavailable(message, usage=call.account.spent)


def _turns(prompt: Prompt) -> list[Turn]:
    user: Turn = {"role": "user", "content": valid_unicode(prompt.user)}
    if prompt.images:
        user["images"] = prompt.images
    return [{"role": "system", "content": valid_unicode(prompt.system)}, user]


def _sent(turn: Turn) -> dict[str, Any]:
    """A turn as servers take it: with images its content is a list of parts."""
    content: Any = turn["content"]
    if images := turn.get("images"):
        pictures = [{"type": "image_url", "image_url": {"url": image}} for image in images]
        content = [{"type": "text", "text": turn["content"]}, *pictures]
    return {"role": turn["role"], "content": content}


def _tokens(turn: Turn) -> int:
    return count_tokens(turn["content"]) + _TOKENS_PER_MESSAGE + _TOKENS_PER_IMAGE * len(turn.get("images", ()))


def _with_form(turns: Sequence[Turn], form: Form | None, rung: int) -> list[Turn]:
    """The turns, with the schema at the end of the question when the rung needs it there."""
    if form is None or not form.in_prompt(rung):
        return list(turns)
    system, user, *later = turns
    return [system, {**user, "content": _FORM.render(task=user["content"], form=form)}, *later]


def _with_repair(turns: Sequence[Turn], answer: Answer, form: Form, problem: str) -> list[Turn]:
    """The turns, the invalid answer, and what is wrong with it. What was said before stays as it is, for the prompt cache."""
    repair = _REPAIR.render(form=form, problem=problem)
    shown = truncate(valid_unicode(answer.text), _SHOWN_TOKENS)
    if shown.strip():
        return [*turns, {"role": "assistant", "content": shown}, {"role": "user", "content": repair}]
    system, user = turns  # many chat templates refuse an empty turn, and two turns of one speaker
    return [system, {**user, "content": f"{user['content']}\n\n{repair}"}]


def _judge(answer: Answer, output: type[Output], check: Callable[[Output], str | None] | None) -> tuple[Output | None, str, bool]:
    """The valid object; or what is wrong, and whether the answer ignores the form it was asked for."""
    try:
        value = read_object(answer.text, output)
    except InvalidOutput as invalid:
        return None, f"{invalid}{', and it was cut at the limit' if answer.cut else ''}", invalid.form_ignored
    problem = check(value) if check else None
    return (value, "", False) if problem is None else (None, problem, False)


def _reason(failure: openai.APIError) -> str:
    cause = failure.__cause__ or failure
    return " ".join(str(cause).split())[:200] or type(cause).__name__
