"""The corpus that a cluster shares, on a real PostgreSQL: who sees what when, what is lost and comes back, what is told."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from providers.corpus import corpus_folder
from providers.corpus.database import Database
from providers.corpus.schema import MIGRATIONS
from providers.corpus.shared import SharedCorpus
from providers.embedding.base import EmbeddingProvider
from providers.reader.base import ReadOptions
from providers.reader.files import FileReader
from providers.reader.pages import page_id
from providers.search.base import SearchOptions
from providers.search.local import LocalSearch
from schemas.errors import ConfigurationError, CorpusError, InvalidRequest, PageUnavailable, ReadError, SearchError, UpstreamError
from schemas.search import SearchQuery
from schemas.settings import Settings
from tests.embedding_stand_in import HashedEmbedding
from tests.servers import PASSWORD, QUOTED_PASSWORD, PostgresServer

Open = Callable[..., SharedCorpus]
dice = random.Random(0)
ROOT = Path(__file__).parents[3]

STATISTICS = """
    SELECT language, count(*), sum(passages)::bigint, sum(terms)::bigint, sum(title_terms * passages)::bigint
    FROM deepsearch_corpus.documents GROUP BY language ORDER BY language
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "sub").mkdir(parents=True)
    (folder / "water.md").write_text("# Water\n\nWater boils at 100 degrees Celsius.\n", encoding="utf-8")
    (folder / "sub" / "tower.txt").write_text("The Eiffel Tower is 330 metres tall.", encoding="utf-8")
    return folder


@pytest.fixture
async def opened(postgres_url: str, tmp_path: Path) -> AsyncIterator[Open]:
    """`opened(folder, embedding=None, url=postgres_url)`: the corpus as another process opens it."""
    made: list[Database] = []

    def make(folder: Path | None = None, embedding: EmbeddingProvider | None = None, url: str = postgres_url) -> SharedCorpus:
        made.append(Database(url))
        return SharedCorpus(made[-1], folder, embedding, home=tmp_path / "home")

    yield make
    for database in made:
        await database.close()


