"""Links whose text is their URL."""

from __future__ import annotations

import regex

from executors.answer_finalizer.markdown.prose import leaves, spans
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite

_FITS = regex.compile(r"https?://[^\s<>\\`|]+", regex.IGNORECASE)


def with_plain_links(text: str) -> str:
    """`<url>` for `[url](url)`."""
    if "](" not in text:
        return text
    changes = []
    for leaf in leaves(text):
        for span in spans(leaf.content):
            label = leaf.content[slice(*span.label)].strip()
            if span.kind == "link" and label == span.target and _FITS.fullmatch(label):
                changes.append(Replacement(leaf.position(span.start), leaf.end_position(span.end), f"<{label}>"))
    return rewrite(text, changes)
