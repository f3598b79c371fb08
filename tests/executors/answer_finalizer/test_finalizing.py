"""Drafts, models and rules end in the same kind of answer, and the stream never raises."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest
from docarray import DocList
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.answer_finalizer.abstaining import NO_ANSWER
from executors.answer_finalizer.executor import AnswerFinalizer
from executors.answer_finalizer.finalizing import finished
from executors.answer_finalizer.markdown.repair import repair
from providers.support import check, statements
from schemas.answering import ComposeRequest, FinalizeChunk, FinalizeRequest
from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message
from schemas.settings import Settings
from schemas.support import Contradiction, Statement, SupportReport
from tests.scripted import ScriptedServer

HEIGHT = "The tower is 330 metres tall. Many people visit it."
BUILT = "The tower was built in 1889. It rains sometimes."
EVIDENCE = [
    Evidence(
        evidence_id="e1",
        page_id="p1",
        url="https://a.example/tower",
        title="Tower",
        quote=HEIGHT,
        start=10,
        end=10 + len(HEIGHT),
        score=0.9,
    ),
    Evidence(
        evidence_id="e2", page_id="p2", url="https://b.example/history", title="History", quote=BUILT, start=0, end=len(BUILT), score=0.4
    ),
]
KNOWLEDGE = DocList[Knowledge]([Knowledge(kind="url", question="Tower?", evidence=DocList[Evidence]([piece])) for piece in EVIDENCE])
QUESTION = "How tall is the tower?"
RULES = "The tower is 330 metres tall. [^1]"
DRAFT = "It was built in 1889 [e2].\n\nThe tower is 330 metres tall [e1]. It weighs 9,999 kilograms [e1]."


@pytest.fixture
async def finalizer(make_settings: Callable[..., Settings]) -> AnswerFinalizer:
    return AnswerFinalizer(settings=make_settings())


@pytest.fixture
async def with_model(make_settings: Callable[..., Settings], scripted: ScriptedServer) -> AsyncIterator[AnswerFinalizer]:
    executor = AnswerFinalizer(settings=make_settings(llm_model="m", openai_base_url=scripted.llm_url, llm_max_retries=0))
    yield executor
    await executor.close()


async def finish(executor: AnswerFinalizer, **fields: object) -> tuple[list[str], FinalizeChunk]:
    request = FinalizeRequest(**{"question": QUESTION, "knowledge": KNOWLEDGE, **fields})
    chunks = [chunk async for chunk in executor.finalize(request)]
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    deltas, end = [chunk.delta for chunk in chunks[:-1]], chunks[-1]
    assert "".join(deltas) == end.text[request.done_characters :]
    assert end.delta == ""
    assert all(deltas)
    check_end(end)
    return deltas, end


def check_end(end: FinalizeChunk) -> None:
    """Markers, references and the spans of the report fit to each other and to the text."""
    for number, reference in enumerate(end.references, 1):
        source = next(piece for piece in EVIDENCE if piece.evidence_id == reference.evidence_id)
        assert reference.number == number
        assert f"[^{number}]" in end.text
        assert source.quote[reference.start - source.start : reference.end - source.start] == reference.quote
    assert f"[^{len(end.references) + 1}]" not in end.text
    assert end.support.removed == sum(one.removed for one in end.support.statements)
    standing = [one for one in end.support.statements if not one.removed]
    assert end.support.supported == sum(one.verdict == "supported" for one in standing)
    assert end.support.partly == sum(one.verdict == "partly" for one in standing)
    assert end.support.unsupported == sum(one.verdict in ("unsupported", "contradicted") for one in standing)
    for one, other in pairwise(standing):
        assert one.end <= other.start
    for one in end.support.statements:
        assert 0 <= one.start <= one.end <= len(end.text)
        if one.removed:
            assert one.start == one.end
        else:
            shown = "".join(filter(str.isalnum, re.sub(r"\[\^\d+\]|<[^>]*>", "", end.text[one.start : one.end])))
            words = "".join(filter(str.isalnum, re.sub(r"<[^>]*>", "", one.text)))
            assert words[:20] in shown
    for one in end.support.contradictions:
        assert 0 <= one.statement < len(end.support.statements)


def said(text: str, verdict: str, **fields: object) -> Statement:
    return Statement(**{"text": text, "verdict": verdict, "judged_by": "model", **fields})


def reported(*statements: Statement, contradictions: list[Contradiction] | None = None) -> SupportReport:
    return SupportReport(
        statements=DocList[Statement](list(statements)),
        contradictions=DocList[Contradiction](contradictions or []),
        judged_by="model",
    )


def texts(end: FinalizeChunk) -> list[tuple[str, str, bool]]:
    return [(end.text[one.start : one.end], one.verdict, one.removed) for one in end.support.statements]


async def test_a_draft_is_judged_by_rules_where_no_verdict_came_with_it(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer, draft=DRAFT)
    assert end.text == "It was built in 1889 [^1].\n\nThe tower is 330 metres tall [^2]."
    assert (end.composed_by, end.error, end.usage.llm_calls) == ("draft", "", 0)
    assert [(r.number, r.evidence_id, r.quote) for r in end.references] == [
        (1, "e2", "The tower was built in 1889."),
        (2, "e1", "The tower is 330 metres tall."),
    ]
    assert texts(end) == [
        ("It was built in 1889 [^1].", "supported", False),
        ("The tower is 330 metres tall [^2].", "supported", False),
        ("", "unsupported", True),
    ]
    assert (end.support.supported, end.support.removed, end.support.judged_by) == (2, 1, "rules")
    assert end.support.statements[2].text == "It weighs 9,999 kilograms."
    assert end.support.statements[2].start == len(end.text)


async def test_the_verdicts_of_the_report_count(finalizer: AnswerFinalizer) -> None:
    support = reported(
        said("It was built in 1889.", "unsupported", reason="no"),
        said("The tower is 330 metres tall.", "supported", evidence=["e1"]),
        said("It weighs 9,999 kilograms.", "partly", evidence=["e1"], score=0.5),
    )
    _, end = await finish(finalizer, draft=DRAFT, support=support)
    assert end.text == "The tower is 330 metres tall [^1]. It weighs 9,999 kilograms [^1]."
    assert [(one.verdict, one.removed, one.judged_by) for one in end.support.statements] == [
        ("unsupported", True, "model"),
        ("supported", False, "model"),
        ("partly", False, "model"),
    ]
    assert end.support.judged_by == "model"
    assert end.support.statements[0].reason == "no"


async def test_flagged_statements_stay_with_a_mark(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer, draft=DRAFT, citations="flag")
    assert end.text.endswith("tall [^2]. It weighs 9,999 kilograms [^2] [no source found].")
    assert texts(end)[2] == ("It weighs 9,999 kilograms [^2] [no source found].", "unsupported", False)
    _, end = await finish(finalizer, draft=DRAFT, citations="flag", language_code="de-AT")
    assert "[^2] [keine Quelle gefunden]." in end.text
    _, end = await finish(finalizer, draft="| a | b |\n|---|---|\n| It weighs 9,999 kilograms | \\| |", citations="flag")
    assert end.text.endswith("| It weighs 9,999 kilograms | \\| [no source found] |")


async def test_with_citations_off_nothing_is_touched(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer, draft=DRAFT, citations="off")
    assert end.text == "It was built in 1889 [^1].\n\nThe tower is 330 metres tall [^2]. It weighs 9,999 kilograms [^2]."
    assert end.support.unsupported == 1


async def test_wrong_citations_are_put_right_and_missing_ones_added(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer, draft="The tower was built in 1889 [e1]. The tower is 330 metres tall.")
    assert end.text == "The tower was built in 1889 [^1]. The tower is 330 metres tall [^2]."
    assert [(r.evidence_id, r.quote) for r in end.references] == [
        ("e2", "The tower was built in 1889."),
        ("e1", "The tower is 330 metres tall."),
    ]
    assert [one.cited for one in end.support.statements] == [["e2"], ["e1"]]
    # Evidence that the report names for a statement whose own citations do not support it.
    support = reported(said("Its age is over a century.", "unsupported", evidence=["e9", "e2"]))
    _, end = await finish(finalizer, draft="Its age is over a century [e1].", support=support)
    assert end.text == "Its age is over a century [^1]." and end.references[0].evidence_id == "e2"
    assert end.support.statements[0].verdict == "supported"
    # What speaks against a statement is never cited for it.
    support = reported(said("It is tiny.", "contradicted", evidence=["e1"]), said("It was built in 1889.", "supported", evidence=["e2"]))
    _, end = await finish(finalizer, draft="It is tiny [e2]. It was built in 1889 [e2].", support=support)
    assert end.text == "It was built in 1889 [^1]."
    _, end = await finish(finalizer, draft="It is tiny [e2]. It was built in 1889 [e2].", support=support, citations="flag")
    assert end.text == "It is tiny [^1] [a source says otherwise]. It was built in 1889 [^1]."


async def test_contradictions_are_said_behind_their_paragraph(finalizer: AnswerFinalizer) -> None:
    other = "The tower is *324* metres tall | [e2] & more."
    evidence = DocList[Evidence](
        [*EVIDENCE, Evidence(evidence_id="e7", page_id="p7", url="https://c.example", quote=other, end=len(other))]
    )
    one = said("The tower is 330 metres tall.", "supported", evidence=["e1"])
    two = said("It was built in 1889.", "supported", evidence=["e2"])
    contradiction = Contradiction(statement=0, supporting="e1", opposing="e7", quote=other)
    support = reported(
        one, two, contradictions=[contradiction, Contradiction(statement=7), Contradiction(statement=1, opposing="e1", quote="x")]
    )
    request = FinalizeRequest(
        question=QUESTION, draft="- The tower is 330 metres tall [e1].\n\nIt was built in 1889 [e2].", evidence=evidence, support=support
    )
    end = finished(request)
    said_so = "Another source says otherwise: “The tower is \\*324\\* metres tall \\| \\[e2\\] \\& more.” [^2]"
    assert end.text == f"- The tower is 330 metres tall [^1].\n\n{said_so}\n\nIt was built in 1889 [^3]."
    assert end.references[1].quote == other
    assert [end.text[s.start : s.end] for s in end.support.statements] == [
        "The tower is 330 metres tall [^1].",
        said_so,
        "It was built in 1889 [^3].",
    ]
    assert [(c.statement, c.opposing) for c in end.support.contradictions] == [(0, "e7"), (2, "e1")]
    request.draft = request.draft.replace("[e1]", "[e1], others say 324 [e7]")
    request.support.statements[0].text = "The tower is 330 metres tall , others say 324."
    assert "Another source" not in finished(request).text
    request.draft, request.support.statements[0].text = "The tower is 330 metres tall [e1].", "The tower is 330 metres tall."
    for code, beginning in (
        ("ja", "別の出典では異なる説明がされています：「The"),
        ("zh-TW", "另一來源的說法不同：「The"),
        ("fr", "Une autre source dit autre chose : « The"),
    ):
        request.language_code = code
        assert beginning in finished(request).text


def test_a_contradiction_is_said_behind_the_citation_of_a_table() -> None:
    other = "The tower is 324 metres tall."
    evidence = [*EVIDENCE, Evidence(evidence_id="e7", page_id="p7", url="https://c.example", quote=other, end=len(other))]
    support = reported(
        said("tower | 330 metres", "supported", evidence=["e1"]),
        contradictions=[Contradiction(statement=0, supporting="e1", opposing="e7", quote=other)],
    )
    draft = "| what | how tall |\n|---|---|\n| tower | 330 metres |\n\n[e1]"
    request = FinalizeRequest(question=QUESTION, draft=draft, evidence=DocList[Evidence](evidence), support=support)
    end = finished(request)
    assert re.findall(r"\n\n(\[\^1\]|Another source)", end.text) == ["[^1]", "Another source"]
    assert [reference.evidence_id for reference in end.references] == ["e1", "e7"]


def test_a_long_list_takes_no_long_time() -> None:
    draft = "\n".join(f"- The tower number {number} is 330 metres tall [e2]." for number in range(800))
    judged = [said(f"The tower number {number} is 330 metres tall.", "supported", evidence=["e1"]) for number in range(800)]
    request = FinalizeRequest(question=QUESTION, draft=draft, evidence=DocList[Evidence](EVIDENCE), support=reported(*judged))
    began = time.process_time()
    end = finished(request)
    assert time.process_time() - began < 8
    assert end.text.count("[^1]") == 800
    assert {reference.evidence_id for reference in end.references} == {"e1"}


async def test_evidence_beside_the_knowledge_counts_too(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer, draft=HEIGHT[:29] + " [e1]", knowledge=DocList[Knowledge](), evidence=DocList[Evidence](EVIDENCE))
    assert end.text == "The tower is 330 metres tall. [^1]"


async def test_urls_of_the_question_are_known(finalizer: AnswerFinalizer) -> None:
    draft = "See https://asked.example/x and https://said.example/y but not https://new.example/z at all."
    turns = DocList[Message]([Message(content="What of https://said.example/y?")])
    _, end = await finish(finalizer, draft=draft, question="What is https://asked.example/x?", messages=turns, citations="off")
    assert end.text == draft.replace("https://new.example/z", "…")


async def test_rules_write_where_there_is_no_draft_or_nothing_of_it_stays(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer)
    assert (end.text, end.composed_by, end.error) == (RULES, "rules", "")
    assert end.references[0].quote == "The tower is 330 metres tall."
    assert texts(end) == [(RULES, "supported", False)]
    draft = await finalizer.compose(ComposeRequest(question=QUESTION, knowledge=KNOWLEDGE))
    assert (draft.text, draft.composed_by) == ("The tower is 330 metres tall. [e1]", "rules")
    _, again = await finish(finalizer, draft=draft.text)
    assert again.text == end.text
    assert [r.quote for r in again.references] == [r.quote for r in end.references]
    _, end = await finish(finalizer, draft="# Weight\n\nIt weighs 9,999 kilograms.")
    assert (end.text, end.composed_by) == (RULES, "rules") and "nothing of the draft" in end.error
    assert texts(end) == [("", "unsupported", True), (RULES, "supported", False)]


async def test_nothing_found_is_said_plainly(finalizer: AnswerFinalizer) -> None:
    for fields in (
        {"question": "What is photosynthesis?"},
        {"knowledge": DocList[Knowledge]()},
        {"question": "What is photosynthesis?", "draft": "[^1]: https://invented.example"},
    ):
        _, end = await finish(finalizer, **fields)
        assert (end.text, end.composed_by, len(end.references)) == (NO_ANSWER, "rules", 0)
        assert [one.verdict for one in end.support.statements] == ["no_claim"]
    assert (await finalizer.compose(ComposeRequest(question="What is photosynthesis?", knowledge=KNOWLEDGE))).text == ""


def test_an_abstention_names_only_pages_about_the_question_and_quotes_their_rarest_word() -> None:
    quote = "The tank is full of water. The mast is made of spruce. The tank is round."
    ship = Evidence(evidence_id="e1", url="https://a.example/ship", title="The tank", quote=quote, end=len(quote), score=0.9)
    tanks = [
        Evidence(evidence_id=f"e{n}", url=f"https://{n}.example", title=f"Tank {n}", quote=f"Tank {n} is full.", end=15)
        for n in range(2, 9)
    ]
    knowledge = DocList[Knowledge]([Knowledge(kind="url", question="?", evidence=DocList[Evidence]([*tanks, ship]))])
    end = finished(FinalizeRequest(question="Who painted mast and tank in Oslo yesterday?", queries=["q"], knowledge=knowledge))
    assert [reference.quote for reference in end.references] == ["The mast is made of spruce."]
    end = finished(FinalizeRequest(question="Who painted the tank in Oslo?", queries=["q"], knowledge=knowledge))
    assert end.text == f"{NO_ANSWER}\n\nIt was searched for:\n\n- “q”\n\nNothing that was read is about it."
    assert end.abstained and not end.references


async def test_an_abstention_says_what_was_searched_for_and_what_was_found(finalizer: AnswerFinalizer) -> None:
    question = "Which architect redesigned the tower's ticket hall lighting in 2021?"
    queries = ["tower *lighting*", "", "tower *lighting*", *(f"query {n}" for n in range(9))]
    _, end = await finish(finalizer, question=question, queries=queries)
    lines = end.text.split("\n")
    assert lines[:3] == [NO_ANSWER, "", "It was searched for:"]
    assert lines[4] == "- “tower \\*lighting\\*”" and len([line for line in lines if line.startswith("- “query")]) == 7
    assert "What was found instead" not in end.text
    _, end = await finish(finalizer, question="Where does the cold rain on the tower drain?", queries=["q"], language_code="de")
    assert end.text.startswith(
        "In dem, was gelesen wurde, fand sich keine Antwort auf diese Frage.\n\nGesucht wurde nach:\n\n- „q“\n\nStattdessen"
    )
    assert "- „History“ [^1]" in end.text and end.references[0].quote == "It rains sometimes."
    assert {one.verdict for one in end.support.statements} == {"no_claim"}


async def test_deltas_are_a_few_words_and_begin_where_they_are_wanted(finalizer: AnswerFinalizer) -> None:
    deltas, end = await finish(finalizer, draft=DRAFT, citations="off")
    assert len(deltas) > 3 and all(len(delta) < 50 for delta in deltas)
    assert all("[^" not in delta or "]" in delta[delta.rindex("[^") :] for delta in deltas)
    rest, again = await finish(finalizer, draft=DRAFT, citations="off", done_characters=30)
    assert "".join(rest) == end.text[30:] and again.text == end.text
    deltas, _ = await finish(finalizer, draft="塔高三百三十米。" * 20, citations="off")
    assert len(deltas) > 4
    assert (await finish(finalizer, draft=DRAFT, done_characters=10_000))[0] == []


async def test_what_cannot_be_finished_is_said_and_not_raised(finalizer: AnswerFinalizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executors.answer_finalizer.finalizing.repair", lambda text: 1 / 0)
    _, end = await finish(finalizer, draft=DRAFT)
    assert (end.text, end.error) == (NO_ANSWER, "the answer could not be finished: unexpected ZeroDivisionError")


_SECTION = st.lists(
    st.sampled_from(
        [
            "The tower is 330 metres tall [e1].",
            "It was built in 1889 [e2].",
            "It weighs 9,999 kilograms [e1].",
            "Many people visit it [e1].",
            "\n\n- The tower is 330 metres tall [e1]\n- It weighs 9,999 kilograms\n\n",
            "\n\nThese are they:\n\n- It has 77 doors\n\n",
            "\n\n### Lower\n\n",
            "**It was built in 1889 [e2]. It has 77 doors.**",
            "\n\n```\ncode\n```\n\n",
            "\n\n| a | b |\n|---|---|\n| 330 metres [e1] | 9 |\n\n",
            "[e9]",
            "<br>",
            "\n\n```\nopen",
            "\n\n<table><tr><td>The tower is 330 metres tall [e1]</td></tr>",
            "</table>",
            "\ufffd",
            "文**“字”**文",
        ]
    ),
    max_size=6,
).map(lambda parts: repair(" ".join(parts)))


@settings(deadline=None, max_examples=60)
@given(sections=st.lists(_SECTION, min_size=1, max_size=3), citations=st.sampled_from(["strict", "flag", "off"]))
def test_a_draft_that_grows_only_ever_adds(sections: list[str], citations: str) -> None:
    drafts = ["# Report\n\n## One\n\nThe tower is 330 metres tall [e1]."]
    for number, section in enumerate(sections):
        drafts.append(f"{drafts[-1]}\n\n## Section {number}\n\n{section}".rstrip())
    support = check(repair(drafts[-1]), {piece.evidence_id: piece for piece in EVIDENCE})
    support.contradictions = DocList[Contradiction]()
    before = ""
    for draft in drafts:
        end = finished(FinalizeRequest(question=QUESTION, draft=draft, knowledge=KNOWLEDGE, support=support, citations=citations))
        check_end(end)
        assert end.text.startswith(before)
        before = end.text


_VERDICTS = st.sampled_from(["supported", "partly", "unsupported", "contradicted", "no_claim"])
_IDS = st.lists(st.sampled_from(["e1", "E2", "e9", "", "x"]), max_size=3)


_PIECES = (
    "Word", " 12", ". ", "。", "[e1]", "[e2]", "(e1)", "\n", "\n\n", "- ", "  - ", "1. ", "> ", "# ", "|", "---", "**", "*", "`", "```",
    "[", "](https://a.example)", "<br>", "<table><tr><td>", "</td></tr></table>", ":", "中文", "[^1]", "\\", "!",
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_draft_with_any_report_can_be_finished(data: st.DataObject) -> None:
    draft = data.draw(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join) | st.text(max_size=80))
    found = [span.words for span in statements(repair(draft))]
    report = reported(
        *(said(words, data.draw(_VERDICTS), evidence=data.draw(_IDS), start=-5, end=10**9) for words in found if data.draw(st.booleans())),
        contradictions=[
            Contradiction(statement=data.draw(st.integers(-2, 5)), supporting="e1", opposing="e2", quote="The tower was built in 1889.")
            for _ in range(data.draw(st.integers(0, 2)))
        ],
    )
    request = FinalizeRequest(question=QUESTION, draft=draft, knowledge=KNOWLEDGE, support=report)
    request.citations = data.draw(st.sampled_from(["strict", "flag", "off"]))
    request.max_references = data.draw(st.integers(-1, 3))
    end = finished(request)
    assert any(map(str.isalnum, end.text)) and end.text == end.text.rstrip()
    for one in end.support.statements:
        assert 0 <= one.start <= one.end <= len(end.text)
    assert all(0 <= one.statement < len(end.support.statements) for one in end.support.contradictions)
    assert len(end.references) <= max(0, request.max_references)
    if request.citations == "strict":
        assert end.support.unsupported == 0
    for reference in end.references:
        source = next(piece for piece in EVIDENCE if piece.evidence_id == reference.evidence_id)
        assert source.quote[reference.start - source.start : reference.end - source.start] == reference.quote


async def test_b1_markers_and_references_have_the_same_order(finalizer: AnswerFinalizer) -> None:
    _, end = await finish(finalizer, draft="It was built in 1889 [e2]. The tower is 330 metres tall [e1]. It rains sometimes [e2].")
    assert end.text == "It was built in 1889 [^1]. The tower is 330 metres tall [^2]. It rains sometimes [^1]."
    assert [(reference.number, reference.evidence_id) for reference in end.references] == [(1, "e2"), (2, "e1")]


async def test_b12_ordinary_brackets_colons_and_dollars_stay(finalizer: AnswerFinalizer) -> None:
    text = "In [2024], `arr[0]` cost **Time: 10:30** and $& or $$ [1]."
    _, end = await finish(finalizer, draft=text, citations="off")
    assert end.text == text and not end.references
    table = "<table><tr><td>$& and $$ [2024]</td><td>**Time: 10:30** | R&D</td></tr></table>"
    _, end = await finish(finalizer, draft=table, citations="off")
    assert end.text == "| $& and $$ [2024] | **Time: 10:30** \\| R&D |\n| --- | --- |"