@pytest.fixture
async def sql(postgres_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def titles(corpus: SharedCorpus, query: str) -> list[str]:
    return [hit.title for hit in (await corpus.search(query, 10)).hits]


# -- who sees what -----------------------------------------------------------------------------------------------------


async def test_everybody_searches_and_reads_what_one_indexed(opened: Open, folder: Path) -> None:
    await opened(folder).index()
    for path in sorted(folder.rglob("*.*")):
        path.unlink()  # nobody needs the folder any more
    everything = opened()
    hit = (await everything.search("When does water boil?", 3)).hits[0]
    page = await everything.read(hit.url)
    assert hit.url == page.url == (folder / "water.md").as_uri()
    assert page.document.text[hit.start : hit.end] == hit.snippet == "# Water\n\nWater boils at 100 degrees Celsius."
    assert hit.page_id == page.page_id == page_id(hit.url, page.document.text)


async def test_a_folder_inside_is_a_corpus_of_its_own(opened: Open, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "documents-2"
    other.mkdir()
    (other / "ice.md").write_text("# Ice\n\nIce is cold water. The tower of ice is tall.", encoding="utf-8")
    await opened(folder).index()
    await opened(other).index()
    assert await titles(opened(), "water") == ["Water", "Ice"]
    assert await titles(opened(folder), "water") == ["Water"]
    assert await titles(opened(folder / "sub"), "water") == []
    assert await titles(opened(folder / "sub"), "tower") == ["The Eiffel Tower is 330 metres tall."]
    with pytest.raises(InvalidRequest, match="outside the corpus"):
        await opened(folder / "sub").read((folder / "water.md").as_uri())
    (folder / "water.md").unlink()
    assert (await opened(folder).index()).removed == 1
    assert await titles(opened(), "water") == ["Ice"]  # what is gone from one folder stays in others


async def test_the_statistics_are_those_of_the_documents(opened: Open, folder: Path, sql: Any) -> None:
    async def kept() -> list[tuple[Any, ...]]:
        rows = await sql.fetch("SELECT * FROM deepsearch_corpus.languages WHERE documents > 0 ORDER BY language")
        return [tuple(row) for row in rows]

    await opened(folder).index()
    assert [row[:3] for row in await kept()] == [("en", 2, 2)]
    (folder / "water.md").write_text("# Wasser\n\nDas Wasser kocht bei hundert Grad, und der Tee wird damit gekocht.\n", encoding="utf-8")
    (folder / "long.md").write_text(
        "\n\n".join(f"Paragraph {i} tells of the sea and of the land. " * 10 for i in range(20)), encoding="utf-8"
    )
    await opened(folder).index()
    (folder / "sub" / "tower.txt").unlink()
    await opened(folder).index()
    assert {row[0] for row in await kept()} == {"de", "en"}
    assert await kept() == [tuple(row) for row in await sql.fetch(STATISTICS)]
    orphans = (
        "SELECT count(*) FROM deepsearch_corpus.postings p WHERE NOT EXISTS (SELECT FROM deepsearch_corpus.documents WHERE id = p.document)"
    )
    assert await sql.fetchval(orphans) == 0


async def test_searchers_see_a_document_before_or_after_its_change(opened: Open, folder: Path) -> None:
    texts = ["# Tides\n\nThe moon causes the tides, say the old.", "# Tides\n\nThe moon and the sun cause the tides, say the new."]
    path = folder / "tides.md"
    path.write_text(texts[0], encoding="utf-8")
    await opened(folder).index()
    done = asyncio.Event()
    seen: set[str] = set()

    async def search() -> None:
        corpus = opened()
        while not done.is_set():
            [hit] = (await corpus.search("moon tides", 3)).hits
            assert hit.snippet in texts
            seen.add(hit.snippet)

    async def change() -> None:
        corpus = opened(folder)
        for turn in range(1, 11):
            path.write_text(texts[turn % 2], encoding="utf-8")
            os.utime(path, ns=(turn, turn))
            assert (await corpus.index()).updated == 1
        done.set()

    await asyncio.gather(search(), search(), change())
    assert seen == set(texts)


async def test_several_indexers_at_once(opened: Open, folder: Path, sql: Any) -> None:
    """Folders beside and inside each other, in any order: nothing is lost, doubled or counted wrongly."""
    for number in range(20):
        language = "Das ist der Text mit der Nummer" if number % 2 else "This is the text with the number"
        (folder / "sub" / f"{number}.md").write_text(f"# Number {number}\n\n{language} {number}.", encoding="utf-8")
    await asyncio.gather(*(opened(place).index() for place in (folder, folder / "sub", folder, folder / "sub")))
    assert await sql.fetchval("SELECT count(*) FROM deepsearch_corpus.documents") == 22
    kept = [tuple(row) for row in await sql.fetch("SELECT * FROM deepsearch_corpus.languages WHERE documents > 0 ORDER BY language")]
    assert kept == [tuple(row) for row in await sql.fetch(STATISTICS)]
    assert (await opened(folder).index()).unchanged == 22
    for number in (0, 7, 19):
        assert (await titles(opened(), f"number Nummer {number}"))[0] == f"Number {number}"


_HOLD = """
import asyncio, os, signal, sys
from pathlib import Path
from deepsearch.indexing import index_folder
from schemas.settings import Settings
def stop(state):
    print("indexing", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
settings = Settings(_env_file=None, deepsearch_home=sys.argv[2], deepsearch_corpus_url=sys.argv[3], use_duckduckgo=False)
asyncio.run(index_folder(Path(sys.argv[1]), settings, stop))
"""


async def test_the_turn_of_who_dies_is_over(opened: Open, folder: Path, tmp_path: Path, postgres_url: str) -> None:
    command = [sys.executable, "-c", _HOLD, str(folder), str(tmp_path / "home"), postgres_url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "indexing\n"
        waiting = asyncio.Event()
        task = asyncio.create_task(opened(folder).index(lambda state: waiting.set() if state.stage == "waiting" else None))
        await waiting.wait()
        process.send_signal(signal.SIGKILL)
        report = await task
    assert report.added + report.unchanged == 2


# -- access ------------------------------------------------------------------------------------------------------------


async def test_documents_are_read_by_the_letters_of_their_url(opened: Open, folder: Path, tmp_path: Path) -> None:
    (folder / "neu & alt.md").write_text("New text.", encoding="utf-8")
    await opened(folder).index()
    inside = folder.as_uri()
    corpus = opened(folder)
    for url in [
        f"{inside}/neu%20%26%20alt.md",
        f"{inside}/neu & alt.md",
        f"{inside}/sub/../neu%20%26%20alt.md",
        f"FILE://localhost{inside[7:]}//neu%20&%20alt.md",
    ]:
        assert (await corpus.read(url)).url == f"{inside}/neu%20%26%20alt.md"
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    for url in [
        f"{inside}/../secret.md", f"{inside}/%2e%2e/secret.md", f"{inside}-2/a.md", "file:///etc/passwd", "file:water.md",
        inside.replace("file://", "file://elsewhere") + "/water.md", f"{inside}/a%00.md", "https://example.org/water.md", inside,
    ]:  # fmt: skip
        with pytest.raises(InvalidRequest):
            await corpus.read(url)
    for url in [f"{inside}/link.md", f"{inside}/gone.md", f"{inside}/sub", f"{inside}/a'; DROP TABLE documents; --.md"]:
        with pytest.raises(ReadError, match="there is no such document in the shared corpus"):
            await corpus.read(url)


def test_which_folder_a_request_may_name(tmp_path: Path) -> None:
    shared = Settings(_env_file=None, deepsearch_corpus_url="postgresql://h/d")
    assert corpus_folder(shared) is None
    assert corpus_folder(shared, "/anywhere/papers") == Path("/anywhere/papers")
    with pytest.raises(InvalidRequest, match="the whole path"):
        corpus_folder(shared, "papers")
    narrowed = shared.model_copy(update={"deepsearch_corpus": tmp_path / "papers"})
    assert corpus_folder(narrowed) == tmp_path / "papers"
    assert corpus_folder(narrowed, str(tmp_path / "papers" / "new")) == tmp_path / "papers" / "new"
    with pytest.raises(InvalidRequest, match="only the folder set as DEEPSEARCH_CORPUS"):
        corpus_folder(narrowed, "/anywhere/papers")


@pytest.fixture
def settings(postgres_url: str, tmp_path: Path) -> Settings:
    return Settings(_env_file=None, deepsearch_corpus_url=postgres_url, deepsearch_home=tmp_path / "home")


async def test_search_and_reader_without_a_folder(opened: Open, folder: Path, settings: Settings, tmp_path: Path) -> None:
    await opened(folder).index()
    search, reader = LocalSearch(settings), FileReader(settings)
    try:
        for corpus in ("", str(folder)):
            found = await search.search(SearchQuery(text="When does water boil?"), SearchOptions(corpus=corpus))
            assert [(result.title, result.source) for result in found.results] == [("Water", "local")]
            reading = await reader.read(found.results[0].url, ReadOptions(corpus=corpus))
            assert (reading.page.title, reading.page.source, reading.page.text) == (
                "Water", "file", "# Water\n\nWater boils at 100 degrees Celsius.",
            )  # fmt: skip
        with pytest.raises(CorpusError, match=rf"holds no documents of {tmp_path}/nowhere; run `deepsearch index {tmp_path}/nowhere`"):
            await search.search(SearchQuery(text="x"), SearchOptions(corpus=f"{tmp_path}/nowhere"))
        assert not (tmp_path / "home").exists()
    finally:
        await search.close()
        await reader.close()


# -- what is lost and comes back ---------------------------------------------------------------------------------------


async def test_a_connection_that_was_cut_is_made_again(opened: Open, folder: Path, sql: Any) -> None:
    corpus = opened(folder)
    await corpus.index()
    for _ in range(3):
        await sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        assert await titles(corpus, "water") == ["Water"]
        assert (await corpus.read((folder / "water.md").as_uri())).document.title == "Water"


async def test_an_indexing_survives_cut_connections(opened: Open, folder: Path, sql: Any) -> None:
    for number in range(60):
        (folder / f"{number}.md").write_text(f"# Number {number}\n\nThe text of number {number}.", encoding="utf-8")
    cuts: list[asyncio.Task[Any]] = []

    def cut(state: Any) -> None:
        if state.done % 10 == 0 and all(task.done() for task in cuts):
            statement = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            cuts.append(asyncio.create_task(sql.execute(statement)))

    report = await opened(folder).index(cut)
    await asyncio.gather(*cuts)
    assert len(cuts) >= 2
    assert (report.added, report.failed) == (62, [])
    kept = [tuple(row) for row in await sql.fetch("SELECT * FROM deepsearch_corpus.languages WHERE documents > 0")]
    assert kept == [tuple(row) for row in await sql.fetch(STATISTICS)]


async def test_a_server_that_dies_and_comes_back(folder: Path, tmp_path: Path) -> None:
    with PostgresServer() as server:
        url = server.url()
        settings = Settings(_env_file=None, deepsearch_corpus_url=url, deepsearch_home=tmp_path / "home")
        database = Database(url)
        await SharedCorpus(database, folder, home=tmp_path / "home").index()
        search, reader = LocalSearch(settings), FileReader(settings)
        document = (folder / "water.md").as_uri()
        try:
            assert len((await search.search(SearchQuery(text="water"), SearchOptions())).results) == 1
            server.kill()
            with pytest.raises(
                SearchError, match=r"^local: the shared corpus postgresql://127\.0\.0\.1:\d+/test_0 cannot be reached"
            ) as raised:
                await search.search(SearchQuery(text="water"), SearchOptions())
            assert PASSWORD not in str(raised.value)
            assert QUOTED_PASSWORD not in str(raised.value)
            with pytest.raises(PageUnavailable, match="check DEEPSEARCH_CORPUS_URL, and that the server runs"):
                await reader.read(document, ReadOptions())
            server.start()
            assert len((await search.search(SearchQuery(text="water"), SearchOptions())).results) == 1
            assert (await reader.read(document, ReadOptions())).page.title == "Water"
        finally:
            await search.close()
            await reader.close()
            await database.close()


# -- what is told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["mysql://h/d", "postgresql://u:pa/ss@h:1/d", "postgresql://u:s3cret@h:port/d", "postgresql://u:s3cret@[::1/d", "nonsense", "postgresql://u:s3cret@h/d?sslmode=maybe",
     "postgresql://u:12/s3cret@h/d", "postgresql://u:12#s3cret@h/d"],
)  # fmt: skip
async def test_a_url_that_cannot_be_read_is_told_and_not_shown(opened: Open, url: str) -> None:
    with pytest.raises(ConfigurationError, match="DEEPSEARCH_CORPUS_URL must look like postgresql://USER:PASSWORD@HOST") as raised:
        await opened(None, None, url).search("x", 1)
    assert raised.value.field == "DEEPSEARCH_CORPUS_URL"
    assert "s3cret" not in str(raised.value)
    assert "pa/ss" not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_what_is_wrong_with_the_database_is_told(
    opened: Open, folder: Path, postgres_url: str, postgres_server: PostgresServer
) -> None:
    with pytest.raises(CorpusError, match="holds no documents; run `deepsearch index FOLDER` with this DEEPSEARCH_CORPUS_URL"):
        await opened().search("x", 1)
    with pytest.raises(CorpusError, match="correct the user and password in DEEPSEARCH_CORPUS_URL") as raised:
        await opened(None, None, postgres_url.replace(QUOTED_PASSWORD, "wr0ng")).search("x", 1)
    assert "wr0ng" not in str(raised.value)
    with pytest.raises(CorpusError, match="correct the user and password in DEEPSEARCH_CORPUS_URL") as raised:
        await opened(None, None, f"postgresql://al1ce:x@{postgres_url.rpartition('@')[2]}").search("x", 1)
    assert "al1ce" not in str(raised.value)
    with pytest.raises(CorpusError, match="create that database, or correct DEEPSEARCH_CORPUS_URL"):
        await opened(None, None, postgres_url.rpartition("/")[0] + "/elsewhere").search("x", 1)
    with pytest.raises(UpstreamError, match="check DEEPSEARCH_CORPUS_URL, and that the server runs"):
        await opened(None, None, "postgresql://u:s3cret@127.0.0.1:1/d").search("x", 1)
    with pytest.raises(CorpusError, match="which folder is to be indexed"):
        await opened().index()
    with pytest.raises(CorpusError, match="there is no such folder"):
        await opened(folder / "nowhere").index()


async def test_a_later_version_is_told_and_left_alone(opened: Open, folder: Path, sql: Any) -> None:
    await asyncio.gather(opened(folder).index(), opened(folder).index())  # both make the tables
    assert [row["version"] for row in await sql.fetch("SELECT version FROM deepsearch_corpus.version")] == [*range(1, len(MIGRATIONS) + 1)]
    await sql.execute("INSERT INTO deepsearch_corpus.version VALUES (99)")
    with pytest.raises(CorpusError, match=rf"of a later version \(99\) than this one reads \({len(MIGRATIONS)}\); update DeepSearch here"):
        await opened(folder).index()


async def test_who_may_only_read_searches_and_is_told_when_it_indexes(opened: Open, folder: Path, postgres_url: str, sql: Any) -> None:
    await opened(folder).index()
    name = f"reader_{postgres_url.rpartition('_')[2]}"
    await sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'r3ader'")
    await sql.execute(
        f"GRANT USAGE ON SCHEMA deepsearch_corpus TO {name}; GRANT SELECT ON ALL TABLES IN SCHEMA deepsearch_corpus TO {name}"
    )
    url = postgres_url.replace(f"postgres:{QUOTED_PASSWORD}", f"{name}:r3ader")
    corpus = opened(folder, None, url)
    assert await titles(corpus, "water") == ["Water"]
    with pytest.raises(CorpusError, match=r"cannot be used \(permission denied .*\); grant its user what is missing"):
        await corpus.index()
    with pytest.raises(CorpusError, match="can only be searched; to index, name the primary server"):
        await opened(folder, None, f"{postgres_url}?options=-c%20default_transaction_read_only=on").index()
    await sql.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize("missing", ["extension", "permission"])
async def test_a_missing_extension_is_told(  # noqa: PLR0917
    opened: Open, folder: Path, postgres_url: str, sql: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    url = postgres_url
    if missing == "extension":
        monkeypatch.setattr("providers.corpus.database.VECTORS", "CREATE EXTENSION IF NOT EXISTS no_such_vector")
    else:
        name = f"plain_{postgres_url.rpartition('_')[2]}"
        await sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'p'; GRANT CREATE ON DATABASE {postgres_url.rpartition('/')[2]} TO {name}")
        url = postgres_url.replace(f"postgres:{QUOTED_PASSWORD}", f"{name}:p")
    assert (await opened(folder, None, url).index()).added == 2  # by words it needs none
    with pytest.raises(CorpusError, match=r"cannot keep vectors \(.*\); install pgvector on the server and run CREATE EXTENSION vector"):
        await opened(folder, HashedEmbedding(), url).index()
    if missing == "permission":
        await sql.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_document_that_the_database_refuses_stops_nothing(opened: Open, folder: Path) -> None:
    deep = folder.joinpath(*(f"{place:03}{dice.randbytes(80).hex()}" for place in range(20)))  # no index takes so long a URL
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("text", encoding="utf-8")
    (folder / ("\udcff.md")).write_text("# A name\n\nof no letters.", encoding="utf-8")
    report = await opened(folder).index()
    assert report.added == 3
    [(name, cause)] = report.failed
    assert name.endswith("a.md")
    assert "cannot be used (index row" in cause
    assert await titles(opened(folder), "letters") == ["A name"]


# -- vectors -----------------------------------------------------------------------------------------------------------


async def test_words_and_vectors_decide_together(opened: Open, folder: Path) -> None:
    def embedding() -> HashedEmbedding:
        return HashedEmbedding({"spire": "tower", "height": "tall"})

    report = await opened(folder, embedding()).index()
    assert (report.added, report.without_vectors) == (2, "")
    assert report.usage.provider_tokens > 0
    for place in (None, folder):  # through the index, and by comparing all inside
        found = await opened(place, embedding()).search("height of the spire", 5)
        assert found.hits[0].title == "The Eiffel Tower is 330 metres tall."
        assert found.usage.provider_tokens == 4
        assert found.hits[0].score > 0.4
        assert all(0 <= hit.score <= 1 for hit in found.hits)
    assert await titles(opened(folder / "sub", embedding()), "boiling water Celsius") == []
    assert await titles(opened(), "spire") == []  # words alone
    assert (await opened(folder, embedding()).index()).unchanged == 2


async def test_the_index_of_vectors_is_used(opened: Open, folder: Path, sql: Any) -> None:
    for number in range(300):
        (folder / f"{number}.md").write_text(
            f"# Matter\n\nWord{'abcdefghij'[number % 10]}{'klmnopqrst'[number // 10 % 10]} is said here.", encoding="utf-8"
        )
    await opened(folder, HashedEmbedding()).index()
    await sql.execute("ANALYZE deepsearch_corpus.embeddings; SET enable_seqscan = off; SET enable_sort = off")  # so few are compared faster
    indexes = await sql.fetch("SELECT indexdef FROM pg_indexes WHERE tablename = 'embeddings' AND indexdef LIKE '%hnsw%'")
    assert [row["indexdef"].rpartition("USING ")[2] for row in indexes] == [
        "hnsw (((vector)::vector(1024)) vector_cosine_ops) WHERE (model = 1)"
    ]
    vector = f"[{','.join(['1'] * 1024)}]"
    plan = await sql.fetch(
        "EXPLAIN SELECT document, number FROM deepsearch_corpus.embeddings e WHERE e.model = 1 "
        f"ORDER BY e.vector::vector(1024) <=> '{vector}'::vector(1024) LIMIT 40"
    )
    assert any("hnsw" in line or "embeddings_of_model_1" in line for row in plan for line in row)


async def test_another_model_completes_what_is_there(opened: Open, folder: Path, sql: Any) -> None:
    await opened(folder).index()
    first, second = HashedEmbedding(), HashedEmbedding(model="other")
    assert (await opened(folder, first).index()).unchanged == 2
    assert len(first.calls) == 2
    assert (await opened(folder, second).index()).unchanged == 2
    assert len(second.calls) == 2
    assert await sql.fetchval("SELECT count(*) FROM deepsearch_corpus.embeddings") == 2
    assert (await opened(folder, second).index()).unchanged == 2
    assert len(second.calls) == 2
    assert await sql.fetchval("SELECT count(*) FROM deepsearch_corpus.models") == 2


async def test_words_do_while_embedding_fails(opened: Open, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = await opened(folder, HashedEmbedding(fails_at=1)).index()
    assert (report.added, report.without_vectors) == (2, "hashed embeddings refused: HTTP 402")
    assert await titles(opened(folder, HashedEmbedding()), "water") == ["Water"]
    assert "the shared corpus is searched by words alone: it was indexed without hashed:words" in caplog.text
    report = await opened(folder, HashedEmbedding()).index()
    assert (report.unchanged, report.without_vectors) == (2, "")
    failing = opened(folder, HashedEmbedding(fails_at=1))
    found = await failing.search("water", 5)
    assert [hit.title for hit in found.hits] == ["Water"]
    assert found.usage.provider_tokens == 1
    assert "the shared corpus is searched by words alone: hashed embeddings refused: HTTP 402" in caplog.text


async def test_a_folder_that_is_empty_takes_nothing_from_the_index(opened: Open, folder: Path, tmp_path: Path) -> None:
    """As when its volume is not mounted."""
    await opened(folder).index()
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    with pytest.raises(CorpusError, match=r"holds no documents now, and 2 of its documents are indexed: is it mounted\?"):
        await opened(folder).index()
    assert await titles(opened(folder), "Eiffel Tower")
