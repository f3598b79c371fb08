"""What every format writes: an answer as a title, blocks of runs of text, and notes, with nothing in it that still could be markup.

The text is Markdown written by a model or taken from pages. It is parsed once, here: raw HTML is text, only http, https and file
links are links, and characters that could hide or reorder others are gone. The formats write what they are given, each escaped in
its own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Literal, TypeAlias
from urllib.parse import quote as percent_encoded
from urllib.parse import urlsplit

import regex
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from executors.answer_finalizer.citations.sources import bare_urls
from providers.lexical import language_of
from schemas.errors import InvalidRequest, TooLarge
from schemas.research import Reference, ResearchAnswer
from schemas.support import SupportReport, Verdict

MOST_CHARACTERS = 1_000_000
"""Of text, quotes, titles and addresses together."""
TITLE_CHARACTERS = 300


@dataclass(frozen=True)
class Run:
    """Words in one style. `link` is the URL they lead to."""

    text: str
    bold: bool = False
    italic: bool = False
    struck: bool = False
    code: bool = False
    link: str = ""


@dataclass(frozen=True)
class Mark:
    """Where a note is cited. `occurrence` counts its marks from 1."""

    number: int
    occurrence: int


@dataclass(frozen=True)
class Judged:
    """The end of a statement that was held against its evidence."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Break:
    """A line's end that was asked for."""


Inline: TypeAlias = Run | Mark | Judged | Break


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    inlines: list[Inline]


@dataclass(frozen=True)
class Heading:
    """A heading below the title; `level` counts from 1."""

    level: int
    inlines: list[Inline]


@dataclass(frozen=True)
class Code:
    """Lines that stay as they are."""

    text: str


@dataclass(frozen=True)
class Listing:
    """A list; `start` is the first number of an ordered one, None of a bulleted one."""

    start: int | None
    items: list[list[Block]]


@dataclass(frozen=True)
class Quotation:
    """Blocks that are quoted."""

    blocks: list[Block]


@dataclass(frozen=True)
class Table:
    """Rows of cells, all of the same number; the first row is the header."""

    aligned: list[Literal["left", "center", "right", ""]]
    rows: list[list[list[Inline]]]


@dataclass(frozen=True)
class Rule:
    """A line across."""


Block: TypeAlias = Paragraph | Heading | Code | Listing | Quotation | Table | Rule


@dataclass(frozen=True)
class Note:
    """A source as it is cited. `url` is empty when it may not be followed; `passage` is `url` leading to the quote, where it can."""

    number: int
    quote: str
    title: str
    url: str
    passage: str
    place: str
    """Hostname, or the file's name."""
    dates: str
    cited: int
    """How many marks it has in the text."""


@dataclass(frozen=True)
class Document:
    """An answer, ready to be written."""

    title: str
    blocks: list[Block]
    notes: list[Note]
    """In the order of their first marks; behind them those that have none."""
    notice: str
    run_id: str
    date: str
    """The last day on which a page was read, ISO 8601; empty when that is not known."""
    origin: str
    """How the answer came about, in a few words."""
    language: str
    rtl: bool

    @property
    def closing(self) -> str:
        """One line about the run."""
        return " · ".join(part for part in (f"Run {self.run_id}" if self.run_id else "", self.date, self.origin) if part)

    @property
    def in_order(self) -> bool:
        """Whether the cited notes are numbered 1, 2, 3 as their marks appear."""
        return all(note.number == position for position, note in enumerate((n for n in self.notes if n.cited), 1))


