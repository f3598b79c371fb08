"""What the loop asks the stages."""

from __future__ import annotations

from docarray import BaseDoc, DocList

from executors.controller import reporting
from executors.controller.asking.shared import STAGE_SHARE, date_of, earlier_turns
from executors.controller.attachments import attached
from executors.controller.searching import MOST_QUERIES_PER_STEP
from executors.controller.state import RunState
from executors.controller.step import unread
from providers.reader.pages import normalise_url
from schemas.answering import (
    ComposeRequest,
)
from schemas.evaluation import AnalyzeRequest, EvaluateRequest
from schemas.events import Effect
from schemas.knowledge import DiaryEntry, Knowledge
from schemas.planning import (
    ClusterRequest,
    CodeRequest,
    DecideRequest,
    DescribeRequest,
    RewriteRequest,
    UnderstandRequest,
)
from schemas.ranking import Candidate, DedupeRequest, RankedUrl, RankRequest
from schemas.reading import Attachment, Page, ReadRequest
from schemas.search import SearchQuery, SearchRequest, SearchResult
from schemas.usage import Allowance

_SOUNDBITE_CHARACTERS = 300
_MOST_SOUNDBITES = 20
_REPORT_RESULTS = 3
"""Results per keyword of a report."""


def understand(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return UnderstandRequest(question=state.question, language_code=state.request.language_code, allowance=allowance)


def rank(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    request = state.request
    return RankRequest(
        question=effect.question,
        candidates=DocList[Candidate](unread(state)),
        boost_hostnames=request.boost_hostnames,
        bad_hostnames=request.bad_hostnames,
        only_hostnames=request.only_hostnames,
        date=date_of(state),
        fresh=any(criterion == "freshness" for criterion, _ in state.criteria),
        allowance=allowance,
    )


def decide(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return DecideRequest(
        question=state.question,
        messages=earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        current_question=effect.question,
        allowed_actions=effect.items,
        urls=DocList[RankedUrl](state.ranked if "visit" in effect.items else ()),
        queries=list(state.queries),
        questions=list(state.questions),
        diary=DocList[DiaryEntry](state.diary),
        improvements=list(state.improvements) if effect.question == state.question else [],
        idle_steps=state.idle_steps,
        step=state.total_step,
        budget_left=round(state.budget.share_left(), 1),
        date=date_of(state),
        allowance=allowance,
    )


def dedupe(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    reflecting = state.decision is not None and state.decision.action == "reflect"
    return DedupeRequest(texts=effect.items, existing=list(state.questions if reflecting else state.queries), allowance=allowance)


def search(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    planned = {query.text: query for query in state.planned_queries}
    queries = [planned.get(text) or SearchQuery(text=text) for text in effect.items]
    return SearchRequest(
        queries=DocList[SearchQuery](queries),
        only_hostnames=state.request.only_hostnames,
        bad_hostnames=state.request.bad_hostnames,
        provider=state.request.search_provider,
        corpus=state.request.corpus,
        max_results=_REPORT_RESULTS if state.phase == "report" else SearchRequest.model_fields["max_results"].default,
        timeout_seconds=effect.seconds * STAGE_SHARE,
        allowance=allowance,
    )


def rewrite(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    snippets = dict.fromkeys(result.snippet[:_SOUNDBITE_CHARACTERS] for result in state.step_results if result.snippet)
    return RewriteRequest(
        question=effect.question,
        requests=effect.items,
        think=state.decision.think if state.decision else "",
        soundbites=list(snippets)[:_MOST_SOUNDBITES],
        queries=list(state.queries),
        search_language_code=state.request.search_language_code,
        most=reporting.KEYWORDS[state.request.reasoning_effort] if state.phase == "report" else MOST_QUERIES_PER_STEP,
        date=date_of(state),
        allowance=allowance,
    )


def cluster(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return ClusterRequest(question=effect.question, results=DocList[SearchResult](state.step_results), allowance=allowance)


def read(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
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
        timeout_seconds=effect.seconds * STAGE_SHARE,
        allowance=allowance,
    )


def describe(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return DescribeRequest(question=effect.question, image=attached(state.request)[effect.items[0]], allowance=allowance)


def code(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return CodeRequest(issue=effect.question, knowledge=DocList[Knowledge](state.knowledge), allowance=allowance)


def compose(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return ComposeRequest(
        question=effect.question,
        messages=earlier_turns(state),
        language_style=state.understanding.language_style,
        knowledge=DocList[Knowledge](state.knowledge),
        allow_guess=state.request.allow_guess and state.phase == "ending",
        allowance=allowance,
    )


def evaluate(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return EvaluateRequest(
        question=effect.question,
        answer=state.draft,
        criteria=effect.items,
        knowledge=DocList[Knowledge](state.knowledge),
        date=date_of(state),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )


def analyze(effect: Effect, state: RunState, allowance: Allowance) -> BaseDoc:
    return AnalyzeRequest(
        question=effect.question,
        diary=DocList[DiaryEntry](state.diary),
        language_style=state.understanding.language_style,
        allowance=allowance,
    )
