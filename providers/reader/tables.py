"""Comma-separated values as a Markdown table."""

from __future__ import annotations

import csv

_DELIMITERS = ",;\t|"
_SAMPLED_LINES = 20


def table_text(text: str) -> str:
    """The rows of `text` as rows of a Markdown table, the first as its head; `text` as it is when it has no columns."""
    lines = text.split("\n", _SAMPLED_LINES)[:_SAMPLED_LINES]
    # The one that is in every line, and most often.
    delimiter = max(
        _DELIMITERS, key=lambda mark: (min((line.count(mark) for line in lines if line.strip()), default=0), lines[0].count(mark))
    )
    if delimiter not in lines[0]:
        return text
    try:
        rows = [row for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error:  # such as a cell of more than 131,072 characters
        return text
    if len(rows) < 2:
        return text
    head, *body = (f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)
    return "\n".join((head, "|" + " --- |" * len(rows[0]), *body))


def _cell(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")