def document(answer: ResearchAnswer) -> Document:
    """The document that `answer` is.

    Raises `TooLarge` for more than `MOST_CHARACTERS`, and `InvalidRequest` for references that share a number.
    """
    size = sum(len(part) for part in (answer.question, answer.text, answer.notice))
    size += sum(len(one.quote) + len(one.title) + len(one.url) for one in answer.references)
    if size > MOST_CHARACTERS:
        raise TooLarge(f"the answer has {size:,} characters with its references; at most {MOST_CHARACTERS:,} are exported", field="answer")
    references = {reference.number: reference for reference in answer.references}
    if len(references) < len(answer.references) or min(references, default=1) < 1:
        raise InvalidRequest("each reference needs a number of its own, from 1", field="answer.references")
    reading = _Reading(set(references))
    reading.judge(answer.support)
    blocks = reading.blocks(_marked(clean(answer.text), answer.support))
    order = [*reading.cited, *(number for number in references if number not in reading.cited)]
    title = one_line(answer.question) or "Answer"
    language = answer.language_code or language_of(answer.text)
    return Document(
        title=title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1].rstrip() + "…",
        blocks=blocks,
        notes=[_note(references[number], reading.cited.get(number, 0)) for number in order],
        notice=one_line(answer.notice),
        run_id=one_line(answer.run_id),
        date=max((_day(one.read_at) for one in answer.references), default=""),
        origin="made of verbatim passages, without a language model" if answer.mode == "extractive" else "written by a language model",
        language=language if _LANGUAGE.fullmatch(language) else "en",
        rtl=regex.split("[-_]", language.lower())[0] in _RTL,
    )


def with_raised_marks(inlines: list[Inline]) -> list[Inline]:
    """`inlines` for a format whose marks are raised: without the space before a mark."""
    found = list(inlines)
    for position, (inline, following) in enumerate(pairwise(inlines)):
        if isinstance(inline, Run) and isinstance(following, Mark):
            found[position] = replace(inline, text=inline.text.rstrip(" "))
    return found


# -- text ---------------------------------------------------------------------------------------------------------------

