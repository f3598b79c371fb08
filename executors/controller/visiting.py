"""The visit action: the chosen pages, read at once, become evidence."""

from __future__ import annotations

from docarray import DocList

from executors.controller import pool
from executors.controller.attachments import describe_images
from executors.controller.state import RunState
from executors.controller.step import call_all, changed, end_step, learned, noted
from providers.reader.pages import normalise_url
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Evidence, Knowledge
from schemas.ranking import Candidate

MOST_URLS_PER_STEP = 5
_MAY_PASS = {"page_unavailable", "deadline_exceeded", "stage_unavailable"}
"""Codes of failures after which the same page may be read yet."""


def begin_visit(state: RunState, urls: list[str]) -> RunState:
    """Read exactly the pages that were chosen, as far as they are candidates, unread, and within the budget."""
    chosen = list(dict.fromkeys(key for key in map(_key, urls) if key in state.pool and key not in state.visited))
    keys = chosen[: min(MOST_URLS_PER_STEP, state.budget.pages_left)]
    if not keys:
        return end_step(noted(state, "nothing_new", items=urls), progress=False, blocked=("visit",))
    pages = tuple(state.pool[key].url for key in keys)
    state = changed(state, visited=state.visited + tuple(keys), step_pages=pages, step_read={}, step_errors=())
    return call_all(state, "read", [[url] for url in pages], pages=1)


def _key(url: str) -> str:
    """Identity of a URL that a model chose; the URL itself when it is none, which is then no candidate."""
    try:
        return normalise_url(url)
    except ValueError:
        return url


def on_page_read(state: RunState, effect: Effect, event: ev.PageRead) -> RunState:
    """Keep the reading until those of the other pages of this step are there."""
    return end_visit(changed(state, step_read={**state.step_read, effect.items[0]: event}))


def on_read_failed(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Go on without the page. One that may be readable later, or by another reader, becomes a candidate again, once."""
    state = changed(state, step_errors=(*state.step_errors, event.message))
    key = _key(effect.items[0])
    if event.code in _MAY_PASS and key in state.pool and key not in state.failed_reads:
        later = state.pool[key].model_copy(update={"weight": pool.RETRY_WEIGHT})
        state = changed(
            state,
            failed_reads=(*state.failed_reads, key),
            pool={**state.pool, key: later},
            visited=tuple(visited for visited in state.visited if visited != key),
        )
    return end_visit(state)


def end_visit(state: RunState) -> RunState:
    """End the step when the last page of it has been read or has failed; before the first step, the pages are attachments.

    Readings enter in the order in which their pages were chosen, not in which they arrived: the same pages then always give
    the same evidence ids and the same prompts.
    """
    if state.pending:
        return state
    read = [url for url in state.step_pages if url in state.step_read]
    for url in read:
        state = _with_reading(state, state.step_read[url])
    state = changed(state, step_read={})
    if not state.total_step:
        return describe_images(changed(state, unread=state.unread + state.step_errors))
    state = noted(state, "done" if read else "failed", items=read or list(state.step_pages), note="; ".join(state.step_errors))
    return end_step(state, progress=bool(read), blocked=("visit",))


def _with_reading(state: RunState, event: ev.PageRead) -> RunState:
    """Passages become evidence, save those that another page gave already; links become candidates of little weight."""
    page = event.page
    known = {item.quote for knowledge in state.knowledge for item in knowledge.evidence}
    passages = [passage for passage in event.passages if passage.text not in known]
    evidence = [
        Evidence(
            id="",
            evidence_id=f"e{state.evidence_count + number}",
            page_id=page.page_id,
            url=page.url,
            title=page.title,
            quote=passage.text,
            start=passage.start,
            end=passage.end,
            score=passage.score,
            published=page.published,
        )
        for number, passage in enumerate(passages, start=1)
    ]
    links = (Candidate(id="", url=link.url, title=link.text, description=link.text, weight=pool.LINK_WEIGHT) for link in event.links)
    state = changed(
        state, read=(*state.read, page.url), evidence_count=state.evidence_count + len(evidence), pool=pool.add(state.pool, links)
    )
    if not evidence:
        return state
    item = Knowledge(
        id="",
        kind="url",
        question=state.current_question,
        answer=page.title,
        evidence=DocList[Evidence](evidence),
        updated=page.modified or page.published,
    )
    return learned(state, item)
