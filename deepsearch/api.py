"""Asking from Python, in one call."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from deepsearch.client import final_answer
from deepsearch.indexing import corpus_of, index_folder, is_indexed_by_asking, with_corpus
from deepsearch.local import LocalDeepSearch
from schemas.events import ResearchEvent
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings, get_settings


async def ask(question: str, *, settings: Settings | None = None, **options: Any) -> ResearchAnswer:
    """Answer `question` in this process.

    `options` are fields of `ResearchRequest`, such as `corpus="papers"`, `reasoning_effort="high"` or `budget_tokens=50_000`;
    the documents of a corpus are indexed first, unless it is shared. Without `settings`, those of the environment. Raises the errors of
    `schemas.errors`, and `TypeError` for an option that a request does not have.
    """
    return await final_answer(stream(question, settings=settings, **options))


async def stream(question: str, *, settings: Settings | None = None, **options: Any) -> AsyncGenerator[ResearchEvent, None]:
    """The events of a run that answers `question`, as they happen; the last one is `run_ended`. Arguments are those of `ask`."""
    unknown = sorted(options.keys() - ResearchRequest.model_fields.keys())
    if unknown:
        raise TypeError(f"a request has no {', '.join(unknown)}; it has {', '.join(sorted(ResearchRequest.model_fields.keys() - {'id'}))}")
    settings = settings or get_settings()
    request = ResearchRequest(question=question, **options)
    if folder := corpus_of(request.corpus, settings):
        if is_indexed_by_asking(settings):
            await index_folder(folder, settings)
        settings, request.corpus = with_corpus(settings, folder), str(folder)
    async with LocalDeepSearch(settings) as local, aclosing(local.stream(request)) as events:
        async for event in events:
            yield event