# Noncharacters and surrogates may not stand in XML; the others could hide or reorder what follows them.
_HIDDEN = regex.compile(r"[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\u2028\u2029\u2066-\u2069\u202a-\u202e--[\n\t]]", regex.V1)
_LANGUAGE = regex.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,2}")
_RTL = frozenset(("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "ps", "sd", "ug", "ur", "yi"))
_DAY = regex.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?")


def clean(text: str) -> str:
    """`text` with a space for each character that hides, reorders or has no place in a file; lines and offsets stay."""
    return _HIDDEN.sub(" ", text)


def one_line(text: str) -> str:
    """`clean` text with single spaces."""
    return " ".join(clean(text).split())


def allowed(url: str) -> str:
    """`url` when it may be followed (http, https, file), with what no URL holds percent-encoded; otherwise empty."""
    url = one_line(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("http", "https", "file") or (parts.scheme.lower() != "file" and not parts.netloc):
        return ""
    if not url[len(parts.scheme) :].startswith("://"):
        return ""
    encoded = "".join(c if ord(c) > 0x7F else percent_encoded(c, safe=_URL_SAFE) for c in url)
    return encoded if len(encoded.encode()) <= _URL_BYTES else ""


_URL_BYTES = 2_000
"""Word and PDF readers follow no longer ones."""
_URL_SAFE = "/:?#@!$&()*+,;=%-._~'[]"


def _day(moment: str | None) -> str:
    """The day, month or year with which an ISO 8601 date begins; empty for what is no date."""
    found = _DAY.match(moment or "")
    try:
        return found.group() if found and date.fromisoformat((found.group() + "-01-01")[:10]) else ""
    except ValueError:
        return ""


# -- notes --------------------------------------------------------------------------------------------------------------


def _note(reference: Reference, cited: int) -> Note:
    url, quote = allowed(reference.url), one_line(reference.quote)
    dates = [("published", _day(reference.published)), ("changed", _day(reference.modified)), ("read", _day(reference.read_at))]
    parts = urlsplit(url)
    place = parts.hostname or parts.path.rpartition("/")[2] if url else ""
    return Note(
        number=reference.number,
        quote=quote,
        title=one_line(reference.title) or one_line(reference.url) or "untitled",
        url=url,
        passage=_passage(url, reference.quote),
        place=place or "",
        dates=", ".join(f"{what} {day}" for what, day in dates if day),
        cited=cited,
    )


_WHOLE_QUOTE = 100
_WORDS = 5
_MARKUP = regex.compile(r"[*_`\[\]|#<>~\\]")
_SPACELESS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


def _passage(url: str, quote: str) -> str:
    """`url` with a text fragment (https://wicg.github.io/scroll-to-text-fragment/) for the quote.

    The plain `url` where none would be found: a file or PDF, or a quote that begins or ends with markup.
    """
    if not url.startswith("http") or urlsplit(url).path.lower().endswith(".pdf"):
        return url
    text = clean(quote).strip()
    words = text.split()
    if "\n" not in text and (len(text) <= _WHOLE_QUOTE or _SPACELESS.search(text)):
        ends = [text] if len(text) <= 3 * _WHOLE_QUOTE else []
    else:
        ends = [" ".join(words[:_WORDS]), " ".join(words[-_WORDS:])] if len(words) >= 2 * _WORDS else []
    if not any(ends) or any(_MARKUP.search(end) for end in ends):
        return url
    fragment = ",".join(percent_encoded(end, safe="").replace("-", "%2D") for end in ends)
    passage = f"{url}{'' if '#' in url else '#'}:~:text={fragment}"
    return passage if len(passage.encode()) <= _URL_BYTES else url


# -- blocks -------------------------------------------------------------------------------------------------------------

# Noncharacters, which `clean` has taken out of the text, hold the number of the statement that ends between them.
_OPENING, _CLOSING = "\ufdd0", "\ufdd1"
_ENDED = regex.compile(f"{_OPENING}(\\d+){_CLOSING}")
_BEFORE_END = regex.compile(r"[\s|]+$")


def _marked(text: str, support: SupportReport) -> str:
    """`text` with the number of each judged statement at its end, inside of the table cell when it is a row."""
    ends = []
    for number, statement in enumerate(support.statements):
        if statement.verdict != "no_claim" and not statement.removed and 0 <= statement.start < statement.end <= len(text):
            words = _BEFORE_END.sub("", text[statement.start : statement.end])
            ends.append((statement.start + len(words), number))
    parts, done = [], 0
    for end, number in sorted(ends):
        parts += [text[done:end], f"{_OPENING}{number}{_CLOSING}"]
        done = end
    return "".join([*parts, text[done:]])


def _cite(state: StateInline, silent: bool) -> bool:
    """`[^3]`, before a link could be made of it. Within the words of a link its brackets count like any others."""
    found = None if silent else _CITATION.match(state.src, state.pos)
    if found is None:
        return False
    state.push("citation", "", 0).content = found.group(1)
    state.pos = found.end()
    return True


_CITATION = regex.compile(r"\[\^(\d{1,6})\]")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("reference")
    parser.options["maxNesting"] = 100  # what is nested more deeply is not read
    parser.inline.ruler.before("link", "citation", _cite)
    # `allowed` decides what may be followed, and encodes it.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser


_DEEPEST = 8
"""Lists and quotations inside of each other; Word has nine levels."""
PARSER = _parser()
"""Markdown as every format reads it."""
_ALIGNMENTS: dict[str, Literal["left", "center", "right"]] = {
    "text-align:left": "left",
    "text-align:center": "center",
    "text-align:right": "right",
}


@dataclass
class _Reading:
    """From Markdown to blocks; counts the marks of each note on the way."""

    numbers: set[int]
    cited: dict[int, int] = field(default_factory=dict)
    verdicts: dict[int, Judged] = field(default_factory=dict)
    lowest: int = 1
    depth: int = 0

    def judge(self, support: SupportReport) -> None:
        for number, statement in enumerate(support.statements):
            reason = one_line(statement.reason) or ", ".join(one_line(missing) for missing in statement.missing)
            self.verdicts[number] = Judged(statement.verdict, reason)

    def blocks(self, text: str) -> list[Block]:
        tokens = PARSER.parse(text)
        # Texts begin with headings of any level; below the title they begin with the first.
        self.lowest = min((int(token.tag[1]) for token in tokens if token.type == "heading_open"), default=1)
        return list(self._blocks(iter(tokens), ""))

    def _blocks(self, tokens: Iterator[Token], until: str) -> Iterator[Block]:
        for token in tokens:
            kind = token.type
            if kind == until:
                return
            if kind == "paragraph_open":
                yield Paragraph(self._inlines(next(tokens)))
            elif kind == "heading_open":
                yield Heading(int(token.tag[1]) - self.lowest + 1, self._inlines(next(tokens)))
            elif kind in ("fence", "code_block"):
                yield Code(_ENDED.sub("", token.content).rstrip("\n").expandtabs(4))
            elif kind == "hr":
                yield Rule()
            elif kind in ("blockquote_open", "bullet_list_open", "ordered_list_open"):
                self.depth += 1
                yield from self._container(token, tokens)
                self.depth -= 1
            elif kind == "table_open":
                yield self._table(tokens)

    def _container(self, token: Token, tokens: Iterator[Token]) -> Iterator[Block]:
        """A quotation or list; what is inside of it when it is nested too deeply for a page."""
        end = token.type.replace("open", "close")
        if token.type == "blockquote_open":
            quoted = list(self._blocks(tokens, end))
            yield from [Quotation(quoted)] if self.depth <= _DEEPEST else quoted
            return
        items = list(self._items(tokens, end))
        start = int(token.attrGet("start") or 1) if token.type == "ordered_list_open" else None
        yield from [Listing(start, items)] if self.depth <= _DEEPEST else (block for item in items for block in item)

    def _items(self, tokens: Iterator[Token], until: str) -> Iterator[list[Block]]:
        for token in tokens:
            if token.type == until:
                return
            if token.type == "list_item_open":
                yield list(self._blocks(tokens, "list_item_close"))

    def _table(self, tokens: Iterator[Token]) -> Table:
        aligned: list[Literal["left", "center", "right", ""]] = []
        rows: list[list[list[Inline]]] = []
        for token in tokens:
            if token.type == "table_close":
                break
            if token.type == "tr_open":
                rows.append([])
            elif token.type in ("th_open", "td_open"):
                if token.type == "th_open":
                    aligned.append(_ALIGNMENTS.get(str(token.attrGet("style") or ""), ""))
                rows[-1].append(self._inlines(next(tokens)))
        return Table(aligned, rows)

    def _inlines(self, token: Token) -> list[Inline]:
        found: list[Inline] = []
        style, outer = Run(""), list[Run]()
        for child in token.children or []:
            kind = child.type
            if kind.endswith("_open"):
                outer.append(style)
                style = _styled(style, child)
            elif kind.endswith("_close"):
                style = outer.pop()
            elif kind in ("text", "text_special", "code_inline"):
                found += self._text(child.content, replace(style, code=True) if kind == "code_inline" else style)
            elif kind == "image":
                target = allowed(str(child.attrGet("src") or ""))
                found += self._text(child.content or target or "image", replace(style, link=style.link or target))
            elif kind == "softbreak":
                found.append(replace(style, text=" "))
            elif kind == "hardbreak":
                found.append(Break())
            elif kind == "citation":
                found.append(self._mark(int(child.content), style))
        return _joined(found)

    def _mark(self, number: int, style: Run) -> Inline:
        if number not in self.numbers:
            return replace(style, text=f"[{number}]")
        self.cited[number] = self.cited.get(number, 0) + 1
        return Mark(number, self.cited[number])

    def _text(self, text: str, style: Run) -> Iterator[Inline]:
        done = 0
        for ended in _ENDED.finditer(text):
            yield from _linked(text[done : ended.start()], style)
            yield self.verdicts[int(ended.group(1))]
            done = ended.end()
        yield from _linked(text[done:], style)


def _styled(style: Run, token: Token) -> Run:
    if token.type == "link_open":
        return replace(style, link=allowed(_ENDED.sub("", str(token.attrGet("href") or ""))))
    if token.type == "strong_open":
        return replace(style, bold=True)
    return replace(style, italic=True) if token.type == "em_open" else replace(style, struck=True)


def _linked(text: str, style: Run) -> Iterator[Run]:
    """The text, and the URLs written out in it as links."""
    done = 0
    if not style.link and not style.code and "://" in text:
        for start, end in bare_urls(text):
            if url := allowed(text[start:end]):
                yield replace(style, text=text[done:start])
                yield replace(style, text=text[start:end], link=url)
                done = end
    yield replace(style, text=text[done:])


def _joined(inlines: Iterable[Inline]) -> list[Inline]:
    """Neighbouring runs of one style as one, empty ones left out."""
    found: list[Inline] = []
    for inline in inlines:
        last = found[-1] if found else None
        if isinstance(inline, Run) and isinstance(last, Run) and replace(last, text="") == replace(inline, text=""):
            found[-1] = replace(last, text=last.text + inline.text)
        elif not isinstance(inline, Run) or inline.text:
            found.append(inline)
    return found
