"""One grammar of citations."""

from __future__ import annotations

import pytest

from providers.citations import cited_ids

KNOWN = ["e1", "e2", "e3", "e12"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("So [e1]. And [e3][e2].", ["e1", "e3", "e2"]),
        ("[E1, e2; 3]", ["e1", "e2", "e3"]),
        ("[e1-e3]", ["e1", "e2", "e3"]),
        ("【e2】 and 【e3†source】 and [^e12]", ["e2", "e3", "e12"]),
        ("(e1) but not (e99), [e99], [1], arr[0] or [2024]", ["e1"]),
        ("[ e2 ][e2]", ["e2"]),
        ("nothing", []),
    ],
)
def test_every_form(text: str, ids: list[str]) -> None:
    assert cited_ids(text, KNOWN) == ids
