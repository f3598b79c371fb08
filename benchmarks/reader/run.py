"""Speed of reading: pages per second of CPU against trafilatura alone, and a 300-page PDF against PDFium alone. See README.md."""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from providers.reader.documents import convert
from providers.reader.notices import notice_in_place

PAGES = Path(__file__).parents[2] / "tests" / "pages" / "html"
PDF_PAGES = 300

_PDF = """
import json, sys, time
def peak():  # of this process alone: `getrusage` begins with the peak of the one that started it
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
data = sys.stdin.buffer.read()
import pypdfium2
from providers.reader.documents import convert
before, started = peak(), time.process_time()
if sys.argv[1] == "alone":
    document = pypdfium2.PdfDocument(data)
    characters = sum(len(page.get_textpage().get_text_range()) for page in document)
else:
    characters = len(convert(data, "report.pdf").text)
print(json.dumps({"seconds": time.process_time() - started, "peak": peak(), "grown": peak() - before, "characters": characters}))
"""


def whole_conversion(data: bytes) -> None:
    """What a page costs here: type, charset, main text, structure, links, images, metadata, language, check for notices."""
    document = convert(data, "https://page.example/a/", media_type="text/html")
    notice_in_place(document.title, document.text)


def trafilatura_alone(data: bytes) -> None:
    """Text and metadata by trafilatura as it comes."""
    import trafilatura

    trafilatura.extract(data, url="https://page.example/a/", with_metadata=True)


def seconds_of(convert_page: Callable[[bytes], None], pages: list[bytes]) -> float:
    """CPU seconds for all pages, one after the other."""
    started = time.process_time()
    for page in pages:
        convert_page(page)
    return time.process_time() - started


def make_report(pages: int) -> bytes:
    """A PDF of pages with 50 lines of text each, as a report has."""
    from tests.providers.reader_files.pdf_writer import make_pdf

    generator = random.Random(7)
    words = ["the", "of", "and", "is", "in", "to", "was", "with", "sea", "moon", "tide", "shore", "sand", "water", "height", "port", "wind"]
    lines = [[" ".join(generator.choices(words, k=14)).capitalize() + "." for _ in range(50)] for _ in range(pages)]
    return make_pdf(lines, title="Report")


def read_report(data: bytes, how: str) -> dict[str, float]:
    """Reading the report in a process of its own."""
    command = [sys.executable, "-c", _PDF, how]
    found: dict[str, float] = json.loads(subprocess.run(command, input=data, check=True, capture_output=True).stdout)
    return found


def main() -> None:
    """Print medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    pages = [gzip.decompress(path.read_bytes()) for path in sorted(PAGES.glob("*.html.gz"))]
    if not pages:
        raise SystemExit(f"there are no pages in {PAGES}")
    seconds_of(whole_conversion, pages[:3])
    seconds_of(trafilatura_alone, pages[:3])  # both have their libraries loaded now
    ours, alone = ([seconds_of(how, pages) for _ in range(runs)] for how in (whole_conversion, trafilatura_alone))
    data = make_report(PDF_PAGES)
    report, pdfium = ([read_report(data, how) for _ in range(runs)] for how in ("whole", "alone"))
    print(
        json.dumps(
            {
                "pages": len(pages),
                "kilobytes_per_page": round(sum(map(len, pages)) / len(pages) / 1_000, 1),
                "pages_per_second": round(len(pages) / statistics.median(ours), 1),
                "pages_per_second_trafilatura_alone": round(len(pages) / statistics.median(alone), 1),
                "ratio": round(statistics.median(ours) / statistics.median(alone), 2),
                "pdf_pages": PDF_PAGES,
                "pdf_seconds": round(statistics.median(run["seconds"] for run in report), 2),
                "pdf_seconds_pdfium_alone": round(statistics.median(run["seconds"] for run in pdfium), 2),
                "pdf_peak_mb": round(statistics.median(run["peak"] for run in report), 1),
                "pdf_grown_mb": round(statistics.median(run["grown"] for run in report), 1),
                "pdf_peak_mb_pdfium_alone": round(statistics.median(run["peak"] for run in pdfium), 1),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
