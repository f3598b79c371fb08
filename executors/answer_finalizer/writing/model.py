"""A text by the model, as far as it came."""

from __future__ import annotations

from dataclasses import dataclass, field

import regex

from executors.answer_finalizer.markdown.blocks import Blocks
from executors.answer_finalizer.markdown.prose import leaves, spans
from executors.answer_finalizer.markdown.repair import repair
from providers.citations import MARKER
from providers.lexical import sentences
from providers.llm.base import ChatModel, Prompt
from schemas.errors import DeepSearchError
from schemas.usage import Allowance, Usage

_ENDS = regex.compile(r"[.!?…。！？؟][*_)\"'”’」』）\]]*$")
_CITATIONS = regex.compile(rf"(?:[ \t]*{MARKER})*")


@dataclass
class Written:
    """What the model wrote, repaired; when it `failed`, up to the last sentence before that."""

    text: str = ""
    usage: Usage = field(default_factory=Usage)
    failed: DeepSearchError | None = None


async def write(model: ChatModel, prompt: Prompt, allowance: Allowance) -> Written:
    """Let the model write. An error of the model is in what is returned; being cancelled ends the call."""
    pieces: list[str] = []
    found = Written()
    chunks = model.stream("finalizer", prompt, allowance)
    try:
        async for chunk in chunks:
            pieces.append(chunk.text)
            found.usage = found.usage + chunk.usage
    except DeepSearchError as failure:
        found.failed, found.usage = failure, found.usage + failure.usage
        pieces = [whole_sentences("".join(pieces))]
    finally:
        await chunks.aclose()
    found.text = repair("".join(pieces).strip()).strip()
    return found


def whole_sentences(text: str) -> str:
    """`text` up to its last whole sentence, closed code block or whole table row; empty when there is none. Headings are none."""
    text = text.replace("\r", "")
    end = 0
    blocks = Blocks(text)
    rows = set()
    for block in blocks.root.walk():
        if block.kind in ("table", "head", "row"):
            rows.add(block.first)
            # The last line of the text may go on.
            if block.kind == "row" and block.last < len(blocks.lines):
                end = max(end, blocks.end(block))
        elif block.kind == "code" and block.last < len(blocks.lines) and blocks.lines[block.last - 1].strip(" >")[:3] in ("```", "~~~"):
            end = max(end, blocks.end(block) if block.last - block.first > 1 else 0)
    for leaf in leaves(text):
        if leaf.kind == "heading" or blocks.line_at(leaf.start) in rows:
            continue
        inside = [(span.start, span.end) for span in spans(leaf.content)]
        for start, last in sentences(leaf.content.replace("\n", " ")):
            if _ENDS.search(leaf.content, start, last) and not any(a < last < b for a, b in inside):
                cited = _CITATIONS.match(leaf.content, last)
                end = max(end, leaf.end_position(cited.end() if cited else last))
    return text[:end].rstrip()
