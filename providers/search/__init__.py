"""Search providers, by name, and the chain of those that the settings configure.

A provider is made when it is first used, so a process that only searches the web never loads the index of a corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from providers.search.base import Found, SearchOptions, SearchProvider
from providers.search.cached import with_cache
from providers.search.chain import LOCAL, Registered, SearchChain
from providers.search.contained import Contained
from schemas.settings import Settings

__all__ = ["PROVIDERS", "Found", "SearchChain", "SearchOptions", "SearchProvider", "create_search"]


def _local(settings: Settings) -> SearchProvider:
    from providers.search.local import LocalSearch  # noqa: PLC0415

    return LocalSearch(settings)


def _jina(settings: Settings) -> SearchProvider:
    from providers.search.jina import JinaSearch  # noqa: PLC0415

    return JinaSearch(settings)


def _brave(settings: Settings) -> SearchProvider:
    from providers.search.brave import BraveSearch  # noqa: PLC0415

    return BraveSearch(settings)


def _serper(settings: Settings) -> SearchProvider:
    from providers.search.serper import SerperSearch  # noqa: PLC0415

    return SerperSearch(settings)


def _searxng(settings: Settings) -> SearchProvider:
    from providers.search.searxng import SearxngSearch  # noqa: PLC0415

    return SearxngSearch(settings)


def _duckduckgo(settings: Settings) -> SearchProvider:
    from providers.search.duckduckgo import DuckDuckGoSearch  # noqa: PLC0415

    return DuckDuckGoSearch(settings)


def _arxiv(settings: Settings) -> SearchProvider:
    from providers.search.arxiv import ArxivSearch  # noqa: PLC0415

    return ArxivSearch(settings)


DUCKDUCKGO = "duckduckgo"

PROVIDERS: dict[str, Callable[[Settings], SearchProvider]] = {
    LOCAL: _local,
    "jina": _jina,
    "brave": _brave,
    "serper": _serper,
    "searxng": _searxng,
    DUCKDUCKGO: _duckduckgo,
    "arxiv": _arxiv,
}
"""Every search provider, in the order in which a chain tries them."""

JINA_TOKENS = 10_000
"""Jina's fixed charge for a search without page contents, and the least for one with them."""
JINA_TOKENS_PER_PAGE = 10_000
"""What is reserved for the contents of one result, which are billed by their length: a very long article. A result may
be longer still; what was really billed is settled afterwards."""


def create_search(settings: Settings) -> SearchChain:
    """The chain that the settings configure: the corpus first when there is one, then the web.

    Jina belongs to it when it has a key or an address, Brave and Serper with a key, SearXNG with an address. DuckDuckGo,
    which needs neither, comes last, unless there is only a corpus: a search of that alone never leaves the machine. arXiv
    never does, because it knows only papers: a request names it.
    """
    jina = settings.jina_api_key is not None or settings.jina_search_url != Settings.model_fields["jina_search_url"].default
    configured = {
        LOCAL: settings.has_corpus,
        "jina": jina and settings.use_jina_search,
        "brave": settings.brave_api_key is not None,
        "serper": settings.serper_api_key is not None,
        "searxng": settings.searxng_url is not None,
    }
    most_tokens = {"jina": partial(_jina_tokens, settings)}
    registered = {name: Registered(partial(_made, make, settings), most_tokens.get(name, _free)) for name, make in PROVIDERS.items()}
    return SearchChain(
        registered, [name for name in PROVIDERS if configured.get(name)], fallback=DUCKDUCKGO if settings.use_duckduckgo else None
    )


def _made(make: Callable[[Settings], SearchProvider], settings: Settings) -> SearchProvider:
    return with_cache(Contained(make(settings)), settings)


def _free(options: SearchOptions) -> int:
    return 0


def _jina_tokens(settings: Settings, options: SearchOptions) -> int:
    results = settings.jina_search_per_keyword or options.max_results
    return max(JINA_TOKENS, results * JINA_TOKENS_PER_PAGE if settings.jina_fetch_content else 0)
