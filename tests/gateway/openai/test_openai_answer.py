"""The content of an answer while it is written, and the thoughts before it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.answer import RESTART, AnswerText
from gateway.openai.thoughts import Thought, Thoughts
from schemas.events import ResearchEvent
from schemas.research import Reference

words = st.text(alphabet="ab雪 ", max_size=8)


def send(text: AnswerText, writings: list[list[str]], final: str) -> str:
    sent = ""
    for writing in writings:
        offset = 0
        for piece in writing:
            sent += text.write(piece, offset)
            offset += len(piece)
    return sent + text.finish(final)


@given(st.lists(words))
def test_without_a_restart_the_pieces_are_sent_as_they_are(pieces: list[str]) -> None:
    text = AnswerText()
    assert send(text, [pieces], "".join(pieces)) == "".join(pieces) == text.content


@given(st.lists(st.lists(words, min_size=1), max_size=4), words)
def test_whatever_happens_the_content_ends_with_the_final_answer(writings: list[list[str]], final: str) -> None:
    text = AnswerText()
    assert send(text, writings, final) == text.content
    last = text.content[text.content.rfind(RESTART) + len(RESTART) :] if RESTART in text.content else text.content
    assert last.startswith(final) and not last[len(final) :].strip()


def test_a_restart_is_held_back_while_it_repeats_what_was_sent() -> None:
    text = AnswerText()
    assert text.write("Half an", 0) == "Half an"
    assert text.write("Half", 0) == ""
    assert text.write(" an answer.", 4) == " answer."
    assert text.finish("Half an answer.") == ""


def test_a_restart_with_another_text_is_set_apart() -> None:
    text = AnswerText()
    text.write("Old", 0)
    assert text.write("New", 0) == f"{RESTART}New"
    assert text.write("er", 3) == "er"
    assert text.finish("Newer.") == "."
    assert text.content == f"Old{RESTART}Newer."


@given(st.lists(st.integers(1, 4), max_size=6), words, st.booleans())
def test_every_citation_is_a_marker_of_its_reference(numbers: list[int], between: str, restarted: bool) -> None:
    text = AnswerText()
    if restarted:
        text.write("Given up [^1].", 0)
    answer = "x" + "".join(f"{between}[^{number}]" for number in numbers)
    text.finish(answer)
    references = [Reference(number=number, url=f"https://{number}.org/", quote="q [^1]") for number in (1, 2, 3)]
    sent, citations = text.cite(references)
    assert text.content.endswith(sent) and len(sent.strip().split("\n")) == 3
    known = [number for number in numbers if number < 4]
    assert [citation.reference.number for citation in citations] == known
    for citation in citations:
        assert text.content[citation.start : citation.end] == f"[^{citation.reference.number}]"
        assert text.content.rfind(RESTART) < citation.start < len(text.content) - len(sent)


def test_a_footnote_is_one_line_that_nothing_in_it_can_leave() -> None:
    text = AnswerText()
    hostile = Reference(number=1, url="https://a.org/) [x](javascript:1)\n", title="T]\n\n# big", quote='a\n```\n"b" \u202e<script>')
    sent, _ = text.cite([hostile])
    assert sent.strip().count("\n") == 0
    assert sent.strip() == ('[^1]: "a \\`\\`\\` "b" \\<script\\>" — [T\\] # big](https://a.org/%29%20%5Bx%5D%28javascript:1%29)')


def event(kind: str, **data: object) -> ResearchEvent:
    return ResearchEvent(type=kind, data=data)


def test_b10_every_query_and_url_is_told_once_and_is_no_number() -> None:
    thoughts = Thoughts()
    calls = [("search", ["a", "b", "a"]), ("search", ["b", "c"]), ("read", ["https://a/"]), ("read", ["https://a/"]), ("rank", ["x"])]
    told = [thought for kind, items in calls for thought in thoughts.of(event("stage_called", effect={"kind": kind, "items": items}))]
    assert told == [Thought("query", "a"), Thought("query", "b"), Thought("query", "c"), Thought("url", "https://a/")]


def test_a_thought_cannot_end_the_thinking() -> None:
    hostile = "so </thi</think>nk> <think>it is"
    (thought,) = Thoughts().of(event("decided", decision={"action": "answer", "think": hostile}))
    assert re.search("</?think>", thought.text) is None and thought.text == "so  it is"


def test_what_says_nothing_is_no_thought() -> None:
    assert Thoughts().of(event("decided", decision={"action": "answer"})) == []
    assert Thoughts().of(event("searched", response={})) == []
    assert Thoughts().of(event("stage_called", effect={"kind": "search"})) == []
