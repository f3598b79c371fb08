"""Dates in the forms that web services write them."""

from __future__ import annotations

import pytest

from providers.dates import published_date


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2024-05-06", "2024-05-06"),
        ("2024-05-06T07:08:09.000Z", "2024-05-06"),
        ("Jan 3, 2024", "2024-01-03"),
        ("January 3, 2024", "2024-01-03"),
        ("3 Jan 2024", "2024-01-03"),
        ("Mon, 06 May 2024 07:08:09 GMT", "2024-05-06"),
        ("3 days ago", None),
        ("", None),
        ("2024-13-45", None),
        ("9" * 10_000, None),
        (None, None),
        (1714979289, None),
    ],
)
def test_published_date(value: object, date: str | None) -> None:
    assert published_date(value) == date
