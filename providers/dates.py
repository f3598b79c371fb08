"""Dates, in the forms that web services write them."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

from providers.reader.dates import iso_date


def published_date(value: object) -> str | None:
    """The ISO 8601 date in a field of a provider's answer: an ISO 8601 or RFC 5322 time, or like "Jan 3, 2024"; else None."""
    if not isinstance(value, str):
        return None
    text = value.strip()[:100]
    if iso := iso_date(text):
        return iso
    for form in ("%b %d, %Y", "%B %d, %Y", "%d %b %Y"):
        try:
            return datetime.strptime(text, form).date().isoformat()
        except ValueError:
            continue
    moment = internet_time(text)
    return moment.date().isoformat() if moment else None


def internet_time(text: str) -> datetime | None:
    """The time in `text` as RFC 5322 writes it in mail and HTTP, without a zone when it names none; else None. `text` may be anything."""
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
