"""An answer as a Word document with footnotes of its own, which python-docx does not know: their part is made here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape as escaped
from xml.sax.saxutils import quoteattr

import regex

from executors.answer_finalizer.exporting.document import (
    Block,
    Break,
    Code,
    Document,
    Heading,
    Inline,
    Listing,
    Mark,
    Note,
    Paragraph,
    Quotation,
    Run,
    Table,
    with_raised_marks,
)

if TYPE_CHECKING:
    from docx.opc.part import Part

_MAIN = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_NAMESPACES = f'xmlns:w="{_MAIN}" xmlns:r="{_RELATIONS}"'
_FOOTNOTES_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
_TITLE_CHARACTERS = 255
_BULLETS, _NUMBERS, _FIRST_LIST = 90, 91, 1000
"""Ids in the numbering part, away from those of the template."""
_RTL = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")


def docx(document: Document) -> bytes:
    """`document` as a Word document. A note is a footnote where it is cited first; later marks are cross-references to that."""
    import docx as word  # noqa: PLC0415  (only this format needs it)
    from docx.opc.constants import RELATIONSHIP_TYPE as RELATION  # noqa: PLC0415
    from docx.opc.packuri import PackURI  # noqa: PLC0415
    from docx.opc.part import Part  # noqa: PLC0415
    from lxml import etree  # noqa: PLC0415

    made = word.Document()
    footnotes = Part(PackURI("/word/footnotes.xml"), _FOOTNOTES_TYPE, package=made.part.package)
    body = _Writer(document, made.part)
    below = _Writer(document, footnotes)
    blocks = "".join(body.all(document))
    footnotes._blob = _footnotes(document, below).encode()
    made.part.relate_to(footnotes, RELATION.FOOTNOTES)

    _prepare(made, document, body.starts)
    # Parsed as a whole: moving elements from one tree to another takes lxml the square of their number.
    section = etree.tostring(made.element.body.sectPr, encoding="unicode")
    made.part._element = word.oxml.parse_xml(f"<w:document {_NAMESPACES}><w:body>{blocks}{section}</w:body></w:document>")
    written = BytesIO()
    made.save(written)
    return written.getvalue()


@dataclass
class _Writer:
    """Writes blocks as WordprocessingML for one part; links are relations of that part."""

    document: Document
    part: Part

    def __post_init__(self) -> None:
        self._links: dict[str, str] = {}
        self.starts: list[int] = []
        """The first number of every ordered list."""

    def all(self, document: Document) -> Iterator[str]:
        """The whole body."""
        yield self.paragraph([Run(document.title)], "Title")
        yield from self.blocks(document.blocks)
        if document.notice:
            yield self.paragraph([Run(document.notice)], "Notice")
        if uncited := [note for note in document.notes if not note.cited]:
            yield self.paragraph([Run("Sources")], "Heading1")
            for note in uncited:
                yield self.paragraph([Run(f"[{note.number}] "), *source(note)])
        yield self.paragraph([Run(document.closing)], "Colophon")

    def blocks(self, blocks: Iterable[Block], *, style: str = "", level: int = -1, number: int = 0) -> Iterator[str]:
        """Blocks; within a list of `level` the first paragraph has its `number`, the others stand below it."""
        for position, block in enumerate(blocks):
            numbered = number if position == 0 else 0
            if isinstance(block, Paragraph):
                yield self.paragraph(block.inlines, style, level=level, number=numbered)
                continue
            if numbered:  # an item that begins with something else
                yield self.paragraph([], style, level=level, number=numbered)
            if isinstance(block, Heading):
                yield self.paragraph(block.inlines, f"Heading{min(block.level, 9)}")
            elif isinstance(block, Code):
                lines = [inline for line in block.text.split("\n") for inline in _line(line)][1:]
                yield self.paragraph(lines, "CodeBlock", level=level)
            elif isinstance(block, Quotation):
                yield from self.blocks(block.blocks, style="Quote", level=level)
            elif isinstance(block, Listing):
                yield from self._listing(block, style, level + 1)
            elif isinstance(block, Table):
                yield self._table(block)
            else:
                yield self.paragraph([], "Rule")

    def paragraph(self, inlines: list[Inline], style: str = "", *, level: int = -1, number: int = 0, aligned: str = "") -> str:
        """One paragraph."""
        numbering = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>' if number else ""
        properties = [
            f'<w:pStyle w:val="{style}"/>' if style else "",
            numbering,
            "<w:bidi/>" if self.document.rtl and style != "CodeBlock" else "",
            f'<w:ind w:left="{_indent(level)}"/>' if level >= 0 and not number else "",
            f'<w:jc w:val="{aligned}"/>' if aligned else "",
        ]
        return f"<w:p><w:pPr>{''.join(properties)}</w:pPr>{self.inlines(inlines)}</w:p>"

    def inlines(self, inlines: list[Inline]) -> str:
        """Runs, links and marks."""
        return "".join(self._inline(inline) for inline in with_raised_marks(inlines))

    def _inline(self, inline: Inline) -> str:
        if isinstance(inline, Run):
            run = _run(inline)
            return f'<w:hyperlink r:id="{self._relation(inline.link)}" w:history="1">{run}</w:hyperlink>' if inline.link else run
        if isinstance(inline, Break):
            return "<w:r><w:br/></w:r>"
        return self._mark(inline) if isinstance(inline, Mark) else ""

    def _mark(self, mark: Mark) -> str:
        number, name = mark.number, f"note_{mark.number}"
        if mark.occurrence > 1:
            shown = ('<w:fldChar w:fldCharType="separate"/>', f"<w:t>{number}</w:t>")
            parts = (*_field(f"NOTEREF {name} \\h"), *shown, '<w:fldChar w:fldCharType="end"/>')
            return "".join(f'<w:r><w:rPr><w:rStyle w:val="FootnoteReference"/></w:rPr>{part}</w:r>' for part in parts)
        # Word numbers footnotes by itself; where that would give other numbers they are written out.
        custom, text = ("", "") if self.document.in_order else (' w:customMarkFollows="1"', f"<w:t>{number}</w:t>")
        return (
            f'<w:bookmarkStart w:id="{number}" w:name="{name}"/><w:r><w:rPr><w:rStyle w:val="FootnoteReference"/></w:rPr>'
            f'<w:footnoteReference{custom} w:id="{number}"/>{text}</w:r><w:bookmarkEnd w:id="{number}"/>'
        )

    def _relation(self, url: str) -> str:
        if url not in self._links:
            self._links[url] = self.part.relate_to(url, f"{_RELATIONS}/hyperlink", is_external=True)
        return self._links[url]

    def _listing(self, block: Listing, style: str, level: int) -> Iterator[str]:
        number = _BULLETS
        if block.start is not None:
            self.starts.append(block.start)
            number = _FIRST_LIST + len(self.starts) - 1
        for item in block.items:
            yield from self.blocks(item or [Paragraph([])], style=style, level=level, number=number)

    def _table(self, table: Table) -> str:
        columns = "".join("<w:gridCol/>" for _ in table.aligned)
        rows = "".join(self._row(table, row, header=number == 0) for number, row in enumerate(table.rows))
        bidi = "<w:bidiVisual/>" if self.document.rtl else ""
        properties = f'<w:tblPr><w:tblStyle w:val="TableGrid"/>{bidi}<w:tblW w:w="0" w:type="auto"/></w:tblPr>'
        # Word joins tables that no paragraph separates.
        return f"<w:tbl>{properties}<w:tblGrid>{columns}</w:tblGrid>{rows}</w:tbl>{self.paragraph([])}"

    def _row(self, table: Table, row: list[list[Inline]], *, header: bool) -> str:
        cells = []
        for aligned, cell in zip(table.aligned, row, strict=True):
            inlines: list[Inline] = [_bold(inline) for inline in cell] if header else cell
            cells.append(f"<w:tc><w:tcPr/>{self.paragraph(inlines, 'TableText', aligned=aligned)}</w:tc>")
        return f"<w:tr><w:trPr><w:cantSplit/>{'<w:tblHeader/>' if header else ''}</w:trPr>{''.join(cells)}</w:tr>"


def source(note: Note) -> list[Inline]:
    """A note as a line: quote, title as a link, place and dates."""
    more = ", ".join(part for part in (note.place, note.dates) if part)
    return [Run(f"“{note.quote}” — "), Run(note.title, link=note.passage), Run(f", {more}" if more else "")]


def _line(text: str) -> Iterator[Inline]:
    yield from (Break(), Run(text))


def _bold(inline: Inline) -> Inline:
    return Run(inline.text, True, inline.italic, inline.struck, inline.code, inline.link) if isinstance(inline, Run) else inline


def _run(run: Run) -> str:
    style = "Code" if run.code else "Hyperlink" if run.link else ""
    properties = [
        f'<w:rStyle w:val="{style}"/>' if style else "",
        "<w:b/><w:bCs/>" if run.bold else "",
        "<w:i/><w:iCs/>" if run.italic else "",
        "<w:strike/>" if run.struck else "",
        "<w:rtl/>" if _RTL.search(run.text) else "",
    ]
    text = escaped(run.text.replace("\t", " ").replace("\n", " "))
    return f'<w:r><w:rPr>{"".join(properties)}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def _field(instruction: str) -> tuple[str, str]:
    """The beginning of a field that Word computes."""
    return '<w:fldChar w:fldCharType="begin"/>', f'<w:instrText xml:space="preserve"> {instruction} </w:instrText>'


def _indent(level: int) -> int:
    return 425 * (level + 1)  # twentieths of a point: 7.5 mm


def _footnotes(document: Document, writer: _Writer) -> str:
    """The part with all footnotes; the first two are the lines above them, which Word wants."""
    rules = "".join(
        f'<w:footnote w:type="{kind}" w:id="{number}"><w:p><w:pPr><w:spacing w:after="0" w:line="240" w:lineRule="auto"/></w:pPr>'
        f"<w:r><w:{element}/></w:r></w:p></w:footnote>"
        for kind, number, element in (("separator", -1, "separator"), ("continuationSeparator", 0, "continuationSeparator"))
    )
    notes = []
    for note in document.notes:
        if note.cited:
            number = "<w:footnoteRef/>" if document.in_order else f"<w:t>{note.number}</w:t>"
            sign = f'<w:r><w:rPr><w:rStyle w:val="FootnoteReference"/></w:rPr>{number}</w:r>'
            paragraph = writer.paragraph([Run(" "), *source(note)], "FootnoteText").replace("</w:pPr>", f"</w:pPr>{sign}", 1)
            notes.append(f'<w:footnote w:id="{note.number}">{paragraph}</w:footnote>')
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    return f"{head}<w:footnotes {_NAMESPACES}>{rules}{''.join(notes)}</w:footnotes>"


def _prepare(made: Any, document: Document, starts: list[int]) -> None:
    """Styles, numbering, page, settings and properties of a new document."""
    from docx.oxml import parse_xml  # noqa: PLC0415
    from docx.shared import Mm  # noqa: PLC0415

    styles = made.styles.element
    for style in _STYLES:
        styles.append(parse_xml(style))
    language = styles.find(f".//{{{_MAIN}}}rPrDefault//{{{_MAIN}}}lang")
    for name in ("val", "eastAsia", "bidi"):
        language.set(f"{{{_MAIN}}}{name}", document.language.replace("_", "-"))

    numbering = made.part.numbering_part.element
    first = numbering.find(f"{{{_MAIN}}}num")
    for definition in (_levels(_BULLETS, bullets=True), _levels(_NUMBERS, bullets=False)):
        first.addprevious(parse_xml(definition))
    numbering.append(parse_xml(f'<w:num {_NAMESPACES} w:numId="{_BULLETS}"><w:abstractNumId w:val="{_BULLETS}"/></w:num>'))
    for position, start in enumerate(starts):
        override = "".join(f'<w:lvlOverride w:ilvl="{n}"><w:startOverride w:val="{start}"/></w:lvlOverride>' for n in range(9))
        number = f'<w:num {_NAMESPACES} w:numId="{_FIRST_LIST + position}"><w:abstractNumId w:val="{_NUMBERS}"/>{override}</w:num>'
        numbering.append(parse_xml(number))

    settings = made.settings.element
    known = f'<w:footnotePr {_NAMESPACES}><w:footnote w:id="-1"/><w:footnote w:id="0"/></w:footnotePr>'
    settings.find(f"{{{_MAIN}}}compat").addprevious(parse_xml(known))

    section = made.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(25)
    page = "".join(f"<w:r>{part}</w:r>" for part in (*_field("PAGE"), '<w:fldChar w:fldCharType="end"/>'))
    footer = parse_xml(f'<w:p {_NAMESPACES}><w:pPr><w:pStyle w:val="Colophon"/><w:jc w:val="center"/></w:pPr>{page}</w:p>')
    paragraph = section.footer.paragraphs[0]._p
    paragraph.getparent().replace(paragraph, footer)

    properties = made.core_properties
    properties.title, properties.language = document.title[:_TITLE_CHARACTERS], document.language
    properties.author, properties.comments, properties.last_modified_by = "DeepSearch", "", "DeepSearch"
    if len(document.date) == len("2026-01-31"):
        properties.created = properties.modified = datetime.fromisoformat(document.date)


def _levels(number: int, *, bullets: bool) -> str:
    """A list's nine levels."""
    levels = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{"bullet" if bullets else "decimal"}"/>'
        f'<w:lvlText w:val="{"•" if bullets else f"%{level + 1}."}"/><w:lvlJc w:val="left"/>'
        f'<w:pPr><w:ind w:left="{_indent(level)}" w:hanging="425"/></w:pPr></w:lvl>'
        for level in range(9)
    )
    kind = '<w:multiLevelType w:val="hybridMultilevel"/>'
    return f'<w:abstractNum {_NAMESPACES} w:abstractNumId="{number}">{kind}{levels}</w:abstractNum>'


