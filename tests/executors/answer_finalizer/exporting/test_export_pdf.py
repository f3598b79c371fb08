"""The PDF, read back: words, links, pages, and letters of every writing."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from export_answers import ARABIC, CHINESE, HOSTILE, answer, numbered, tides

from executors.answer_finalizer.exporting import pdf as module
from executors.answer_finalizer.exporting.document import document
from executors.answer_finalizer.exporting.pdf import pdf
from schemas.errors import TooLarge
from schemas.research import ResearchAnswer


@pytest.fixture
def opened() -> Iterator[list[pypdfium2.PdfDocument]]:
    made: list[pypdfium2.PdfDocument] = []
    yield made
    for one in made:
        one.close()


@pytest.fixture
def read(opened: list[pypdfium2.PdfDocument]):  # type: ignore[no-untyped-def]
    def written(of: ResearchAnswer) -> pypdfium2.PdfDocument:
        opened.append(pypdfium2.PdfDocument(pdf(document(of))))
        return opened[-1]

    return written


def words(file: pypdfium2.PdfDocument) -> str:
    return "\n".join(page.get_textpage().get_text_range() for page in file).replace("\r\n", "\n").replace("\ufffe", "")


def links(file: pypdfium2.PdfDocument) -> tuple[set[str], int]:
    """The addresses that the file links to, and how many links lead to a place in it."""
    found, inside = set(), 0
    for page in file:
        position, link = ctypes.c_int(0), pdfium.FPDF_LINK()
        while pdfium.FPDFLink_Enumerate(page, position, link):
            action = pdfium.FPDFLink_GetAction(link)
            length = pdfium.FPDFAction_GetURIPath(file, action, None, 0) if action else 0
            if length:
                buffer = ctypes.create_string_buffer(length)
                pdfium.FPDFAction_GetURIPath(file, action, buffer, length)
                found.add(buffer.value.decode())
            else:
                inside += 1
    return found, inside


def test_words_links_and_footnotes(read) -> None:  # type: ignore[no-untyped-def]
    file = read(tides())
    text = words(file)
    for part in (
        "What causes the tides?",
        "The time was over.",
        "3. The distance of the Moon",
        "Bay of Fundy",
        "return 6.674e-11 * m1 * m2 / r ** 2",
        "“A spring tide happens at full and new moon.” — Spring tides, moon.example, changed 2025-01, read 2026-01-31",
        "Run tides-1 · 2026-01-31 · written by a language model",
        "1 / 1",
    ):
        assert part in text, part
    outside, inside = links(file)
    assert {"https://example.org/tides", "https://almanac.example/2026?x=1&y=2", "file:///srv/notes.md"} <= outside
    assert any(link.startswith("https://ocean.example/tides#:~:text=The%20tides") for link in outside)
    assert inside >= 5 + 3, "each mark leads to its note, and each note back"
    assert file.get_metadata_value("Title") == "What causes the tides?"
    assert [bookmark.get_title() for bookmark in file.get_toc()] == ["What causes the tides?", "Causes"]


def test_the_same_answer_is_the_same_file() -> None:
    assert pdf(document(tides())) == pdf(document(tides()))


def test_pages_are_numbered_and_200_notes_are_there(read) -> None:  # type: ignore[no-untyped-def]
    file = read(answer("\n\n".join(f"Statement {n} [^{n}]." for n in range(1, 201)), numbered(200)))
    text = words(file)
    assert len(file) > 3
    assert f"{len(file)} / {len(file)}" in text
    assert all(f"Quote {n}.” — Title {n}, host{n}.example" in text for n in range(1, 201))


def test_notes_keep_their_numbers_and_those_without_a_mark_are_listed(read) -> None:  # type: ignore[no-untyped-def]
    text = words(read(answer("A [^3], b [^1], c [^3].", numbered(3))))
    assert text.startswith("Why?\nA3, b1, c3.\nSources\n[2] “Quote 2.” — Title 2, host2.example")
    assert "3 “Quote 3.”" in text and "1 “Quote 1.”" in text


@pytest.mark.parametrize(
    ("of", "part"), [(CHINESE, "潮汐是由月球和太阳的引力引起的"), (CHINESE, "日本語"), (CHINESE, "한국어"), (ARABIC, "القمر")]
)
def test_other_writings_are_shown(read, of: ResearchAnswer, part: str) -> None:  # type: ignore[no-untyped-def]
    file = read(of)
    fonts = {one.get_font().get_base_name() for page in file for one in page.get_objects() if isinstance(one, pypdfium2.PdfTextObj)}
    lacking = module._fonts_for(part, of.language_code, set(module._installed().families()))[1]
    if lacking:  # this machine has no such font: the file says so
        assert "no font for" in words(file)
    else:
        assert len(fonts) > 1
        assert part in words(file) or of is ARABIC


def test_a_writing_without_a_font_is_named() -> None:
    families, lacking = module._fonts_for("潮汐 القمر हिन्दी text", "zh", {"Libertinus Serif", "Noto Serif CJK SC"})
    assert families == ["Libertinus Serif", "Noto Serif CJK SC"]
    assert lacking == {"Arabic": "fonts-noto-core", "Devanagari": "fonts-noto-core"}


@pytest.mark.parametrize(("language", "family"), [("ja", "JP"), ("ko", "KR"), ("zh", "SC"), ("zh-TW", "TC"), ("en", "SC")])
def test_han_letters_have_the_form_of_the_language(language: str, family: str) -> None:
    installed = {f"Noto Serif CJK {variant}" for variant in ("SC", "TC", "JP", "KR")}
    assert module._fonts_for("潮", language, installed)[0][1:] == [f"Noto Serif CJK {family}"]


def test_a_missing_font_is_told_in_the_file(read, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from typst import Fonts

    monkeypatch.setattr(module, "_installed", lambda: Fonts(include_system_fonts=False))
    text = " ".join(words(read(CHINESE)).split())
    assert "because no font for Han/" in text and "fonts-noto-cjk" in text


def test_nothing_hostile_is_typst(read) -> None:  # type: ignore[no-untyped-def]
    file = read(HOSTILE)
    text = words(file)
    for part in ('#set page(fill: red) #eval("1") $x^2$ @label', '#image("/etc/passwd")', "<script>alert(1)</script>", "#panic()"):
        assert part in text, part
    outside, _ = links(file)
    assert len(outside) == 2 and all(link.startswith(("https://ok.example/", "https://evil.example/")) for link in outside)
    assert "root:" not in text


@pytest.mark.parametrize(
    "text", ["", "> " * 50 + "deep", "- " * 50 + "x", "|" + "a|" * 40 + "\n|" + "-|" * 40, "x" * 5000, "[^1]" * 50, "# [^1]"]
)
def test_odd_texts(read, text: str) -> None:  # type: ignore[no-untyped-def]
    assert len(read(answer(text, numbered(1)))) >= 1


def test_a_long_report(read) -> None:  # type: ignore[no-untyped-def]
    sentence = "The sea never rests, and what it takes it gives back [^1]. "
    file = read(answer("\n\n".join([sentence * 10] * 490), numbered(1)))
    assert len(file) > 50


def test_more_than_a_process_can_lay_out_is_refused() -> None:
    with pytest.raises(TooLarge, match="5,001 citations and"):
        pdf(document(answer("[^1] " * 5001, numbered(1))))
    with pytest.raises(TooLarge, match="export another format"):
        pdf(document(answer("x\n\n" * 10_001)))
