"""Search, pages, vectors and scores through the cache, with the real providers and the scripted server."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import fields, replace
from typing import Any, get_args

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import providers.embedding.cached
import providers.reader.cached
import providers.rerank.cached
import providers.search.cached
from providers.cache import create_memory
from providers.embedding import create_embedding
from providers.embedding.base import Embedded, Task
from providers.embedding.cached import CachedEmbedding
from providers.reader import SOURCES, create_reader
from providers.reader.base import ReadOptions
from providers.reader.cached import CachedReader
from providers.reader.files import FileReader
from providers.reader.jina import JinaReader
from providers.rerank import create_rerank
from providers.rerank.cached import CachedRerank
from providers.search import PROVIDERS, create_search
from providers.search.base import SearchOptions
from providers.search.cached import CachedSearch
from providers.search.contained import Contained
from providers.search.jina import JinaSearch
from providers.search.local import LocalSearch
from schemas.errors import EmbeddingError, NotRecorded, PageUnavailable, ReadError, RerankError, SearchError
from schemas.search import SearchQuery, TimeRange
from schemas.settings import Settings
from schemas.usage import Usage
from tests.embedding_stand_in import CountingRerank, HashedEmbedding
from tests.scripted import Delay, Json, ScriptedServer, Status

MakeSettings = Callable[..., Settings]
URL = "https://a.example/tea"
KEY = "jina-very-secret"


def spent(usage: Usage) -> dict[str, Any]:
    return usage.model_dump(exclude={"id"}, exclude_defaults=True)


@pytest.fixture
def configured(make_settings: MakeSettings, scripted: ScriptedServer) -> MakeSettings:
    scripted.add_page(URL, "Tea", "Tea is brewed from leaves.", links=[("more", "https://b.example/")], published="2024-01-01")

    def make(mode: str, **values: Any) -> Settings:
        urls = {"jina_search_url": scripted.search_url, "jina_reader_url": scripted.reader_url}
        return make_settings(**{"deepsearch_cache": mode, "jina_api_key": KEY, **urls, **values})

    return make


@pytest.fixture
async def cached() -> AsyncIterator[Callable[[Any], Any]]:
    """Closes what it is given at the end of the test."""
    made: list[Any] = []

    def keep(provider: Any) -> Any:
        made.append(provider)
        return provider

    yield keep
    for provider in made:
        await provider.close()


# -- search ------------------------------------------------------------------------------------------------------------


def search_of(settings: Settings) -> Any:
    return providers.search.cached.with_cache(JinaSearch(settings), settings)


async def test_a_search_is_sent_once(configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]) -> None:
    query, options = SearchQuery(text="tea leaves"), SearchOptions(max_results=3)
    first = await cached(search_of(configured("read-write"))).search(query, options)
    again = await cached(search_of(configured("read-write"))).search(SearchQuery(text="tea leaves"), replace(options, timeout_seconds=1.0))
    assert again.results == first.results
    assert [result.url for result in again.results] == [URL]
    assert (first.usage.searches, spent(again.usage)) == (1, {})
    assert len(scripted.sent("/search/")) == 1


async def test_that_nothing_was_found_is_not_kept(configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]) -> None:
    query = SearchQuery(text="tea leaves")
    search = cached(search_of(configured("read-write")))
    scripted.search.script(lambda _: Json({"code": 200, "data": []}))
    nothing = await search.search(query, SearchOptions())
    scripted.search.script(scripted.search.default)
    found = await search.search(query, SearchOptions())
    assert ([len(nothing.results), len(found.results)], nothing.usage.searches, found.usage.searches) == ([0, 1], 1, 1)
    assert spent((await search.search(query, SearchOptions())).usage) == {}
    assert len(scripted.sent("/search/")) == 2


async def test_nobody_waits_for_the_same_query_longer_than_its_own_time(
    configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]
) -> None:
    search = cached(search_of(configured("read-write")))
    scripted.search.script(lambda request: Delay(60, scripted.search.default(request)))
    first = asyncio.create_task(search.search(SearchQuery(text="tea leaves"), SearchOptions(timeout_seconds=60)))
    assert await asyncio.to_thread(scripted.wait_for_requests)
    started = time.monotonic()
    with pytest.raises(SearchError, match=r"^jina: 0\.3 s passed while the same query was under way$") as caught:
        await search.search(SearchQuery(text="tea leaves"), SearchOptions(timeout_seconds=0.3))
    assert 0.3 <= time.monotonic() - started < 10
    assert (caught.value.usage.searches, len(scripted.sent("/search/"))) == (0, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_who_takes_over_has_the_rest_of_its_time(
    configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]
) -> None:
    search = cached(search_of(configured("read-write")))
    scripted.search.script(lambda request: Delay(60, scripted.search.default(request)))
    started = time.monotonic()
    both = [
        search.search(SearchQuery(text="tea leaves"), SearchOptions(timeout_seconds=1.0)),
        search.search(SearchQuery(text="tea leaves"), SearchOptions(timeout_seconds=2.5)),
    ]
    ended = await asyncio.gather(*both, return_exceptions=True)
    assert 2.4 <= time.monotonic() - started < 30
    assert [type(end) for end in ended] == [SearchError] * 2
    assert str(ended[0]) == "Jina search did not answer within 1 s"
    assert len(scripted.sent("/search/")) == 2


async def test_a_recorded_search_is_replayed_without_server(
    configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]
) -> None:
    recording = cached(search_of(configured("record")))
    query, options = SearchQuery(text="tea leaves"), SearchOptions()
    scripted.search.script(lambda _: Status(500, {"message": "out of order"}))
    with pytest.raises(SearchError) as failed:
        await recording.search(query, options)
    scripted.search.script(scripted.search.default)
    found = await recording.search(query, options)
    nothing = await recording.search(SearchQuery(text="zebra"), options)
    sent = len(scripted.sent("/search/"))

    replay = cached(search_of(configured("replay")))
    with pytest.raises(SearchError) as raised:
        await replay.search(query, options)
    assert (type(raised.value), raised.value.args) == (SearchError, failed.value.args)
    replayed = await replay.search(query, options)
    assert (replayed.results, spent(replayed.usage)) == (found.results, spent(found.usage))
    assert (await replay.search(SearchQuery(text="zebra"), options)).results == nothing.results == []
    with pytest.raises(NotRecorded, match=r"no answer is recorded for search: lions \(jina\): record the run again"):
        await replay.search(SearchQuery(text="lions"), options)
    assert len(scripted.sent("/search/")) == sent


def test_every_provider_but_the_corpus_is_remembered(configured: MakeSettings) -> None:
    assert providers.search.cached.DETERMINING.keys() == PROVIDERS.keys() - {"local"}
    assert providers.reader.cached.DETERMINING.keys() == SOURCES.keys() - {"file"}
    settings = configured("read-write")
    for local, with_cache in (
        (LocalSearch(settings), providers.search.cached.with_cache),
        (FileReader(settings), providers.reader.cached.with_cache),
        (HashedEmbedding(name="local"), providers.embedding.cached.with_cache),
    ):
        assert with_cache(local, settings) is local  # type: ignore[arg-type]


def test_what_is_off_is_not_there(configured: MakeSettings) -> None:
    settings = configured("off")
    search, reader, embedding, rerank = JinaSearch(settings), JinaReader(settings), HashedEmbedding(), CountingRerank()
    assert providers.search.cached.with_cache(search, settings) is search
    assert providers.reader.cached.with_cache(reader, settings) is reader
    assert providers.embedding.cached.with_cache(embedding, settings) is embedding
    assert providers.rerank.cached.with_cache(rerank, settings) is rerank


# -- pages -------------------------------------------------------------------------------------------------------------


def reader_of(settings: Settings) -> Any:
    return providers.reader.cached.with_cache(JinaReader(settings), settings)


async def test_a_page_is_read_once(configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]) -> None:
    first = await cached(reader_of(configured("read-write"))).read(URL, ReadOptions())
    again = await cached(reader_of(configured("read-write"))).read(URL, ReadOptions(timeout_seconds=1.0, max_tokens=5_000, failures=2))
    assert (again.page, again.links) == (first.page, first.links)
    assert (again.page.text, again.links[0].url) == ("Tea is brewed from leaves.", "https://b.example/")
    assert (spent(first.usage), spent(again.usage)) == ({"pages": 1, "provider_tokens": 6}, {})
    assert len(scripted.sent("/reader/")) == 1


async def test_nobody_waits_for_the_same_page_longer_than_its_own_time(
    configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]
) -> None:
    reader = cached(reader_of(configured("read-write")))
    scripted.reader.script(lambda request: Delay(60, scripted.reader.default(request)))
    first = asyncio.create_task(reader.read(URL, ReadOptions(timeout_seconds=60)))
    assert await asyncio.to_thread(scripted.wait_for_requests)
    started = time.monotonic()
    with pytest.raises(PageUnavailable, match=rf"^{URL}: 0\.3 s passed while another reading of it was under way$") as caught:
        await reader.read(URL, ReadOptions(timeout_seconds=0.3))
    assert 0.3 <= time.monotonic() - started < 10
    assert (caught.value.usage.pages, len(scripted.sent("/reader/"))) == (0, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_recorded_page_is_replayed_without_server(
    configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]
) -> None:
    recording = cached(reader_of(configured("record")))
    assert recording.accepts(URL)
    read = await recording.read(URL, ReadOptions())
    with pytest.raises(ReadError) as failed:
        await recording.read("https://nowhere.example/", ReadOptions())
    sent = len(scripted.sent("/reader/"))
    replay = cached(reader_of(configured("replay")))
    replayed = await replay.read(URL, ReadOptions())
    assert (replayed.page, replayed.links, spent(replayed.usage)) == (read.page, read.links, spent(read.usage))
    with pytest.raises(ReadError) as raised:
        await replay.read("https://nowhere.example/", ReadOptions())
    assert (type(raised.value), raised.value.args) == (type(failed.value), failed.value.args)
    with pytest.raises(NotRecorded, match=r"for page: https://b.example/ \(jina\): record"):
        await replay.read("https://b.example/", ReadOptions())
    assert len(scripted.sent("/reader/")) == sent


# -- privacy -----------------------------------------------------------------------------------------------------------


async def test_no_key_is_in_the_file(configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]) -> None:
    address = scripted.search_url.replace("http://", f"http://me:{KEY}@")
    settings = configured("record", jina_search_url=address)
    await cached(search_of(settings)).search(SearchQuery(text="tea leaves"), SearchOptions())
    await cached(reader_of(settings)).read(URL, ReadOptions())
    with pytest.raises(ReadError):
        await cached(reader_of(settings)).read("https://nowhere.example/", ReadOptions())
    path = settings.deepsearch_home / "cache.db"
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT kind, key, compressed, value FROM entries").fetchall()
    assert len(rows) == 3
    held = b"".join(zstandard.decompress(value) if compressed else value for _, _, compressed, value in rows)
    assert b"Tea is brewed from leaves." in held
    assert KEY.encode() not in held
    everything = b"".join(file.read_bytes() for file in settings.deepsearch_home.iterdir())
    assert KEY.encode() not in everything
    again = await cached(search_of(configured("replay"))).search(SearchQuery(text="tea leaves"), SearchOptions())
    assert [result.url for result in again.results] == [URL]  # credentials in the address make no other question


@pytest.mark.parametrize("code", [401, 402, 422, 500])
async def test_a_key_that_is_sent_back_is_nowhere(
    configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any], code: int
) -> None:
    settings = configured("record")
    scripted.search.script(lambda _: Status(code, {"code": code, "message": f"{'x' * 190} {KEY} is no token, {KEY}"}))
    scripted.reader.script(lambda _: Status(code, {"code": code, "readableMessage": f"no such token: Bearer {KEY}"}))
    errors: list[Exception] = []
    for mode in ("record", "replay"):
        with pytest.raises(SearchError) as search:
            await cached(search_of(configured(mode))).search(SearchQuery(text="tea leaves"), SearchOptions())
        with pytest.raises(ReadError) as reader:
            await cached(reader_of(configured(mode))).read(URL, ReadOptions())
        errors += [search.value, reader.value]
    assert [error.args for error in errors[:2]] == [error.args for error in errors[2:]]
    assert "(no such token: Bearer ***)" in str(errors[1])
    shown = "".join(f"{error!r}{error.args}" for error in errors)
    assert KEY[:6] not in shown
    with closing(sqlite3.connect(settings.deepsearch_home / "cache.db")) as connection:
        rows = connection.execute("SELECT compressed, value FROM entries").fetchall()
    held = b"".join(zstandard.decompress(value) if compressed else value for compressed, value in rows)
    assert b"no such token" in held
    assert KEY.encode() not in held


# -- vectors and scores ------------------------------------------------------------------------------------------------


async def test_a_text_is_embedded_once(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    provider = HashedEmbedding(supports_late_chunking=True)
    embedding = cached(CachedEmbedding(provider, *_memory(configured("read-write"))))
    assert (embedding.name, embedding.model, embedding.supports_late_chunking) == ("hashed", "words", True)
    await embedding.embed(["tea", "coffee"], "passage")
    mixed = await embedding.embed(["milk tea", "tea", "!!", "coffee"], "passage", max_tokens=2)
    await embedding.embed(["tea"], "query")
    asked = [("passage", ["tea", "coffee"], False), ("passage", ["milk tea", "!!"], False), ("query", ["tea"], False)]
    assert provider.calls == asked
    assert mixed.usage.provider_tokens == 2
    expected = (await HashedEmbedding().embed(["milk tea", "tea", "!!", "coffee"], "passage")).vectors
    assert np.array_equal(mixed.vectors, expected)
    assert (mixed.vectors.dtype, mixed.vectors.shape) == (np.float32, (4, 1_024))
    assert (await embedding.embed([], "query")).vectors.shape == (0, 1_024)


async def test_pieces_that_know_each_other_are_embedded_together(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    provider = HashedEmbedding(supports_late_chunking=True)
    embedding = cached(CachedEmbedding(provider, *_memory(configured("read-write"))))
    first = await embedding.embed(["tea", "milk"], "passage", late_chunking=True)
    again = await embedding.embed(["tea", "milk"], "passage", late_chunking=True)
    await embedding.embed(["milk", "tea"], "passage", late_chunking=True)
    await embedding.embed(["tea", "milk"], "passage")
    assert np.array_equal(first.vectors, again.vectors)
    assert [(texts, late) for _, texts, late in provider.calls] == [
        (["tea", "milk"], True),
        (["milk", "tea"], True),
        (["tea", "milk"], False),
    ]
    plain = HashedEmbedding()
    await cached(CachedEmbedding(plain, *_memory(configured("read-write", embedding_dimensions=8)))).embed(
        ["a"], "query", late_chunking=True
    )
    assert plain.calls == [("query", ["a"], False)]


class Lengthless(HashedEmbedding):
    """Does not know the length of its vectors before it has made one, as a server that is not told one."""

    async def embed(self, texts: Sequence[str], task: Task, *, late_chunking: bool = False, max_tokens: int | None = None) -> Embedded:
        embedded = await super().embed(texts, task, late_chunking=late_chunking, max_tokens=max_tokens)
        return embedded if embedded.vectors.any() else Embedded(np.zeros((len(texts), 0), dtype=np.float32))


async def test_a_text_without_words_gets_zeros_of_the_right_length(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    embedding = cached(CachedEmbedding(Lengthless(), *_memory(configured("read-write"))))
    assert (await embedding.embed(["!!"], "passage")).vectors.shape == (1, 0)
    for _ in range(2):
        vectors = (await embedding.embed(["tea", "!!"], "passage")).vectors
        assert (vectors.shape, vectors[0].any(), vectors[1].any()) == ((2, 1_024), True, False)


async def test_recorded_vectors_are_replayed(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    recording = cached(CachedEmbedding(HashedEmbedding(fails_at=2), *_memory(configured("record"))))
    first = await recording.embed(["tea", "milk"], "passage")
    with pytest.raises(EmbeddingError) as failed:
        await recording.embed(["tea", "sugar"], "passage")
    nobody = HashedEmbedding(fails_at=1)
    replay = cached(CachedEmbedding(nobody, *_memory(configured("replay"))))
    replayed = await replay.embed(["tea", "milk"], "passage")
    assert np.array_equal(first.vectors, replayed.vectors)
    assert spent(first.usage) == spent(replayed.usage) == {"provider_tokens": 2}
    with pytest.raises(EmbeddingError) as raised:
        await replay.embed(["tea", "sugar"], "passage")
    assert raised.value.args == failed.value.args
    with pytest.raises(NotRecorded, match=r"for embedding: tea \(words\)"):
        await replay.embed(["tea"], "query")
    assert nobody.calls == []


async def test_a_document_is_scored_once_for_a_query(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    provider = CountingRerank()
    rerank = cached(CachedRerank(provider, *_memory(configured("read-write"))))
    assert (rerank.name, rerank.model) == ("counting", "words")
    await rerank.rerank("green tea", ["tea", "milk"])
    again = await rerank.rerank("green tea", ["green milk", "tea", "green tea"], max_tokens=2)
    await rerank.rerank("milk", ["milk"])
    assert again.scores == [0.5, 0.5, 1.0]
    assert again.usage.provider_tokens == 2
    assert provider.calls == [("green tea", ["tea", "milk"]), ("green tea", ["green milk", "green tea"]), ("milk", ["milk"])]
    assert (await rerank.rerank("milk", [])).scores == []


async def test_recorded_scores_are_replayed(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    provider = CountingRerank()
    recording = cached(CachedRerank(provider, *_memory(configured("record"))))
    first = await recording.rerank("tea", ["tea", "milk"])
    provider.fails = True
    with pytest.raises(RerankError):
        await recording.rerank("tea", ["milk"])
    nobody = CountingRerank(fails=True)
    replay = cached(CachedRerank(nobody, *_memory(configured("replay"))))
    replayed = await replay.rerank("tea", ["tea", "milk"])
    assert (replayed.scores, spent(replayed.usage)) == (first.scores, spent(first.usage))
    with pytest.raises(RerankError, match="HTTP 402") as raised:
        await replay.rerank("tea", ["milk"])
    assert raised.value.usage.provider_tokens == 2
    with pytest.raises(NotRecorded, match=r"for rerank: coffee \(words\)"):
        await replay.rerank("coffee", ["milk"])
    assert nobody.calls == []


def _memory(settings: Settings) -> tuple[Any, Settings]:
    return create_memory(settings), settings


# -- what makes two questions the same ---------------------------------------------------------------------------------

BOUNDS = {
    "timeout_seconds": st.floats(1, 100),
    "max_tokens": st.integers(0, 9),
    "corpus": st.text(max_size=3),
    "failures": st.integers(0, 3),
}
"""Options of searching and reading that no answer depends on."""


def bounds_of(options: type[Any]) -> Any:
    names = {field.name for field in fields(options)}
    return st.fixed_dictionaries({}, optional={name: values for name, values in BOUNDS.items() if name in names})


queries = st.builds(
    SearchQuery,
    text=st.sampled_from(["a", "b"]),
    time_range=st.sampled_from([None, *get_args(TimeRange)]),
    location=st.sampled_from([None, "Paris"]),
    language_code=st.sampled_from([None, "fr"]),
)
asked_for = st.fixed_dictionaries(
    {"max_results": st.integers(1, 3), "only_hostnames": st.sampled_from([(), ("a.org",), ("a.org", "b.org")])}
)
PROPERTY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def search(make_settings: MakeSettings) -> Any:
    return search_of(make_settings(jina_api_key=KEY, deepsearch_cache="read-write"))


@PROPERTY
@given(one=queries, other=queries, this=asked_for, that=asked_for, bound=bounds_of(SearchOptions), rebound=bounds_of(SearchOptions))
def test_searches_are_the_same_when_everything_meaningful_is(
    search: CachedSearch, *, one: Any, other: Any, this: Any, that: Any, bound: Any, rebound: Any
) -> None:
    key = search.question(one, SearchOptions(**this, **bound)).key()
    same = (one.model_dump(exclude={"id"}), this) == (other.model_dump(exclude={"id"}), that)
    assert (key == search.question(other, SearchOptions(**that, **rebound)).key()) == same


@pytest.fixture
def reader(make_settings: MakeSettings) -> Any:
    return reader_of(make_settings(jina_api_key=KEY, deepsearch_cache="read-write"))


@PROPERTY
@given(
    url=st.sampled_from([URL, f"{URL}#2"]),
    asked=st.fixed_dictionaries({"max_bytes": st.integers(1, 2), "with_images": st.booleans()}),
    bound=bounds_of(ReadOptions),
    rebound=bounds_of(ReadOptions),
)
def test_readings_are_the_same_when_everything_meaningful_is(
    reader: CachedReader, *, url: str, asked: Any, bound: Any, rebound: Any
) -> None:
    base: dict[str, Any] = {"max_bytes": 1, "with_images": False}
    key = reader.question(URL, ReadOptions(**base, **bound)).key()
    assert (reader.question(url, ReadOptions(**asked, **rebound)).key() == key) == ((url, asked) == (URL, base))


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"jina_api_key": "another"}, True),
        ({"search_timeout_seconds": 1.0, "embedding_timeout_seconds": 1.0, "reader_timeout_seconds": 1.0}, True),
        ({"jina_search_url": "https://me:pw@s.jina.ai/"}, True),
        ({"jina_search_url": "https://other/"}, False),
        ({"jina_fetch_content": True}, False),
        ({"jina_search_per_keyword": 3}, False),
    ],
)
def test_settings_that_a_search_depends_on(make_settings: MakeSettings, changed: dict[str, Any], same: bool) -> None:
    def key(**values: Any) -> str:
        settings = make_settings(**{"jina_api_key": KEY, "deepsearch_cache": "read-write", **values})
        return str(search_of(settings).question(SearchQuery(text="a"), SearchOptions()).key())

    assert (key() == key(**changed)) == same


def test_settings_that_vectors_depend_on(make_settings: MakeSettings) -> None:
    def key(texts: Sequence[str] = ("a",), task: Task = "query", late: bool = False, model: str = "words", **values: Any) -> str:
        settings = make_settings(deepsearch_cache="read-write", **values)
        embedding = CachedEmbedding(HashedEmbedding(model=model), *_memory(settings))
        return embedding.question(texts, task, late_chunking=late).key()

    changed = [
        key(["b"]), key(["a", "a"]), key(task="passage"), key(late=True), key(model="other"),
        key(embedding_dimensions=8), key(embedding_base_url="https://other/"),
    ]  # fmt: skip
    assert len({key(), *changed}) == 8
    assert key(embedding_timeout_seconds=1.0, embedding_api_key="secret") == key()


def test_settings_that_scores_depend_on(make_settings: MakeSettings) -> None:
    def key(query: str = "q", document: str = "d", model: str = "words", **values: Any) -> str:
        settings = make_settings(deepsearch_cache="read-write", **values)
        return CachedRerank(CountingRerank(model=model), *_memory(settings)).question(query, document).key()

    assert len({key(), key("x"), key("q", "x"), key(model="x"), key(jina_api_url="https://other/")}) == 5
    assert key(jina_api_key=KEY) == key()


async def test_a_page_with_no_words_for_it(configured: MakeSettings, scripted: ScriptedServer, cached: Callable[[Any], Any]) -> None:
    """Text that is no valid Unicode is read, remembered or not."""
    page = {"title": "T", "url": URL, "content": "half \ud800 a pair", "links": [], "usage": {"tokens": 1}}
    scripted.reader.script(lambda _: Json({"code": 200, "data": page}))
    reader = cached(reader_of(configured("read-write")))
    assert [(await reader.read(URL, ReadOptions())).page.text for _ in range(2)] == ["half ? a pair"] * 2


async def test_what_the_settings_make_is_remembered(configured: MakeSettings, cached: Callable[[Any], Any]) -> None:
    settings = configured("read-write", brave_api_key=KEY, serper_api_key=KEY, searxng_url="http://127.0.0.1:9/")
    assert isinstance(cached(create_embedding(settings)), CachedEmbedding)
    assert isinstance(cached(create_rerank(settings)), CachedRerank)
    readers = [type(source) for source in cached(create_reader(settings))._sources]
    assert readers == [FileReader, CachedReader, CachedReader]
    chain = cached(create_search(settings))
    assert {name: type(chain._provider(name)) for name in PROVIDERS if name != "local"} == dict.fromkeys(
        PROVIDERS.keys() - {"local"}, CachedSearch
    )
    assert isinstance(chain._provider("local"), Contained)
