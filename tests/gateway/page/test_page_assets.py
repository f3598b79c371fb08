"""The files of the page: complete in every language, and nothing from elsewhere."""

from __future__ import annotations

import json
import re

import pytest

from gateway.page.routes import ASSETS, load

TRANSLATIONS = sorted((ASSETS / "translations").glob("*.json"))
OURS = sorted(ASSETS.glob("*.js"))


@pytest.mark.parametrize("file", TRANSLATIONS, ids=lambda file: file.stem)
def test_every_language_has_every_word_with_the_same_places(file: object) -> None:
    english = json.loads((ASSETS / "translations/en.json").read_text())
    words = json.loads(file.read_text())  # type: ignore[attr-defined]
    assert {key for key in words if not key.endswith(".one")} == {key for key in english if not key.endswith(".one")}
    for key, text in words.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


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
    assert sum(len(asset.body) for asset in assets.values()) < 300_000
