"""Search providers that fail in no other way than their contract says."""

from __future__ import annotations

import logging

from providers.search.base import Found, SearchOptions, SearchProvider
from schemas.errors import DeepSearchError, SearchError
from schemas.search import SearchQuery
from schemas.usage import Usage

logger = logging.getLogger(__name__)


class Contained:
    """`provider`, whose unforeseen exceptions become `SearchError`; the log has their stack trace.

    Everything in an answer is written by others, so sooner or later one breaks a parser in a way that nobody foresaw. That
    must cost the query one provider, not all of them and what they have cost. This is the one place for it, below the
    cache, so that a recording holds such a failure like any other.
    """

    def __init__(self, provider: SearchProvider) -> None:
        self.name = provider.name
        self._provider = provider

    async def search(self, query: SearchQuery, options: SearchOptions) -> Found:
        """As the contract in `base.py` says. What was asked before an unforeseen exception is not known: it counts as one search."""
        try:
            return await self._provider.search(query, options)
        except DeepSearchError:
            raise
        except Exception as error:
            logger.exception("the search provider %s failed in an unforeseen way", self.name)
            message = f"{self.name}: failed in an unforeseen way ({type(error).__name__}); the log has the details"
            raise SearchError(message, usage=Usage(searches=1)) from error

    async def close(self) -> None:
        """Close the provider's connections."""
        await self._provider.close()
