"""What a client may ask, and what it means for the research."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from docarray import DocList
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gateway.openai.messages import MOST_MESSAGES, Turn, conversation
from gateway.openai.models import model_named
from gateway.openai.structured import schema_text
from schemas.errors import InvalidRequest
from schemas.research import Effort, Message, ResearchRequest
from schemas.support import Citations

LANGUAGES = (
    "en", "zh", "zh-CN", "zh-TW", "de", "fr", "es", "it", "ja", "ko", "pt", "ru", "ar", "hi", "bn", "tr", "nl", "pl", "sv", "no",
    "da", "fi", "el", "he", "hu", "id", "ms", "th", "vi", "ro", "bg",
)  # fmt: skip
"""The languages an answer can be asked for; any other code is refused here, before anything is spent."""
SEARCH_PROVIDERS = ("local", "jina", "brave", "serper", "searxng", "duckduckgo", "arxiv")
_ALIASES = {"duck": "duckduckgo"}

_MOST = 2**31 - 1  # whole numbers between processes have 32 bits
_LEAST_TOKENS = 1_000
MOST_RESEARCHERS = 8
LEAST_WORDS, MOST_WORDS = 100, 20_000


def _known_language(code: str) -> str:
    known = next((language for language in LANGUAGES if language.lower() == code.strip().lower()), None)
    if known is None:
        raise PydanticCustomError("language", "{code} is not one of: {known}", {"code": repr(code[:40]), "known": ", ".join(LANGUAGES)})
    return known


def _known_provider(name: str) -> str:
    name = _ALIASES.get(name, name)
    if name not in SEARCH_PROVIDERS:
        known = ", ".join(SEARCH_PROVIDERS)
        raise PydanticCustomError("search_provider", "{name} is not one of: {known}", {"name": repr(name[:40]), "known": known})
    return name


def _only_one(number: int) -> int:
    if number != 1:
        raise PydanticCustomError("only_one", "only 1 is possible: one question has one answer")
    return number


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("unicode", "it holds characters that are no text (lone surrogates)") from error
    return value


Tokens = Annotated[int, Field(ge=_LEAST_TOKENS, le=_MOST)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Hostnames = Annotated[list[Annotated[str, Field(max_length=300), AfterValidator(_text)]], Field(max_length=100)]


class ResearchOptions(BaseModel):
    """What both APIs take besides the conversation. Fields of OpenAI's that mean nothing here are ignored, as is null."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    model: str | None = Field(None, description="`deepsearch`; Jina's names work as well.")
    stream: bool | None = Field(None, description="True: server-sent events.")
    budget_tokens: Tokens | None = Field(None, description="Token budget of the run; overrides the effort's.")
    budget_seconds: Annotated[float, Field(ge=1, le=_MOST)] | None = Field(None, description="Time limit of the run.")
    budget_usd: Annotated[float, Field(gt=0)] | None = Field(None, description="Money limit of the run, by the configured prices.")
    max_attempts: Annotated[int, Field(ge=1, le=_MOST)] | None = Field(
        None, description="How often an answer may fail one criterion; overrides the effort's."
    )
    no_direct_answer: bool | None = Field(None, description="True: nothing is answered without research.")
    max_returned_urls: Count | None = Field(None, description="Length of `visitedURLs`; unset: 100.")
    boost_hostnames: Hostnames | None = Field(None, description="Hosts to prefer.")
    bad_hostnames: Hostnames | None = Field(None, description="Hosts to leave out.")
    only_hostnames: Hostnames | None = Field(None, description="The only hosts to use.")
    max_annotations: Count | None = Field(None, description="Most sources that are cited; unset: 10, of a report 100.")
    min_annotation_relevance: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Accepted and without effect: every citation is a verbatim quote, none is found by similarity."
    )
    language_code: Annotated[str, AfterValidator(_known_language)] | None = Field(
        None, description="Language of the answer; unset: the question's."
    )
    search_language_code: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})?$")] | None = Field(
        None, description="Language to search in."
    )
    search_provider: Annotated[str, AfterValidator(_known_provider)] | None = Field(None, description="The only one to ask.")
    with_images: bool | None = Field(None, description="True: `relatedImages` names images of the pages that were read.")
    team_size: Annotated[int, Field(ge=1, le=MOST_RESEARCHERS)] | None = Field(
        None, description="How many researchers share the question and its budget; unset: 1."
    )
    corpus: Annotated[str, Field(max_length=4096), AfterValidator(_text)] | None = Field(
        None, description="Folder inside the configured corpus to search, absolute or below it; unset: all of it."
    )
    mode: Literal["answer", "report"] | None = Field(None, description="`report`: a long text in sections; unset: `answer`.")
    words: Annotated[int, Field(ge=LEAST_WORDS, le=MOST_WORDS)] | None = Field(
        None, description="Length of a report; unset: what the question asks for, or what is found carries."
    )
    plan_first: bool | None = Field(None, description="True: the outline of a report waits for approval before it is written.")
    citations: Citations | None = Field(
        None, description="What happens to a statement that no evidence supports: `strict` removes it, `flag` marks it, `off` lets it be."
    )
    allow_guess: bool | None = Field(None, description="True: where nothing that was read answers, the model may answer from memory.")
    polish: bool | None = Field(None, description="True: a model rewrites the accepted answer for better reading.")


