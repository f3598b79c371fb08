"""Pages in several dresses, and copies of a text."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.url_ranker.candidates import Entry, passing
from executors.url_ranker.folding import fold
from providers.lexical import similarity
from schemas.ranking import Candidate


def folded(*candidates: Candidate) -> dict[str, float]:
    return {entry.candidate.url: entry.weight for entry in fold(passing(candidates))}


def page(url: str, title: str = "", description: str = "", weight: float = 1.0) -> Candidate:
    return Candidate(url=url, title=title, description=description, weight=weight)


@pytest.mark.parametrize(
    "variant",
    [
        "https://m.a.org/story?id=4",
        "https://amp.a.org/story?id=4",
        "http://mobile.a.org/story?id=4",
        "https://a.org/story?id=4&amp=1",
        "https://a.org/story?amp&id=4",
        "https://a.org/story?id=4&outputType=amp",
        "https://a.org/story?id=4&print=1",
        "https://a.org/story/amp?id=4",
        "https://a.org/story/print/?id=4",
    ],
)
def test_a_variant_is_its_page(variant: str) -> None:
    plain = "https://a.org/story?id=4"
    assert folded(page(variant, "Tides", weight=2), page("https://b.org/"), page(plain, "Tides")) == {"https://b.org/": 1.0, plain: 3.0}


def test_a_mobile_host_may_have_a_language_before_it() -> None:
    assert folded(page("https://en.m.a.org/Tide"), page("https://en.a.org/Tide")) == {"https://en.a.org/Tide": 2.0}


def test_variants_of_a_page_that_was_not_found_are_one() -> None:
    assert folded(page("https://amp.a.org/x"), page("https://m.a.org/x"), page("https://a.org/x?amp=1")) == {"https://m.a.org/x": 3.0}


def test_what_stays_takes_what_it_lacks() -> None:
    link = Candidate(url="https://a.org/x", weight=0.1)
    found = Candidate(url="https://a.org/x?amp=1", title="Tides", description="Why they come twice", published="2024-01-02")
    (entry,) = fold(passing([found, link]))
    assert (entry.candidate.url, entry.candidate.title, entry.candidate.published) == ("https://a.org/x", "Tides", "2024-01-02")
    assert (entry.text, entry.weight) == ("Tides Why they come twice", pytest.approx(1.1))
    assert link.title == "", "what came in stays as it is"


def test_a_page_whose_text_is_there_is_best() -> None:
    delivered = Candidate(url="https://m.a.org/x", page_id="0123456789abcdef")
    assert folded(page("https://a.org/x"), delivered, page("https://amp.a.org/x")) == {"https://m.a.org/x": 3.0}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://a.org/story?s=1", "https://a.org/story?s=2"),
        ("https://m.org/story", "https://a.org/story"),
        ("https://m.a.org/", "https://a.org/story"),
        ("https://mobile.de/x", "https://de/x"),
        ("https://a.org/amp", "https://a.org/"),
        ("https://a.org/story?print=full", "https://a.org/story"),
        ("file:///a/print", "file:///a"),
    ],
)
def test_other_pages_stay(one: str, other: str) -> None:
    assert len(folded(page(one, "Tides"), page(other, "Tides"))) == 2


def test_a_page_about_printing_is_not_a_print_variant() -> None:
    assert len(folded(page("https://a.org/functions/print", "print()"), page("https://a.org/functions", "Functions"))) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (page("https://g.org/guitar", "Guitars"), page("https://g.org/guitar/amp")),
        (page("https://g.org/guitar"), page("https://g.org/guitar/amp")),
        (page("https://docs.org/ref/functions", "Functions"), page("https://docs.org/ref/functions/print")),
        (page("https://docs.org/ref/functions"), page("https://docs.org/ref/functions/print", "print")),
        (page("https://media.a.org/x", "A song"), page("https://m.media.a.org/x", "Another thing")),
        (page("https://dev.a.org/p", "b"), page("https://amp.dev.a.org/p", "a")),
        (page("https://a.org/x", "Guitars"), page("https://a.org/x?amp=1", "Amplifiers")),
        (page("https://m.co.uk/x"), page("https://mobile.co.uk/x")),
    ],
)
def test_what_only_looks_like_a_variant_stays(one: Candidate, other: Candidate) -> None:
    assert len(folded(one, other)) == len(folded(other, one)) == 2


def test_a_mobile_mirror_whose_title_names_the_site() -> None:
    mirrors = [page("https://en.pedia.org/Tide", "Tide - Pedia"), page("https://en.m.pedia.org/Tide", "Tide")]
    assert folded(*mirrors) == {"https://en.pedia.org/Tide": 2.0}
    assert folded(page("https://a.org/x", "Tide"), page("https://a.org/x?utm_source=mail", "Tide")) == {"https://a.org/x": 2.0}


STORY = "The moon pulls the water of the oceans, and the turning earth carries every coast through two high tides a day."


def test_copies_of_a_story_are_one() -> None:
    copies = [page("https://long-name.org/story", "Why tides come twice", STORY, 2), page("https://b.org/s", "Why Tides come twice", STORY)]
    assert folded(*copies) == {"https://b.org/s": 3.0}
    other_end = page("https://c.org/", "Why tides come twice | C", f"{STORY} More")
    assert folded(*copies, other_end) == {"https://c.org/": 4.0}


def test_near_copies_are_one() -> None:
    story = page("https://a.org/", "Why tides come twice", STORY)
    for near in (STORY.upper(), STORY.replace(",", " -"), STORY.replace("tides", "tide").replace("the oceans", "oceans")):
        assert len(folded(story, page("https://b.org/", "WHY  tides come twice", near))) == 1


VET = "aspirin is {}safe for dogs when the dose is small and a vet agrees to it beforehand, after a look at the blood"


@pytest.mark.parametrize(
    ("title", "one", "other"),
    [
        ("Is aspirin safe for dogs", f"Yes, {VET.format('')}", f"No, {VET.format('not ')}"),
        ("Is aspirin safe for dogs", VET.format(""), VET.format("un")),
        ("Is aspirin safe for dogs", VET.format(""), VET.format("not ")),
        ("Getting started with the documentation", *["Learn how to install, configure and use it in a few minutes"] * 2),
        ("Why tides come twice", STORY, STORY.replace("two", "three")),
        ("Why tides come twice", STORY, STORY.replace("pulls", "repels")),
        ("Why tides come twice", f"{STORY} It is 5 degrees.", f"{STORY} It is −5 degrees."),
        ("Why tides come twice", f"{STORY} Ships go from north to south.", f"{STORY} Ships go from south to north."),
        ("", STORY, STORY),
    ],
)
def test_what_says_something_else_is_no_copy(title: str, one: str, other: str) -> None:
    for hosts in (("a.org", "b.org"), ("a.org", "a.org")):
        assert len(folded(page(f"https://{hosts[0]}/x", title, one), page(f"https://{hosts[1]}/y", title, other))) == 2


def test_other_titles_are_other_pages() -> None:
    titles = ["Learning C", "Learning C++", "Learning C | Part II", "Learning"]
    assert len(folded(*(page(f"https://{host}.org/", title, STORY) for host, title in zip("abcd", titles, strict=True)))) == 4


def test_b5_other_numbers_are_another_text() -> None:
    pages = [page(f"https://{host}.org/", f"Why tides come twice, part {n}", STORY) for n, host in enumerate("abc")]
    assert len(folded(*pages)) == 3


def test_one_site_describes_many_pages_alike() -> None:
    pages = [page(f"https://a.org/{name}", f"{name} in the encyclopedia of the sea", STORY) for name in ("Moon", "Tide", "Sand")]
    assert len(folded(*pages)) == 3
    assert len(folded(page("https://a.org/x", "Tide", STORY), page("https://a.org/y", "Tide", STORY))) == 1


def test_few_words_say_nothing() -> None:
    assert len(folded(page("https://a.org/", "Home page"), page("https://b.org/", "Home page"))) == 2
    assert len(folded(*(page(f"https://{host}.org/") for host in "abc"))) == 3


def test_scripts_without_spaces() -> None:
    text = "月の引力は海の水を引き、地球の自転とともに一日に二回の満潮と干潮をもたらす。" * 2
    assert (
        len(folded(page("https://a.org/", "潮", text), page("https://b.org/", "潮", text), page("https://c.org/", "潮", text[:-20] + "別")))
        == 2
    )


TEXTS = st.lists(st.sampled_from(["moon", "tide", "sea", "sand", "2024", "2025", "coast", "water"]), max_size=14).map(" ".join)
URLS = st.builds("https://{}a.org/{}{}".format, *map(st.sampled_from, [("", "m.", "b."), ("x", "y"), ("", "/amp", "?amp=1")]))
PAGES = st.lists(st.builds(page, URLS, TEXTS, TEXTS, st.floats(0, 9)), max_size=12, unique_by=lambda candidate: candidate.url)


@settings(max_examples=150, deadline=None)
@given(PAGES, st.randoms(use_true_random=False))
def test_invariants(candidates: list[Candidate], chance: random.Random) -> None:
    entries = passing(candidates)
    kept = fold(entries)
    ids = [id(entry) for entry in entries]
    assert [ids.index(id(entry)) for entry in kept] == sorted(ids.index(id(entry)) for entry in kept), "in their order"
    assert sum(entry.weight for entry in kept) == pytest.approx(sum(candidate.weight for candidate in candidates))
    shuffled = folded(*chance.sample(candidates, len(candidates)))
    assert shuffled == pytest.approx({entry.candidate.url: entry.weight for entry in kept}), "whatever the order"


@settings(max_examples=100, deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_only_near_texts_are_one(title: str, description: str, other_title: str, other: str) -> None:
    one, two = page("https://a.org/", title, description), page("https://b.org/", other_title, other)
    if len(folded(one, two)) == 1:
        texts: list[Entry] = passing([one, two])
        assert similarity(texts[0].text, texts[1].text) >= 0.86
        assert {w for w in texts[0].text.split() if w.isdigit()} == {w for w in texts[1].text.split() if w.isdigit()}


@pytest.mark.parametrize("title", ["Buy product {} in our shop, the best of all shops", "Same title for all of the many pages here"])
def test_the_worst_pool_is_still_cheap(title: str) -> None:
    entries = passing(
        [page(f"https://h{n}.org/{n}", title.format(n), f"{STORY} {' '.join(STORY.split()[n % 9 :])} x{n % 50}") for n in range(400)]
    )
    started = time.process_time()
    fold(entries)
    assert time.process_time() - started < 3
