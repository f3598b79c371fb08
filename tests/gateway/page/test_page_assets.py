"""The files of the page: complete in every language, and nothing from elsewhere."""

from __future__ import annotations

import json
import re

import pytest

from gateway.page.routes import ASSETS, load

TRANSLATIONS = sorted((ASSETS / "translations").glob("*.json"))
OURS = sorted(ASSETS.glob("*.js"))


PLURALS = {
    "ar": {"zero", "one", "two", "few", "many", "other"},
    "ru": {"one", "few", "many", "other"},
    **{language: {"one", "other"} for language in ("de", "en", "es", "fr", "it", "nl", "pt")},
    **{language: {"other"} for language in ("ja", "ko", "zh", "zh-TW")},
}
"""The plural forms of each language (Unicode CLDR); of French, Italian, Portuguese and Spanish without `many`, for whole millions."""
FORM = re.compile(r"\.(zero|one|two|few|many|other)$")


def words_of(language: str) -> dict[str, str]:
    words: dict[str, str] = json.loads((ASSETS / f"translations/{language}.json").read_text())
    return words


def counted(english: dict[str, str]) -> set[str]:
    """Keys whose words depend on a number."""
    return {key.removesuffix(".one") for key in english if key.endswith(".one")}


def test_every_language_is_offered_and_written() -> None:
    offered = re.findall(r'^  "?([\w-]+)"?: ".+",$', (ASSETS / "language.js").read_text(), re.MULTILINE)
    assert sorted(offered) == sorted(PLURALS) == sorted(file.stem for file in TRANSLATIONS)


@pytest.mark.parametrize("language", sorted(PLURALS))
def test_every_language_has_every_word_with_the_same_places(language: str) -> None:
    english, words = words_of("en"), words_of(language)
    by_number = counted(english)
    plain = {key for key in english if FORM.sub("", key) not in by_number or key in by_number}
    assert set(words) == plain | {f"{key}.{form}" for key in by_number for form in PLURALS[language]}
    for key, text in words.items():
        base = FORM.sub("", key)
        places = set(re.findall(r"\{\w+\}", text))
        if base in by_number and key != base:
            spelled_out = places == set() and key.endswith((".zero", ".one", ".two"))  # "two pages" needs no number
            assert places == {"{count}"} or spelled_out, key
        else:
            assert places == set(re.findall(r"\{\w+\}", english[key])), key
        assert text and (text == text.strip() or key == "comma"), key


def test_no_word_is_left_in_english() -> None:
    english = words_of("en")
    for language in set(PLURALS) - {"en"}:
        same = {
            key
            for key, text in words_of(language).items()
            if english.get(key) == text and re.search(r"[a-z]{4}", re.sub(r"\{\w+\}", "", text))
        }
        assert len(same) < 12, (language, same)


def test_every_word_that_the_code_names_exists() -> None:
    english = json.loads((ASSETS / "translations/en.json").read_text())
    named = {key for file in OURS for key in re.findall(r"\bt\(\s*[\"']([a-z][\w.]*)[\"']", file.read_text())}
    missing = {key for key in named if key not in english and f"{key}.other" not in english}
    assert len(named) > 80 and missing == set()


def test_our_code_never_turns_text_into_markup_or_code() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function|srcdoc"
    for file in OURS:
        assert not re.search(forbidden, file.read_text()), file.name


def test_nothing_is_asked_of_another_host() -> None:
    for name, asset in load().items():
        if name.startswith("vendor/"):
            continue
        addresses = set(re.findall(rb"https?://[\w.]+", asset.body)) - {b"http://www.w3.org"}
        assert addresses == set(), name


def test_assets_are_the_files_of_the_folder_with_their_types() -> None:
    assets = load()
    assert assets["index.html"].media_type == "text/html; charset=utf-8"
    assert assets["vendor/markdown-it.js"].media_type == "text/javascript; charset=utf-8"
    assert "vendor/README.md" not in assets and "vendor/LICENSES.txt" in assets
    assert len({asset.etag for asset in assets.values()}) == len(assets)
    sizes = {name: len(asset.body) for name, asset in assets.items()}
    assert sum(size for name, size in sizes.items() if not name.startswith("translations/")) < 300_000
    assert max(size for name, size in sizes.items() if name.startswith("translations/")) < 25_000  # of them one is loaded
