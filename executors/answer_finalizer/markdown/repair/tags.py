"""`<br>`, `<hr>` and `<center>` outside tables, as Markdown."""

from __future__ import annotations

import regex

from executors.answer_finalizer.markdown.prose import Leaf, leaves, spans
from executors.answer_finalizer.markdown.repair.containers import is_table, prefix
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite

_TAG = regex.compile(r"</?(br|hr|center)(?=[\s/>])", regex.IGNORECASE)
_ANY = regex.compile(r"</?(?:br|hr|center)(?=[\s/>])[^>]*>", regex.IGNORECASE)
_SPACE = " \t"


def without_layout_tags(text: str) -> str:
    """A line break where `<br>` stands inside a line, a rule for `<hr>`, nothing for `<center>`; code keeps its tags."""
    if not _TAG.search(text):
        return text
    changes = []
    for leaf in leaves(text):
        if is_table(leaf.content):
            continue
        for span in spans(leaf.content):
            tag = _TAG.match(leaf.content, span.start, span.end) if span.kind == "html" else None
            if tag is not None:
                changes.append(_replacement(text, leaf, span.start, span.end, tag.group(1).lower()))
    return rewrite(text, changes)


def _replacement(text: str, leaf: Leaf, start: int, end: int, name: str) -> Replacement:
    content = leaf.content
    tag = (start, end)
    while start and content[start - 1] in _SPACE:
        start -= 1
    while end < len(content) and content[end] in _SPACE:
        end += 1
    begins = not start or content[start - 1] == "\n"
    ends = end == len(content) or content[end] == "\n"
    alone = ends and not _ANY.sub("", content[content.rfind("\n", 0, start) + 1 : start]).strip()
    container = prefix(text, leaf)
    written = ""
    if alone and leaf.kind == "paragraph":
        # The line becomes an empty one, behind which an indented one would be code.
        while end < len(content) and content[end].isspace():
            end += 1
        written = f"\n{container}" if end < len(content) else ""
    if name == "center":
        start, end = (start, end) if alone else tag
    elif name == "hr" and leaf.kind == "paragraph" and not container.strip():
        gap = f"\n{container.rstrip()}\n{container}"
        before, after = content[:start].strip(), content[end:].strip()
        written = f"{gap if before else ''}---{gap if after else ''}"
    elif leaf.kind == "heading":
        written = "" if begins or ends else " "
    elif not begins and not ends:
        written = f"  \n{container}"
    return Replacement(leaf.position(start), leaf.end_position(end), written)
