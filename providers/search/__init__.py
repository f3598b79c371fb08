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


PROVIDERS: dict[str, Callable[[Settings], SearchProvider]] = {LOCAL: _local, "jina": _jina}
"""Every search provider, in the order in which a chain tries them."""

MOST_TOKENS = {"jina": 10_000}
"""What a provider bills for one query at most, in tokens. Jina: its fixed charge for a search without page contents."""


def create_search(settings: Settings) -> SearchChain:
    """The chain that the settings configure: the corpus first when there is one, then Jina when it has a key or an address."""
    jina = settings.jina_api_key is not None or settings.jina_search_url != Settings.model_fields["jina_search_url"].default
    configured = {LOCAL: settings.deepsearch_corpus is not None, "jina": jina and settings.use_jina_search}
    registered = {name: Registered(partial(make, settings), MOST_TOKENS.get(name, 0)) for name, make in PROVIDERS.items()}
    return SearchChain(registered, [name for name in PROVIDERS if configured[name]])
