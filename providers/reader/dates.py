"""Dates as documents write them."""

from __future__ import annotations

import re
from datetime import date


def iso_date(text: str) -> str | None:
    """The date that `text` begins with, as ISO 8601 (`2024-05-06...`, or a PDF's `D:20240506...`); None when there is none."""
    digits = re.match(r"(?:D:)?(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})", text.strip())
    if digits is None:
        return None
    try:
        return date(*map(int, digits.groups())).isoformat()
    except ValueError:
        return None
