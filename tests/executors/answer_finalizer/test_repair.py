"""Markdown is repaired so that what was meant is rendered, and nothing else changes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from executors.answer_finalizer.markdown.repair import repair

_RENDERER = MarkdownIt("commonmark").enable("table")


@pytest.mark.parametrize(
    ("written", "repaired"),
    [
        # code fences
        ("A.\n\n```py\nx = 1", "A.\n\n```py\nx = 1\n```"),
        ("```py\nx\n    ```\nText.", "```py\nx\n```\nText."),
        ("1. s\n   ```py\n   a\n```\nText.", "1. s\n   ```py\n   a\n   ```\nText."),
        ("1. s\n   ```py\na\n   ```\nText.", "1. s\n   ```py\n   a\n   ```\nText."),
        ("> ```\n> a\n\nb", "> ```\n> a\n> ```\n\nb"),
        ("```py\nx = 1\n\nIt prints 1. [e1]\n\nMore.", "```py\nx = 1\n```\n\nIt prints 1. [e1]\n\nMore."),
        ("- ```\n  a\n\nText.\n\n```\nb\n```", "- ```\n  a\n  ```\n\nText.\n\n```\nb\n```"),
        ("~~~\na\n```", "~~~\na\n```\n~~~"),
        # a whole answer in a fence
        ("```markdown\n# T\n\n```py\nx\n```\n\nText.\n```", "# T\n\n```py\nx\n```\n\nText."),
        ("```md\n# T\n\nIt broke off", "# T\n\nIt broke off"),
        ("```markdown\nTall.\n\n```py\nx = 1", "Tall.\n\n```py\nx = 1\n```"),
        # links
        ("See [https://a.example/x_y](https://a.example/x_y)!", "See <https://a.example/x_y>!"),
        # lists
        ("Intro\n• a\n• b", "Intro\n- a\n- b"),
        ("- • a\n- • b", "- a\n- b"),
        ("-Item\n-Next", "- Item\n- Next"),
        ("1.Item\n2.Next\n3.Last", "1. Item\n2. Next\n3. Last"),
        ("1. a\n - b\n - c\n2. d", "1. a\n   - b\n   - c\n2. d"),
        # characters that nobody could decode
        ("caf\ufffd is \ufffd open", "caf is  open"),
        # tags
        ("a<br>b <br/> c", "a  \nb  \nc"),
        ("- a<BR>b\n- c", "- a  \n  b\n- c"),
        ("> a<br>b", "> a  \n> b"),
        ("# A<br>b", "# A b"),
        ("Above<hr>Below", "Above\n\n---\n\nBelow"),
        ("<center>Middle</center>", "Middle"),
        ("Above\n<br>\n    below", "Above\n\nbelow"),
        ("- a\n  <br> <br>\n      b", "- a\n  \n  b"),
        ("A\n<center>\n    B\n</center>", "A\n\nB\n"),
        # emphasis
        ("文**“字”**文", "文“**字**”文"),
        ("**标题：**正文**重点**。", "**标题**：正文**重点**。"),
        ("他说**“你好”**，然后", "他说“**你好**”，然后"),
        ("这是**重要的（例如）**内容", "这是**重要的（例如）** 内容"),
        ("강조**(예시)**입니다", "강조 **(예시)** 입니다"),
        ("**Note:**text **bold** more", "**Note:** text **bold** more"),
        ("文** 字 **文", "文**字**文"),
    ],
)
def test_what_is_repaired(written: str, repaired: str) -> None:
    assert repair(written) == repaired
    assert repair(repaired) == repaired


@pytest.mark.parametrize(
    "text",
    [
        "**Time: 10:30** and **Note:** in [2024], arr[0], $& $1 $$, a*b*c, 2 ** 3 ** 4, 2**3**4.",
        "`<br>` and\n\n```html\n<table><tr><td>a</td></tr></table><br>\n```",
        "```markdown\nA\n```\n\nText\n\n```\nB\n```",
        "Text\n\n```markdown\n# T\n```",
        "| a | b |\n|---|---|\n| x<br>y | **：**z |",
        "-v verbose\n-x extract",
        "3.5 of it\n4.5 of it",
        "1. a\n\n- b\n\n[text](https://a.example)",
        "**A**B**C and **粗体**文本",
        "- a\n  - b\n\n    c\n\n1. d\n   ```\n   e\n   ```",
        "Done.[e1][e2] 第一句。[e3]",
    ],
)
def test_what_is_right_stays(text: str) -> None:
    assert repair(text) == text


def test_b12_html_tables_keep_their_cells() -> None:
    table = (
        "<table class='x'>\n<thead><tr><th colspan=\"2\">Cost & <b>time</b></th><th>Note</th></tr></thead>\n"
        "<tr><td rowspan='2'>$& and $$ | $1</td><td>1 &lt;b&gt; 2 &amp;copy;</td><td>arr[0] [e1]</td></tr>\n"
        "<tr><td><ul><li>one</li><li>two</li></ul></td><td><a href='https://a.example/x'>a <i>link</i></a></td></tr>\n</table>"
    )
    repaired = repair(f"Before {table} after")
    assert repaired == (
        "Before\n\n"
        "| Cost & **time** | Cost & **time** | Note |\n| --- | --- | --- |\n"
        "| $& and $$ \\| $1 | 1 \\<b> 2 &amp;copy; | arr[0] [e1] |\n"
        "| $& and $$ \\| $1 | • one<br>• two | [a *link*](https://a.example/x) |\n\nafter"
    )
    assert repair(repaired) == repaired
    assert "<td>$&amp; and $$ | $1</td>" in _RENDERER.render(repaired)


@pytest.mark.parametrize(
    ("written", "repaired"),
    [
        ("- i\n\n  <table>\n  <tr><td>a</td></tr>\n  </table>\n- j", "- i\n\n  | a |\n  | --- |\n\n- j"),
        ("> <table>\n> <tr><td>a\n> b</td></tr>\n> </table>\n> q", "> | a b |\n> | --- |\n>\n> q"),
        ("<table>\n\n    <tr>\n\n    <td>x</td></tr></table>", "| x |\n| --- |"),
        ("<table><caption>C</caption><tr><td><table><tr><td>n</td><td>m</td></tr></table></td></tr></table>", "C\n\n| n m |\n| --- |"),
        ("<table><tr><td rowspan=0>a<td>b<tr><td>c</table>", "| a | b |\n| --- | --- |\n| a | c |"),
        ("<table><tr><td>a</td></tr>\n\n# Next\n\n</table>", "| a |\n| --- |\n\n# Next\n\n</table>"),
        ("<table><tr><td>a</td></tr><tr><td>b</td></tr><tr><td>c", "| a |\n| --- |\n| b |\n\n<tr><td>c"),
        ("<table><tr><td>a", "<table><tr><td>a"),
        ("<table><tr><td colspan=99999999 rowspan=4><script>x</script>a</td></tr></table>", None),
    ],
)
def test_html_tables_of_all_kinds(written: str, repaired: str | None) -> None:
    found = repair(written)
    assert repair(found) == found
    if repaired is not None:
        assert found == repaired


def test_bold_beside_cjk_letters_is_rendered_bold() -> None:
    for quotes in ("“”", "「」", "『』", "（）", "《》", "【】", "()", '""'):
        rendered = _RENDERER.render(repair(f"文字**{quotes[0]}重点{quotes[1]}**文字"))
        assert "<strong>" in rendered and "**" not in rendered
    assert "**" not in _RENDERER.render(repair("一**“二”**三**四：**五**！六**七"))


_PARTS = st.sampled_from(
    [
        "a",
        "Word",
        "2024",
        "中文",
        "字",
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "- ",
        "-B",
        "• ",
        "1. ",
        "1.C",
        "2.D",
        "> ",
        "# ",
        "```",
        "```py",
        "~~~",
        "**",
        "*",
        "_",
        "`",
        "“",
        "”",
        "：",
        "。",
        ". ",
        ":",
        "[e1]",
        "[2024]",
        "(",
        ")",
        "[",
        "]",
        "|",
        "---",
        "\ufffd",
        "\x00",
        "$&",
        "\\",
        "&amp;",
        "\r\n",
        "\t",
        "！",
        "é",
    ]
)
_HTML = st.sampled_from(
    [
        "<table>",
        "</table>",
        "<tr>",
        "</tr>",
        "<td>",
        "</td>",
        "<td rowspan=2>",
        "<th colspan=3>",
        "<br>",
        "<hr/>",
        "<center>",
        "</center>",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "<p>",
        "<",
        "&lt;",
        "[https://a.example](https://a.example)",
        "```markdown\n",
    ]
)


def _words(text: str) -> str:
    return "".join(filter(str.isalnum, text))


@given(text=st.lists(_PARTS, max_size=40).map("".join))
def test_no_word_is_lost_or_invented(text: str) -> None:
    repaired = repair(text)
    assert _words(repaired) == _words(text)
    assert repair(repaired) == repaired


@given(text=st.lists(_PARTS | _HTML, max_size=40).map("".join))
def test_repaired_text_stays_as_it_is(text: str) -> None:
    repaired = repair(text)
    assert repair(repaired) == repaired


@given(text=st.text(max_size=200))
def test_any_text_can_be_repaired(text: str) -> None:
    repaired = repair(text)
    assert _words(repaired) == _words(text) or "<" in text
    assert repair(repaired) == repaired


def test_a_long_paragraph_of_bold_words_takes_no_long_time() -> None:
    began = time.process_time()
    assert repair("文**“字”**文\n" * 800) == "文“**字**”文\n" * 800
    assert time.process_time() - began < 5


def test_a_line_whose_bold_cannot_be_repaired_leaves_the_others_alone() -> None:
    assert repair("文**“字”**文\n文**“、”**文\n文**“字”**文") == "文“**字**”文\n文**“、”**文\n文“**字**”文"
