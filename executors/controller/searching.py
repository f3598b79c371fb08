"""The search action: the requests as they are, then rewritten, then what all results say together."""

from __future__ import annotations

from executors.controller import pool
from executors.controller.state import RunState
from executors.controller.step import call, changed, end_step, learned, noted
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Knowledge
from schemas.ranking import Candidate
from schemas.search import SearchQuery

MOST_QUERIES_PER_STEP = 5


def begin_search(state: RunState, requests: list[str]) -> RunState:
    """Search for the requests as they are; the second round follows from what they find."""
    state = changed(
        state, search_round=1, planned_queries=(), step_results=(), step_queries=(), step_errors=(), pool_before=len(state.pool)
    )
    wanted = list(dict.fromkeys(filter(None, map(str.strip, requests))))[:MOST_QUERIES_PER_STEP]
    return _plan_queries(state, [SearchQuery(id="", text=text) for text in wanted])


def _plan_queries(state: RunState, queries: list[SearchQuery]) -> RunState:
    """Search with those of `queries` that are new; asking which are costs a call only when there is something to compare."""
    state = changed(state, planned_queries=tuple(queries))
    if len(queries) > 1 or (queries and state.queries):
        return call(state, "dedupe", items=[query.text for query in queries])
    return send_queries(state, [query.text for query in queries])


def send_queries(state: RunState, texts: list[str]) -> RunState:
    """Send as many of `texts` as the budget allows."""
    texts = texts[: min(MOST_QUERIES_PER_STEP, state.budget.searches_left)]
    if not texts:
        return after_search(state)
    after = call(state, "search", items=texts, searches=len(texts))
    if after.stop_reason is not None:
        return after  # the budget is used up: nothing is sent
    return changed(after, queries=state.queries + tuple(texts), step_queries=state.step_queries + tuple(texts))


def on_searched(state: RunState, effect: Effect, event: ev.Searched) -> RunState:
    """Go on with what was found."""
    return after_search(with_results(state, event))


def with_results(state: RunState, event: ev.Searched) -> RunState:
    """Results become candidates."""
    results = event.response.results
    found = (
        Candidate(
            id="",
            url=result.url,
            title=result.title,
            description=result.snippet,
            weight=pool.SEARCH_WEIGHT,
            published=result.published,
            page_id=result.page_id,
        )
        for result in results
    )
    # What failed before another provider answered is told by the event; the step is only concerned when nobody did.
    errors = tuple(error for outcome in event.response.outcomes if not outcome.provider for error in outcome.errors)
    return changed(
        state,
        pool=pool.add(state.pool, found),
        step_results=state.step_results + tuple(results),
        step_errors=state.step_errors + errors,
    )


def after_search(state: RunState) -> RunState:
    """First round: rewrite the requests and search again. Second round: condense, and end the step."""
    if state.search_round == 1 and state.step_queries and state.budget.searches_left:
        return call(changed(state, search_round=2), "rewrite", items=list(state.step_queries))
    if state.uses_model and state.step_results:
        return call(changed(state, search_round=3), "cluster")
    return end_search(state)


def on_rewritten(state: RunState, effect: Effect, event: ev.Rewritten) -> RunState:
    """The second round: rewritten queries, filters included."""
    unique = {query.text.strip(): query for query in event.rewriting.queries if query.text.strip()}
    return _plan_queries(state, list(unique.values())[:MOST_QUERIES_PER_STEP])


def on_clustered(state: RunState, effect: Effect, event: ev.Clustered) -> RunState:
    """Insights become knowledge; they have no evidence, because nothing was read."""
    learned = [
        Knowledge(id="", kind="side-info", question=cluster.question, answer=cluster.insight) for cluster in event.clustering.clusters
    ]
    return end_search(changed(state, knowledge=state.knowledge + tuple(learned)))


def end_search(state: RunState) -> RunState:
    """Snippets become knowledge without evidence, and the diary says what came of the step."""
    new = len(state.pool) > state.pool_before
    if new:
        for query in state.step_queries:
            snippets = list(dict.fromkeys(r.snippet for r in state.step_results if r.query == query and r.snippet))
            if snippets:
                state = learned(state, Knowledge(id="", kind="side-info", question=query, answer="; ".join(snippets)))
    failed = not state.step_results and bool(state.step_errors)
    if failed:
        state = changed(state, search_error="; ".join(dict.fromkeys(state.step_errors)))
    outcome = "done" if new else "failed" if failed else "nothing_new"
    items = list(state.step_queries) or (state.decision.queries if state.decision else [])
    state = noted(state, outcome, items=items, note="; ".join(dict.fromkeys(state.step_errors)))
    # An answer straight after a search would rest on snippets that nobody has read.
    return end_step(state, progress=new, blocked=("search", "answer"))