def _style(kind: str, name: str, paragraph: str = "", run: str = "") -> str:
    key = quoteattr(name.replace(" ", ""))
    based = '<w:basedOn w:val="Normal"/>' if kind == "paragraph" else ""
    properties = f"<w:pPr>{paragraph}</w:pPr>" if paragraph else ""
    head = f'<w:style {_NAMESPACES} w:type="{kind}" w:styleId={key}><w:name w:val={quoteattr(name)}/>'
    return f"{head}{based}{properties}<w:rPr>{run}</w:rPr></w:style>"


_MONO = '<w:rFonts w:ascii="Consolas" w:hAnsi="Consolas" w:cs="Courier New"/>'
_TINT = '<w:shd w:val="clear" w:color="auto" w:fill="F2F3F3"/>'
_STYLES = (
    _style("character", "Hyperlink", run='<w:color w:val="0B57A4"/><w:u w:val="single"/>'),
    _style("character", "Code", run=f'{_MONO}<w:sz w:val="19"/>{_TINT}'),
    _style("character", "Footnote Reference", run='<w:vertAlign w:val="superscript"/>'),
    _style(
        "paragraph", "Footnote Text", '<w:spacing w:after="40" w:line="240" w:lineRule="auto"/>', '<w:sz w:val="18"/><w:szCs w:val="18"/>'
    ),
    _style("paragraph", "Code Block", f'{_TINT}<w:spacing w:line="240" w:lineRule="auto"/>', f'{_MONO}<w:sz w:val="18"/>'),
    _style("paragraph", "Table Text", '<w:spacing w:before="40" w:after="40" w:line="240" w:lineRule="auto"/>'),
    _style("paragraph", "Rule", '<w:pBdr><w:bottom w:val="single" w:sz="4" w:space="1" w:color="BBBBBB"/></w:pBdr>'),
    _style("paragraph", "Notice", f'<w:pBdr><w:left w:val="single" w:sz="18" w:space="8" w:color="8A5A00"/></w:pBdr>{_TINT}'),
    _style("paragraph", "Colophon", "", '<w:color w:val="5B6169"/><w:sz w:val="17"/>'),
)
