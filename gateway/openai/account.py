"""What both APIs tell of a finished run beside its answer, under the names that Jina's service has."""

from __future__ import annotations

from typing import Any

from gateway.openai.answer import Citation
from gateway.openai.run import Completion

MOST_RETURNED_URLS = 100


def account_of(completion: Completion, most_urls: int | None) -> dict[str, Any]:
    """URLs that were asked for (at most `most_urls`), that were read, how many were found, and how the run ended."""
    answer = completion.answer
    account: dict[str, Any] = {
        "visitedURLs": answer.visited_urls[: MOST_RETURNED_URLS if most_urls is None else most_urls],
        "readURLs": answer.read_urls,
        "numURLs": len({*answer.visited_urls, *answer.found_urls}),
        "stop_reason": answer.stop_reason,
        "notice": answer.notice,
    }
    return account | ({"relatedImages": completion.images} if completion.images else {})


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
