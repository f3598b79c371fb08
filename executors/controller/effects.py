"""From an effect to the request its stage is sent, and from the stage's answer to the event it becomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from docarray import BaseDoc, DocList

from executors.controller.attachments import attached
from executors.controller.state import RunState
from executors.controller.step import unread
from providers.reader.pages import normalise_url
from schemas import events as ev
from schemas.answering import ComposeRequest, Draft, FinalizeRequest, StructuredAnswer, StructureRequest
from schemas.evaluation import Analysis, AnalyzeRequest, EvaluateRequest, Evaluation
from schemas.events import Effect, EffectKind, JournalEvent
from schemas.knowledge import DiaryEntry, Knowledge
from schemas.planning import (
    Clustering,
    ClusterRequest,
    CodeRequest,
    CodeResult,
    DecideRequest,
    Decision,
    DescribeRequest,
    Description,
    RewriteRequest,
    Rewriting,
    Understanding,
    UnderstandRequest,
)
from schemas.ranking import Candidate, DedupeRequest, DedupeResponse, RankedUrl, Ranking, RankRequest
from schemas.reading import Attachment, Page, ReadRequest, ReadResponse
from schemas.research import Message
from schemas.search import SearchQuery, SearchRequest, SearchResponse, SearchResult
from schemas.usage import Allowance

_SOUNDBITE_CHARACTERS = 300
_MOST_SOUNDBITES = 20
_STAGE_SHARE = 0.9
"""A stage is told to be done in this share of the time its call has, so that its own ending arrives before the caller gives up."""


def request_for(effect: Effect, state: RunState) -> BaseDoc:
    """The request of a call that becomes ready in `state`."""
    request: BaseDoc = _REQUESTS[effect.kind](effect, state, _allowance(effect))
    return request


def event_for(effect: Effect, response: BaseDoc) -> JournalEvent:
    """The event of a call that succeeded (all kinds but `finalize`, which streams)."""
    if isinstance(response, ReadResponse):
        return ev.PageRead(
            effect_id=effect.id,
            page=response.page.model_copy(update={"text": ""}),
            passages=list(response.passages),
            links=list(response.links),
            images=list(response.images),
            usage=response.usage,
        )
    if isinstance(response, SearchResponse):
        for result in response.results:
            result.content = ""  # stored as a page; it would swell journal and stream
    event, field = _EVENTS[type(response)]
    return event(effect_id=effect.id, **{field: response})


RESPONSES: dict[EffectKind, type[BaseDoc]] = {
    "understand": Understanding,
    "rank": Ranking,
    "decide": Decision,
    "dedupe": DedupeResponse,
    "search": SearchResponse,
    "rewrite": Rewriting,
    "cluster": Clustering,
    "read": ReadResponse,
    "code": CodeResult,
    "compose": Draft,
    "evaluate": Evaluation,
    "analyze": Analysis,
    "structure": StructuredAnswer,
    "describe": Description,
}
"""What each kind of call answers with."""

_EVENTS: dict[type[BaseDoc], tuple[Callable[..., JournalEvent], str]] = {
    Understanding: (ev.Understood, "understanding"),
    Ranking: (ev.Ranked, "ranking"),
    Decision: (ev.Decided, "decision"),
    DedupeResponse: (ev.Deduped, "response"),
    SearchResponse: (ev.Searched, "response"),
    Rewriting: (ev.Rewritten, "rewriting"),
    Clustering: (ev.Clustered, "clustering"),
    CodeResult: (ev.Computed, "result"),
    Draft: (ev.Composed, "draft"),
    Evaluation: (ev.Evaluated, "evaluation"),
    Analysis: (ev.Analyzed, "analysis"),
    StructuredAnswer: (ev.Structured, "answer"),
    Description: (ev.Described, "description"),
}


def _allowance(effect: Effect) -> Allowance:
    return Allowance(tokens=effect.tokens, llm_calls=effect.llm_calls, seconds=effect.seconds * _STAGE_SHARE, cost_usd=effect.usd)


def _date(state: RunState) -> str:
    return state.request.today or datetime.fromtimestamp(state.budget.started_at, tz=timezone.utc).date().isoformat()


def _earlier_turns(state: RunState) -> DocList[Message]:
    """The conversation without the question, which travels by itself, and without attachments, which were read."""
    turns = [Message(role=message.role, content=message.content) for message in state.request.messages]
    if turns and turns[-1].content.strip() == state.question:
        turns = turns[:-1]
    return DocList[Message](turns)


def _understand(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return UnderstandRequest(question=state.question, language_code=state.request.language_code, allowance=allowance)


def _rank(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    request = state.request
    return RankRequest(
        question=effect.question,
        candidates=DocList[Candidate](unread(state)),
        boost_hostnames=request.boost_hostnames,
        bad_hostnames=request.bad_hostnames,
        only_hostnames=request.only_hostnames,
        date=_date(state),
        fresh=any(criterion == "freshness" for criterion, _ in state.criteria),
        allowance=allowance,
    )


def _decide(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return DecideRequest(
        question=state.question,
        messages=_earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        current_question=effect.question,
        allowed_actions=effect.items,
        urls=DocList[RankedUrl](state.ranked if "visit" in effect.items else ()),
        queries=list(state.queries),
        questions=list(state.questions),
        diary=DocList[DiaryEntry](state.diary),
        improvements=list(state.improvements) if effect.question == state.question else [],
        step=state.total_step,
        budget_left=round(state.budget.share_left(), 1),
        date=_date(state),
        allowance=allowance,
    )


def _dedupe(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    reflecting = state.decision is not None and state.decision.action == "reflect"
    return DedupeRequest(texts=effect.items, existing=list(state.questions if reflecting else state.queries), allowance=allowance)


def _search(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    planned = {query.text: query for query in state.planned_queries}
    queries = [planned.get(text) or SearchQuery(text=text) for text in effect.items]
    return SearchRequest(
        queries=DocList[SearchQuery](queries),
        only_hostnames=state.request.only_hostnames,
        bad_hostnames=state.request.bad_hostnames,
        provider=state.request.search_provider,
        corpus=state.request.corpus,
        timeout_seconds=effect.seconds * _STAGE_SHARE,
        allowance=allowance,
    )


def _rewrite(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    snippets = dict.fromkeys(result.snippet[:_SOUNDBITE_CHARACTERS] for result in state.step_results if result.snippet)
    return RewriteRequest(
        question=effect.question,
        requests=effect.items,
        think=state.decision.think if state.decision else "",
        soundbites=list(snippets)[:_MOST_SOUNDBITES],
        queries=list(state.queries),
        search_language_code=state.request.search_language_code,
        date=_date(state),
        allowance=allowance,
    )


def _cluster(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return ClusterRequest(question=effect.question, results=DocList[SearchResult](state.step_results), allowance=allowance)


def _read(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    url = effect.items[0]
    key = normalise_url(url)
    candidate = state.pool.get(key)
    # The text of a delivered page is beside the journal, and so is the content of an attachment; the interpreter puts them in.
    delivered = Page(page_id=candidate.page_id, url=key) if candidate and candidate.page_id else Page()
    return ReadRequest(
        url=url,
        question=effect.question,
        page=delivered,
        attachment=attached(state.request).get(url, Attachment()),
        corpus=state.request.corpus,
        failures=int(key in state.failed_reads),
        with_images=state.request.with_images,
        timeout_seconds=effect.seconds * _STAGE_SHARE,
        allowance=allowance,
    )


def _describe(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return DescribeRequest(question=effect.question, image=attached(state.request)[effect.items[0]], allowance=allowance)


def _code(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return CodeRequest(issue=effect.question, knowledge=DocList[Knowledge](state.knowledge), allowance=allowance)


def _compose(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return ComposeRequest(
        question=effect.question,
        messages=_earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        allowance=allowance,
    )


def _evaluate(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return EvaluateRequest(
        question=effect.question,
        answer=state.draft,
        criteria=effect.items,
        knowledge=DocList[Knowledge](state.knowledge),
        date=_date(state),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )


def _analyze(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return AnalyzeRequest(
        question=effect.question,
        diary=DocList[DiaryEntry](state.diary),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )


def _finalize(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return FinalizeRequest(
        question=state.question,
        draft=state.draft,
        messages=_earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        max_references=state.request.max_references or 0,
        use_model=state.uses_model and not state.model_failed,
        allowance=allowance,
    )


def _structure(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    text = state.final.text if state.final else ""
    return StructureRequest(question=state.question, text=text, json_schema=state.request.json_schema, allowance=allowance)


_REQUESTS: dict[EffectKind, Callable[[Effect, RunState, Allowance], Any]] = {
    "understand": _understand,
    "rank": _rank,
    "decide": _decide,
    "dedupe": _dedupe,
    "search": _search,
    "rewrite": _rewrite,
    "cluster": _cluster,
    "read": _read,
    "code": _code,
    "compose": _compose,
    "evaluate": _evaluate,
    "analyze": _analyze,
    "finalize": _finalize,
    "structure": _structure,
    "describe": _describe,
}
