"""The Word document, read back by two readers and as XML."""

from __future__ import annotations

import zipfile
from io import BytesIO

import docx as word
import mammoth
import pytest
from docx.oxml.ns import qn
from export_answers import ARABIC, CHINESE, HOSTILE, answer, numbered, tides
from lxml import etree, html

from executors.answer_finalizer.exporting.document import document
from executors.answer_finalizer.exporting.docx import docx
from schemas.research import ResearchAnswer


def file(of: ResearchAnswer) -> BytesIO:
    return BytesIO(docx(document(of)))


def part(of: ResearchAnswer, name: str) -> etree._Element:
    with zipfile.ZipFile(file(of)) as archive:
        return etree.fromstring(archive.read(name))


def seen(of: ResearchAnswer) -> html.HtmlElement:
    """As a reader that knows footnotes sees it."""
    styles = "p[style-name='Title'] => h1:fresh\np[style-name='Code Block'] => pre:fresh\np[style-name='Quote'] => blockquote:fresh"
    return html.document_fromstring(mammoth.convert_to_html(file(of), style_map=styles).value)


def test_paragraphs_styles_and_properties() -> None:
    read = word.Document(file(tides()))
    styles = [(paragraph.style.name, paragraph.text) for paragraph in read.paragraphs if paragraph.style]
    assert styles[0] == ("Title", "What causes the tides?")
    assert styles[2] == ("Heading 1", "Causes")
    assert ("Quote", "The sea never rests.") in styles
    assert ("Code Block", "def force(m1, m2, r):\n    return 6.674e-11 * m1 * m2 / r ** 2") in styles
    assert ("Notice", "The time was over.") in styles
    assert styles[-1] == ("Colophon", "Run tides-1 · 2026-01-31 · written by a language model")
    properties = read.core_properties
    assert (properties.title, properties.author, properties.language) == ("What causes the tides?", "DeepSearch", "en")
    assert str(properties.created).startswith("2026-01-31")
    (table,) = read.tables
    assert [cell.text for cell in table.rows[2].cells] == ["Mediterranean Sea", "0.4", "nearly none"]
    assert [cell.paragraphs[0].alignment for cell in table.rows[2].cells] == [0, 2, 1]


def test_footnotes_are_real() -> None:
    tree = seen(tides())
    notes = {note.get("id"): note.text_content().strip() for note in tree.iterfind(".//li[@id]")}
    assert notes["footnote-2"].startswith(
        "“A spring tide happens at full and new moon.” — Spring tides, moon.example, changed 2025-01, read"
    )
    assert list(notes) == ["footnote-1", "footnote-2", "footnote-3"]
    assert [mark.get("href") for mark in tree.iterfind(".//sup/a")] == ["#footnote-1", "#footnote-2", "#footnote-3"]
    links = [link.get("href") for link in tree.iterfind(".//a[@href]")]
    assert {"https://example.org/tides", "https://almanac.example/2026?x=1&y=2", "file:///srv/notes.md"} <= set(links)
    assert tree.findtext(".//ol/li/ul/li") == "its mass"
    body = part(tides(), "word/document.xml")
    fields = [one.text for one in body.iter(qn("w:instrText"))]
    assert fields == [" NOTEREF note_1 \\h ", " NOTEREF note_2 \\h "], "later marks lead to the first"
    bookmarks = {one.get(qn("w:name")) for one in body.iter(qn("w:bookmarkStart"))}
    assert bookmarks == {"note_1", "note_2", "note_3"}


def test_the_parts_know_each_other() -> None:
    with zipfile.ZipFile(file(tides())) as archive:
        types = archive.read("[Content_Types].xml").decode()
        relations = archive.read("word/_rels/document.xml.rels").decode()
        assert "footnotes.xml" in archive.read("word/_rels/document.xml.rels").decode()
        assert 'TargetMode="External"' in archive.read("word/_rels/footnotes.xml.rels").decode()
        settings = etree.fromstring(archive.read("word/settings.xml"))
        numbering = etree.fromstring(archive.read("word/numbering.xml"))
    assert '/word/footnotes.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"' in types
    assert "relationships/footnotes" in relations
    assert [one.get(qn("w:id")) for one in settings.find(qn("w:footnotePr"))] == ["-1", "0"]
    kinds = [one.tag for one in numbering]
    assert kinds == sorted(kinds), "Word wants every definition before the first list"
    assert [one.get(qn("w:val")) for one in numbering.iter(qn("w:startOverride"))] == ["3"] * 9


def test_numbers_that_word_would_not_give_are_written_out() -> None:
    of = answer("A [^3], b [^1], c [^3].", numbered(3))
    body, notes = part(of, "word/document.xml"), part(of, "word/footnotes.xml")
    marks = list(body.iter(qn("w:footnoteReference")))
    assert [(one.get(qn("w:id")), one.get(qn("w:customMarkFollows")), one.getnext().text) for one in marks] == [
        ("3", "1", "3"),
        ("1", "1", "1"),
    ]
    assert not list(notes.iter(qn("w:footnoteRef")))
    assert "[2] “Quote 2.” — Title 2, host2.example" in [one.text for one in word.Document(file(of)).paragraphs]


@pytest.mark.parametrize(("of", "bidi"), [(CHINESE, False), (ARABIC, True)])
def test_other_writings(of: ResearchAnswer, bidi: bool) -> None:
    read = word.Document(file(of))
    assert read.paragraphs[0].text == of.question
    body = part(of, "word/document.xml")
    assert bool(list(body.iter(qn("w:bidi")))) is bidi is bool(list(body.iter(qn("w:rtl"))))
    assert len(list(body.iter(qn("w:bidiVisual")))) == (1 if bidi else 0)


def test_nothing_hostile_is_markup() -> None:
    tree = seen(HOSTILE)
    assert not list(tree.iter("script", "img", "b"))
    text = tree.text_content()
    assert "<script>alert(1)</script>" in text and "]]> <w:p/>" in text
    for name in ("document", "footnotes"):
        with zipfile.ZipFile(file(HOSTILE)) as archive:
            relations = etree.fromstring(archive.read(f"word/_rels/{name}.xml.rels"))
        targets = [one.get("Target") for one in relations if one.get("TargetMode") == "External"]
        assert targets and all(target.startswith("https://") for target in targets)


@pytest.mark.parametrize(
    "text",
    ["", "> " * 50 + "deep", "- " * 50 + "x", "-\n-", "- ```\n  code\n  ```", "- > quote", "|a|\n|-|", "[^1]" * 20, "# [^1]", "x\t\ty"],
)
def test_odd_texts(text: str) -> None:
    assert word.Document(file(answer(text, numbered(1)))).paragraphs[0].text == "Why?"


def test_200_notes_and_300_kilobytes() -> None:
    of = answer("\n\n".join(f"Statement {n} is here, {'word ' * 300}[^{n}]." for n in range(1, 201)), numbered(200))
    assert len(of.text) > 300_000
    assert len(list(part(of, "word/footnotes.xml"))) == 202
