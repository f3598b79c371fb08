"""The corpus as search provider and page source."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from providers.corpus import corpus_folder, open_corpus
from providers.reader.base import ReadOptions
from providers.reader.files import FileReader
from providers.search.base import SearchOptions
from providers.search.local import LocalSearch
from schemas.errors import CorpusError, InvalidRequest, SearchError
from schemas.search import SearchQuery
from schemas.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "documents"
    (folder / "sub").mkdir(parents=True)
    (folder / "water.md").write_text(
        "---\ndate: 2024-05-06\n---\n# Water\n\nThe water of the sea boils at 100 degrees. See [x](https://ex.org).", encoding="utf-8"
    )
    (folder / "sub" / "tower.txt").write_text("The Eiffel Tower is 330 metres tall.", encoding="utf-8")
    return Settings(_env_file=None, deepsearch_corpus=folder, deepsearch_home=tmp_path / "home")


@pytest.fixture
async def provider(settings: Settings) -> AsyncIterator[LocalSearch]:
    provider = LocalSearch(settings)
    yield provider
    await provider.close()


@pytest.fixture
async def reader(settings: Settings) -> AsyncIterator[FileReader]:
    reader = FileReader(settings)
    yield reader
    await reader.close()


async def test_search_indexes_first_and_once(provider: LocalSearch, tmp_path: Path) -> None:
    query = SearchQuery(text="When does water boil?")
    first, second = await asyncio.gather(provider.search(query, SearchOptions()), provider.search(query, SearchOptions()))
    assert first.results == second.results or [r.url for r in first.results] == [r.url for r in second.results]
    result = first.results[0]
    assert result.url == (tmp_path / "documents" / "water.md").as_uri()
    assert (result.title, result.source, result.query, result.published) == ("Water", "local", query.text, "2024-05-06")
    assert result.snippet.startswith("# Water\n\nThe water of the sea boils at 100 degrees.")
    assert 0 < result.score < 1
    assert first.usage.searches == 1
    assert (await provider.search(SearchQuery(text="Wolfram"), SearchOptions())).results == []


async def test_files_are_on_no_list_of_hostnames(provider: LocalSearch) -> None:
    assert (await provider.search(SearchQuery(text="water"), SearchOptions(only_hostnames=("ex.org",)))).results == []


async def test_a_folder_inside_is_a_corpus_of_its_own(provider: LocalSearch, settings: Settings) -> None:
    options = SearchOptions(corpus=str(settings.deepsearch_corpus / "sub"))  # type: ignore[operator]
    assert (await provider.search(SearchQuery(text="water"), options)).results == []
    assert len((await provider.search(SearchQuery(text="Eiffel"), options)).results) == 1


async def test_a_first_indexing_that_takes_too_long_goes_on(provider: LocalSearch, settings: Settings) -> None:
    corpus = open_corpus(settings.deepsearch_corpus, settings.deepsearch_home)  # type: ignore[arg-type]
    corpus.index_folder.mkdir(parents=True)
    query = SearchQuery(text="Eiffel")
    with (corpus.index_folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(
            SearchError, match=r"^local: the corpus is being indexed for the first time; try again, or run `deepsearch index`"
        ):
            await provider.search(query, SearchOptions(timeout_seconds=0.1))
    assert len((await provider.search(query, SearchOptions())).results) == 1


@pytest.mark.parametrize("requested", ["/etc", "/", "{corpus}/..", "{corpus}-2", "{corpus}/link", "relative", "a\0b"])
async def test_only_the_configured_folder_may_be_named(
    settings: Settings, provider: LocalSearch, reader: FileReader, tmp_path: Path, requested: str
) -> None:
    (tmp_path / "documents" / "link").symlink_to("/etc", target_is_directory=True)
    corpus = requested.format(corpus=settings.deepsearch_corpus)
    with pytest.raises(InvalidRequest) as raised:
        await provider.search(SearchQuery(text="x"), SearchOptions(corpus=corpus))
    assert raised.value.field == "corpus"
    with pytest.raises(InvalidRequest):
        await reader.read("file:///etc/passwd", ReadOptions(corpus=corpus))


def test_without_a_configured_corpus() -> None:
    settings = Settings(_env_file=None, deepsearch_corpus=None)
    with pytest.raises(CorpusError, match="set DEEPSEARCH_CORPUS"):
        corpus_folder(settings)
    with pytest.raises(InvalidRequest):
        corpus_folder(settings, "/tmp")


def test_only_the_configured_corpus_and_what_is_in_it_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "part" / "inner").mkdir(parents=True)
    (corpus / "out").symlink_to(tmp_path)
    settings = Settings(_env_file=None, deepsearch_corpus=corpus)
    assert corpus_folder(settings, str(corpus)) == corpus_folder(settings) == corpus
    assert corpus_folder(settings, "part") == corpus_folder(settings, str(corpus / "part")) == corpus / "part"
    monkeypatch.chdir(corpus / "part")
    assert corpus_folder(settings, "inner") == corpus / "part" / "inner"
    monkeypatch.chdir(tmp_path)
    assert corpus_folder(settings, "corpus/part") == corpus / "part"
    for missing in ("missing", str(corpus / "missing")):
        with pytest.raises(InvalidRequest, match="has no such folder"):
            corpus_folder(settings, missing)
    for outside in ("/etc", "..", "part/../..", "out", "out/x", str(tmp_path), f"{corpus}x", "/" + os.pardir, "~nobody-of-that-name", "\0"):
        with pytest.raises(InvalidRequest) as raised:
            corpus_folder(settings, outside)
        assert raised.value.field == "corpus" and ("may be searched" in str(raised.value) or "no folder name" in str(raised.value))
        assert str(corpus) not in str(raised.value) or outside.startswith(str(corpus))
    elsewhere = settings.model_copy(update={"deepsearch_corpus": tmp_path / "mounted-in-another-container"})
    assert corpus_folder(elsewhere, "part") == tmp_path / "mounted-in-another-container" / "part"


async def test_reader_gives_page_and_links(reader: FileReader, provider: LocalSearch, tmp_path: Path) -> None:
    url = (tmp_path / "documents" / "water.md").as_uri()
    assert reader.accepts(url)
    assert not reader.accepts("https://example.org/")
    unindexed = await reader.read(url, ReadOptions())
    await provider.search(SearchQuery(text="water"), SearchOptions())
    indexed = await reader.read(url, ReadOptions())
    page = indexed.page
    assert (page.page_id, page.text) == (unindexed.page.page_id, unindexed.page.text)
    assert (page.url, page.title, page.language_code, page.published, page.source) == (url, "Water", "en", "2024-05-06", "file")
    assert page.text == "# Water\n\nThe water of the sea boils at 100 degrees. See [x](https://ex.org)."
    assert indexed.usage.pages == 1


async def test_reader_stays_inside(reader: FileReader) -> None:
    with pytest.raises(InvalidRequest, match="outside the corpus"):
        await reader.read("file:///etc/passwd", ReadOptions())
