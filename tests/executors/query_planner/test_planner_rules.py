"""The planner's rules: deterministic, always something that may be done and can be done."""

from __future__ import annotations

import pytest
from docarray import DocList
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.query_planner import rules
from executors.query_planner.keywords import key_words, keyword_query, one_line, uncovered_words, unsent
from schemas.knowledge import DiaryEntry, Evidence, Knowledge
from schemas.planning import DecideRequest, RewriteRequest
from schemas.ranking import RankedUrl

QUESTION = "Which river flows through the city where Mozart was born?"
BORN = "Wolfgang Amadeus Mozart was born in Salzburg in 1756."
RIVER = "The river Salzach flows through Salzburg, the city where Mozart was born."


def page(number: int, *quotes: str) -> Knowledge:
    evidence = [
        Evidence(evidence_id=f"e{number}{n}", url=f"https://p{number}.test/", quote=quote, score=0.5) for n, quote in enumerate(quotes)
    ]
    return Knowledge(kind="url", question=QUESTION, evidence=DocList[Evidence](evidence))


def ask(**fields: object) -> DecideRequest:
    request = DecideRequest(question=QUESTION, allowed_actions=["search", "visit", "answer"])
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def urls(*scores: float) -> list[RankedUrl]:
    return [RankedUrl(url=f"https://u{n}.test/", title=f"Page {n}", score=score) for n, score in enumerate(scores, start=1)]


# -- deciding ----------------------------------------------------------------------------------------------------------


def test_the_first_step_searches_for_the_words_of_the_question():
    decision = rules.decide(ask(urls=urls(1.0)))
    assert (decision.action, decision.queries) == ("search", ["river flows city Mozart born"])
    assert decision.decided_by == "rules"
    assert decision.think == "By rule: nothing has been searched for yet, so search for the words of the question."


def test_unread_candidates_are_visited_best_first_and_at_most_three():
    decision = rules.decide(ask(queries=["river flows city Mozart born"], urls=urls(2.0, 1.5, 1.0, 0.5)))
    assert (decision.action, decision.urls) == ("visit", ["https://u1.test/", "https://u2.test/", "https://u3.test/"])


def test_a_candidate_without_any_score_is_not_worth_a_visit_while_an_idea_is_left():
    decision = rules.decide(ask(queries=["river flows city Mozart born"], urls=urls(0.0)))
    assert decision.action == "search"


def test_a_covered_question_is_answered_by_the_finalizer():
    decision = rules.decide(ask(queries=["x"], urls=urls(2.0), knowledge=[page(1, BORN, RIVER)]))
    assert (decision.action, decision.answer) == ("answer", "")


def test_many_weak_passages_do_not_cover_a_question():
    weak = page(1, "A river.", "It flows.", "A city.", "Mozart.", "Born.")
    assert rules.decide(ask(queries=["x"], knowledge=[weak])).action == "search"


def test_what_is_missing_is_searched_with_what_was_learned():
    decision = rules.decide(ask(queries=["river flows city Mozart born"], knowledge=[page(1, BORN)]))
    assert (decision.action, decision.queries) == ("search", ["river flows city Wolfgang Amadeus"])
    sent = ["river flows city Mozart born", "river flows city Wolfgang Amadeus", QUESTION]
    assert rules.decide(ask(queries=sent, knowledge=[page(1, BORN)])).queries == ["river flows city Salzburg 1756"]


def test_no_query_is_sent_twice_and_at_the_end_comes_an_answer():
    request = ask(knowledge=[page(1, BORN)])
    for _ in range(20):
        decision = rules.decide(request)
        if decision.action == "answer":
            break
        assert decision.queries[0] not in request.queries
        request.queries.append(decision.queries[0])
    assert decision.think == "By rule: nothing is left to search for or to read, so answer from what was found."
    assert len(request.queries) == 4


def test_pages_that_add_nothing_end_the_search():
    pages = [page(1, BORN), *(page(number, f"Nothing new in {number}.") for number in range(2, 8))]
    decision = rules.decide(ask(queries=["x"], urls=urls(1.0), knowledge=pages))
    assert decision.think == "By rule: the last steps added nothing, so answer from what was found."
    assert rules.decide(ask(queries=["x"], urls=urls(1.0), knowledge=pages[:-1])).action == "visit"


def test_two_rounds_without_anything_about_the_question_end_the_search():
    unrelated = [page(number, f"The harbour has {number} parks.") for number in range(1, 7)]
    decision = rules.decide(ask(queries=["x"], urls=urls(1.0), knowledge=unrelated))
    assert decision.think == "By rule: the last steps added nothing, so answer from what was found."
    assert rules.decide(ask(queries=["x"], urls=urls(1.0), knowledge=unrelated[:-1])).action == "visit"


def test_pages_that_share_the_subject_do_not_end_the_search():
    pages = [page(number, f"Mozart wrote opera {number}.") for number in range(1, 7)]
    assert rules.decide(ask(queries=["x"], urls=urls(1.0), knowledge=pages)).action == "visit"
    assert "Salzburg" in key_words("Who founded Acme?", [f"Acme works in Salzburg since {n}." for n in range(3)], "en")


