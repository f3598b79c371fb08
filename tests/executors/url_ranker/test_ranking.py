"""The order of candidates."""

from __future__ import annotations

import random
from typing import Any

import pytest
from docarray import DocList
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.url_ranker.candidates import passing
from executors.url_ranker.executor import URLRanker
from executors.url_ranker.folding import fold
from executors.url_ranker.scoring import Preferences, best, standing
from providers.hostnames import hostname_of
from providers.lexical import relevance
from providers.reader.pages import normalise_url
from schemas.errors import InvalidRequest
from schemas.ranking import Candidate, RankedUrl, Ranking, RankRequest
from schemas.settings import Settings


def candidate(url: str, title: str = "", weight: float = 1.0) -> Candidate:
    return Candidate(url=url, title=title, weight=weight)


def rank(
    question: str,
    candidates: list[Candidate],
    *,
    boost_hostnames: tuple[str, ...] = (),
    bad_hostnames: tuple[str, ...] = (),
    only_hostnames: tuple[str, ...] = (),
    per_hostname: int = 2,
    limit: int = 20,
) -> tuple[list[RankedUrl], int]:
    """As the endpoint does without a provider."""
    entries = fold(passing(candidates, bad_hostnames, only_hostnames))
    fits = relevance(question, [entry.text for entry in entries])
    standings = standing(entries, Preferences(boost_hostnames))
    return best(entries, standings, fits, per_hostname=per_hostname, limit=limit), len(entries)


def urls(question: str, candidates: list[Candidate], **options: object) -> list[str]:
    return [ranked.url for ranked in rank(question, candidates, **options)[0]]


def test_the_formula() -> None:
    candidates = [
        candidate("https://a.org/x/y", "tides of the sea", 2.0),
        candidate("https://a.org/x/z", "sand", 1.0),
        candidate("https://b.org/x/y", "moon", 0.1),
        candidate("https://c.org/", "moon tides", 1.0),
    ]
    fit = relevance("What moves the tides?", [f"{c.title} " for c in candidates])
    ranked, passed = rank("What moves the tides?", candidates, boost_hostnames=["b.org"])
    scores = {entry.url: entry.score for entry in ranked}
    assert passed == 4
    assert scores["https://a.org/x/y"] == pytest.approx(0.5 * 2 / 4 + 0.5 * 2 / 4 + 0.4 * (2 / 4 + 0.8 / 4) + 0.8 * fit[0])
    assert scores["https://a.org/x/z"] == pytest.approx(0.5 * 1 / 4 + 0.5 * 2 / 4 + 0.4 * (2 / 4 + 0.8 / 4) + 0.8 * fit[1])
    # `/x` is counted within its host, and the host is preferred.
    assert scores["https://b.org/x/y"] == pytest.approx(0.5 * 0.1 / 4 + 0.5 / 4 + 0.4 * (1 / 4 + 0.8 / 4) + 0.8 * fit[2] + 2)
    assert scores["https://c.org/"] == pytest.approx(0.5 / 4 + 0.5 / 4 + 0.4 / 4 + 0.8 * fit[3])


def test_the_relevance_is_that_of_the_question_at_hand() -> None:
    candidates = [candidate("https://a.org/", "history of tea"), candidate("https://b.org/", "history of coffee")]
    assert urls("Where does coffee come from?", candidates) == ["https://b.org/", "https://a.org/"]
    assert urls("Where does tea come from?", candidates) == ["https://a.org/", "https://b.org/"]


def test_hosts_that_are_unwanted_wanted_and_preferred() -> None:
    candidates = [candidate(f"https://{host}/") for host in ("a.org", "docs.a.org", "nota.org", "b.org")]
    assert urls("q", candidates, bad_hostnames=["a.org"]) == ["https://nota.org/", "https://b.org/"]
    assert urls("q", candidates, only_hostnames=["a.org"]) == ["https://a.org/", "https://docs.a.org/"]
    assert urls("q", candidates, only_hostnames=["a.org"], bad_hostnames=["docs.a.org"]) == ["https://a.org/"]
    assert urls("q", candidates, boost_hostnames=["b.org"])[0] == "https://b.org/"
    assert rank("q", candidates, bad_hostnames=["a.org"])[1] == 2


def test_few_of_one_host_unless_there_is_no_other() -> None:
    of_a = [candidate(f"https://a.org/{n}") for n in range(5)]
    assert len(urls("q", of_a)) == 5
    assert urls("q", [*of_a, candidate("https://b.org/")]) == ["https://a.org/0", "https://a.org/1", "https://b.org/"]
    assert len(urls("q", [*of_a, candidate("https://b.org/")], per_hostname=3)) == 4


def test_files_are_of_no_host() -> None:
    files = [candidate(f"file:///corpus/{n}.txt") for n in range(5)]
    mixed = [*files, candidate("https://a.org/"), candidate("https://b.org/")]
    assert len(urls("q", mixed)) == 7
    assert len(urls("q", mixed, only_hostnames=["a.org"])) == 6
    assert len(urls("q", mixed, bad_hostnames=["a.org"])) == 6


