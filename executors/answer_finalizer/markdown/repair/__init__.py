"""Markdown as models write it, put right: what was meant is rendered, and not one word changes.

Every repair looks at the parsed text and edits spans of it. They are repeated until none finds anything to do, so that a
repaired text stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from executors.answer_finalizer.markdown.repair.emphasis import with_closed_emphasis
from executors.answer_finalizer.markdown.repair.fences import unwrapped, with_closed_fences
from executors.answer_finalizer.markdown.repair.html_tables import with_markdown_tables
from executors.answer_finalizer.markdown.repair.links import with_plain_links
from executors.answer_finalizer.markdown.repair.lists import with_real_lists
from executors.answer_finalizer.markdown.repair.tags import without_layout_tags

# Of a text in which repairs keep undoing each other, nothing is repaired.
_MAX_ROUNDS = 12


def _without_unknown_characters(text: str) -> str:
    """Without U+FFFD, which stands for bytes that somebody could not decode, and without NUL."""
    return text.replace("\ufffd", "").replace("\x00", "")


_REPAIRS: tuple[Callable[[str], str], ...] = (
    _without_unknown_characters,
    unwrapped,
    with_closed_fences,
    with_markdown_tables,
    without_layout_tags,
    with_plain_links,
    with_real_lists,
    with_closed_emphasis,
)


def repair(text: str) -> str:
    """`text` with its Markdown repaired; repairing it again changes nothing."""
    given = text.replace("\r\n", "\n").replace("\r", "\n")
    repaired = given
    for _ in range(_MAX_ROUNDS):
        before = repaired
        for one in _REPAIRS:
            repaired = one(repaired)
        if repaired == before:
            return repaired
    return given
