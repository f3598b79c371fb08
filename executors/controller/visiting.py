"""The visit action: the chosen pages, read at once, become evidence."""

from __future__ import annotations

from docarray import DocList

from executors.controller import pool
from executors.controller.state import RunState
from executors.controller.step import call_all, changed, end_step, learned, noted
from providers.reader.pages import normalise_url
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Evidence, Knowledge
from schemas.ranking import Candidate

MOST_URLS_PER_STEP = 5


def begin_visit(state: RunState, urls: list[str]) -> RunState:
    """Read exactly the pages that were chosen, as far as they are candidates, unread, and within the budget."""
    chosen = list(dict.fromkeys(key for key in map(_key, urls) if key in state.pool and key not in state.visited))
    keys = chosen[: min(MOST_URLS_PER_STEP, state.budget.pages_left)]
    if not keys:
        return end_step(noted(state, "nothing_new", items=urls), progress=False, blocked=("visit",))
    pages = tuple(state.pool[key].url for key in keys)
    state = changed(state, visited=state.visited + tuple(keys), step_pages=pages, step_read=(), step_errors=())
    return call_all(state, "read", [[url] for url in pages], pages=1)


def _key(url: str) -> str:
    """Identity of a URL that a model chose; the URL itself when it is none, which is then no candidate."""
    try:
        return normalise_url(url)
    except ValueError:
        return url


def on_page_read(state: RunState, effect: Effect, event: ev.PageRead) -> RunState:
    """Passages become evidence, links become candidates of little weight."""
    page = event.page
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
        for number, passage in enumerate(event.passages, start=1)
    ]
    links = (Candidate(id="", url=link.url, title=link.text, description=link.text, weight=pool.LINK_WEIGHT) for link in event.links)
    state = changed(
        state,
        read=(*state.read, page.url),
        step_read=(*state.step_read, *effect.items),
        evidence_count=state.evidence_count + len(evidence),
        pool=pool.add(state.pool, links),
    )
    if evidence:
        known = DocList[Evidence](evidence)
        state = learned(
            state, Knowledge(id="", kind="url", question=effect.question, answer=page.title, evidence=known, updated=page.published)
        )
    return end_visit(state)


def end_visit(state: RunState) -> RunState:
    """End the step when the last page of it has been read or has failed."""
    if state.pending:
        return state  # other pages of this step are still being read
    read = list(state.step_read)
    state = noted(state, "done" if read else "failed", items=read or list(state.step_pages), note="; ".join(state.step_errors))
    return end_step(state, progress=bool(read), blocked=("visit",))
