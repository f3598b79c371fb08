"""Dates as documents write them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

EARLIEST = date(1995, 1, 1)
"""Pages and documents that say they are older are not believed."""


def iso_date(text: str) -> str | None:
    """The date that `text` begins with, as ISO 8601 (`2024-05-06...`, or a PDF's `D:20240506...`); None when there is none."""
    digits = re.match(r"(?:D:)?(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})", text.strip())
    if digits is None:
        return None
    try:
        return date(*map(int, digits.groups())).isoformat()
    except ValueError:
        return None


def believed(day: str | None) -> str | None:
    """An ISO 8601 date as it is, or None for one that nothing on the web can have: before 1995, or later than tomorrow."""
    return day if day and EARLIEST.isoformat() <= day <= latest().isoformat() else None


def latest() -> date:
    """The last day that is believed: tomorrow, because it is tomorrow already in some places."""
    return datetime.now(timezone.utc).date() + timedelta(days=1)
