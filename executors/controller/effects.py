"""From the answer of a stage to the event that it becomes."""

from __future__ import annotations

from collections.abc import Callable

from docarray import BaseDoc

from schemas import events as ev
from schemas.answering import (
    Draft,
    StructuredAnswer,
)
from schemas.evaluation import Analysis, Evaluation
from schemas.events import Effect, EffectKind, JournalEvent
from schemas.planning import (
    Clustering,
    CodeResult,
    Decision,
    Decomposition,
    Description,
    Rewriting,
    Understanding,
)
from schemas.ranking import DedupeResponse, Ranking
from schemas.reading import Illustration, ReadResponse
from schemas.reporting import Digest, Outline, Synthesis
from schemas.search import SearchResponse
from schemas.support import SupportReport


def event_for(effect: Effect, response: BaseDoc) -> JournalEvent:
    """The event of a call that succeeded (all kinds but `finalize`, which streams, and `delegate`, which is a run)."""
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
    event, field = _EVENTS[effect.kind]
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
    "check": SupportReport,
    "revise": Draft,
    "decompose": Decomposition,
    "reduce": Draft,
    "digest": Digest,
    "synthesize": Synthesis,
    "outline": Outline,
    "section": Draft,
    "illustrate": Illustration,
}
"""What each kind of call answers with."""

_EVENTS: dict[EffectKind, tuple[Callable[..., JournalEvent], str]] = {
    "understand": (ev.Understood, "understanding"),
    "rank": (ev.Ranked, "ranking"),
    "decide": (ev.Decided, "decision"),
    "dedupe": (ev.Deduped, "response"),
    "search": (ev.Searched, "response"),
    "rewrite": (ev.Rewritten, "rewriting"),
    "cluster": (ev.Clustered, "clustering"),
    "code": (ev.Computed, "result"),
    "compose": (ev.Composed, "draft"),
    "evaluate": (ev.Evaluated, "evaluation"),
    "analyze": (ev.Analyzed, "analysis"),
    "structure": (ev.Structured, "answer"),
    "describe": (ev.Described, "description"),
    "check": (ev.Checked, "support"),
    "revise": (ev.Revised, "draft"),
    "decompose": (ev.Decomposed, "decomposition"),
    "reduce": (ev.Reduced, "draft"),
    "digest": (ev.Digested, "digest"),
    "synthesize": (ev.Synthesized, "synthesis"),
    "outline": (ev.Outlined, "outline"),
    "section": (ev.SectionWritten, "draft"),
    "illustrate": (ev.Illustrated, "illustration"),
}
