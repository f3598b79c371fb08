"""An answer as PDF, laid out by typst with footnotes on the page that cites them.

The document travels to `pdf.typ` as JSON, so nothing in it is ever read as markup. typst has fonts for Latin, Greek, Cyrillic
and Hebrew letters in itself; others come from the system, and where none is installed the PDF says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regex

from executors.answer_finalizer.exporting.document import Document, Inline, Judged, with_raised_marks
from schemas.errors import DeepSearchError, TooLarge

if TYPE_CHECKING:
    from typst import Fonts

MOST_MARKS, MOST_PIECES = 5_000, 20_000
"""Laying out a citation in a table takes 140 kB of memory, so that this is what a process can be asked for."""

_TEMPLATE = Path(__file__).with_suffix(".typ")
_LETTERS = ("Libertinus Serif",)
_CODE = ("DejaVu Sans Mono",)

# Families by the script they are for, best first; the Debian package that has one of them.
_SCRIPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Arabic": ("fonts-noto-core", ("Noto Naskh Arabic", "Noto Sans Arabic", "Amiri", "Scheherazade New", "DejaVu Sans")),
    "Hebrew": ("fonts-noto-core", ("Libertinus Serif", "Noto Serif Hebrew", "Noto Sans Hebrew", "DejaVu Sans")),
    "Armenian": ("fonts-noto-core", ("Noto Serif Armenian", "Noto Sans Armenian", "DejaVu Serif", "DejaVu Sans")),
    "Georgian": ("fonts-noto-core", ("Noto Serif Georgian", "Noto Sans Georgian", "DejaVu Serif", "DejaVu Sans")),
    "Devanagari": ("fonts-noto-core", ("Noto Serif Devanagari", "Noto Sans Devanagari", "Lohit Devanagari", "FreeSans")),
    "Bengali": ("fonts-noto-core", ("Noto Serif Bengali", "Noto Sans Bengali", "Lohit Bengali", "FreeSans")),
    "Gurmukhi": ("fonts-noto-core", ("Noto Serif Gurmukhi", "Noto Sans Gurmukhi", "Lohit Gurmukhi", "FreeSans")),
    "Gujarati": ("fonts-noto-core", ("Noto Serif Gujarati", "Noto Sans Gujarati", "Lohit Gujarati", "FreeSans")),
    "Tamil": ("fonts-noto-core", ("Noto Serif Tamil", "Noto Sans Tamil", "Lohit Tamil", "FreeSans")),
    "Telugu": ("fonts-noto-core", ("Noto Serif Telugu", "Noto Sans Telugu", "Lohit Telugu")),
    "Kannada": ("fonts-noto-core", ("Noto Serif Kannada", "Noto Sans Kannada", "Lohit Kannada")),
    "Malayalam": ("fonts-noto-core", ("Noto Serif Malayalam", "Noto Sans Malayalam", "Lohit Malayalam", "FreeSerif")),
    "Sinhala": ("fonts-noto-core", ("Noto Serif Sinhala", "Noto Sans Sinhala", "FreeSerif")),
    "Thai": ("fonts-noto-core", ("Noto Serif Thai", "Noto Sans Thai", "Loma", "FreeSerif")),
    "Lao": ("fonts-noto-core", ("Noto Serif Lao", "Noto Sans Lao", "DejaVu Sans")),
    "Khmer": ("fonts-noto-core", ("Noto Serif Khmer", "Noto Sans Khmer")),
    "Myanmar": ("fonts-noto-core", ("Noto Serif Myanmar", "Noto Sans Myanmar")),
    "Ethiopic": ("fonts-noto-core", ("Noto Serif Ethiopic", "Noto Sans Ethiopic", "FreeSerif")),
}
_CJK = ("Han", "Hiragana", "Katakana", "Hangul", "Bopomofo")
_CJK_PACKAGE = "fonts-noto-cjk"
_CJK_FAMILIES = ("Noto Serif CJK {}", "Noto Sans CJK {}", "Source Han Serif {}", "Source Han Sans {}")
_CJK_OTHERS = ("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "AR PL UMing CN", "IPAexMincho", "IPAexGothic", "Noto Sans KR", "UnBatang")
_VARIANTS = {"ja": "JP", "ko": "KR", "zh-tw": "TC", "zh-hant": "TC", "zh-mo": "TC", "zh-hk": "HK"}
_EMOJI = ("Noto Emoji", "Noto Color Emoji", "DejaVu Sans")


def pdf(document: Document) -> bytes:
    """`document` as PDF. The first call in a process looks for the system's fonts, which takes a quarter of a second."""
    import typst  # noqa: PLC0415  (80 MB that only this format needs)

    pieces = Counter(_kinds(document.blocks))
    if pieces.total() > MOST_PIECES or pieces["Mark"] > MOST_MARKS:
        raise TooLarge(
            f"the answer has {pieces['Mark']:,} citations and {pieces.total():,} pieces in all; a PDF holds at most"
            f" {MOST_MARKS:,} and {MOST_PIECES:,}: export another format",
            field="format",
        )
    shown = "".join(_strings(document))
    families, lacking = _fonts_for(shown, document.language, set(_installed().families()))
    notices = [document.notice] if document.notice else []
    if lacking:
        scripts, packages = ", ".join(lacking), ", ".join(dict.fromkeys(lacking.values()))
        notices.append(
            f"Some letters cannot be shown here, because no font for {scripts} is installed. The packages with them: {packages}."
        )
    cited = [note for note in document.notes if note.cited]
    data = {
        "title": document.title,
        "blocks": _plain(document.blocks),
        "notes": {str(note.number): _plain(note) for note in cited},
        "order": [note.number for note in cited],
        "uncited": [_plain(note) for note in document.notes if not note.cited],
        "notices": notices,
        "closing": document.closing,
        "language": regex.split("[-_]", document.language)[0].lower(),
        "rtl": document.rtl,
        "fonts": families,
        "code_fonts": [*_CODE, *families],
    }
    try:
        return typst.compile(
            _TEMPLATE,
            root=_TEMPLATE.parent,
            font_paths=_installed(),
            sys_inputs={"document": json.dumps(data, ensure_ascii=False)},
            timestamp=0,
        )
    except typst.TypstError as error:
        raise DeepSearchError(f"the answer cannot be laid out as PDF: {error.message}; another format can be exported") from error


