"""Brave Search: the web, by GET from BRAVE_SEARCH_URL."""

from __future__ import annotations

from html import unescape
from typing import Any

from providers.dates import published_date
from providers.http import Endpoint, create_client, get_json, required_key, text_field
from providers.search.base import Found, SearchOptions
from providers.search.limits import search_rate, search_upstream
from providers.search.query_text import near, on_hostnames
from providers.search.results import search_result
from providers.upstream import Rate
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

_KEY_HEADER = "X-Subscription-Token"
_KEY_TROUBLE = "SUBSCRIPTION_TOKEN"
_REFUSED = 422
"""Brave's status for parameters that it does not accept, the key among them."""
_RATE = Rate(1, 1.0)
"""Of the smallest plan, by the API reference of Brave's rate limit headers; SEARCH_PER_MINUTE is for larger ones."""
_MOST_RESULTS = 20
_TEXT_CHARACTERS, _TEXT_WORDS = 400, 50
"""Longest query, by the API reference of Brave's web search; a longer one is refused."""
_FRESHNESS = {"hour": "pd", "day": "pd", "week": "pw", "month": "pm", "year": "py"}  # a day is the shortest there is

# The values that the API reference lists; any other is refused together with the query, so it is not sent.
_COUNTRIES = "AR AU AT BE BR CA CL DK FI FR DE GR HK IN ID IT JP KR MY MX NL NZ NO CN PL PT PH RU SA ZA ES SE CH TW TR GB US"
_LANGUAGES = (
    "ar bg bn ca cs da de el en en-gb es et eu fi fr gl gu he hi hr hu is it kn ko lt lv ml mr ms nb nl pa pl pt-br pt-pt "
    "ro ru sk sl sr sv ta te th tr uk vi zh-hans zh-hant"
)
_COUNTRY_CODES = frozenset(_COUNTRIES.split())
_LANGUAGE_CODES = {code: code for code in _LANGUAGES.split()} | {
    "ja": "jp", "no": "nb", "pt": "pt-pt", "zh": "zh-hans", "zh-cn": "zh-hans", "zh-tw": "zh-hant", "zh-hk": "zh-hant",
}  # fmt: skip


class BraveSearch:
    """Answers queries from Brave Search."""

    name = "brave"

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` without a key."""
        self._endpoint = Endpoint(
            url=settings.brave_search_url,
            service="Brave Search",
            key_setting="BRAVE_API_KEY",
            error=SearchError,
            headers={_KEY_HEADER: required_key(settings.brave_api_key, "BRAVE_API_KEY")},
            failed_usage=Usage(searches=1),
            key_header=_KEY_HEADER,
            answers=frozenset({_REFUSED}),
            upstream=search_upstream(settings, search_rate(settings, _RATE)),
        )
        self._client = create_client()

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says."""
        answer = await get_json(self._client, self._endpoint, _parameters(query, options), timeout_seconds=options.timeout_seconds)
        if isinstance(error := answer.get("error"), dict):
            if text_field(error.get("code"), 100).startswith(_KEY_TROUBLE):
                raise await self._endpoint.rejects("rejected the key: check BRAVE_API_KEY")
            raise self._endpoint.fails(f"refused the query: {self._endpoint.said(error.get('detail'))}")
        # An answer without web results has no `web` at all.
        web = answer.get("web", {"results": []} if answer.get("type") == "search" else None)
        items = web.get("results") if isinstance(web, dict) else None
        if not isinstance(items, list):
            raise await self._endpoint.malformed("`web.results` is not a list")
        results = [result for item in items if isinstance(item, dict) and (result := _result(item, query.text)).url]
        return Found(results[: options.max_results], Usage(searches=1))

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()


def _parameters(query: SearchQuery, options: SearchOptions) -> dict[str, str | int]:
    country = (query.location or "").strip().upper()
    known = country in _COUNTRY_CODES
    text = _text(query.text if known else near(query.text, query.location), options.only_hostnames)
    parameters: dict[str, str | int] = {
        "q": text,
        "count": min(options.max_results, _MOST_RESULTS),
        "result_filter": "web",
        "text_decorations": "false",
    }
    if query.time_range:
        parameters["freshness"] = _FRESHNESS[query.time_range]
    if known:
        parameters["country"] = country
    code = (query.language_code or "").lower()
    if language := _LANGUAGE_CODES.get(code) or _LANGUAGE_CODES.get(code.partition("-")[0]):
        parameters["search_lang"] = language
    return parameters


def _text(text: str, only_hostnames: tuple[str, ...]) -> str:
    """The query with as many of its words and hostnames as Brave takes, hostnames first to go."""
    words = text.split()[:_TEXT_WORDS]
    text = " ".join(words)[:_TEXT_CHARACTERS]
    for count in range(len(only_hostnames), 0, -1):
        restricted = on_hostnames(text, only_hostnames[:count])
        if len(restricted) <= _TEXT_CHARACTERS and len(restricted.split()) <= _TEXT_WORDS:
            return restricted
    return text


def _result(item: dict[str, Any], query: str) -> SearchResult:
    age = item.get("page_age")
    return search_result(
        BraveSearch.name,
        query,
        url=item.get("url"),
        title=_unescaped(item.get("title")),
        snippet=_unescaped(item.get("description")),
        published=age if published_date(age) else item.get("age"),
    )


def _unescaped(value: object) -> object:
    return unescape(value) if isinstance(value, str) else value
