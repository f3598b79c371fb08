"""Costs of the corpus, as ratios against tantivy alone on the same text in the same run. See README.md beside this file."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import tantivy

from providers.corpus import Corpus, CorpusHit, open_corpus
from providers.corpus.database import Database
from providers.corpus.shared import SharedCorpus
from tests.servers import PostgresServer

PASSAGES_PER_DOCUMENT = 10
QUERIES = 200

_FRESH_PROCESS = """
import asyncio, json, sys, time
from pathlib import Path
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
started = time.perf_counter()
from providers.corpus import open_corpus
imported, at_rest = time.perf_counter() - started, resident()
corpus = open_corpus(Path(sys.argv[1]), Path(sys.argv[2]))
async def search():
    started = time.perf_counter()
    for query in json.loads(sys.argv[3]):
        await corpus.search(query, 10)
        yield time.perf_counter() - started
        started = time.perf_counter()
async def main():
    return [seconds async for seconds in search()]
times = asyncio.run(main())
print(json.dumps({"import": imported, "first": times[0], "resident_before": at_rest, "resident_after": resident()}))
"""


def words(count: int, generator: random.Random) -> list[str]:
    """Made-up words, 3 to 11 letters."""
    syllables = [c + v for c in "bcdfghklmnprstvz" for v in "aeiou"]
    return ["".join(generator.choices(syllables, k=generator.randint(2, 4))) + generator.choice(["", "n", "s", "r"]) for _ in range(count)]


def make_passages(count: int) -> tuple[list[str], list[str], list[int]]:
    """Passages of about 600 characters with a natural (Zipf) distribution of words, queries of words of one of them, and which that is."""
    generator = random.Random(7)
    # Real function words first, so that the text is taken for English and stemmed as such.
    vocabulary = ["the", "of", "and", "is", "in", "to", "was", "that", "with", "for", *words(30_000, generator)]
    weights = [1 / (rank + 5) for rank in range(len(vocabulary))]
    passages = []
    for _ in range(count):
        drawn = generator.choices(vocabulary, weights, k=90)
        passages.append(" ".join(" ".join(drawn[i : i + 15]).capitalize() + "." for i in range(0, 90, 15)))
    sources = [generator.randrange(count) for _ in range(QUERIES)]
    queries = [" ".join(generator.sample(passages[source].lower().replace(".", "").split(), 4)) for source in sources]
    return passages, queries, sources


def write_documents(passages: list[str], folder: Path) -> None:
    """Markdown files of ten passages each."""
    for number in range(0, len(passages), PASSAGES_PER_DOCUMENT):
        text = "\n\n".join(passages[number : number + PASSAGES_PER_DOCUMENT])
        (folder / f"{number:06}.md").write_text(f"# Document {number}\n\n{text}\n", encoding="utf-8")


def index_with_tantivy(passages: list[str], folder: Path) -> tuple[float, tantivy.Index]:
    """Seconds that tantivy takes for the passages as they are, with its own tokenizer."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", stored=True, tokenizer_name="en_stem")
    started = time.perf_counter()
    index = tantivy.Index(builder.build(), path=str(folder))
    writer = index.writer(heap_size=50_000_000, num_threads=1)
    for passage in passages:
        writer.add_document(tantivy.Document(body=passage))
    writer.commit()
    writer.wait_merging_threads()
    seconds = time.perf_counter() - started
    index.reload()
    return seconds, index


def query_tantivy(index: tantivy.Index, queries: list[str]) -> float:
    """Median seconds of a query with tantivy alone, its ten stored passages included."""
    searcher = index.searcher()
    times = []
    for query in queries:
        started = time.perf_counter()
        parsed = index.parse_query(query, ["body"])
        for _, address in searcher.search(parsed, 10).hits:
            searcher.doc(address)["body"]
        times.append(time.perf_counter() - started)
    return statistics.median(times)


async def query_corpus(corpus: Corpus, queries: list[str]) -> tuple[float, list[list[CorpusHit]]]:
    """Median seconds of a query with the corpus, ten documents with snippets, and what it found."""
    times, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append((await corpus.search(query, 10, "en")).hits)
        times.append(time.perf_counter() - started)
    return statistics.median(times), found


