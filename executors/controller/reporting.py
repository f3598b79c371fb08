"""Report mode, the long form: search by keywords, digest every page, compare them, plan, and write section by section.

    rewrite (keywords) → search → read, in parallel → digest, in parallel → synthesize ─┬─ gaps, first round ─┐
                            ▲                                                           │                     │
                            └───────────────────────────────────────────────────────────┼─────────────────────┘
                                                                                        ▼
    outline → (approval) → section → check → (revise → check) → finalize → next section … → finished

The finished part of the text grows by a section at a time, and what is finished never changes.
"""

from __future__ import annotations

from docarray import DocList

from executors.controller import publishing
from executors.controller.searching import with_results
from executors.controller.state import RunState
from executors.controller.step import call, call_all, changed, finish, next_step, noted
from executors.controller.visiting import take_readings
from providers.reader.pages import normalise_url
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Evidence
from schemas.reporting import Digest
from schemas.research import Effort
from schemas.search import SearchQuery

KEYWORDS: dict[Effort, int] = {"low": 4, "medium": 8, "high": 12}
"""Queries of the first round, by `reasoning_effort`."""
ROUNDS: dict[Effort, int] = {"low": 1, "medium": 2, "high": 3}
"""Rounds of search; each after the first looks for what the pages left open."""
MOST_PAGES_PER_ROUND = 24
_MOST_FAILURES = 2
"""After as many failures in a row a section is left out."""


def begin_report(state: RunState) -> RunState:
    """Find the words to search for."""
    return call(changed(state, phase="report"), "rewrite", items=[state.question])


def on_keywords(state: RunState, effect: Effect, event: ev.Rewritten) -> RunState:
    """Search for each keyword."""
    return _search(state, [query for query in event.rewriting.queries if query.text.strip()] or [_own_words(state)])


def without_keywords(state: RunState) -> RunState:
    """Search for the question as it is."""
    return _search(state, [_own_words(state)])


def _own_words(state: RunState) -> SearchQuery:
    return SearchQuery(id="", text=state.question)


def _search(state: RunState, queries: list[SearchQuery]) -> RunState:
    if state.total_step >= state.limits.steps:
        return _outline(state)
    new = {query.text: query for query in queries if query.text not in state.queries}
    texts = list(new)[: min(KEYWORDS[state.request.reasoning_effort], state.budget.searches_left)]
    state = changed(
        state,
        rounds=state.rounds + 1,
        step=state.step + 1,
        total_step=state.total_step + 1,
        planned_queries=tuple(new.values()),
        step_results=(),
        step_errors=(),
    )
    if not texts:
        return _outline(state)
    state = call(state, "search", items=texts, searches=len(texts))
    return state if state.phase == "ending" else changed(state, queries=(*state.queries, *texts), step_queries=tuple(texts))


def on_results(state: RunState, effect: Effect, event: ev.Searched) -> RunState:
    """Read what was found: the best of every keyword before the second best of any."""
    return _read(with_results(state, event))


def without_results(state: RunState, message: str) -> RunState:
    """Nothing could be searched in this round."""
    return _read(changed(state, step_errors=(*state.step_errors, message)))


def _read(state: RunState) -> RunState:
    if state.step_errors and not state.step_results:
        state = changed(state, search_error="; ".join(dict.fromkeys(state.step_errors)))
    by_query = [[result.url for result in state.step_results if result.query == query] for query in state.step_queries]
    deepest = max(map(len, by_query), default=0)
    found = [urls[rank] for rank in range(deepest) for urls in by_query if rank < len(urls)]
    if state.rounds == 1:
        found = [candidate.url for candidate in state.pool.values() if candidate.url not in found] + found  # those named by the user
    keys: dict[str, str] = {}
    for url in found:
        try:
            key = normalise_url(url)
        except ValueError:
            continue
        if key in state.pool and key not in state.visited:
            keys.setdefault(key, state.pool[key].url)
    most = min(MOST_PAGES_PER_ROUND, state.budget.pages_left)
    if state.uses_model:
        most = min(most, state.budget.calls_left(final=False))  # a page that cannot be digested is not worth reading
    chosen = dict(list(keys.items())[:most])
    if not chosen:
        return _digest(state)
    state = changed(state, visited=(*state.visited, *chosen), step_pages=tuple(chosen.values()), step_read={}, step_errors=())
    return call_all(state, "read", [[url] for url in chosen.values()], pages=1)


def end_reading(state: RunState) -> RunState:
    """Digest each page that says something, when the last of this round is there."""
    if state.pending:
        return state
    state, read = take_readings(state)
    state = noted(state, "done" if read else "failed", items=read or list(state.step_pages), note="; ".join(state.step_errors))
    return _digest(state)


