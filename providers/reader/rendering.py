"""The kept part of a page as Markdown."""

from __future__ import annotations

import regex
from html_to_markdown import ConversionOptions, PreprocessingOptions
from html_to_markdown import convert as markdown_of
from html_to_markdown.exceptions import ConversionError
from lxml.html import HtmlElement, tostring

from providers.reader.structure import BLOCKS

_SPACE = regex.compile(r"[ \t\n\f\r]+")
_LANGUAGE_CLASS = regex.compile(r"(?:language|lang|highlight-source|highlight|brush:?|src)[-_ :]([A-Za-z][A-Za-z0-9+#]{0,19})$")
_LANGUAGES = frozenset(
    {
        "bash", "bat", "c", "clojure", "cmake", "console", "cpp", "c++", "csharp", "cs", "css", "dart", "diff", "dockerfile", "elixir",
        "erlang", "fortran", "go", "graphql", "groovy", "haskell", "html", "http", "ini", "java", "javascript", "js", "jsx", "json",
        "json5", "julia", "kotlin", "latex", "less", "lua", "makefile", "matlab", "markdown", "nginx", "nix", "objectivec", "ocaml",
        "perl", "php", "powershell", "proto", "protobuf", "py", "python", "python3", "r", "ruby", "rust", "sass", "scala", "scheme",
        "scss", "sh", "shell", "sql", "swift", "tex", "toml", "ts", "tsx", "typescript", "vb", "vim", "xml", "yaml", "yml", "zig", "zsh",
    }
)  # fmt: skip
_NO_LANGUAGES = frozenset(("none", "default", "plaintext", "text", "plain", "notranslate", "highlight", "source", "output"))

_OPTIONS = ConversionOptions(
    extract_metadata=False,
    autolinks=False,
    compact_tables=True,
    skip_images=True,
    bullets="-",
    # The tree has been pruned already; a second, blind pruning could only lose text.
    preprocessing=PreprocessingOptions(enabled=False),
)


def prepare_listings(body: HtmlElement) -> None:
    """Make listings plain: one line of code on a line of its own, and the language as a class of the `pre` element."""
    for table in list(body.iter("table")):
        classes = table.get("class") or ""
        if "hljs-ln" in classes or "js-file-line-container" in classes:
            lines = [cell.text_content().rstrip("\n") for cell in table.iter("td") if "code" in (cell.get("class") or "")]
            for child in list(table):
                table.remove(child)
            table.text, table.tag = "\n".join(lines), "span" if next(table.iterancestors("pre"), None) is not None else "pre"
    for listing in list(body.iter("pre")):
        if language := _language_of(listing):
            listing.set("class", f"language-{language}")
            for code in listing.iter("code"):
                code.attrib.pop("class", None)
        for line in list(listing.iter("div", "li", "p", "tr")):
            following = line.tail or ""
            if not following.startswith("\n") and not (len(line) == 0 and (line.text or "").endswith("\n")):
                line.tail = "\n" + following
            line.tag = "span"
        # In a listing the mark of a link would be read as code.
        for part in list(listing.iter("ol", "ul", "table", "tbody", "td", "a")):
            part.tag = "span"


def render(body: HtmlElement) -> str:
    """Markdown of all that `body` holds. Raises `ValueError` when it cannot be rendered."""
    for element in list(body.iter("mark", "abbr")):
        # Its title would be spelled out behind it, and its mark is no Markdown that is commonly read.
        element.tag = "span"
    for anchor in list(body.iter("a")):
        if not anchor.get("href"):
            anchor.drop_tag()
    for summary in list(body.iter("summary")):
        # It becomes bold, which blocks in it cannot be.
        if next(summary.iterdescendants(*BLOCKS), None) is not None:
            summary.tag = "div"
    _join_source_lines(body)
    try:
        return (markdown_of(tostring(body, encoding="unicode"), _OPTIONS).content or "").strip()
    except ConversionError as error:
        raise ValueError(f"its markup cannot be rendered ({error})") from error


def _language_of(listing: HtmlElement) -> str:
    """The language that a listing, the code in it or what wraps it names; empty: none."""
    code = listing.find(".//code")
    around = [listing.getparent(), listing.getparent().getparent()] if listing.getparent() is not None else []
    for element in (code, listing, *around):
        if element is None:
            continue
        named = element.get("data-lang") or element.get("data-language") or ""
        names = [named, *(f"language-{named}" for _ in named[:1]), *(element.get("class") or "").replace("brush: ", "brush-").split()[:12]]
        for name in names:
            found = _LANGUAGE_CLASS.match(name)
            language = (found[1] if found else name if element not in around else "").lower().rstrip(";")
            if language in _NO_LANGUAGES:
                continue
            if language in _LANGUAGES or (found and name.startswith(("language-", "lang-"))):
                return language
    return ""


def _join_source_lines(body: HtmlElement) -> None:
    """Make every run of white space outside listings one space, as a browser does: the lines of the source are no lines of the text."""
    listings = {element for listing in body.iter("pre") for element in listing.iter()}
    for element in body.iter():
        if element.text and element not in listings:
            element.text = _SPACE.sub(" ", element.text)
        if element.tail and (element not in listings or element.tag == "pre"):
            element.tail = _SPACE.sub(" ", element.tail)
