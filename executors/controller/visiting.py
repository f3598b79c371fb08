"""The visit action: the chosen pages, read at once, become evidence."""

from __future__ import annotations

from executors.controller import pool
from executors.controller.evidence import with_reading
from executors.controller.state import RunState
from executors.controller.step import call_all, changed, end_step, noted
from providers.reader.pages import normalise_url
from schemas import events as ev
from schemas.events import Effect

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


def keep_reading(state: RunState, effect: Effect, event: ev.PageRead) -> RunState:
    """Keep the reading until those of the other pages of this step are there."""
    return changed(state, step_read={**state.step_read, effect.items[0]: event})


def keep_failure(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
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
    return state


def take_readings(state: RunState) -> tuple[RunState, list[str]]:
    """What the pages of this step say is known now; also the URLs of those that could be read.

    Readings enter in the order in which their pages were chosen, not in which they arrived: the same pages then always give
    the same evidence ids and the same prompts.
    """
    read = [url for url in state.step_pages if url in state.step_read]
    for url in read:
        state = with_reading(state, url, state.step_read[url])
    return changed(state, step_read={}), read


def end_visit(state: RunState) -> RunState:
    """End the step when the last page of it has been read or has failed. Pages that say nothing new are no progress."""
    if state.pending:
        return state
    before = state.evidence_count
    state, read = take_readings(state)
    new = state.evidence_count > before
    outcome = "done" if new else "nothing_new" if read else "failed"
    state = noted(state, outcome, items=read or list(state.step_pages), note="; ".join(state.step_errors))
    return end_step(state, progress=new, blocked=("visit",))