def _digest(state: RunState) -> RunState:
    """Take the findings of every page that waits for it; what was attached is one too."""
    found = (item.evidence[0].url for item in state.knowledge if item.evidence)
    articles = [url for url in dict.fromkeys(found) if url not in state.articles]
    if not articles:
        return _outline(state)
    return call_all(changed(state, articles=(*state.articles, *articles)), "digest", [[url] for url in articles])


def on_digested(state: RunState, effect: Effect, event: ev.Digested) -> RunState:
    """Keep the digest until those of the other pages are there."""
    digest = event.digest.model_copy(update={"url": effect.items[0]})
    return after_digest(changed(state, digests={**state.digests, effect.items[0]: digest}))


def after_digest(state: RunState) -> RunState:
    """Compare the pages when the last one is digested."""
    return state if state.pending else call(state, "synthesize")


def digests(state: RunState) -> DocList[Digest]:
    """The digests in the order in which the pages were read."""
    return DocList[Digest](state.digests[url] for url in state.articles if url in state.digests)


def evidence(state: RunState) -> DocList[Evidence]:
    """Everything that the report may cite."""
    return DocList[Evidence](piece for item in state.knowledge for piece in item.evidence)


def on_synthesized(state: RunState, effect: Effect, event: ev.Synthesized) -> RunState:
    """Search for what is still open, as often as the effort allows; then plan."""
    state = changed(state, synthesis=event.synthesis)
    gaps = [gap.strip() for gap in event.synthesis.gaps if gap.strip() and gap.strip() not in state.queries]
    if gaps and state.rounds < ROUNDS[state.request.reasoning_effort] and state.budget.searches_left and state.budget.pages_left:
        return _search(state, [SearchQuery(id="", text=gap) for gap in gaps])
    return _outline(state)


def _outline(state: RunState) -> RunState:
    if not state.evidence_count:
        return finish(state, "no_evidence")
    return call(state, "outline")


def on_outlined(state: RunState, effect: Effect, event: ev.Outlined) -> RunState:
    """Write it, or wait until somebody has approved the plan."""
    state = changed(state, outline=event.outline)
    if not event.outline.sections:
        return finish(state, "answered")
    return changed(state, waiting=True) if state.request.plan_first else _next_section(state)


def on_approved(state: RunState, event: ev.OutlineApproved) -> RunState:
    """Go on with the plan as it was approved."""
    if not state.waiting or state.outline is None:
        return state
    outline = state.outline.model_copy(
        update={
            "title": event.outline.title or state.outline.title,
            "sections": event.outline.sections or state.outline.sections,
        }
    )
    return _next_section(changed(state, outline=outline, waiting=False, background=True))


def _next_section(state: RunState) -> RunState:
    number = state.section_number
    if state.outline is None or number >= len(state.outline.sections):
        if state.sections or not state.error_code:
            return finish(state, "answered")
        return finish(state, "model_error" if state.error_code.startswith("model") else "error")
    state = changed(state, draft="", support=None, revised=False, unrevised=None)
    return call(state, "section", items=[str(number)])


def on_section_written(state: RunState, effect: Effect, event: ev.SectionWritten) -> RunState:
    """Prove the section, as any draft; an empty one is left out."""
    draft = event.draft.text.strip()
    if not draft:
        return without_section(state, event.draft.error or "nothing that was read says more about it")
    return publishing.prove(changed(state, draft=draft, support=None, failed_calls=0))


def on_section_finalized(state: RunState, effect: Effect, event: ev.Finalized) -> RunState:
    """The report is longer by a section."""
    return _next_section(changed(state, final=event, section_number=state.section_number + 1))


def on_section_failed(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Write it once more, without the model if that was the fault; then do without it."""
    if state.failed_calls + 1 >= _MOST_FAILURES:
        return without_section(changed(state, error_code=event.code), event.message)
    state = changed(state, failed_calls=state.failed_calls + 1, model_failed=state.model_failed or event.code.startswith("model"))
    return call(state, "section", items=effect.items)


def without_section(state: RunState, reason: str) -> RunState:
    """Go on with the next section, and say which one is missing."""
    heading = state.outline.sections[state.section_number].heading if state.outline else ""
    state = changed(state, error_message=" ".join(filter(None, (state.error_message, f"Section “{heading}” was left out: {reason}."))))
    return _next_section(changed(state, section_number=state.section_number + 1, failed_calls=0))


def without_report(state: RunState) -> RunState:
    """No plan could be made: answer in the ordinary form from what was read, or go on as in any run."""
    return finish(state, "error") if state.evidence_count else next_step(state)
