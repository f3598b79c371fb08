"""Write every page and its label anew: `python tests/pages/generate.py` with the tools that README.md names, or only the pages named
after it."""

from __future__ import annotations

import gzip
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sites
import tools
from lxml import html
from markdown_it import MarkdownIt

HERE = Path(__file__).parent


def label_of(source: str) -> dict[str, Any]:
    """What a text in `sources/` says: its words without the title, its code, the rows of its tables and its links."""
    head, _, rest = (HERE / "sources" / f"{source}.md").read_text().partition("\n")
    tree = html.fromstring("<div>" + MarkdownIt("commonmark").enable("table").render(rest) + "</div>")
    rows = [[" ".join(cell.text_content().split()) for cell in row] for row in tree.iter("tr")]
    return {
        "text": "\n".join(_blocks(tree)),
        "optional": head[2:],
        "code": [line for pre in tree.iter("pre") for line in pre.text_content().splitlines() if line.strip()],
        "rows": rows,
        "links": [[a.get("href"), a.text_content()] for a in tree.iter("a")],
    }


def _blocks(tree: Any) -> Iterator[str]:
    for element in tree.iter("h2", "h3", "p", "li", "pre", "tr"):
        if element.tag == "tr":
            yield " ".join(" ".join(cell.text_content().split()) for cell in element)
        elif element.tag != "p" or element.getparent().tag != "li":
            yield " ".join(element.text_content().split())


def slim(markup: str) -> str:
    """Without long style sheets, scripts and embedded files: they are no text, and would be most of the folder."""

    def emptied(found: re.Match[str]) -> str:
        return found[1] + (found[2] if len(found[2]) < 2000 else "") + found[3]

    markup = re.sub(r"(<style[^>]*>)(.*?)(</style>)", emptied, markup, flags=re.S)
    markup = re.sub(r"(<script(?![^>]*json)[^>]*>)(.*?)(</script>)", emptied, markup, flags=re.S)
    return re.sub(r"(?<=base64,)[A-Za-z0-9+/=]{2000,}", "", markup)


def write(name: str, markup: str, label: dict[str, Any]) -> None:
    (HERE / "html" / f"{name}.html.gz").write_bytes(gzip.compress(slim(markup).encode(), mtime=0))
    (HERE / "labels" / f"{name}.json").write_text(json.dumps(label, ensure_ascii=False, indent=1) + "\n")


def label_of_posts(beginnings: bool) -> dict[str, Any]:
    """What a page of `tools.POSTS` says: their titles, and either all of them or their first paragraphs."""
    labels = [label_of(name) for name in tools.POSTS]
    if beginnings:
        return {"text": "\n".join(f"{label['optional']}\n{label['text'].partition(chr(10))[0]}" for label in labels), "optional": ""}
    whole = {"text": "\n".join(f"{label['optional']}\n{label['text']}" for label in labels), "optional": ""}
    return whole | {part: [one for label in labels for one in label[part]] for part in ("code", "rows", "links")}


def main() -> None:
    wanted = set(sys.argv[1:])
    for folder in ("html", "labels"):
        (HERE / folder).mkdir(exist_ok=True)
        for old in [] if wanted else (HERE / folder).iterdir():
            old.unlink()
    for name, page in tools.PAGES.items():
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as work:
            markup = page["make"](Path(work), *page["arguments"]).replace(work, "/srv")  # type: ignore[operator]
        label = {"kind": page["kind"], "language": page["language"], "text": "", "optional": "", "code": [], "rows": [], "links": []}
        if page["source"]:
            label |= label_of(str(page["source"]))
        elif name == "mhonarc":
            label |= {"text": tools.MESSAGES[1][3], "optional": tools.MESSAGES[1][2]}
        elif name in ("jekyll-index", "hexo-index"):
            label |= label_of_posts(beginnings=name == "jekyll-index")
            label["optional"] = "Posts " + "2025 05 01 02 03 Apr Chronicle river people " * 3
        else:
            label |= {
                "text": tools.code_text(),
                "optional": " ".join(f"{f[0]} {f[1]} {f[2]}" for f in tools.CODE["functions"]) + " double float f64 number real barge" * 9,
            }
        if name in ("groff", "man2html", "mandoc"):
            label["links"] = []  # a manual page has none
        if name == "groff":
            label["rows"] = []  # groff draws tables as pictures
        write(name, markup, label)
        print(name)
    for name, site in sites.pages().items():
        if wanted and name not in wanted:
            continue
        markup = sites.ENVIRONMENT.get_template(site["template"]).render(**site["values"])
        label = {"kind": site["kind"], "language": site["language"], "text": "", "optional": "", "code": [], "rows": [], "links": []}
        if "source" in site:
            label |= label_of(site["source"])
            label["text"] += "\n" + site.get("extra", "")
            label["optional"] += "\n" + site.get("optional", "")
        else:
            label |= {
                "text": site["text"],
                "optional": site["optional"] + "\n" + site["values"].get("title", ""),
                "rows": site.get("rows", []),
            }
            label["code"] = [line for line in site.get("code", []) if line.strip()]
        if site["template"] == "next_article.html":
            label["rows"], label["code"], label["links"] = [], [], []
        write(name, markup, label)
        print(name)


if __name__ == "__main__":
    main()
