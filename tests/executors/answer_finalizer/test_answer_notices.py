"""What answers say about themselves exists in every language that is promised."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from executors.answer_finalizer.citations.notices import notices
from executors.answer_finalizer.deltas import deltas

LANGUAGES = ["en", "zh", "zh-TW", "ja", "ko", "fr", "de", "es", "it", "pt", "ru", "ar", "nl"]


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_says_everything(code: str) -> None:
    found = notices(code)
    assert all(asdict(found).values())
    assert found.quote.count("{}") == 1 and found.otherwise.count("{quote}") == 1
    assert found.unsupported[0] == found.contradicted[0] == "[" and found.unsupported[-1] == found.contradicted[-1] == "]"
    assert (code == "en") == (found == notices("en"))


def test_regions_and_unknown_languages() -> None:
    assert notices("zh-CN") == notices("zh") != notices("zh-TW") == notices("zh_Hant") == notices("zh-hk")
    assert notices("pt-BR") == notices("pt")
    assert notices("xx") == notices("") == notices("en")


def test_deltas_are_small_and_whole() -> None:
    for text in ("", "a", "word " * 40, "第一句。" * 40 + "[^12]。", " \n\n- a\n", "x" * 300, "[[[^1][^23]"):
        found = list(deltas(text))
        assert "".join(found) == text and all(found)
        assert all(delta.rfind("[^") <= delta.rfind("]") or "[^" not in delta for delta in found)
    assert max(map(len, deltas("word " * 40))) < 40
    assert len(list(deltas("word " * 20_000))) <= 400
