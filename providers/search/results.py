"""From the fields of a provider's answer to a result, whatever their types."""

from __future__ import annotations

from providers.dates import published_date
from providers.http import text_field
from schemas.search import SearchResult

_URL_CHARACTERS = 4_000
_TITLE_CHARACTERS = 500
_SNIPPET_CHARACTERS = 4_000
_CONTENT_CHARACTERS = 1_000_000


def search_result(
    source: str,
    query: str,
    *,
    url: object,
    title: object,
    snippet: object,
    published: object = None,
    content: object = None,
    score: float = 0.0,
) -> SearchResult:
    """A result of the provider `source`. Fields that are not text are empty, long ones are cut, a URL that is too long is empty."""
    return SearchResult(
        url=text_field(url, _URL_CHARACTERS) if isinstance(url, str) and len(url) <= _URL_CHARACTERS else "",
        title=text_field(title, _TITLE_CHARACTERS),
        snippet=text_field(snippet, _SNIPPET_CHARACTERS),
        query=query,
        source=source,
        published=published_date(published),
        content=text_field(content, _CONTENT_CHARACTERS),
        score=score,
    )