def test_queries_take_no_words_from_passages_about_other_things():
    unrelated = [page(number, f"Park {number} of the city has an Orangery.") for number in range(1, 4)]
    request = ask(queries=["river flows city Mozart born"], knowledge=unrelated)
    for _ in range(20):
        decision = rules.decide(request)
        if decision.action != "search":
            break
        assert "Orangery" not in decision.queries[0] and "Park" not in decision.queries[0]
        request.queries.append(decision.queries[0])
        request.idle_steps += 1
    assert decision.action == "answer"


def test_an_empty_answer_is_not_repeated_before_something_new_was_read():
    empty = DiaryEntry(step=3, action="answer", outcome="nothing_new")
    assert rules.decide(ask(queries=["x"], urls=urls(1.0), knowledge=[page(1, RIVER)], diary=[empty])).action == "visit"


def test_words_that_ask_for_a_quantity_need_not_be_covered():
    known = [page(1, "The lease is four years from delivery.")]
    assert rules.decide(ask(question="How long does the lease last?", queries=["x"], knowledge=known)).action == "answer"


def test_steps_that_fail_end_the_search():
    diary = [DiaryEntry(step=n, action="visit", outcome="failed") for n in (1, 2, 3)]
    assert rules.decide(ask(queries=["x"], urls=urls(1.0), diary=diary)).action == "answer"
    assert rules.decide(ask(queries=["x"], urls=urls(1.0), diary=diary[:2])).action == "visit"


def test_a_rejected_answer_is_not_repeated_before_something_new_was_read():
    rejected = DiaryEntry(step=3, action="answer", outcome="rejected")
    read = DiaryEntry(step=4, action="visit", outcome="done")
    covered = {"queries": ["x"], "urls": urls(1.0), "knowledge": [page(1, RIVER)]}
    assert rules.decide(ask(**covered, diary=[rejected])).action == "visit"
    assert rules.decide(ask(**covered, diary=[rejected, read])).action == "answer"


def test_only_reflection_is_allowed():
    decision = rules.decide(ask(allowed_actions=["reflect"], knowledge=[page(1, BORN)]))
    assert (decision.action, decision.questions) == ("reflect", ["river flows city?"])


def test_a_sub_question_is_worked_on_in_its_own_words():
    assert rules.decide(ask(current_question="Where was Mozart born?")).queries == ["Mozart born"]


def test_a_question_in_a_script_without_spaces():
    decision = rules.decide(ask(question="莫扎特出生在哪个城市？"))
    assert (decision.action, decision.queries) == ("search", ["莫扎特出生在哪个城市"])


# -- another angle -----------------------------------------------------------------------------------------------------

IDLE_SEARCH = DiaryEntry(step=2, action="search", outcome="nothing_new")
IDLE_VISIT = DiaryEntry(step=3, action="visit", outcome="failed", items=["https://www.u2.test/page"])


def known() -> Knowledge:
    knowledge = page(1, BORN)
    knowledge.evidence[0].title = "Salzburg travel guide"
    return knowledge


def test_after_two_idle_steps_pages_of_other_sites_come_first():
    candidates = [
        RankedUrl(url=url, score=1.0) for url in ("https://p1.test/b", "https://u2.test/", "https://u3.test/", "https://u4.test/")
    ]
    state = {"queries": ["x"], "urls": candidates, "knowledge": [known()]}
    assert rules.decide(ask(**state, idle_steps=1, diary=[IDLE_SEARCH])).urls[0] == "https://p1.test/b"
    decision = rules.decide(ask(**state, idle_steps=2, diary=[IDLE_VISIT, IDLE_SEARCH]))
    assert (decision.action, decision.urls) == ("visit", ["https://u3.test/", "https://u4.test/"])
    assert decision.think == "By rule: the last steps found nothing new, so read pages of other sites."
    only_visits = rules.decide(ask(**state, idle_steps=2, diary=[IDLE_VISIT], allowed_actions=["visit"]))
    assert only_visits.urls == ["https://u3.test/", "https://u4.test/", "https://p1.test/b"]


def test_after_idle_visits_the_search_takes_another_angle():
    state = {"idle_steps": 2, "urls": urls(1.0), "diary": [IDLE_SEARCH, IDLE_VISIT], "knowledge": [known()]}
    decision = rules.decide(ask(**state, queries=["x"], improvements=["Name the tributary too"]))
    assert (decision.action, decision.queries) == ("search", ["Mozart Name tributary"])
    assert decision.think == "By rule: the last steps found nothing new, so search from another angle."
    assert rules.decide(ask(**state, queries=["x"], questions=[QUESTION, "Which valley?"])).queries == ["Mozart valley"]
    assert rules.decide(ask(**state, queries=["x"])).queries == ["Mozart Salzburg travel guide"]
    sent = ["guide travel  MOZART salzburg"]
    assert rules.decide(ask(**state, queries=sent)).queries == ["river flows Mozart born"]