def recall(found: list[list[CorpusHit]], sources: list[int]) -> float:
    """Share of the queries whose own document is among the ten that were found."""
    names = [f"/{source - source % PASSAGES_PER_DOCUMENT:06}.md" for source in sources]
    return sum(any(hit.url.endswith(name) for hit in hits) for hits, name in zip(found, names, strict=True)) / len(sources)


async def indexing(corpus: Corpus) -> tuple[float, float]:
    """Seconds of indexing everything, and of indexing again."""
    started = time.perf_counter()
    report = await corpus.index()
    seconds = time.perf_counter() - started
    if report.failed:
        raise SystemExit(f"the corpus did not index everything: {report.failed[0]}")
    started = time.perf_counter()
    await corpus.index()
    return seconds, time.perf_counter() - started


async def measure(passages: list[str], queries: list[str], sources: list[int], folder: Path) -> dict[str, float]:
    """One run: both indexes made from nothing, then queried."""
    documents = folder / "documents"
    documents.mkdir()
    write_documents(passages, documents)
    (folder / "tantivy").mkdir()
    alone, index = index_with_tantivy(passages, folder / "tantivy")
    corpus = open_corpus(documents, folder / "home")
    seconds, again = await indexing(corpus)
    query_alone = query_tantivy(index, queries)
    query, found = await query_corpus(corpus, queries)
    await corpus.close()
    command = [sys.executable, "-c", _FRESH_PROCESS, str(documents), str(folder / "home"), json.dumps(queries[:20])]
    fresh = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: ASYNC221
    return {
        "indexing_seconds": seconds,
        "indexing_ratio": seconds / alone,
        "unchanged_seconds": again,
        "query_ms": query * 1_000,
        "query_ratio": query / query_alone,
        "recall_at_10": recall(found, sources),
        "import_seconds": fresh["import"],
        "first_query_ms": fresh["first"] * 1_000,
        "resident_mb_imported": fresh["resident_before"],
        "resident_mb_searched": fresh["resident_after"],
    }


async def measure_shared(queries: list[str], sources: list[int], folder: Path, url: str) -> dict[str, float]:
    """The same documents in the database at `url`, compared with the index of the folder that `measure` made."""
    documents = folder / "documents"
    database, own = Database(url), open_corpus(documents, folder / "home")
    try:
        seconds, again = await indexing(SharedCorpus(database, documents, home=folder / "home"))
        await database.run(lambda connection: connection.execute("VACUUM ANALYZE"))  # as autovacuum does after a minute
        query, found = await query_corpus(SharedCorpus(database, None), queries)
        inside, _ = await query_corpus(SharedCorpus(database, documents), queries)
        size = await database.run(lambda connection: connection.fetchval("SELECT pg_database_size(current_database())"))
        _, expected = await query_corpus(own, queries)
    finally:
        await database.close()
        await own.close()
    same = [[hit.url for hit in one] == [hit.url for hit in other] for one, other in zip(found, expected, strict=True)]
    return {
        "postgres_indexing_seconds": seconds,
        "postgres_unchanged_seconds": again,
        "postgres_query_ms": query * 1_000,
        "postgres_query_inside_folder_ms": inside * 1_000,
        "postgres_recall_at_10": recall(found, sources),
        "postgres_same_ten": sum(same) / len(same),
        "postgres_megabytes": size / 1_000_000,
    }


async def run(passages: list[str], queries: list[str], sources: list[int], server: PostgresServer | None) -> dict[str, float]:
    """The numbers of one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = await measure(passages, queries, sources, folder)
        if server is not None:
            url = server.url()
            result |= await measure_shared(queries, sources, folder, url)
            server.drop(url)
    return result


def main() -> None:
    """Print the medians of several runs as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 passages, one run")
    parser.add_argument("--engine", choices=["folder", "postgres"], default="folder", help="postgres: the shared corpus too")
    arguments = parser.parse_args()
    count, runs = (1_000, 1) if arguments.quick else (10_000, 3)
    passages, queries, sources = make_passages(count)
    with PostgresServer() if arguments.engine == "postgres" else nullcontext() as server:
        results = [asyncio.run(run(passages, queries, sources, server)) for _ in range(runs)]
    medians = {name: round(statistics.median(result[name] for result in results), 3) for name in results[0]}
    print(json.dumps({"passages": count, "runs": runs, **medians}, indent=2))


if __name__ == "__main__":
    main()
