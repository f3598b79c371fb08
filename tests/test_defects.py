"""Defects of the system that this one follows, where no test of a part is the place for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from executors.jina_searcher.executor import JinaSearcher
from providers.reader import ReadOptions
from providers.reader.jina import JinaReader
from schemas.errors import ReadError, SearchError
from schemas.search import SearchQuery, SearchRequest
from schemas.settings import Settings
from tests.scripted import ScriptedServer, Status


@pytest.mark.parametrize(("status", "said"), [(401, "rejected the key: check JINA_API_KEY"), (402, "is out of credit")])
async def test_b17_a_rejected_key_and_an_empty_account_are_told_apart_and_told(
    make_settings: Callable[..., Settings], scripted: ScriptedServer, status: int, said: str
) -> None:
    settings = make_settings(
        jina_api_key="k", jina_search_url=scripted.search_url, jina_reader_url=scripted.reader_url, embedding_provider="none"
    )
    scripted.search.script(lambda request: Status(status))
    scripted.reader.script(lambda request: Status(status))
    searcher, reader = JinaSearcher(settings=settings), JinaReader(settings)
    request = SearchRequest()
    request.queries.append(SearchQuery(text="x"))
    with pytest.raises(SearchError, match=f"Jina search {said}"):
        await searcher.search(request)
    with pytest.raises(ReadError, match=f"Jina reader {said}"):
        await reader.read("https://a.test/", ReadOptions(timeout_seconds=5))
    await searcher.close()
    await reader.close()
