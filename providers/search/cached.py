"""Search providers that remember what they were asked."""

from __future__ import annotations

import time
from dataclasses import replace

from pydantic import TypeAdapter

from providers.cache import Codec, Memory, Question, address, create_memory, seconds_left
from providers.search.base import Found, SearchOptions, SearchProvider
from schemas.errors import SearchError
from schemas.search import SearchQuery, SearchResult
from schemas.settings import Settings
from schemas.usage import Usage

DETERMINING: dict[str, tuple[str, ...]] = {
    "jina": ("jina_search_url", "jina_fetch_content", "jina_search_per_keyword"),
    "brave": ("brave_search_url",),
    "serper": ("serper_search_url",),
    "searxng": ("searxng_url",),
    "arxiv": ("arxiv_search_url",),
    "duckduckgo": ("duckduckgo_url",),
}
"""The settings that a provider's answers depend on. The local provider is not here: its documents are on this machine."""

_results = TypeAdapter(list[SearchResult])
_CODEC: Codec[list[SearchResult]] = Codec(_results.dump_json, _results.validate_json)


def with_cache(provider: SearchProvider, settings: Settings) -> SearchProvider:
    """`provider`, remembered as DEEPSEARCH_CACHE says; the provider itself when nothing is to be remembered of it."""
    if settings.deepsearch_cache == "off" or provider.name not in DETERMINING:
        return provider
    return CachedSearch(provider, create_memory(settings), settings)


class CachedSearch:
    """Answers from `memory` what it can, and from `provider` the rest."""

    def __init__(self, provider: SearchProvider, memory: Memory, settings: Settings) -> None:
        self.name = provider.name
        self._provider = provider
        self._memory = memory
        values = {name: getattr(settings, name) for name in DETERMINING[provider.name]}
        self._determining = {name: address(value) if name.endswith("_url") and value else value for name, value in values.items()}

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says. Raises `NotRecorded` and `CacheError` too."""

        deadline = time.monotonic() + options.timeout_seconds

        async def ask() -> tuple[list[SearchResult], Usage]:
            if (left := seconds_left(deadline)) <= 0:
                message = f"{self.name}: {options.timeout_seconds:g} s passed while the same query was under way"
                raise SearchError(message)
            found = await self._provider.search(query, replace(options, timeout_seconds=min(left, options.timeout_seconds)))
            return found.results, found.usage

        # That nothing was found may be a whim of the provider; to ask again costs little beside a day without results.
        answer = self._memory.answer(self.question(query, options), ask, _CODEC, worth=bool, patience=options.timeout_seconds)
        return Found(*await answer)

    def question(self, query: SearchQuery, options: SearchOptions) -> Question:
        """What is asked: the query with its filters, of this provider at its address."""
        material = {
            "provider": self.name,
            "settings": self._determining,
            "query": query.model_dump(exclude={"id"}),
            "max_results": options.max_results,
            "only_hostnames": sorted(options.only_hostnames),
        }
        return Question("search", material, f"{query.text} ({self.name})")

    async def close(self) -> None:
        """Close the provider's connections and the cache."""
        await self._provider.close()
        await self._memory.close()
