"""Numbers and dates of sentences in the quotes they rest on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.evaluator.figures import is_foreign, missing_figures

ENGLISH = "The Eiffel Tower was completed in 1889 and is 330 metres high."
GERMAN = "Der Eiffelturm wurde 1889 fertiggestellt und ist 330 Meter hoch."


@pytest.mark.parametrize("quote", [ENGLISH, GERMAN])
@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("It was completed in 1889.", []),
        ("It is 330 metres high.", []),
        ("It was completed in 1887.", ["1887"]),
        ("It is 324 metres high and was completed in 1889.", ["324 metres"]),
        ("Nothing is said here.", []),
    ],
)
def test_figures_that_no_quote_holds(text, missing, quote):
    assert missing_figures(text, [quote]) == missing


def test_without_quotes_every_figure_is_missing():
    assert missing_figures("It is 330 metres high.", []) == ["330 metres"]


def test_figures_may_stand_in_several_quotes():
    assert missing_figures("It is 330 metres high since 1889.", ["Since 1889.", "It is 330 metres high."]) == []


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=3))
def test_any_text_can_be_looked_at(text, quotes):
    assert isinstance(missing_figures(text, quotes), list)


def test_what_is_foreign():
    assert is_foreign("It was completed in 1889.", [GERMAN])
    assert not is_foreign("It was completed in 1889.", [GERMAN, ENGLISH])
    assert not is_foreign("1889", [GERMAN])