@cache
def _installed() -> Fonts:
    from typst import Fonts  # noqa: PLC0415

    return Fonts()


def _fonts_for(text: str, language: str, installed: set[str]) -> tuple[list[str], dict[str, str]]:
    """The families to show `text` with, and the scripts in it that have none, each with the package that has."""
    families, lacking = list(_LETTERS), dict[str, str]()
    variant = next((v for tag, v in _VARIANTS.items() if language.lower().replace("_", "-").startswith(tag)), "SC")
    wanted = {script: choice for script, choice in _SCRIPTS.items() if regex.search(rf"\p{{Script={script}}}", text)}
    if found := [script for script in _CJK if regex.search(rf"\p{{Script={script}}}", text)]:
        cjk = *(family.format(variant) for family in _CJK_FAMILIES), *(family.format("SC") for family in _CJK_FAMILIES), *_CJK_OTHERS
        wanted["/".join(found)] = (_CJK_PACKAGE, cjk)
    if regex.search(r"\p{Extended_Pictographic}", text):
        families += [family for family in _EMOJI if family in installed]
    for script, (package, choice) in wanted.items():
        family = next((one for one in choice if one in installed), None)
        if family is None:
            lacking[script] = package
        elif family not in families:
            families.append(family)
    return families, lacking


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _strings(getattr(value, one.name))


def _kinds(value: Any) -> Iterator[str]:
    """The kind of every block, run and mark, however deep."""
    if isinstance(value, list):
        for item in value:
            yield from _kinds(item)
    elif is_dataclass(value):
        yield type(value).__name__
        for one in fields(value):
            yield from _kinds(getattr(value, one.name))


def _plain(value: Any) -> Any:
    """Blocks, runs and notes as JSON values; each says its kind. Verdicts have no place on paper."""
    if isinstance(value, list):
        inlines: list[Inline] = [item for item in value if not isinstance(item, Judged)]
        return [_plain(item) for item in with_raised_marks(inlines)]
    if is_dataclass(value):
        return {"kind": type(value).__name__, **{one.name: _plain(getattr(value, one.name)) for one in fields(value)}}
    return value
