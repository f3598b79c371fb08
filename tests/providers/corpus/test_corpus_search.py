"""Searching and reading a corpus, in several languages, and never outside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from providers.corpus import Corpus, FolderCorpus, open_corpus
from providers.reader.pages import page_id
from schemas.errors import CorpusError, InvalidRequest, ReadError

MakeCorpus = Callable[..., Corpus]
DOCUMENTS = {
    "en/water.md": "# Boiling points\n\nAt sea level, water boils at 100 degrees Celsius. On Mount Everest it boils at 71 degrees.",
    "en/tower.html": "<html><title>Eiffel Tower</title><body><p>The Eiffel Tower, built in 1889, is 330 metres tall.</p></body>",
    "en/phones.md": "# iPhone 15\n\nThe iPhone 15 was released in September 2023.\n\n# iPhone 16\n\nThe iPhone 16 was released in September 2024.",  # noqa: E501
    "de/rhein.md": "# Der Rhein\n\nDer Rhein ist 1233 Kilometer lang und entspringt in den Schweizer Alpen. Er mündet in die Nordsee.",
    "de/brot.txt": "Ein Sauerteigbrot braucht Mehl, Wasser und Salz. Der Teig ruht zwölf Stunden und wird dann bei 240 Grad gebacken.",
    "zh/shan.md": "# 珠穆朗玛峰\n\n珠穆朗玛峰是世界最高的山峰，海拔八千八百四十八米，位于中国与尼泊尔的边界。",
    "zh/cha.txt": "绿茶是未经发酵的茶叶，用八十度的热水冲泡味道最好。",
    "ja/fuji.md": "# 富士山\n\n富士山は日本で一番高い山で、標高は3776メートルです。静岡県と山梨県にまたがっています。",
    "ja/sushi.txt": "寿司は酢飯と魚を使った日本の料理です。江戸時代に屋台で人気になりました。",
    "ar/nil.md": "# نهر النيل\n\nيبلغ طول نهر النيل حوالي 6650 كيلومترا ويصب في البحر الأبيض المتوسط.",
    "ar/qahwa.txt": "القهوة مشروب يحضر من بذور البن المحمصة، وقد انتشرت من اليمن إلى العالم.",
}
QUESTIONS = [
    ("At what temperature does water boil?", "en/water.md"),
    ("How tall is the Eiffel Tower?", "en/tower.html"),
    ("When was the iPhone 16 released?", "en/phones.md"),
    ("Wie lang ist der Rhein?", "de/rhein.md"),
    ("Wie lange muss der Teig ruhen?", "de/brot.txt"),
    ("世界最高的山峰是哪座？", "zh/shan.md"),
    ("绿茶用多少度的水冲泡？", "zh/cha.txt"),
    ("富士山の標高は何メートルですか", "ja/fuji.md"),
    ("寿司はいつ人気になりましたか", "ja/sushi.txt"),
    ("كم يبلغ طول نهر النيل؟", "ar/nil.md"),
    ("من أين انتشرت القهوة؟", "ar/qahwa.txt"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in DOCUMENTS.items():
        path = tmp_path / "documents" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "documents"


@pytest.fixture
async def corpus(make_corpus: MakeCorpus, folder: Path, tmp_path: Path) -> Corpus:
    corpus = make_corpus(folder, tmp_path / "home")
    await corpus.index()
    return corpus


@pytest.fixture
async def folder_corpus(folder: Path, tmp_path: Path) -> AsyncIterator[FolderCorpus]:
    corpus = open_corpus(folder, tmp_path / "home")
    await corpus.index()
    yield corpus
    await corpus.close()


async def test_every_question_finds_its_document_first(corpus: Corpus, folder: Path) -> None:
    for question, expected in QUESTIONS:
        hits = (await corpus.search(question, 5)).hits
        assert hits[0].url == (folder / expected).as_uri(), question
        assert all(0 < hit.score < 1 for hit in hits)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_snippet_is_the_span_of_the_page(corpus: Corpus) -> None:
    hit = (await corpus.search("iPhone 16 release", 3)).hits[0]
    assert hit.heading == "iPhone 16"
    assert hit.snippet == "# iPhone 16\n\nThe iPhone 16 was released in September 2024."
    page = await corpus.read(hit.url)
    assert page.document.text[hit.start : hit.end] == hit.snippet
    assert hit.page_id == page.page_id == page_id(hit.url, page.document.text)


async def test_a_document_appears_once_and_limits_hold(corpus: Corpus) -> None:
    hits = (await corpus.search("iPhone 15 iPhone 16 released water tower", 2)).hits
    assert len(hits) == len({hit.url for hit in hits}) == 2


@pytest.mark.parametrize("query", ["", "   ", "?!", "zzzqqq", "and the of", '"unbalanced (query: AND', "x" * 100_000])
async def test_odd_queries_do_no_harm(corpus: Corpus, query: str) -> None:
    assert isinstance((await corpus.search(query, 3)).hits, list)


async def test_never_indexed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(CorpusError, match=r"was never indexed; run `deepsearch index` on it$"):
        await open_corpus(tmp_path / "docs", tmp_path / "home").search("x", 1)


async def test_a_changed_file_is_read_anew(folder_corpus: FolderCorpus) -> None:
    path = folder_corpus.folder / "en" / "water.md"
    before = await folder_corpus.read(path.as_uri())
    path.write_text("# Changed\n\nAll new.", encoding="utf-8")
    after = await folder_corpus.read(path.as_uri())
    assert after.document.text == "# Changed\n\nAll new."
    assert (after.url, after.page_id != before.page_id) == (before.url, True)


async def test_a_file_that_was_never_indexed_is_read(folder_corpus: FolderCorpus) -> None:
    path = folder_corpus.folder / "neu & alt.md"
    path.write_text("New text.", encoding="utf-8")
    page = await folder_corpus.read(path.as_uri())
    assert page.url.endswith("/neu%20%26%20alt.md")
    assert page.document.text == "New text."


async def test_nothing_outside_is_read(folder_corpus: FolderCorpus, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("secret", encoding="utf-8")
    (tmp_path / "documents-2").mkdir()
    (tmp_path / "documents-2" / "a.md").write_text("secret", encoding="utf-8")
    (folder_corpus.folder / "link.md").symlink_to(secret)
    (folder_corpus.folder / "dir").symlink_to(tmp_path, target_is_directory=True)
    (folder_corpus.folder / ".hidden.md").write_text("secret", encoding="utf-8")
    (folder_corpus.folder / "key.pem").write_text("secret", encoding="utf-8")
    inside = folder_corpus.folder.as_uri()
    for url in [
        secret.as_uri(),
        f"{inside}/../secret.md",
        f"{inside}/%2e%2e/secret.md",
        f"{inside}/en%2f..%2f..%2fsecret.md",
        f"{inside}/link.md",
        f"{inside}/dir/secret.md",
        f"{inside}-2/a.md",
        f"{inside}/.hidden.md",
        f"{inside}/key.pem",
        inside.replace("file://", "file://elsewhere") + "/en/water.md",
        f"{inside}/en",
        f"{inside}/a%00.md",
        "file:secret.md",
        "https://example.org/water.md",
    ]:
        with pytest.raises(InvalidRequest):
            await folder_corpus.read(url)
    with pytest.raises(ReadError, match=r"^gone\.md: there is no such file in the corpus$"):
        await folder_corpus.read(f"{inside}/gone.md")
    with pytest.raises(ReadError, match=r"^water\.md: it cannot be read \(it is larger than 10 bytes"):
        (folder_corpus.folder / "en" / "water.md").write_text("changed, and too large", encoding="utf-8")
        await folder_corpus.read(f"{inside}/en/water.md", max_bytes=10)


@pytest.mark.parametrize("place", ["", "documents", "corpora"])
async def test_a_corpus_among_our_own_files_is_searched_and_read(tmp_path: Path, place: str) -> None:
    home = tmp_path / "home"
    folder = home / place
    folder.mkdir(parents=True)
    (folder / "tides.md").write_text("# Tides\n\nThe moon moves the sea twice a day.", encoding="utf-8")
    corpus = open_corpus(folder, home)
    await corpus.index()
    (corpus.index_folder / "own.md").write_text("an index file of our own, with the moon in it", encoding="utf-8")
    assert (await corpus.index()).removed == 0
    hits = (await corpus.search("moon", 5)).hits
    assert [hit.url for hit in hits] == [(folder / "tides.md").as_uri()]
    assert "twice a day" in (await corpus.read(hits[0].url)).document.text
    with pytest.raises(InvalidRequest, match=r"not a document of the corpus|outside the corpus"):
        await corpus.read((corpus.index_folder / "own.md").as_uri())
    await corpus.close()
