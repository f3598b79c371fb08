"""Dates in the forms that web services write them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.dates import internet_time, published_date


@pytest.mark.parametrize(
    ("value", "day"),
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
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("\u00b2", None),
    ],
)
def test_published_date(value: object, day: str | None) -> None:
    assert published_date(value) == day


NEARLY_DATES = st.one_of(
    st.text(st.characters()),  # surrogates included
    st.from_regex(r"(Mon, )?\d{1,25} (Jan|Feb|MAY) -?\d{1,25} \d{0,12}:\d{1,12}(:\d{1,12})? ([+-]?\d{1,25}|GMT|[A-Z]{1,5})"),
    st.from_regex(r"\d{1,12}[-/.]?\d{1,12}[-/.]?\d{1,12}.*"),
)


@given(NEARLY_DATES)
@example("Mon, 01 Jan 2024 00:00:00 +99999999999999")
def test_any_text_is_a_date_or_none(text: str) -> None:
    day = published_date(text)
    assert day is None or date.fromisoformat(day).isoformat() == day
    moment = internet_time(text)
    assert moment is None or moment.isoformat()