class StreamOptions(BaseModel):
    """How a stream is written."""

    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: bool | None = Field(None, description="True: the usage comes in a chunk of its own at the end.")


class ChatRequest(ResearchOptions):
    """The body of `POST /v1/chat/completions`."""

    messages: list[Turn] = Field(min_length=1, max_length=MOST_MESSAGES, description="The conversation; the last message is the user's.")
    reasoning_effort: Effort | None = Field(None, description="Budget and attempts; unset: medium.")
    max_completion_tokens: Tokens | None = Field(None, description="Token budget of a run with one attempt; overrides the effort.")
    response_format: dict[str, Any] | None = Field(None, description="`json_schema`: the answer is JSON of that schema.")
    stream_options: StreamOptions | None = None
    n: Annotated[int, AfterValidator(_only_one)] | None = Field(None, description="Answers; only 1.")


class Reasoning(BaseModel):
    """How hard to think."""

    model_config = ConfigDict(strict=True, extra="ignore")

    effort: Effort | None = None


class TextOptions(BaseModel):
    """The form of the answer."""

    model_config = ConfigDict(strict=True, extra="ignore")

    format: dict[str, Any] | None = None


class ResponseRequest(ResearchOptions):
    """The body of `POST /v1/responses`."""

    input: str | list[Turn] = Field(description="The question, or the conversation; the last message is the user's.")
    instructions: Annotated[str, AfterValidator(_text)] | None = Field(None, description="A system message.")
    reasoning: Reasoning | None = None
    text: TextOptions | None = None
    max_output_tokens: Tokens | None = Field(None, description="Token budget of a run with one attempt; overrides the effort.")
    background: bool | None = Field(None, description="Only false; /v1/research runs in the background.")
    previous_response_id: str | None = Field(None, description="Only null: send earlier turns as input.")


def chat_research(request: ChatRequest) -> ResearchRequest:
    """What a chat completion asks of the controller. Raises `InvalidRequest` naming the field that cannot be served."""
    messages = conversation(request.messages, "messages")
    schema = schema_text(request.response_format, "response_format")
    most = request.max_completion_tokens
    return _research(request, messages, effort=request.reasoning_effort, most_tokens=most, schema=schema)


def response_research(request: ResponseRequest) -> ResearchRequest:
    """What a response asks of the controller. Raises `InvalidRequest` naming the field that cannot be served."""
    if request.background:
        raise InvalidRequest("background: begin the run with POST /v1/research instead", field="background")
    if request.previous_response_id is not None:
        raise InvalidRequest(
            "previous_response_id: responses are not stored; send the earlier turns as input", field="previous_response_id"
        )
    if isinstance(request.input, list) and len(request.input) > MOST_MESSAGES:
        raise InvalidRequest(f"input has more than {MOST_MESSAGES:,} items", field="input")
    turns = [Turn(role="user", content=request.input)] if isinstance(request.input, str) else request.input
    messages = conversation(turns, "input")
    if request.instructions:
        messages.insert(0, Message(role="system", content=request.instructions))
    schema = schema_text(request.text.format if request.text else None, "text.format")
    effort = request.reasoning.effort if request.reasoning else None
    return _research(request, messages, effort=effort, most_tokens=request.max_output_tokens, schema=schema)


def _research(
    options: ResearchOptions,
    messages: DocList[Message],
    *,
    effort: Effort | None,
    most_tokens: int | None,
    schema: str,
) -> ResearchRequest:
    model_named(options.model)
    for name in ("words", "plan_first"):
        if getattr(options, name) and options.mode != "report":
            raise InvalidRequest(f'{name} is for reports: set mode to "report" too', field=name)
    if options.plan_first and schema:
        raise InvalidRequest("plan_first: an outline is no JSON of your schema; leave one of the two out", field="plan_first")
    wanted: dict[str, Any] = {
        "budget_tokens": most_tokens if options.budget_tokens is None else options.budget_tokens,
        "max_attempts": 1 if options.max_attempts is None and most_tokens is not None else options.max_attempts,
        "budget_seconds": options.budget_seconds,
        "budget_usd": options.budget_usd,
        "no_direct_answer": options.no_direct_answer,
        "boost_hostnames": options.boost_hostnames,
        "bad_hostnames": options.bad_hostnames,
        "only_hostnames": options.only_hostnames,
        "max_references": options.max_annotations,
        "language_code": options.language_code,
        "search_language_code": options.search_language_code,
        "search_provider": options.search_provider,
        "corpus": options.corpus,
        "with_images": options.with_images,
        "reasoning_effort": effort,
        "mode": options.mode,
        "words": options.words,
        "plan_first": options.plan_first,
        "team_size": options.team_size,
        "citations": options.citations,
        "allow_guess": options.allow_guess,
        "polish": options.polish,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    return ResearchRequest(run_id=uuid.uuid4().hex[:16], messages=messages, json_schema=schema, **given)