def test_one_page_counts_once_with_all_its_weight() -> None:
    ranked, passed = rank(
        "q", [candidate("http://www.a.org/x", weight=1), candidate("https://a.org/x#part", weight=2), candidate("https://b.org/")]
    )
    assert (passed, [entry.url for entry in ranked]) == (2, ["http://www.a.org/x", "https://b.org/"])
    assert ranked[0].score == pytest.approx(0.5 * 3 / 2 + 0.5 / 2 + 0.4 / 2)


def test_hostile_candidates() -> None:
    strange = [
        candidate("not a url"),
        candidate(""),
        candidate("javascript:alert(1)"),
        candidate("https://a.org/" + "x/" * 10_000),
        candidate("https://b.org/", "word " * 100_000),
        candidate("https://c.org/", weight=float("nan")),
        candidate("https://d.org/", weight=float("inf")),
        candidate("https://e.org/", weight=-1e300),
        candidate("https://f.org/", weight=1e300),
    ]
    ranked, passed = rank("word", strange)
    assert passed == len(ranked) == 6
    assert ranked[0].url == "https://f.org/"
    assert all(0 <= entry.score <= 5 for entry in ranked)


def test_nothing_to_rank() -> None:
    assert rank("q", []) == ([], 0)


HOSTS = st.sampled_from(["a.org", "www.a.org", "docs.a.org", "b.org", "c.net"])
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        url=st.one_of(
            st.builds("https://{}/{}".format, HOSTS, st.text("ab/", max_size=5)),
            st.builds("file:///{}".format, st.text("ab/", min_size=1, max_size=4)),
            st.just("nonsense"),
        ),
        title=st.text("abc xyz", max_size=20),
        description=st.sampled_from(["", "tides and moon", "moon 2024"]),
        weight=st.floats(0, 20),
    ),
    max_size=25,
)
LISTS = st.lists(st.sampled_from(["a.org", "b.org"]), max_size=2)
OPTIONS = st.fixed_dictionaries(
    {
        "boost_hostnames": LISTS,
        "bad_hostnames": LISTS,
        "only_hostnames": LISTS,
        "per_hostname": st.integers(1, 3),
        "limit": st.integers(1, 30),
    }
)


@settings(max_examples=60, deadline=None)
@given(CANDIDATES, OPTIONS)
def test_invariants(candidates: list[Candidate], options: dict[str, Any]) -> None:
    question = "moon and tides in 2024"
    ranked, passed = rank(question, candidates, **options)
    assert [(r.url, r.score) for r in ranked] == [(r.url, r.score) for r in rank(question, candidates, **options)[0]]
    assert len(ranked) <= min(options["limit"], passed)
    scores = [entry.score for entry in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 5 for score in scores)
    hosts = [hostname_of(entry.url) for entry in ranked]
    of_lists = [host for host in hosts if host]
    if options["only_hostnames"]:
        assert all(_of(host, options["only_hostnames"]) for host in of_lists)
    assert not any(_of(host, options["bad_hostnames"]) for host in of_lists)
    assert all(entry.score >= 2 for entry, host in zip(ranked, hosts, strict=True) if host and _of(host, options["boost_hostnames"]))


def _of(host: str, listed: list[str]) -> bool:
    return any(f".{host}".endswith(f".{other}") for other in listed)


@settings(max_examples=60, deadline=None)
@given(CANDIDATES, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_decides_only_among_equals(candidates: list[Candidate], chance: random.Random) -> None:
    """When no two candidates name the same page: then each page has the same score in whatever order they come."""
    distinct = list({normalised(candidate.url): candidate for candidate in candidates}.values())
    question, options = "moon and tides in 2024", {"per_hostname": 99, "limit": 99}
    ranked, passed = rank(question, distinct, **options)
    again, passed_again = rank(question, chance.sample(distinct, len(distinct)), **options)
    assert passed_again == passed
    assert {r.url: r.score for r in again} == pytest.approx({r.url: r.score for r in ranked})
    places = {candidate.url: place for place, candidate in enumerate(distinct)}
    assert ranked == sorted(ranked, key=lambda entry: (-entry.score, places[entry.url]))


def normalised(url: str) -> str:
    try:
        return normalise_url(url)
    except ValueError:
        return url


async def ranking(**fields: object) -> Ranking:
    return await URLRanker(settings=Settings()).rank(
        RankRequest(**{"question": "moon", "candidates": DocList[Candidate]([candidate("https://a.org/", "moon")]), **fields})
    )


async def test_the_endpoint() -> None:
    response = await ranking(boost_hostnames=["https://www.A.org/page"])
    assert [(entry.url, entry.title) for entry in response.urls] == [("https://a.org/", "moon")]
    assert response.urls[0].score > 2
    assert response.candidates == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"question": " "}, "question"),
        ({"limit": 0}, "limit"),
        ({"per_hostname": 0}, "per_hostname"),
        ({"boost_hostnames": [""]}, "boost_hostnames"),
        ({"bad_hostnames": ["a b"]}, "bad_hostnames"),
        ({"only_hostnames": ["/"]}, "only_hostnames"),
        ({"candidates": DocList[Candidate](Candidate() for _ in range(5_001))}, "candidates"),
    ],
)
async def test_invalid_requests_name_their_field(fields: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ranking(**fields)
    assert caught.value.field == field
    assert field in str(caught.value)