def test_all_angles_differ_and_come_to_an_end():
    request = ask(idle_steps=2, knowledge=[known()], allowed_actions=["search", "answer"])
    request.queries = ["river flows city Mozart born"]
    while (decision := rules.decide(request)).action == "search":
        assert {word.casefold() for word in decision.queries[0].split()} not in [set(sent.casefold().split()) for sent in request.queries]
        request.queries.append(decision.queries[0])
    assert 5 < len(request.queries) <= 10


WORDS = st.lists(st.sampled_from(["Mozart", "river", "born", "the", "Salzburg", "1756", "??", "C++", "日本", "x" * 200]), max_size=12)
TEXTS = WORDS.map(" ".join)


@settings(max_examples=200, deadline=None)
@given(
    question=TEXTS.filter(str.strip),
    allowed=st.lists(st.sampled_from(["search", "visit", "reflect", "answer", "coding"]), min_size=1, unique=True),
    sent=st.lists(TEXTS, max_size=12),
    quotes=st.lists(TEXTS, max_size=9),
    scores=st.lists(st.floats(-1, 5), max_size=20),
    outcomes=st.lists(st.sampled_from(["done", "nothing_new", "failed", "accepted", "rejected"]), max_size=5),
    idle=st.integers(0, 4),
)
def test_the_decision_can_always_be_carried_out(*, question, allowed, sent, quotes, scores, outcomes, idle):
    request = ask(
        question=question,
        allowed_actions=allowed,
        queries=sent,
        knowledge=[page(n, quote) for n, quote in enumerate(quotes)],
        urls=urls(*scores),
        diary=[DiaryEntry(step=n, action="answer", outcome=outcome) for n, outcome in enumerate(outcomes)],
        idle_steps=idle,
        improvements=quotes[:2],
    )
    decision = rules.decide(request)
    assert decision.action in allowed or decision.action == "answer"
    if decision.action == "search":
        assert list(unsent(decision.queries, sent)) == decision.queries != []
    if decision.action == "visit":
        assert 1 <= len(decision.urls) <= 3
        assert set(decision.urls) <= {ranked.url for ranked in request.urls}
    if decision.action == "reflect":
        assert decision.questions[0].strip()
    if "answer" in allowed or "reflect" in allowed or ("visit" in allowed and scores):
        assert decision.action in allowed
    again = rules.decide(request)
    assert (again.action, again.queries, again.urls, again.questions) == (
        decision.action, decision.queries, decision.urls, decision.questions,
    )  # fmt: skip


# -- rewriting ---------------------------------------------------------------------------------------------------------


def test_rules_rewrite_requests_to_keywords_not_yet_sent():
    request = RewriteRequest(question=QUESTION, requests=["Where was Mozart born?", "Salzburg"], queries=["RIVER  flows city mozart born"])
    rewriting = rules.rewrite(request)
    assert [query.text for query in rewriting.queries] == ["Mozart born"]
    assert rewriting.queries[0].time_range is None
    assert rules.rewrite(RewriteRequest(requests=["Salzburg"])).queries == []


def test_rules_rewrite_searches_for_each_part_of_the_question_up_to_the_most():
    request = RewriteRequest(question="Compare PostgreSQL, MySQL and SQLite on concurrency", requests=["databases"])
    texts = ["Compare PostgreSQL MySQL SQLite concurrency", "PostgreSQL concurrency", "MySQL concurrency", "SQLite concurrency"]
    assert [query.text for query in rules.rewrite(request).queries] == texts
    request.most = 2
    assert [query.text for query in rules.rewrite(request).queries] == [texts[0], "PostgreSQL concurrency"]


def test_rules_rewrite_keeps_the_search_language():
    request = RewriteRequest(question="Wo wurde Mozart geboren?", requests=["Mozart"], search_language_code="de")
    assert [(query.text, query.language_code) for query in rules.rewrite(request).queries] == [("Mozart geboren", "de")]


# -- keywords ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the height of the Eiffel Tower?", "height Eiffel Tower"),
        ("Is C++ faster than “Rust”?", "C++ faster Rust"),
        ("iPhone 15 vs iPhone 16", "iPhone 15 vs 16"),
        ("who is it", "who is it"),
        ("???", "???"),
    ],
)
def test_keyword_query(text, expected):
    assert keyword_query(text, "en") == expected


def test_one_line_cuts_at_a_word():
    assert one_line("  one \n two  three ", 9) == "one two"
    assert one_line("one two", 7) == "one two"
    assert one_line("x" * 50, 10) == "x" * 10


def test_unsent_ignores_case_and_spacing():
    assert list(unsent(["A  b", "a B", "", " ", "c"], ["C"])) == ["A b"]


def test_uncovered_and_key_words():
    assert uncovered_words(QUESTION, [BORN], "en") == ["river", "flows", "city"]
    assert key_words(QUESTION, [BORN], "en") == ["Wolfgang", "Amadeus", "Salzburg", "1756"]
