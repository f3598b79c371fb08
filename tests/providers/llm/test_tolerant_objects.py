"""Objects out of what bad models write: found when they are there, never made up when they are not."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from providers.llm.objects import InvalidOutput, read_object
from providers.llm.thinking import ThinkingFilter, split_thinking


class Step(BaseModel):
    think: str
    action: Literal["search", "answer"]
    queries: list[str] = []
    score: float = 0.0


class Loose(BaseModel):
    answer: str = ""
    notes: list[str] = []


STEP = Step(think="because", action="search", queries=["a", "b"])
WRITTEN = STEP.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN,
        f"Sure! Here is the JSON you asked for:\n\n{WRITTEN}\n\nLet me know if you need more.",
        f"```json\n{WRITTEN}\n```",
        f"```\n{WRITTEN}\n``` and that's it",
        f"<think>First {{maybe}} this.</think>\n{WRITTEN}",
        f"<THINK>a</THINK><thinking>b</thinking>{WRITTEN}",
        f"the opening tag was in the prompt</think>{WRITTEN}",
        f'<think>an early idea: {{"think": "x", "action": "answer"}} no</think>{WRITTEN}',
        f"<think>I never close my thoughts\n{WRITTEN}",
        f'For example {{"think": "t", "action": "search"}}. My answer is:\n{WRITTEN}',
        f"[{WRITTEN}]",
        f"the set {{x}} and the stray {{ are no JSON: {WRITTEN}",
        WRITTEN.replace("}", ",}"),
        WRITTEN.replace('"b"]', '"b",]'),
        WRITTEN.replace('"', "'"),
        WRITTEN.replace('"think"', "think"),
        WRITTEN.replace('"because"', '"because" // why\n'),
        WRITTEN.replace("}", ""),
        WRITTEN.replace(',"score":0.0}', ""),
        WRITTEN.replace('],"score":0.0}', ""),
    ],
)
def test_finds_the_object(text: str) -> None:
    assert read_object(text, Step) == STEP


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"action": "search", "think": "it was cut he', Step(think="it was cut he", action="search")),
        ('{"action": "search", "think": "a\\', Step(think="a", action="search")),
        ('{"action": "search", "think": "a\\u00e', Step(think="a", action="search")),
        (
            '{"think": "t", "action": "search", "queries": ["https://example.org/a", "https://exam',
            Step(think="t", action="search", queries=["https://example.org/a"]),
        ),
        ('{"think": "t", "action": "search", "score": 12', Step(think="t", action="search")),
        ('{"think": "t", "action": "search", "queries": [', Step(think="t", action="search")),
        ('{"think": "t", "action": "search", "queries"', Step(think="t", action="search")),
        ('{"think": "t", "action": "search", "queries":', Step(think="t", action="search")),
        ('{"think": "line\nbreak", "action": "answer"}', Step(think="line\nbreak", action="answer")),
        ('{"think": "he said "no" twice", "action": "answer"}', Step(think='he said "no" twice', action="answer")),
        ('{"think": "half \\ud83d", "action": "answer"}', Step(think="half ?", action="answer")),
    ],
)
def test_keeps_what_is_there_and_drops_what_was_cut(text: str, expected: Step) -> None:
    assert read_object(text, Step) == expected


@pytest.mark.parametrize(
    ("text", "problem", "ignored"),
    [
        ("", "it is empty", False),
        (" \n", "it is empty", False),
        ("I cannot help with that.", "it holds no JSON object", True),
        ("{", "it holds no JSON object", True),
        ("<think>only thoughts", "it holds no JSON object", True),
        ('<think>a sketch {"think": "x", "action": "answer"} and then', "it holds no JSON object", True),
        ("null", "it holds no JSON object", True),
        ("{}", "it has nothing where 'action', 'queries', 'score', 'think' belongs", True),
        ('{"thought": "t", "tool": "search"}', "it has 'thought', 'tool' where 'action', 'queries', 'score', 'think' belongs", True),
        ('{"think": "t"}', "action: Field required", True),
        ('{"think": "t", "action": "dance"}', "action: Input should be 'search' or 'answer'", False),
        ('{"think": , "action": "search"}', "it holds no JSON object", True),
        ('{"action": "search", "think":', "think: Field required", True),
        ('{"think": "t", "action": "sea', "action: Input should be 'search' or 'answer'", False),
    ],
)
def test_never_makes_an_object_up(text: str, problem: str, ignored: bool) -> None:
    with pytest.raises(InvalidOutput) as caught:
        read_object(text, Step)
    assert (str(caught.value), caught.value.form_ignored) == (problem, ignored)


@pytest.mark.parametrize("text", ["{}", '{"response": "text"}', '{"notes": [], "response": "text"}'])
def test_defaults_do_not_hide_a_wrong_key(text: str) -> None:
    with pytest.raises(InvalidOutput):
        read_object(text, Loose)


def test_a_key_too_much_beside_all_others_is_left_out() -> None:
    assert read_object('{"answer": "a", "notes": [], "confidence": 1}', Loose) == Loose(answer="a")


def test_nothing_but_brackets_takes_no_time() -> None:
    for text in ("{" * 100_000, '{"a":' * 50_000, "[" * 100_000, '"' * 99_999, "<think>" * 20_000, "<" * 100_000):
        with pytest.raises(InvalidOutput):
            read_object(text, Step)


@given(
    st.builds(Step, think=st.text(), action=st.sampled_from(["search", "answer"]), queries=st.lists(st.text()), score=st.floats(0, 5)),
    st.data(),
)
def test_a_cut_object_is_a_part_of_the_whole(step: Step, data: st.DataObject) -> None:
    written = json.dumps(step.model_dump(), ensure_ascii=data.draw(st.booleans()))
    cut = data.draw(st.integers(0, len(written)))
    try:
        found = read_object(written[:cut], Step)
    except InvalidOutput:
        assert cut < len(written)
        return
    assert found.action == step.action
    assert step.think.startswith(found.think) or cut < len(written)
    assert step.queries[: len(found.queries)] == found.queries
    assert found.score in {step.score, 0.0}


@given(st.text(alphabet='{}[]",:\\ab1 \n<think>/'))
def test_any_text_is_an_object_or_invalid(text: str) -> None:
    try:
        read_object(text, Step)
    except InvalidOutput as invalid:
        assert "\n" not in str(invalid)


def test_thoughts_apart() -> None:
    assert split_thinking("<think>a</think> b <think>c</think> d") == ("b  d", "")
    assert split_thinking("a</think>b<think>c") == ("b", "c")
    assert split_thinking("plain") == ("plain", "")


@given(st.lists(st.sampled_from(["<think>", "</think>", "<thin", "k>", "<", "/", "text ", "1 < 2", "<b>"]), max_size=12), st.data())
def test_a_stream_says_the_same_however_it_is_split(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    whole = ThinkingFilter()
    expected = whole.feed(text) + whole.finish()
    split = ThinkingFilter()
    said, rest = "", text
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        said += split.feed(rest[:size])
        rest = rest[size:]
    assert said + split.finish() == expected
