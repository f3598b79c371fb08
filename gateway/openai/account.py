"""What both APIs tell of a finished run beside its answer, under the names that Jina's service has."""

from __future__ import annotations

from typing import Any

from gateway.openai.answer import Citation
from gateway.openai.run import Completion, Proposal

MOST_RETURNED_URLS = 100


def account_of(end: Completion | Proposal, most_urls: int | None) -> dict[str, Any]:
    """How the run ended, the URLs that were asked for (at most `most_urls`), that were read, how many were found, and whether the
    evidence supports the answer. Of a run that waits, its outline and the route that approves it."""
    if isinstance(end, Proposal):
        sections = [section.model_dump(exclude={"id"}) for section in end.outline.sections]
        outline = {"title": end.outline.title, "sections": sections}
        return {"stop_reason": "waiting", "outline": outline, "approve": f"/v1/research/{end.run_id}/outline"}
    answer = end.answer
    account: dict[str, Any] = {
        "visitedURLs": answer.visited_urls[: MOST_RETURNED_URLS if most_urls is None else most_urls],
        "readURLs": answer.read_urls,
        "numURLs": len({*answer.visited_urls, *answer.found_urls}),
        "stop_reason": answer.stop_reason,
        "notice": answer.notice,
        "guessed": answer.guessed,
        "support": end.support.document() if end.support else None,
    }
    return account | ({} if end.images is None else {"relatedImages": end.images})


def citation_of(citation: Citation) -> dict[str, Any]:
    """Place and source of a citation."""
    reference = citation.reference
    return {
        "start_index": citation.start,
        "end_index": citation.end,
        "url": reference.url,
        "title": reference.title,
        "exactQuote": reference.quote,
        "dateTime": reference.published,
    }
