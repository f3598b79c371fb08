"""Several search providers in one: every query goes to the first that finds something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from docarray import DocList

from providers.hostnames import hostname_of, within
from providers.reader.pages import normalise_url
from providers.search.base import SearchOptions, SearchProvider
from schemas.errors import BudgetExceeded, ConfigurationError, InvalidRequest, SearchError
from schemas.search import QueryOutcome, SearchQuery, SearchResponse, SearchResult
from schemas.usage import Usage

LOCAL = "local"
"""Name of the provider that searches a corpus; a request that names a corpus uses it even when none is configured."""

_HOW_TO_SEARCH = "set DEEPSEARCH_CORPUS to a folder, or JINA_API_KEY, BRAVE_API_KEY, SERPER_API_KEY or SEARXNG_URL"


@dataclass(frozen=True)
class Registered:
    """How a provider is made, and the most tokens that it bills for one query with given options."""

    make: Callable[[], SearchProvider]
    most_tokens: Callable[[SearchOptions], int]


@dataclass
class _Answer:
    outcome: QueryOutcome
    results: list[SearchResult] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    called: bool = False
    """Whether a provider was asked at all."""
    answered: bool = False
    """Whether one gave results or said that there are none."""


class _Purse:
    """Tokens that queries in flight share; None for no limit."""

    def __init__(self, tokens: int | None) -> None:
        self._left = tokens

    def take(self, tokens: int) -> bool:
        """Take `tokens` if there are as many."""
        if self._left is None or tokens == 0:
            return True
        if tokens > self._left:
            return False
        self._left -= tokens
        return True

    def give_back(self, tokens: int) -> None:
        if self._left is not None:
            self._left += tokens


class SearchChain:
    """Searches with the `configured` ones of `providers`, in order. A provider is made when it is first needed.

    The provider `fallback` is asked after them, and alone when none is configured, but never after a corpus alone.
    """

    def __init__(self, providers: Mapping[str, Registered], configured: Sequence[str], fallback: str | None = None) -> None:
        self._registered = dict(providers)
        self._configured = tuple(configured)
        self._fallback = () if fallback is None else (fallback,)
        self._made: dict[str, SearchProvider] = {}

    async def search(
        self,
        queries: Sequence[SearchQuery],
        options: SearchOptions,
        *,
        provider: str | None = None,
        bad_hostnames: Sequence[str] = (),
        tokens: int | None = None,
    ) -> SearchResponse:
        """Results of all queries, in the order of the queries, and what happened to each.

        A query tries the providers in turn until one gives results; `provider` names the only one to try. Results
        outside `options.only_hostnames` or within `bad_hostnames` are left out (subdomains belong to their domain; files
        are of no host, and only the corpus may give them), and so is a second result of the same page within a query.
        Hostnames are as `hostnames` makes them.

        `tokens` is the most that all providers together may bill, None for no limit; a provider whose worst case does
        not fit what is left is not asked.

        Raises `SearchError` when no provider answered any query, `BudgetExceeded` when none could be asked,
        `ConfigurationError` when there is nothing to search, `InvalidRequest` for an unknown provider.
        """
        names = self._order(provider, options)
        purse = _Purse(tokens)
        ended = await asyncio.gather(
            *(self._answer(query, names, options, bad_hostnames, purse) for query in queries), return_exceptions=True
        )
        answers = [_raised(answer) for answer in ended]
        usage = sum((answer.usage for answer in answers), Usage())
        if answers and not any(answer.answered for answer in answers):
            causes = dict.fromkeys(error for answer in answers for error in answer.outcome.errors)
            if not any(answer.called for answer in answers):
                raise BudgetExceeded("; ".join(causes))
            if tuple(names) == self._fallback and provider is None:
                causes[f"to search otherwise, {_HOW_TO_SEARCH}"] = None
            raise SearchError(f"no search provider answered: {'; '.join(causes)}", usage=usage)
        return SearchResponse(
            results=DocList[SearchResult](result for answer in answers for result in answer.results),
            outcomes=DocList[QueryOutcome](answer.outcome for answer in answers),
            usage=usage,
        )

    async def close(self) -> None:
        """Close the providers' connections."""
        await asyncio.gather(*(provider.close() for provider in self._made.values()))

    def _order(self, provider: str | None, options: SearchOptions) -> Sequence[str]:
        if provider is not None and provider not in self._registered:
            raise InvalidRequest(
                f"no search provider is called {provider[:50]!r}; there are: {', '.join(self._registered)}", field="search_provider"
            )
        available = self._configured
        if options.corpus and LOCAL not in available:
            available = (LOCAL, *available)
        private = available == (LOCAL,)  # what is asked of a corpus alone does not leave the machine
        names = (*available, *(() if private else self._fallback)) if provider is None else (provider,)
        if not names or (names == (LOCAL,) and LOCAL not in available):
            raise ConfigurationError(f"nothing to search: {_HOW_TO_SEARCH}", field="DEEPSEARCH_CORPUS")
        return names

    def _provider(self, name: str) -> SearchProvider:
        if name not in self._made:
            self._made[name] = self._registered[name].make()
        return self._made[name]

    async def _answer(
        self, query: SearchQuery, names: Sequence[str], options: SearchOptions, bad_hostnames: Sequence[str], purse: _Purse
    ) -> _Answer:
        answer = _Answer(QueryOutcome(query=query.text))
        errors: list[str] = []
        for name in names:
            most = self._registered[name].most_tokens(options)
            if not purse.take(most):
                errors.append(f"{name}: a query may cost {most} tokens, more than is left")
                continue
            answer.called = True
            try:
                found = await self._provider(name).search(query, options)
            except SearchError as error:
                errors.append(str(error))
                answer.usage += error.usage
                purse.give_back(most - error.usage.provider_tokens)
                continue
            purse.give_back(most - found.usage.provider_tokens)
            answer.answered = True
            answer.usage += found.usage
            answer.results = _kept(found.results, options, bad_hostnames)
            answer.outcome.provider = name
            if answer.results:
                break
            if name != names[-1]:
                errors.append(f"{name}: found nothing" if not found.results else f"{name}: found only pages that are not wanted")
        answer.outcome.results = len(answer.results)
        answer.outcome.errors = errors
        return answer


def _raised(answer: _Answer | BaseException) -> _Answer:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _kept(results: Sequence[SearchResult], options: SearchOptions, bad_hostnames: Sequence[str]) -> list[SearchResult]:
    kept: dict[str, SearchResult] = {}
    for result in results:
        try:
            page = normalise_url(result.url)
        except ValueError:
            continue
        host = hostname_of(page) if page.startswith("https:") else ""
        if not host and result.source != LOCAL:  # the web does not know what lies on this machine
            continue
        wanted = not options.only_hostnames or not host or within(host, options.only_hostnames)
        if wanted and not within(host, bad_hostnames):
            kept.setdefault(page, result)
    return list(kept.values())[: options.max_results]
