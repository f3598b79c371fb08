"""Drafts put right, merged and written by sections: what a model writes is taken only when nothing got lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from docarray import DocList

from executors.answer_finalizer.citations.repeating import without_repetitions
from executors.answer_finalizer.executor import AnswerFinalizer
from executors.answer_finalizer.markdown.headings import lowered, without_first_heading
from schemas.answering import Draft, ReducePart, ReduceRequest, ReviseRequest
from schemas.errors import InvalidRequest
from schemas.knowledge import Evidence, Knowledge
from schemas.reporting import Outline, Section, SectionRequest, Synthesis
from schemas.settings import Settings
from schemas.support import Statement, SupportReport
from tests.scripted import ScriptedServer, Status, Text

QUOTES = {
    "e1": "The tower is 330 metres tall. Many people visit it.",
    "e2": "The tower was built in 1889. It rains sometimes.",
    "e3": "The lifts of the tower carry visitors to the third floor.",
}
EVIDENCE = {
    key: Evidence(evidence_id=key, url=f"https://{key}.example", title=key, quote=quote, end=len(quote), score=0.5)
    for key, quote in QUOTES.items()
}
KNOWLEDGE = DocList[Knowledge]([Knowledge(kind="url", evidence=DocList[Evidence](list(EVIDENCE.values())))])
QUESTION = "How tall is the tower, and when was it built?"
DRAFT = "The tower is 330 metres tall [e1]. It was built by aliens in 1723 [e2]."
SUPPORT = SupportReport(
    statements=DocList[Statement](
        [
            Statement(text="The tower is 330 metres tall.", verdict="supported", cited=["e1"], evidence=["e1"]),
            Statement(
                text="It was built by aliens in 1723.",
                verdict="contradicted",
                cited=["e2"],
                evidence=["e2"],
                missing=["1723"],
                reason="1889",
            ),
        ]
    )
)


@pytest.fixture
async def rules(make_settings: Callable[..., Settings]) -> AnswerFinalizer:
    return AnswerFinalizer(settings=make_settings())


@pytest.fixture
async def finalizer(make_settings: Callable[..., Settings], scripted: ScriptedServer) -> AsyncIterator[AnswerFinalizer]:
    executor = AnswerFinalizer(settings=make_settings(llm_model="m", openai_base_url=scripted.llm_url, llm_max_retries=0))
    yield executor
    await executor.close()


async def revise(executor: AnswerFinalizer, **fields: object) -> Draft:
    return await executor.revise(
        ReviseRequest(**{"question": QUESTION, "draft": DRAFT, "knowledge": KNOWLEDGE, "support": SUPPORT, **fields})
    )


async def test_a_draft_is_put_right(finalizer: AnswerFinalizer, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text("The tower is 330 metres tall [e1]. It was built in 1889 [e2]."))
    draft = await revise(finalizer)
    assert (draft.text, draft.error, draft.usage.llm_calls) == ("The tower is 330 metres tall [e1]. It was built in 1889 [e2].", "", 1)
    system, user = (message["content"] for message in scripted.sent()[0].body["messages"])
    assert "word for word" in system
    assert "1. contradicted; speaks against it: e2" in user and "not in the evidence: 1723" in user and DRAFT in user
    assert "330 metres tall.\n" not in user[user.index("What failed") :]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Text("It was built in 1889 [e2]."), "lost the citation e1"),
        (Text("The tower is 330 metres tall [e1], says [e9]."), "cites e9, which is no evidence"),
        (Text(" "), "wrote no text"),
        (Text("Der Turm ist 330 Meter hoch, und er wurde im Jahr 1889 von der Firma gebaut [e1]."), "another language"),
        (Text(pieces=["The tower is 330 metres tall [e1]. ", "It was"], stop_after=1), "broke off"),
        (Status(500, "down"), "not revised"),
    ],
)
async def test_what_a_model_spoils_is_not_taken(finalizer: AnswerFinalizer, scripted: ScriptedServer, reply: Text, error: str) -> None:
    scripted.llm.on("", reply)
    draft = await revise(finalizer)
    assert draft.text == DRAFT
    assert error in draft.error


async def test_nothing_is_asked_of_the_model_when_nothing_is_wrong(
    finalizer: AnswerFinalizer, rules: AnswerFinalizer, scripted: ScriptedServer
) -> None:
    assert (await revise(finalizer, support=SupportReport())).text == DRAFT
    assert (await revise(finalizer, draft="")).text == ""
    assert scripted.sent() == []
    draft = await revise(rules)
    assert draft.text == DRAFT and "none is configured" in draft.error


async def test_polishing_keeps_the_length_unless_the_asker_speaks_of_it(finalizer: AnswerFinalizer, scripted: ScriptedServer) -> None:
    scripted.llm.on("", Text("330 metres [e1]."))
    draft = await revise(finalizer, polish=True)
    assert draft.text == DRAFT and "words for" in draft.error
    assert "read well" in scripted.sent()[0].body["messages"][0]["content"]
    assert (await revise(finalizer, polish=True, question=f"{QUESTION} In one sentence, please.")).text == "330 metres [e1]."
    assert (await revise(finalizer, polish=True, question="塔有多高？请用20字回答。")).text == "330 metres [e1]."
    german = "Der Turm ist 330 Meter hoch und wurde im Jahr 1889 gebaut, wie man sagt [e1][e2]."
    scripted.llm.on("", Text(german))
    assert (await revise(finalizer, polish=True)).text == DRAFT
    assert (await revise(finalizer, polish=True, question="Wie hoch ist der Turm, und wann wurde er von wem gebaut?")).text == german


PARTS = DocList[ReducePart](
    [
        ReducePart(question="How tall?", text="# Height\n\nThe tower is 330 metres tall [e1]."),
        ReducePart(question="Since *when*?", text="The tower was built in 1889 [e2]. The tower is 330 metres tall [e3]."),
        ReducePart(question="Nothing?", text=" "),
    ]
)
JOINED = (
    "## How tall?\n\n### Height\n\nThe tower is 330 metres tall [e1] [e3].\n\n## Since \\*when\\*?\n\nThe tower was built in 1889 [e2]."
)


async def reduce(executor: AnswerFinalizer, **fields: object) -> Draft:
    return await executor.reduce(ReduceRequest(**{"question": QUESTION, "parts": PARTS, "knowledge": KNOWLEDGE, **fields}))


async def test_parts_are_joined_by_rules(rules: AnswerFinalizer) -> None:
    draft = await reduce(rules)
    assert (draft.text, draft.composed_by, draft.error) == (JOINED, "rules", "")
    assert (await reduce(rules, parts=PARTS[:1])).text == "# Height\n\nThe tower is 330 metres tall [e1]."
    assert (await reduce(rules, parts=DocList[ReducePart]())).text == ""
    # A part that says nothing new leaves no heading behind.
    assert (await reduce(rules, parts=DocList[ReducePart]([PARTS[0], PARTS[0]]))).text == JOINED.partition("\n\n## Since")[0].replace(
        " [e3]", ""
    )


async def test_parts_are_merged_by_the_model(finalizer: AnswerFinalizer, scripted: ScriptedServer) -> None:
    merged = "The tower, built in 1889 [e2], is 330 metres tall [e1][e3]."
    scripted.llm.on("", Text(merged))
    draft = await reduce(finalizer)
    assert (draft.text, draft.composed_by, draft.usage.llm_calls) == (merged, "model", 1)
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert "How tall?" in user and "Nothing?" not in user


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Text("The tower, built in 1889 [e2], is 330 metres tall [e1]."), "lost the citation e3"),
        (Text("The tower, built long ago [e2], is 330 metres tall [e1][e3]."), "lost the number 1889"),
        (Text(" "), "wrote no text"),
        (Status(500, "down"), "joined by rules"),
    ],
)
async def test_a_merger_that_lost_something_is_not_taken(
    finalizer: AnswerFinalizer, scripted: ScriptedServer, reply: Text, error: str
) -> None:
    scripted.llm.on("", reply)
    draft = await reduce(finalizer)
    assert (draft.text, draft.composed_by) == (JOINED, "rules")
    assert error in draft.error


def test_only_the_same_statement_is_a_repetition() -> None:
    text = "The tower is 330 metres tall [e1]. The tower is 324 metres tall [e2]. The tower is 330 metres tall [e2]."
    assert without_repetitions(text, EVIDENCE) == "The tower is 330 metres tall [e1] [e2]. The tower is 324 metres tall [e2]."
    assert without_repetitions(text, EVIDENCE, "The tower is 324 metres tall [e2].").count("324") == 0
    assert without_repetitions("Is it so? Is it so?", EVIDENCE) == "Is it so? Is it so?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\nx\n\n## B", "### A\n\nx\n\n#### B"),
        ("A\n=\n\nB\n-", "### A\n\n#### B"),
        ("> # A", "> ### A"),
        ("##### A\n\n### B", "##### A\n\n### B"),
        ("```\n# A\n```", "```\n# A\n```"),
    ],
)
def test_headings_are_lowered(text: str, expected: str) -> None:
    assert lowered(text, 3) == expected
    assert without_first_heading(f"## Its *title*\n\n# Its title\n\n{text}", "Its title") == text


OUTLINE = Outline(
    title="The tower",
    sections=DocList[Section](
        [
            Section(heading="Height", brief="How tall the tower is.", evidence=["e1", "e9"]),
            Section(heading="History", brief="When the tower was built."),
        ]
    ),
)


async def section(executor: AnswerFinalizer, number: int = 0, **fields: object) -> Draft:
    request = SectionRequest(**{"question": QUESTION, "outline": OUTLINE, "number": number, "knowledge": KNOWLEDGE, **fields})
    return await executor.section(request)


async def test_sections_by_rules_are_verbatim(rules: AnswerFinalizer) -> None:
    first = await section(rules)
    assert (first.text, first.composed_by) == ("# The tower\n\n## Height\n\nThe tower is 330 metres tall. [e1]", "rules")
    second = await section(rules, 1, written=first.text)
    assert second.text == "## History\n\nThe tower was built in 1889. [e2]"
    assert (await section(rules, 1, written=f"{first.text}\n\n{second.text}")).text == ""
    with pytest.raises(InvalidRequest, match="number is 2, but the outline has 2 sections"):
        await section(rules, 2)


async def test_sections_by_the_model_cite_every_paragraph_and_repeat_nothing(finalizer: AnswerFinalizer, scripted: ScriptedServer) -> None:
    scripted.llm.on(
        "",
        Text(
            "# The tower\n\n## History\n\nThe tower was built in 1889 [e2].\n\nIt has 77 uncited doors.\n\n# Lifts\n\n"
            "The lifts carry visitors to the third floor [e3]. The tower is 330 metres tall [e1]."
        ),
    )
    written = "# The tower\n\n## Height\n\nThe tower is 330 metres tall [e1]."
    draft = await section(finalizer, 1, written=written, synthesis=Synthesis(conflicts=["Some say 1888 [e2]."]))
    assert draft.text == "## History\n\nThe tower was built in 1889 [e2].\n\n### Lifts\n\nThe lifts carry visitors to the third floor [e3]."
    assert (draft.composed_by, draft.error) == ("model", "")
    user = scripted.sent()[0].body["messages"][1]["content"]
    assert "number 2:" in user and "Some say 1888" in user and "When the tower was built." in user and "330 metres tall [e1]" in user
    scripted.llm.on("", Text("It has 77 uncited doors."))
    draft = await section(finalizer)
    assert (draft.text, draft.composed_by) == ("# The tower\n\n## Height\n\nThe tower is 330 metres tall. [e1]", "rules")
    assert "cited nothing" in draft.error
    user = scripted.sent()[1].body["messages"][1]["content"]
    assert QUOTES["e1"] in user and QUOTES["e2"] not in user
    scripted.llm.on("", Status(500, "down"))
    assert (await section(finalizer)).error
