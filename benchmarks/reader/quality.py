"""Precision, recall and F1 of page extraction by kind of page, for this reader and the libraries it builds on, in one run.

    python -m benchmarks.reader.quality [--pages] [name ...]

`--pages` prints every page; names restrict the pages.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable

from lxml.html import document_fromstring

from benchmarks.reader.scores import LabelledPage, Score, kept_structure, labelled_pages, plain_text, score


def _reader(markup: str) -> str:
    from providers.reader.html import read_html

    return read_html(markup, url="https://page.example/a/").text


def _trafilatura(**options: bool) -> Callable[[str], str]:
    def extract(markup: str) -> str:
        from trafilatura import extract as trafilatura_extract

        return trafilatura_extract(markup, **options) or ""

    return extract


def _resiliparse(markup: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(markup, main_content=True, alt_texts=False, list_bullets=False))


def _readability(markup: str) -> str:
    from readability import Document

    return str(document_fromstring(Document(markup).summary() or "<p>").text_content())


def _justext(markup: str) -> str:
    import justext

    return "\n".join(p.text for p in justext.justext(markup.encode(), justext.get_stoplist("English")) if not p.is_boilerplate)


def _boilerpy(markup: str) -> str:
    from boilerpy3.extractors import ArticleExtractor

    return str(ArticleExtractor(raise_on_failure=False).get_content(markup))


def _whole_page(markup: str) -> str:
    from html_to_markdown import convert

    return convert(markup).content or ""


# What each needs beyond this project's own packages; it is left out where that is not installed.
EXTRACTORS: dict[str, tuple[Callable[[str], str], str, bool]] = {
    "this reader": (_reader, "providers", True),
    "trafilatura": (_trafilatura(), "trafilatura", False),
    "trafilatura fast": (_trafilatura(fast=True), "trafilatura", False),
    "trafilatura precision": (_trafilatura(favor_precision=True), "trafilatura", False),
    "trafilatura recall": (_trafilatura(favor_recall=True), "trafilatura", False),
    "resiliparse": (_resiliparse, "resiliparse", False),
    "readability-lxml": (_readability, "readability", False),
    "justext": (_justext, "justext", False),
    "boilerpy3": (_boilerpy, "boilerpy3", False),
    "whole page": (_whole_page, "html_to_markdown", True),
}


def _mean(scores: list[Score]) -> str:
    count = len(scores) or 1
    return "{:.3f} {:.3f} {:.3f}".format(*(sum(getattr(s, part) for s in scores) / count for part in ("precision", "recall", "f1")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    chosen = [page for page in labelled_pages() if not arguments.names or page.name in arguments.names]
    kinds = sorted({page.kind for page in chosen})
    print(f"{len(chosen)} pages; precision, recall, F1, each the mean over pages; kept: share of table rows, lines of code, links")
    for name, (extract, module, markdown) in EXTRACTORS.items():
        if importlib.util.find_spec(module) is None:
            continue
        scores: dict[str, list[Score]] = {kind: [] for kind in kinds}
        kept = {"rows": [0, 0], "code": [0, 0], "links": [0, 0]}
        extract(chosen[0].markup)
        started = time.process_time()
        texts = [extract(page.markup) for page in chosen]
        seconds = time.process_time() - started
        for page, text in zip(chosen, texts, strict=True):
            result = score(plain_text(text) if markdown else text, page)
            scores[page.kind].append(result)
            for part, (have, of) in kept_structure(text, page).items():
                kept[part][0] += have
                kept[part][1] += of
            if arguments.pages and name in ("this reader", "trafilatura", "resiliparse"):
                print(f"  {name:12.12} {page.kind:14} {page.name:20} {_mean([result])} {_structure(page, text) if markdown else ''}")
        structure = " ".join(f"{part} {have / (of or 1):.2f}" for part, (have, of) in kept.items()) if markdown else ""
        print(f"{name:22} all {_mean([s for kind in kinds for s in scores[kind]])}  {len(chosen) / seconds:5.0f} pages/CPU s  {structure}")
        print("   " + "".join(f"  {kind[:13]} {_mean(found)}" for kind, found in scores.items()))


def _structure(page: LabelledPage, text: str) -> str:
    return " ".join(f"{part} {have}/{of}" for part, (have, of) in kept_structure(text, page).items() if of)


if __name__ == "__main__":
    main()
