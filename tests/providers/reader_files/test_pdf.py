"""PDF to text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from providers.reader.documents import convert
from providers.reader.lines import join_lines
from tests.providers.reader_files.pdf_writer import make_pdf

PAGE = [
    "The measurements of the last year were taken in the labora-",
    "tory by two people, who wrote them down with state-of-",
    "the-art pencils in a notebook that is kept to this day.",
    "They are short.",
    "",
    "Year Bars Foos",
    "2022 10.5 7",
    "2023 17.0 8",
]


def test_paragraphs_words_and_rows() -> None:
    document = convert(make_pdf([PAGE, ["Second page."]], title="Lab report"), "report.pdf")
    assert document.text == (
        "The measurements of the last year were taken in the laboratory by two people, who wrote them down with state-of-the-art"
        " pencils in a notebook that is kept to this day. They are short.\nYear Bars Foos\n2022 10.5 7\n2023 17.0 8\n\nSecond page."
    )
    assert (document.title, document.author, document.published, document.language_code) == ("Lab report", "A. Writer", "2023-04-05", "en")


def test_title_of_a_file_name_is_not_used() -> None:
    assert convert(make_pdf([["A heading of the page"]], title="thesis_v3.docx"), "t.pdf").title == "A heading of the page"


def test_many_threads_at_once() -> None:
    files = [make_pdf([[f"document number {i}"]] * 5) for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda data: convert(data, "a.pdf").text, files))
    assert texts == ["\n\n".join([f"document number {i}"] * 5) for i in range(20)]


def test_chinese_lines_are_joined_without_a_space() -> None:
    lines = ["水在海平面的沸点是一百摄氏度而在高山上沸点要低一些因为气压较", "低所以煮饭的时间更长。"]
    assert join_lines(lines) == "".join(lines)
