"""What was read or computed becomes evidence of the run."""

from __future__ import annotations

from collections.abc import Iterable

from docarray import DocList

from executors.controller import pool
from executors.controller.state import RunState
from executors.controller.step import changed, learned
from providers.lexical import terms
from providers.reader.pages import normalise_url, page_id
from schemas import events as ev
from schemas.events import Effect
from schemas.knowledge import Evidence, Knowledge
from schemas.planning import CodeResult
from schemas.ranking import Candidate
from schemas.reading import Image, Page

SAME_WORDS = 0.9
"""Two passages that share this part of their words (Jaccard) say the same thing."""
_MOST_IMAGES = 200
_TITLE_CHARACTERS = 120


def with_reading(state: RunState, url: str, event: ev.PageRead) -> RunState:
    """Passages become evidence, save those that say what is known already; links become candidates of little weight.

    `url` is the address that was asked for. It is what a reader of the answer is sent to, unless the page turned out to be another:
    the page's own URL is its identity, which says https of sites that may speak http only.
    """
    page = event.page
    shown = url if _identity(url) == page.url else page.url
    known = [frozenset(terms(item.quote)) for knowledge in state.knowledge for item in knowledge.evidence]
    passages = []
    for passage in event.passages:
        words = frozenset(terms(passage.text))
        if not any(_same(words, other) for other in known):
            known.append(words)
            passages.append(passage)
    evidence = [
        Evidence(
            id="",
            evidence_id=f"e{state.evidence_count + number}",
            page_id=page.page_id,
            url=shown,
            title=page.title,
            quote=passage.text,
            start=passage.start,
            end=passage.end,
            score=passage.score,
            published=page.published,
            modified=page.modified,
            read_at=page.read_at,
        )
        for number, passage in enumerate(passages, start=1)
    ]
    links = (Candidate(id="", url=link.url, title=link.text, description=link.text, weight=pool.LINK_WEIGHT) for link in event.links)
    state = changed(
        state,
        read=(*state.read, page.url),
        evidence_count=state.evidence_count + len(evidence),
        pool=pool.add(state.pool, links),
        images=with_images(state, event.images),
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


def _identity(url: str) -> str:
    try:
        return normalise_url(url)
    except ValueError:
        return url


def computed(effect: Effect, result: CodeResult) -> tuple[Page, Evidence]:
    """A computation as a page of the run and its result as evidence, so that an answer can cite what was computed."""
    url = f"computation:{effect.id}"
    before = f"{effect.question}\n\n```\n{result.source_code}\n```\n\n"
    text = before + result.output
    page = Page(id="", page_id=page_id(url, text), url=url, title=effect.question[:_TITLE_CHARACTERS], text=text, source="computation")
    found = Evidence(
        id="", page_id=page.page_id, url=url, title=page.title, quote=result.output, start=len(before), end=len(text), score=1.0
    )
    return page, found


def with_images(state: RunState, images: Iterable[Image]) -> tuple[Image, ...]:
    """The images of the run with these after them, each once."""
    return tuple({image.url: image for image in (*state.images, *images)}.values())[:_MOST_IMAGES]


def _same(words: frozenset[str], others: frozenset[str]) -> bool:
    if not words:
        return not others
    if min(len(words), len(others)) < SAME_WORDS * max(len(words), len(others)):
        return False
    return len(words & others) >= SAME_WORDS * len(words | others)
