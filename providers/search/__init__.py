"""Search providers, by name, and the chain of those that the settings configure.

A provider is made when it is first used, so a process that only searches the web never loads the index of a corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from providers.search.base import Found, SearchOptions, SearchProvider
from providers.search.chain import LOCAL, Registered, SearchChain
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


def _arxiv(settings: Settings) -> SearchProvider:
    from providers.search.arxiv import ArxivSearch  # noqa: PLC0415

    return ArxivSearch(settings)


PROVIDERS: dict[str, Callable[[Settings], SearchProvider]] = {
    LOCAL: _local,
    "jina": _jina,
    "brave": _brave,
    "serper": _serper,
    "searxng": _searxng,
    "arxiv": _arxiv,
}
"""Every search provider, in the order in which a chain tries them."""

MOST_TOKENS = {"jina": 10_000}
"""What a provider bills for one query at most, in tokens. Jina: its fixed charge for a search without page contents."""


def create_search(settings: Settings) -> SearchChain:
    """The chain that the settings configure: the corpus first when there is one, then the web.

    Jina belongs to it when it has a key or an address, Brave and Serper with a key, SearXNG with an address. arXiv never
    does, because it knows only papers: a request names it.
    """
    jina = settings.jina_api_key is not None or settings.jina_search_url != Settings.model_fields["jina_search_url"].default
    configured = {
        LOCAL: settings.deepsearch_corpus is not None,
        "jina": jina and settings.use_jina_search,
        "brave": settings.brave_api_key is not None,
        "serper": settings.serper_api_key is not None,
        "searxng": settings.searxng_url is not None,
    }
    registered = {name: Registered(partial(make, settings), MOST_TOKENS.get(name, 0)) for name, make in PROVIDERS.items()}
    return SearchChain(registered, [name for name in PROVIDERS if configured.get(name)])
