"""A chat model on any OpenAI-compatible server: structured answers from models good and bad, within an exact allowance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict
from urllib.parse import urlsplit

import anyio
import openai

from providers.llm.account import Account
from providers.llm.answers import Answer, answer_of, counted_in, delta_of, error_in
from providers.llm.base import Generated, Output, Prompt, Role, TextChunk
from providers.llm.dialect import Dialect
from providers.llm.failures import (
    cause_and_fix,
    is_transient,
    may_have_been_billed,
    rejection,
    rejects_form,
    wait_before_retry,
    words_of,
)
from providers.llm.forms import LAST_RUNG, Form, form_of
from providers.llm.objects import InvalidOutput, read_object
from providers.llm.prompts import environment
from providers.llm.thinking import ThinkingFilter
from providers.llm.tokens import count_tokens, truncate, valid_unicode
from schemas.errors import DeadlineExceeded, ModelOutputInvalid, ModelRejected, ModelUnavailable
from schemas.settings import Settings
from schemas.usage import Allowance, Usage

_INSTRUCTIONS = environment(Path(__file__).parent / "instructions")
_FORM, _REPAIR = _INSTRUCTIONS.get_template("form.md"), _INSTRUCTIONS.get_template("repair.md")

_PUBLIC_SERVER = "https://api.openai.com/v1"
_PATH = "/chat/completions"
_TOKENS_PER_MESSAGE = 4  # role and separators, in OpenAI's chat format
_SHOWN_TOKENS = 1_000  # of an invalid answer, when the model is asked to correct it
_CONNECT_SECONDS = 10.0
_LONGEST_TOKEN = 16  # characters, on average, that any text has to a token; a stream beyond it ignores its limit
_CHANGEABLE = {400, 404, 415, 422, 501}
"""Statuses that may be about one parameter of the request."""


class Turn(TypedDict):
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass
class _Call:
    """What belongs to one call, over all its requests."""

    model: str
    temperature: float
    dialect: Dialect
    account: Account
    deadline: float

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
    support is remembered for each model.
    """

    def __init__(self, settings: Settings, models: Mapping[Role, str]) -> None:
        self._settings = settings
        self._models = dict(models)
        self._base_url = settings.openai_base_url or _PUBLIC_SERVER
        self._key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
        self._host = urlsplit(self._base_url).netloc.rpartition("@")[2]
        self._dialects = {model: Dialect() for model in models.values()}
        self._client: openai.AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def name(self, role: Role) -> str:
        """The model configured for `role`."""
        return self._models[role]

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` by the o200k vocabulary; an estimate for models that use another."""
        return count_tokens(text)

    async def close(self) -> None:
        """Close connections. The next call opens new ones."""
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
        with anyio.move_on_after(call.seconds_left):
            return await self._generate(call, prompt, output, check)
        raise self._too_late(call)

    async def stream(self, role: Role, prompt: Prompt, allowance: Allowance) -> AsyncGenerator[TextChunk, None]:
        """Yield the text as it is written; see `ChatModel.stream`.

        Raises `ModelOutputInvalid` when nothing was written beside thoughts. A stream that breaks is not begun again,
        because its beginning has been given away.
        """
        call = self._begin(role, allowance)
        accepted: _Accepted | None = None
        ends_at = anyio.current_time() + self._settings.llm_timeout_seconds
        with anyio.move_on_after(call.seconds_left):
            accepted = await self._request(call, _turns(prompt), stream=True)
        if accepted is None:
            raise self._too_late(call)
        said = ThinkingFilter()
        received: list[str] = []
        reported: Any = None
        room = accepted.most_output * _LONGEST_TOKEN
        spoke = False
        nothing = Usage()
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
                content, reasoning = delta_of(event)
                received.append(content or reasoning)
                room -= len(content) + len(reasoning)
                if content and (text := said.feed(content)):
                    spoke = True
                    yield TextChunk(text, nothing)
            if text := said.finish():
                spoke = True
                yield TextChunk(text, nothing)
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
        yield TextChunk("", call.account.spent)

    # -- one call ------------------------------------------------------------------------------------------------------

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

    async def _generate(
        self, call: _Call, prompt: Prompt, output: type[Output], check: Callable[[Output], str | None] | None
    ) -> Generated[Output]:
        form = form_of(output)
        turns = _turns(prompt)
        answer, rung = await self._ask(call, turns, form, call.dialect.rung)
        value, problem, ignored = _judge(answer, output, check)
        if value is None:
            # What ignores the form of this rung gets the next one; there the prompt shows the schema.
            rung = min(rung + 1, LAST_RUNG) if ignored and not answer.cut else rung
            answer, rung = await self._ask(call, _with_repair(turns, answer, form, problem), form, rung, problem)
            value, problem, _ = _judge(answer, output, check)
        if value is None:
            message = f"model {call.model!r} gave no valid {form.name} in two attempts: {problem}"
            raise ModelOutputInvalid(message, usage=call.account.spent)
        call.dialect.rung = max(call.dialect.rung, rung)
        return Generated(value, call.account.spent)

    async def _ask(self, call: _Call, turns: Sequence[Turn], form: Form, rung: int, problem: str = "") -> tuple[Answer, int]:
        """The model's answer, and the rung on which it was given."""
        because = f" (the first answer cannot be used: {problem})" if problem else ""
        accepted = await self._request(call, turns, form, rung, because)
        answer = answer_of(accepted.response)
        self._settle(call, accepted, accepted.response, [answer.text, answer.hidden] if answer else [])
        if answer is None:
            said = error_in(accepted.response)[0] if isinstance(accepted.response, dict) and "error" in accepted.response else ""
            what = f'reported "{" ".join(said.split())[:200]}"' if said else "sent something that is no chat completion"
            message = f"the model server {self._host} {what}: check OPENAI_BASE_URL and LLM_MODEL"
            raise ModelUnavailable(message.replace(self._key or "\0", "***"), usage=call.account.spent)
        return answer, accepted.rung

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

    # -- one request ---------------------------------------------------------------------------------------------------

    async def _request(
        self, call: _Call, turns: Sequence[Turn], form: Form | None = None, rung: int = 0, because: str = "", *, stream: bool = False
    ) -> _Accepted:
        """Send until the server accepts: without what it rejects, and again after what passes.

        The budget is looked at before every single request.
        """
        first_rung, retries = rung, 0
        while True:
            messages = _with_form(turns, form, rung)
            counted = sum(count_tokens(turn["content"]) + _TOKENS_PER_MESSAGE for turn in messages) + (form.tokens[rung] if form else 0)
            most_output = call.account.most_output(call.dialect.upper_estimate(counted), because)
            charge = call.dialect.estimate(counted)
            body = {
                "model": call.model,
                "messages": messages,
                **call.dialect.parameters(most_output, call.temperature, stream=stream),
                **(form.parameters(rung) if form else {}),
            }
            call.account.open(charge)
            try:
                response = await self._post(call, body)
            except openai.APIStatusError as error:
                call.account.release(charge)
                failure: openai.APIError = error
                if not is_transient(error):
                    if error.status_code in _CHANGEABLE and call.dialect.adapt(rejection(error), body):
                        continue
                    if form is not None and rung < LAST_RUNG and rejects_form(error):
                        rung += 1
                        continue
                    raise ModelRejected(cause_and_fix(error, call.model, self._host, self._key), usage=call.account.spent) from None
            except openai.APIConnectionError as error:
                failure = error
                if not may_have_been_billed(error):
                    call.account.release(charge)
            else:
                if rung > first_rung:
                    call.dialect.rung = max(call.dialect.rung, rung)
                return _Accepted(response, rung, counted, charge, most_output)
            await self._wait(call, failure, retries)
            retries += 1

    async def _post(self, call: _Call, body: dict[str, Any]) -> Any:
        """The parsed response, or an open stream of events. Parsing into the package's own types would cost more than all the rest."""
        client = self._connected()
        with anyio.move_on_after(self._settings.llm_timeout_seconds):
            try:
                if "stream" in body:
                    return await client.post(_PATH, body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object])
                return await client.post(_PATH, body=body, cast_to=object)
            except (ValueError, openai.APIResponseValidationError):
                return None  # 200, but no JSON
        raise self._timed_out(call)

    async def _wait(self, call: _Call, failure: openai.APIError, retries: int) -> None:
        """Wait before the next try, or raise `ModelUnavailable` when there is none."""
        status = f" ({failure.status_code})" if isinstance(failure, openai.APIStatusError) else ""
        cause = f"failed{status}{words_of(failure, self._key)}" if status else f"cannot be reached ({_reason(failure)})"
        if retries >= self._settings.llm_max_retries:
            tries = f" after {retries + 1} tries" if retries else ""
            fix = "" if status else ": check OPENAI_BASE_URL"
            raise ModelUnavailable(f"the model server {self._host} {cause}{tries}{fix}", usage=call.account.spent)
        seconds = wait_before_retry(failure, retries)
        if seconds >= call.seconds_left:
            message = f"the model server {self._host} {cause}; a retry in {seconds:.0f} s would come too late"
            raise ModelUnavailable(message, usage=call.account.spent)
        await anyio.sleep(seconds)

    def _connected(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop = loop
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._base_url,
                # Retries are ours: each must be seen by the account, and none may outlast the deadline.
                max_retries=0,
                timeout=openai.Timeout(None, connect=_CONNECT_SECONDS),
                # The package's own wrapper closes itself when collected, which fails once its loop is gone.
                http_client=openai.DefaultAsyncHttpxClient(),
            )
        return self._client

    def _too_late(self, call: _Call) -> DeadlineExceeded:
        return DeadlineExceeded(f"model {call.model!r} did not finish within the time allowed", usage=call.account.spent)

    def _timed_out(self, call: _Call) -> ModelUnavailable:
        seconds = self._settings.llm_timeout_seconds
        message = f"model {call.model!r} at {self._host} did not finish within {seconds:g} s: raise LLM_TIMEOUT_SECONDS"
        return ModelUnavailable(message, usage=call.account.spent)


def _turns(prompt: Prompt) -> list[Turn]:
    return [{"role": "system", "content": valid_unicode(prompt.system)}, {"role": "user", "content": valid_unicode(prompt.user)}]


def _with_form(turns: Sequence[Turn], form: Form | None, rung: int) -> list[Turn]:
    """The turns, with the schema at the end of the question when the rung needs it there."""
    if form is None or not form.in_prompt(rung):
        return list(turns)
    system, user, *later = turns
    return [system, {"role": "user", "content": _FORM.render(task=user["content"], form=form)}, *later]


def _with_repair(turns: Sequence[Turn], answer: Answer, form: Form, problem: str) -> list[Turn]:
    """The turns, the invalid answer, and what is wrong with it. What was said before stays as it is, for the prompt cache."""
    repair = _REPAIR.render(form=form, problem=problem)
    shown = truncate(valid_unicode(answer.text), _SHOWN_TOKENS)
    if shown.strip():
        return [*turns, {"role": "assistant", "content": shown}, {"role": "user", "content": repair}]
    system, user = turns  # many chat templates refuse an empty turn, and two turns of one speaker
    return [system, {"role": "user", "content": f"{user['content']}\n\n{repair}"}]


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
