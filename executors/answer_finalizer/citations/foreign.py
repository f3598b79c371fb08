"""What a draft brings in although nobody read it: pictures, hidden comments, tags with attributes, addresses that were never seen."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import regex

from executors.answer_finalizer.citations.editing import addresses_in
from executors.answer_finalizer.markdown.prose import leaves, spans
from executors.answer_finalizer.markdown.rewriting import Replacement, rewrite
from schemas.knowledge import Evidence
from schemas.support import Statement

_COMMENT = regex.compile(r"<!--.*?-->", regex.DOTALL)
_WITH_ATTRIBUTES = regex.compile(r"<[A-Za-z][\w-]*\s[^>]*=[^>]*>")


def without_foreign_markup(text: str) -> str:
    """`text` without images, their alternative texts, HTML comments, and tags with attributes; code stays as it is.

    None of them is a statement, so no check sees them, and their words would stand in the answer all the same. A bare tag such as
    `<div>` may be what the answer speaks of, and stays.
    """
    changes = []
    for leaf in leaves(text):
        for span in spans(leaf.content):
            foreign = span.kind == "image" or (
                span.kind == "html"
                and (
                    _COMMENT.fullmatch(leaf.content, span.start, span.end) or _WITH_ATTRIBUTES.fullmatch(leaf.content, span.start, span.end)
                )
            )
            if foreign:
                changes.append(Replacement(leaf.position(span.start), leaf.end_position(span.end)))
    return rewrite(text, changes)


def judge_addresses(text: str, statements: Sequence[Statement], evidence: Mapping[str, Evidence], known_urls: Container[str]) -> None:
    """Make every statement unsupported that names an address which was never seen, whatever its verdict was; they are changed in place.

    `statements` have spans in `text`. What stands in code is a command or an example, and is judged by its words like all else.
    """
    unseen = [found for leaf in leaves(text) for found in addresses_in(leaf, evidence, known_urls)]
    for statement in statements:
        named = [url for start, url in unseen if statement.start <= start < statement.end]
        if named:
            statement.verdict, statement.evidence, statement.score = "unsupported", [], 0.0
            statement.missing = list(dict.fromkeys([*statement.missing, *named]))
            statement.reason = "it names an address that was never seen"
