"""From search requests to the few queries that are worth sending next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import get_args

from pydantic import BaseModel, Field, field_validator

from executors.query_planner import rules
from executors.query_planner.keywords import one_line, unsent
from executors.query_planner.languages import known_spelling, language_name
from providers.llm.base import ChatModel
from providers.llm.prompts import PromptFile
from schemas.errors import InvalidRequest, ModelOutputInvalid
from schemas.planning import RewriteRequest, Rewriting
from schemas.search import SearchQuery, TimeRange

MAX_QUERIES = 20
_THINK_CHARACTERS = 500
_LOCATION_CHARACTERS = 80
_SOUNDBITES = 20
_SOUNDBITE_CHARACTERS = 300
_TIME_RANGES = get_args(TimeRange)
_LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})?")


class RewrittenQuery(BaseModel):
    """One query. A filter that does not exist is no filter: what is asked for is worth more than how."""

    text: str = Field(description="2 to 5 keywords, at most 50 characters")
    time_range: TimeRange | None = Field(None, description="Only when older results would be useless")
    location: str | None = Field(None, description="Only when the question is about a place")

    @field_validator("time_range", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        return value if value in _TIME_RANGES else None


class RewritingOutput(BaseModel):
    """What the model would search for."""

    think: str = Field(description="What the person wants and how these queries get there, at most 500 characters")
    queries: list[RewrittenQuery] = Field(description="At most as many as asked for; fewer when fewer say something new")


async def rewrite(request: RewriteRequest, model: ChatModel | None, prompts: Mapping[str, PromptFile]) -> Rewriting:
    """Turn `request.requests` into at most `request.most` queries (1 to 20), none of them sent before; possibly none.

    Invalid model output is replaced by the rules' queries, usage kept. Raises `InvalidRequest` without search requests, for
    another number and for what is no language code, and whatever else the model raises.
    """
    if not any(text.strip() for text in request.requests):
        raise InvalidRequest("requests is empty: name at least one search request", field="requests")
    if not 1 <= request.most <= MAX_QUERIES:
        raise InvalidRequest(f"most is {request.most}; it must be from 1 to {MAX_QUERIES}", field="most")
    code = request.search_language_code
    if code is not None and not _LANGUAGE_CODE.fullmatch(code):
        raise InvalidRequest("search_language_code must be an ISO 639-1 code such as en or zh-CN", field="search_language_code")
    if model is None:
        return rules.rewrite(request)
    soundbites = [one_line(text, _SOUNDBITE_CHARACTERS) for text in request.soundbites[:_SOUNDBITES]]
    prompt = prompts["rewrite"].render(
        request=request, soundbites=soundbites, language=language_name(known_spelling(code) or code) if code else ""
    )
    try:
        generated = await model.generate("planner", prompt, RewritingOutput, request.allowance)
    except ModelOutputInvalid as error:
        rewriting = rules.rewrite(request)
        rewriting.usage = error.usage
        return rewriting
    rewriting = Rewriting(think=one_line(generated.value.think, _THINK_CHARACTERS), usage=generated.usage)
    by_text = {one_line(query.text): query for query in reversed(generated.value.queries)}
    new = unsent((query.text for query in generated.value.queries), [*request.queries, *request.requests])
    for text in islice(new, request.most):
        query = by_text[text]
        rewriting.queries.append(
            SearchQuery(
                text=text,
                time_range=query.time_range,
                location=one_line(query.location or "", _LOCATION_CHARACTERS) or None,
                language_code=code,
            )
        )
    return rewriting
