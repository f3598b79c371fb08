"""Citations become numbered markers, and nothing else in the Markdown changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.answer_finalizer.citations.citing import Resolved
from executors.answer_finalizer.citations.sources import KnownUrls
from schemas.knowledge import Evidence

EVIDENCE = {f"e{n}": Evidence(evidence_id=f"e{n}", url=f"https://site{n}.example/page", quote=f"Quote {n}.") for n in range(1, 6)}
KNOWN = KnownUrls(piece.url for piece in EVIDENCE.values())


def resolve(text: str, max_references: int = 10) -> str:
    return resolved(text, max_references).text


def resolved(text: str, max_references: int = 10) -> Resolved:
    return Resolved(text, EVIDENCE, KNOWN, max_references)


def test_numbers_follow_first_appearance_and_match_the_sources() -> None:
    # B1: the order of relevance or of arrival must not number the sources.
    stream = resolved("First [e3]. Second [e1]. Again [e3]. Third [e2].")
    assert stream.text == "First [^1]. Second [^2]. Again [^1]. Third [^3]."
    assert [piece.evidence_id for piece in stream.cited] == ["e3", "e1", "e2"]
    assert [stream.text[mark.start : mark.end] for mark in stream.marks] == ["[^1]", "[^2]", "[^1]", "[^3]"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("A [e1, e2].", "A [^1][^2]."),
        ("A [e1; e2].", "A [^1][^2]."),
        ("A [e1][e2].", "A [^1][^2]."),
        ("A [e1] [e2].", "A [^1][^2]."),
        ("A [e1], [e2].", "A [^1][^2]."),
        ("A [e2-e4].", "A [^1][^2][^3]."),
        ("A [e2–4].", "A [^1][^2][^3]."),
        ("A 【e1】.", "A [^1]."),
        ("A 【e1†source】.", "A [^1]."),
        ("A [E1].", "A [^1]."),
        ("A (e1).", "A [^1]."),
        ("A [^e1].", "A [^1]."),
        ("A [e1](https://site1.example/page).", "A [^1]."),
        ("A [e1](https://invented.example).", "A [^1]."),
        ("A [e1] [e1].", "A [^1]."),
        ("A [e1, e1][e2][e1].", "A [^1][^2]."),
        ("A [e1-e999999].", "A [^1][^2][^3][^4][^5]."),
    ],
)
def test_forms_of_a_citation(written: str, expected: str) -> None:
    assert resolve(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("A [e9].", "A."),
        ("A [e9] b.", "A b."),
        ("A [e1, e9] b.", "A [^1] b."),
        ("[e9] A.", "A."),
        ("- [e9] A.\n- B.", "- A.\n- B."),
        ("Known [^7]. Next.", "Known. Next."),
        ("Known [^7][e1].", "Known [^1]."),
        ("A [^7](https://invented.example) b.", "A b."),
    ],
)
def test_invented_markers_go_with_their_space(written: str, expected: str) -> None:
    assert resolve(written) == expected


@pytest.mark.parametrize(
    "text",
    [
        # B12: bracketed numbers, colons in bold and dollar signs are text.
        "In [2024] it was `[e1]` and arr[0] of m[i][j], see [1] and [text][1]; (e9) stays, [elephant] too.",
        "**Note:** it costs $& or $1 [sic].",
        "```python\nx = table[e1]\n\ny = r'[^1]'\n```",
        "    indented = code[e1]\n\nText.",
        "~~~\n[e1]\n```\n[e2]\n~~~\n\nEnd.",
        'A [link](https://site1.example/page#e1 "title [e1]") stays.',
        "Escaped \\[e1] stays, and 1 < 2 > 0.",
        "| a | b |\n|---|---|\n| 1 | [2] |",
        "# Head\n\n> quote\n\n1. one\n   - two\n\n---\n\nEnd<br>line, H<sub>2</sub>O &amp; more.",
        "[site]: https://site1.example/page\n\nSee [site].",
        "中文[二零二四]。“引号”【注】。",
    ],
)
def test_ordinary_text_survives_unchanged(text: str) -> None:
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("A [e1].\n\n[^1]: https://invented.example\n\nB.", "A [^1].\n\nB."),
        ("A [e1].\n\n[^1]: A note of its own,\nover two lines.\n\nB.", "A [^1].\n\nB."),
        ("A [e1].\n\n[1]: https://invented.example 'x'\n[e1]: https://site1.example/page", "A [^1]."),
        ("See [the site](https://invented.example/x) now.", "See the site now."),
        ("See [the [e2] site](https://invented.example/x).", "See the [^1] site."),
        ("See [it](javascript:alert(1)).", "See it."),
        ("See [it](/relative).", "See it."),
        ("See [it](https://site1.example/page/).", "See [it](https://site1.example/page/)."),
        ("See <https://invented.example/x>.", "See …."),
        (
            "See https://invented.example/x. And www.invented.example, too.",
            "See …. And …, too.",
        ),
        ("See https://site1.example/page. And.", "See https://site1.example/page. And."),
        ("An ![image](https://site1.example/page).", "An image."),
        ("[![alt](https://a.example/i.png)](https://invented.example) x.", "alt x."),
        ('A <img src="https://a.example/x.png"> b </b>.', 'A \\<img src="https://a.example/x.png"> b \\</b>.'),
        ("<script>\nalert(1)\n</script>\n\nA.", "\\<script>\nalert(1)\n\\</script>\n\nA."),
        ("[e1]: What it says.", "[^1]\\: What it says."),
        ("<br>\n[e1]", "\\<br>\n[^1]"),
        ("Unclosed <div\n\nA.", "Unclosed \\<div\n\nA."),
    ],
)
def test_what_a_model_invents_is_taken_out(written: str, expected: str) -> None:
    assert resolve(written) == expected


def test_only_the_first_sources_are_kept() -> None:
    stream = resolved("A [e1]. B [e2]. C [e3]. D [e1, e3].", max_references=2)
    assert stream.text == "A [^1]. B [^2]. C. D [^1]."
    assert [piece.evidence_id for piece in stream.cited] == ["e1", "e2"]
    assert resolve("A [e1].", max_references=0) == "A."


def test_scripts_without_spaces_and_from_right_to_left() -> None:
    assert resolve("第一句。[e2]第二句【e1】。第三句[e2]。") == "第一句。[^1]第二句[^2]。第三句[^1]。"
    assert resolve("الجملة الأولى [e1]. الثانية؟ [e2]") == "الجملة الأولى [^1]. الثانية؟ [^2]"
    assert resolve("משפט [e1], ועוד [e2].") == "משפט [^1], ועוד [^2]."


def test_blocks_inside_blocks() -> None:
    written = (
        "> Quote [e1]\n> `code [e2]\n> more` [e2]\n>\n> - item [x](https://invented.example/a\n>   ) [e3]\n\n1. one [e1]\n\n   two [e2]\n"
    )
    assert resolve(written) == "> Quote [^1]\n> `code [e2]\n> more` [^2]\n>\n> - item x [^3]\n\n1. one [^1]\n\n   two [^2]"


_PARTS = st.sampled_from(
    [
        "[e1]",
        "[e2]",
        "[e9]",
        "[e1, e3]",
        "【e2】",
        "(e1)",
        "[^1]",
        "[",
        "]",
        "(",
        ")",
        "`",
        "``",
        "```",
        "\n",
        "\n\n",
        " ",
        "  ",
        "    ",
        "a",
        "Word",
        ". ",
        "。",
        "! ",
        "- ",
        "1. ",
        "> ",
        "# ",
        "|",
        "---",
        "**",
        "_",
        "\\",
        "<",
        ">",
        "<b>",
        "<br>",
        "!",
        "[^1]: ",
        "[a]: ",
        "https://invented.example/x",
        "https://site1.example/page",
        "](https://invented.example)",
        "](https://site1.example/page)",
        "é",
        "中文",
        "\r\n",
        "\t",
        "&amp;",
        ":",
        "~~~",
        "=",
        "\x00",
        "\u2028",
    ]
)
_TEXTS = st.lists(_PARTS, max_size=40).map("".join)


@given(text=_TEXTS)
def test_markers_are_where_they_are_said_to_be(text: str) -> None:
    found = resolved(text)
    for mark in found.marks:
        assert found.text[mark.start : mark.end] == f"[^{mark.number}]"
    assert sorted({mark.number for mark in found.marks}) == list(range(1, len(found.cited) + 1))
    first_seen = list(dict.fromkeys(mark.number for mark in found.marks))
    assert first_seen == sorted(first_seen)


@given(text=_TEXTS, other=_TEXTS)
def test_what_follows_changes_nothing_before_it(text: str, other: str) -> None:
    closed = text.replace("`", "").replace("~", "")
    first = resolved(f"{closed}\n\n## Next")
    assert resolved(f"{closed}\n\n## Next\n\n{other}").text.startswith(first.text)


_PLAIN = st.lists(
    st.sampled_from(
        [
            "Word",
            " two",
            ". ",
            "\n\n",
            "\n- item",
            " [2024]",
            " arr[0]",
            " `code[e1]`",
            "。",
            " 中文",
            "**bold:** ",
            " [1]",
            " $&",
            "\n\n```\nx[e1]\n```\n\n",
        ]
    )
).map(lambda parts: "".join(parts).strip())


@given(text=_PLAIN)
def test_finished_text_stays_as_it_is(text: str) -> None:
    assert resolve(text) == text
