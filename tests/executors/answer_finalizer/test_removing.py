"""Statements that are taken out leave a whole text: no empty list, no heading above nothing, no open emphasis."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from executors.answer_finalizer.markdown.removing import removals
from executors.answer_finalizer.markdown.rewriting import rewrite
from providers.support import statements

_RENDERER = MarkdownIt("commonmark").enable("table")
_KNOWN = ("e1", "e2")


def without(text: str, word: str = "BAD") -> str:
    """`text` without the statements that hold `word`."""
    spans = statements(text, _KNOWN)
    removed = [word in text[span.start : span.end] and span.claim for span in spans]
    changes, gone = removals(text, [(span.start, span.end) for span in spans], removed)
    assert all(after for before, after in zip(removed, gone, strict=True) if before)
    return rewrite(text, changes).strip()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("BAD one [e1]. It is good [e2]. And BAD three.\n\nWhole BAD four.\n\nLast good [e1].", "It is good [e2].\n\nLast good [e1]."),
        ("A good line\ngoes on [e1]. BAD goes\non too. Here is\nthe end [e2].", "A good line\ngoes on [e1]. Here is\nthe end [e2]."),
        ("第一句好[e1]。第二句BAD三。第三句好[e2]。", "第一句好[e1]。第三句好[e2]。"),
        # citations of what is gone
        ("Good [e1].\n\n| a | b |\n|---|---|\n| BAD | x |\n\n[e2]", "Good [e1]."),
        ("Good [e1].\n\n- BAD one\n- BAD two\n\n[e1][e2]\n\nGood too [e2].", "Good [e1].\n\nGood too [e2]."),
        ("| a | b |\n|---|---|\n| good | x |\n| BAD | x |\n\n[e2]", "| a | b |\n|---|---|\n| good | x |\n\n[e2]"),
        # headings
        ("# T\n\nGood [e1].\n\n## A\n\nBAD.\n\n### A1\n\nBAD two.\n\n## B\n\nGood b [e1].", "# T\n\nGood [e1].\n\n## B\n\nGood b [e1]."),
        ("Top\n===\n\nBAD one.\n\nSub\n---\n\nGood [e1].", "Top\n===\n\nSub\n---\n\nGood [e1]."),
        ("**History**\n\nBAD one here.\n\n**Size**\n\nGood one [e1].", "**Size**\n\nGood one [e1]."),
        ("## Empty\n\n## A\n\nBAD.\n\nGood [e1]", "## Empty\n\n## A\n\nGood [e1]"),
        # rules
        ("Good [e1].\n\n---\n\nBAD.\n\n---\n\nGood end [e1].", "Good [e1].\n\n---\n\nGood end [e1]."),
        ("BAD.\n\n---\n\nGood end [e1].", "Good end [e1]."),
        # lists and what leads to them
        ("Intro is good [e1].\n\nThe points are:\n\n- BAD one\n- BAD two\n\nNext [e1].", "Intro is good [e1].\n\nNext [e1]."),
        ("Good it is [e1]. These are they:\n- BAD one\n\nNext [e1].", "Good it is [e1].\n\nNext [e1]."),
        ("The points are these [e1]:\n\n- BAD one here\n\nNext good [e1].", "The points are these [e1].\n\nNext good [e1]."),
        ("这些要点如下[e1]：\n\n- BAD一\n\n好[e1]。", "这些要点如下[e1]。\n\n好[e1]。"),
        ("The points are:\n\nBAD 1.\n\n- Good one [e1]", "The points are:\n\n- Good one [e1]"),
        ("- Good [e1]\n- BAD here\n\nText [e1].", "- Good [e1]\n\nText [e1]."),
        ("- Good [e1]\n\n- BAD here\n\nText [e1].", "- Good [e1]\n\nText [e1]."),
        ("1. Good [e1]\n2. BAD two\n3. Good three [e2]", "1. Good [e1]\n2. Good three [e2]"),
        ("3. BAD\n4. Good [e1]\n5. Good [e2]", "3. Good [e1]\n4. Good [e2]"),
        ("1. Good [e1]\n   - BAD nested\n   - good [e1]\n2. BAD\n   - BAD", "1. Good [e1]\n   - good [e1]"),
        (
            "- BAD head\n  - good child [e1]\n    - good grandchild [e2]\n- Good [e1]",
            "- good child [e1]\n  - good grandchild [e2]\n- Good [e1]",
        ),
        ("1. BAD head.\n\n   Good para [e1].\n2. Good [e2]", "1. Good para [e1].\n2. Good [e2]"),
        ("- BAD head:\n  ```\n  code\n  ```\n- Good [e2]", "- BAD head:\n  ```\n  code\n  ```\n- Good [e2]"),
        # tables
        ("| a | b |\n|---|---|\n| BAD | 1 |\n| good [e1] | 2 |", "| a | b |\n|---|---|\n| good [e1] | 2 |"),
        ("See:\n\n| a | b |\n|---|---|\n| BAD | 1 |\n\nGood [e1].", "Good [e1]."),
        # quotations
        ("> Good [e1].\n> BAD here.\n>\n> BAD para.\n\n> BAD only.\n\nEnd [e1].", "> Good [e1].\n\nEnd [e1]."),
        # emphasis, links and code that reach beyond a sentence
        ("**BAD one is. Good two is.** Then [e1].", "**Good two is.** Then [e1]."),
        ("Then [e1]. **Good three is. BAD four is.** End [e1].", "Then [e1]. **Good three is.** End [e1]."),
        ("Good one [e1]. See [BAD two. Good three](https://a.example) now. End [e2].", "Good one [e1]. End [e2]."),
        ("Good one [e1]. *BAD two.*", "Good one [e1]."),
        # code stays
        ("BAD one.\n\n```\nBAD\n```\n\nGood [e1].", "```\nBAD\n```\n\nGood [e1]."),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert without(text) == left


_COUNT = st.integers(10, 99)
_SENTENCE = st.builds(lambda n, bad: f"{'BAD' if bad else 'Good'} item {n} weighs it [e1].", _COUNT, st.booleans())
_RUN = st.lists(_SENTENCE, min_size=1, max_size=4)
_PARAGRAPH = (
    _RUN.map(" ".join)
    | _RUN.map("\n".join)
    | _RUN.map(lambda run: f"**{' '.join(run)}**")
    | _RUN.map(lambda run: "*" + " ".join(run) + "* Good item 1 ends it [e1].")
)
_ITEMS = st.lists(_RUN.map(" ".join), min_size=1, max_size=4)
_NESTED = st.builds(lambda head, items: f"- {head}\n" + "\n".join(f"  - {item}" for item in items), _SENTENCE, _ITEMS)
_BLOCK = (
    _PARAGRAPH
    | _ITEMS.map(lambda items: "\n".join(f"- {item}" for item in items))
    | _ITEMS.map(lambda items: "\n\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)))
    | _NESTED
    | _ITEMS.map(lambda items: "They are:\n\n" + "\n".join(f"- {item}" for item in items))
    | st.lists(_SENTENCE, min_size=1, max_size=4).map(
        lambda items: "| Head | Other |\n|---|---|\n" + "\n".join(f"| {item} | x |" for item in items)
    )
    | _PARAGRAPH.map(lambda paragraph: "> " + paragraph.replace("\n", "\n> "))
    | st.sampled_from(["## Heading", "### Lower", "---", "**Label**", "```\ncode BAD\n```"])
)
DOCUMENTS = st.lists(_BLOCK, min_size=1, max_size=6).map("\n\n".join)


def _shown(text: str) -> str:
    return "".join(token.content for inline in _RENDERER.parse(text) for token in inline.children or [] if token.type == "text")


@given(text=DOCUMENTS)
def test_exactly_the_bad_statements_go(text: str) -> None:
    left = without(text)
    for sentence in (part for part in text.replace("*", "").replace("\n", " ").split(".") if "item" in part and "Good" in part):
        words = sentence[sentence.index("Good") :]
        assert left.replace("*", "").replace("\n", " ").count(words) == text.replace("*", "").replace("\n", " ").count(words)
    assert "BAD item" not in left
    assert "**" not in _shown(left).replace("\n", "") and "*" not in _shown(left)
    tokens = [token for token in _RENDERER.parse(left) if token.type != "inline"]
    for opening, closing in pairwise(tokens):
        # Nothing that was opened is closed at once, apart from what held words.
        assert not (opening.type in ("list_item_open", "blockquote_open", "tbody_open") and closing.nesting == -1)
    assert "They are:\n\n" not in f"{left}\n\n".replace("They are:\n\n-", "")
    assert without(left) == left


@given(text=DOCUMENTS, other=DOCUMENTS)
def test_what_follows_a_heading_changes_nothing_before_it(text: str, other: str) -> None:
    first = without(text)
    both = without(f"{text}\n\n## Next\n\n{other.replace('## H', '### H')}")
    if not text.rstrip().endswith("---"):
        assert both.startswith(first)
