"""A text cut into passages at the borders of its blocks, sentences, rows and lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from providers.lexical import sentences
from providers.reader.blocks import Block, blocks


@dataclass(frozen=True)
class Chunk:
    """`text[start:end]`, without white space around it, and the headings above it, outermost first."""

    start: int
    end: int
    heading: tuple[str, ...]


def chunks(text: str, *, aim: int, most: int) -> list[Chunk]:
    """Cut `text` into passages of at most `most` characters, closed at the first border of a block after `aim` characters.

    A passage never crosses a heading; a heading stands at the beginning of the passage that it introduces. Passages are
    in order, never overlap, and together hold every character that is not white space.
    """
    found: list[Chunk] = []
    start = end = 0
    heading: tuple[str, ...] = ()
    only_headings = True

    def close() -> None:
        if end > start:
            # A short rest goes with the passage before it, where it belongs to the same section.
            last = found[-1] if found else None
            if last and end - start < aim // 2 and last.heading == heading and end - last.start <= most and not only_headings:
                found[-1] = Chunk(last.start, end, heading)
            else:
                found.append(Chunk(start, end, heading))

    for block in blocks(text):
        is_heading = block.kind == "heading"
        pieces = list(_pieces(text, block, most))
        # A new section, or a new block after enough text.
        if end > start and ((is_heading and not only_headings) or (not is_heading and not only_headings and end - start >= aim)):
            close()
            start = end = block.start
            only_headings = True
        for piece_start, piece_end in pieces:
            if end <= start:
                start, only_headings = piece_start, True
            elif piece_end - start > most:
                close()
                start, only_headings = piece_start, True
            end = piece_end
            heading = block.heading
            only_headings = only_headings and is_heading
    close()
    return found


def _pieces(text: str, block: Block, most: int) -> Iterator[tuple[int, int]]:
    """The block whole when it is small enough, otherwise its sentences, lines or rows, each at most `most` characters."""
    if block.end - block.start <= most:
        yield block.start, block.end
        return
    spans = sentences(text[block.start : block.end]) if block.kind in ("paragraph", "list") else _lines(text[block.start : block.end])
    for span_start, span_end in spans:
        start, stop = block.start + span_start, block.start + span_end
        while stop - start > most:
            cut = text.rfind(" ", start + max(1, most // 2), start + most)
            cut = cut if cut > 0 else start + most
            yield from _trimmed(text, start, cut)
            start = cut
        yield from _trimmed(text, start, stop)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for line in text.splitlines(keepends=True):
        yield position, position + len(line)
        position += len(line)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if stripped := piece.strip():
        begin = start + len(piece) - len(piece.lstrip())
        yield begin, begin + len(stripped)
