"""The HTML file, read back by a parser."""

from __future__ import annotations

import pytest
from export_answers import ARABIC, CHINESE, HOSTILE, answer, numbered, tides
from lxml import html as parser

from executors.answer_finalizer.exporting.document import document
from executors.answer_finalizer.exporting.html import html
from schemas.research import ResearchAnswer


def page(of: ResearchAnswer) -> parser.HtmlElement:
    return parser.document_fromstring(html(document(of)))


def test_everything_is_there() -> None:
    tree = page(tides())
    assert tree.findtext(".//h1") == tree.findtext(".//title") == "What causes the tides?"
    assert (tree.get("lang"), tree.get("dir")) == ("en", "ltr")
    assert tree.findtext(".//h2") == "Causes"
    assert tree.find(".//ol").get("start") == "3"
    assert [cell.get("class") for cell in tree.iterfind(".//th")] == ["left", "right", "center"]
    assert tree.findtext(".//pre/code") == "def force(m1, m2, r):\n    return 6.674e-11 * m1 * m2 / r ** 2"
    assert [tree.findtext(f".//{tag}") for tag in ("strong", "em", "s", "footer")] == [
        "tides",
        "gravity",
        "colour",
        "Run tides-1 · 2026-01-31 · written by a language model",
    ]
    assert tree.find_class("notice")[0].text == "The time was over."


def test_marks_and_notes_lead_to_each_other() -> None:
    tree = page(tides())
    ids = [element.get("id") for element in tree.iterfind(".//*[@id]")]
    assert len(ids) == len(set(ids))
    inner = [link.get("href")[1:] for link in tree.iterfind(".//a") if link.get("href").startswith("#")]
    assert set(inner) <= set(ids)
    assert sorted(inner) == sorted(
        ["note-1", "note-1", "note-2", "note-2", "note-3", "mark-1-1", "mark-1-2", "mark-2-1", "mark-2-2", "mark-3-1"]
    )
    note = tree.get_element_by_id("note-1")
    assert note.findtext("q") == "The tides are caused by the gravity of the Moon and the Sun."
    assert note.find("a").get("href").startswith("https://ocean.example/tides#:~:text=The%20tides%20")
    assert note.find("a").get("data-printed") == "https://ocean.example/tides"
    assert note.find_class("source")[0].text == "ocean.example, published 2024-05-01, read 2026-01-30"


def test_each_verdict_is_told() -> None:
    verdicts = [(one.get("class"), one.get("title")) for one in page(tides()).find_class("verdict")]
    assert verdicts == [
        ("verdict supported", "Supported by its source"),
        ("verdict partly", "Supported in part: two moons"),
        ("verdict unsupported", "Not supported by a source: 37 percent is in no quote"),
        ("verdict contradicted", "A source says otherwise: another source says 14.5"),
    ]


@pytest.mark.parametrize(("of", "language", "direction"), [(CHINESE, "zh", "ltr"), (ARABIC, "ar", "rtl")])
def test_language_and_direction(of: ResearchAnswer, language: str, direction: str) -> None:
    tree = page(of)
    assert (tree.get("lang"), tree.get("dir")) == (language, direction)
    assert tree.findtext(".//h1") == of.question


def test_nothing_hostile_is_markup() -> None:
    tree = page(HOSTILE)
    known = "html head meta title style body main h1 h2 p sup a div table thead tbody tr th td pre code section ol li q cite span footer"
    assert {element.tag for element in tree.iter() if isinstance(element.tag, str)} <= {*known.split()}
    assert not [name for element in tree.iter() for name in element.attrib if name.startswith("on") or name == "style"]
    outside = {link.get("href") for link in tree.iterfind(".//a") if not link.get("href").startswith("#")}
    assert outside == {
        "https://ok.example/?a=%22%3E%3Cscript%3E",
        "https://evil.example/%22%3E%3Cscript%3Ealert(5)%3C/script%3E",
    }
    assert all(link.get("rel") == "noopener noreferrer nofollow" for link in tree.iterfind(".//a[@rel]"))
    assert tree.get("lang") == "en"


def test_nothing_is_loaded() -> None:
    source = html(document(tides())).decode()
    assert not [name for name in ("src=", "<link", "@import", "url(", "<script", "<iframe") if name in source]
    assert "default-src &#x27;none&#x27;; style-src &#x27;sha256-" in source


def test_no_references_and_no_text() -> None:
    tree = page(answer("", question=""))
    assert tree.findtext(".//h1") == "Answer"
    assert not tree.find_class("notes") and not tree.find_class("notice")


def test_a_note_without_a_mark_has_no_way_back() -> None:
    tree = page(answer("x", numbered(1)))
    assert tree.get_element_by_id("note-1") is not None and not tree.find_class("back")
