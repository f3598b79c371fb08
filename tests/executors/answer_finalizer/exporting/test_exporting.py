"""One answer in every format, and what each is called."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode

import pytest
from export_answers import CHINESE, HOSTILE, answer, numbered, tides
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.answer_finalizer.executor import AnswerFinalizer
from executors.answer_finalizer.exporting import Format, export
from schemas.answering import ExportRequest
from schemas.errors import TooLarge
from schemas.research import Reference
from schemas.settings import Settings

BEGINNINGS: dict[Format, tuple[str, bytes]] = {
    "markdown": (".md", b"# What causes the tides?\n"),
    "html": (".html", b"<!DOCTYPE html>\n"),
    "text": (".txt", b"What causes the tides?\n====="),
    "pdf": (".pdf", b"%PDF-"),
    "docx": (".docx", b"PK\x03\x04"),
}


@pytest.mark.parametrize("wanted", BEGINNINGS)
def test_every_format(wanted: Format) -> None:
    ending, beginning = BEGINNINGS[wanted]
    made = export(tides(), wanted)
    assert made.name == f"What-causes-the-tides{ending}"
    assert b64decode(made.content).startswith(beginning)


@pytest.mark.parametrize("wanted", BEGINNINGS)
def test_names_and_large_answers(wanted: Format) -> None:
    ending = BEGINNINGS[wanted][0]
    assert export(CHINESE, wanted).name == f"潮汐的成因是什么{ending}"
    assert export(answer("x", question="../../ \r\n"), wanted).name == f"answer{ending}"
    assert export(HOSTILE, wanted).name == f"Why-script-alert-1-script-strong-x-Second-heading{ending}"
    large = answer("The sea never rests [^1]. " * 300 + "\n\n" + "word " * 60_000, numbered(200))
    assert len(large.text) > 300_000
    assert len(export(large, wanted).content) > 1_000
    with pytest.raises(TooLarge):
        export(answer("x" * 1_000_001), wanted)


async def test_the_endpoint() -> None:
    executor = AnswerFinalizer(settings=Settings(_env_file=None, llm_model=None))
    made = await executor.export(ExportRequest(answer=tides(), format="pdf"))
    assert (made.media_type, made.name) == ("application/pdf", "What-causes-the-tides.pdf")
    with pytest.raises(TooLarge):
        await executor.export(ExportRequest(answer=answer("x" * 1_000_001)))


def test_heavy_libraries_come_with_the_first_file_that_needs_them() -> None:
    code = "import sys, executors.answer_finalizer.executor; print([m for m in ('typst', 'docx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


_ODD = [
    "a ",
    "**",
    "`",
    "[^1]",
    "\n",
    "\n\n",
    "> ",
    "- ",
    "99. ",
    "|",
    "\n|a|b|\n|-|-|\n|",
    "[x](",
    "```\n",
    "# ",
    "潮",
    "م",
    "\x00",
    "\ufdd0",
    "\ud800",
    "\ufffe",
]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(_ODD), max_size=30).map("".join), st.sampled_from(["2026-99-99", "0000", "2026-01", "now", "2026-01-02T"]))
def test_anything_can_be_written(text: str, day: str) -> None:
    reference = Reference(number=1, url=f"https://a.example/{text}", title=text, quote=text, read_at=day, published=day)
    for wanted in BEGINNINGS:
        assert export(answer(text, [reference], question=text, notice=text), wanted).content
