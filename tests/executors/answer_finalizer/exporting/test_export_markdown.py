"""The Markdown file: the answer's own words, and nothing a renderer could be misled by."""

from __future__ import annotations

import pytest
from export_answers import HOSTILE, TEXT, tides
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from executors.answer_finalizer.exporting.document import document
from executors.answer_finalizer.exporting.markdown import harmless, markdown

RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
RENDERER.validateLink = lambda url: True  # type: ignore[method-assign]


def active(text: str) -> list[str]:
    """The HTML and the links in `text` that are not to pages or files."""
    found = []
    for token in RENDERER.parse(text):
        for one in [token, *(token.children or [])]:
            target = str(one.attrGet("href") or one.attrGet("src") or "")
            if one.type.startswith("html") or (target and not target.lower().startswith(("http://", "https://", "file://"))):
                found.append(one.content or target)
    return found


def test_the_text_stays_as_it_was() -> None:
    assert harmless(TEXT) == TEXT
    written = markdown(tides(), document(tides())).decode()
    assert written.startswith(f"# What causes the tides?\n\n{TEXT.strip()}\n\n> The time was over.\n\n## Sources\n\n")
    assert written.endswith(
        "- [Tides and currents](https://ocean.example/tides) — published 2024-05-01, read 2026-01-30\n"
        "- [Spring tides](https://moon.example/spring#top) — changed 2025-01, read 2026-01-31\n"
        "- [file:///srv/notes.md](file:///srv/notes.md)\n\n"
        "*Run tides-1 · 2026-01-31 · written by a language model*\n\n"
        '[^1]: "The tides are caused by the gravity of the Moon and the Sun." — '
        "[Tides and currents](https://ocean.example/tides), 2024-05-01\n"
        '[^2]: "A spring tide happens at full and new moon." — [Spring tides](https://moon.example/spring#top), 2025-01\n'
        '[^3]: "In the Bay of Fundy the range is 16.3 m." — [file:///srv/notes.md](file:///srv/notes.md)\n'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>x</script>", "\\<script>x\\</script>"),
        ("a < b, `<b>`", "a < b, `<b>`"),
        ("`` a`b `` <b> `` c", "`` a`b `` \\<b> `` c"),
        ("\\`<b>`", "\\`\\<b>`"),
        ("|a|b|\n|-|-|\n|`|<b>`|", "|a|b|\n|-|-|\n|`|\\<b>`|"),
        ("a ``\n<!-- `` b", "a ``\n\\<!-- `` b"),
        ("[a](javascript:x) [b](http://b) [c](file:///c)", "[a]\\(javascript:x) [b](http://b) [c](file:///c)"),
        ("[a]: javascript:x", "[a]\\: javascript:x"),
        ("As said [^1]: so", "As said [^1]\\: so"),
        ("```\n<b>\n```\n\n    <i>", "```\n<b>\n```\n\n    <i>"),
        ("<https://a.example> <javascript:x>", "<https://a.example> \\<javascript:x>"),
    ],
)
def test_what_is_disarmed(text: str, expected: str) -> None:
    assert harmless(text) == expected
    assert active(expected) == []


def test_the_hostile_answer() -> None:
    written = markdown(HOSTILE, document(HOSTILE)).decode()
    assert active(written) == []
    assert written.count("\n[^1]: ") == 1
    assert not any(character in written for character in ("\x00", "\x1b", "\u202e"))
    assert written.splitlines()[0] == "# Why \\<script\\>alert(1)\\</script\\> #strong\\[x\\]? # Second heading"


_PIECES = (
    "`", "``", "<b>", "<script>", "\n", "\n\n", "> ", "- ", "|", "|-|-|\n", "\\", "a", " ", "[x]", "(javascript:y)", "]: javascript:z",
    "[^1]", "<!-- ", "    ", "\n```\n", "![", "](", "<https://a.b>", "<javascript:x>", "(https://a.b)", "&lt;",
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
def test_nothing_active_is_left_of_any_text(text: str) -> None:
    assert active(harmless(text)) == []
