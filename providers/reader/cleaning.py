"""A page as a tree without what is never text: scripts, fields of forms, hidden parts and marks."""

from __future__ import annotations

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from providers.reader.bounds import bound_structure
from providers.reader.structure import HEADINGS

_DROPPED = frozenset(
    ("script", "style", "template", "svg", "iframe", "object", "input", "select", "textarea", "link", "meta", "canvas", "audio", "video")
)
# Marks beside headings, citations and listings that are about the page and not part of its text; second pictures of formulas.
_DROPPED_CLASSES = frozenset(
    {
        "headerlink", "anchor-link", "hash-link", "mw-editsection", "mw-cite-backlink", "mw-jump-link", "linenos", "lineno", "linenumber",
        "line-number", "line-numbers-rows", "blob-num", "hljs-ln-numbers", "rouge-gutter", "gutter", "sr-only", "visually-hidden",
        "visuallyhidden", "screen-reader-text", "screen-reader-only", "noprint", "MathJax_Preview", "katex-html",
    }
)  # fmt: skip
_PANELS = frozenset(
    {"accordion-content", "accordion-body", "accordion-panel", "collapse", "tab-pane", "tab-content", "panel", "faq-answer", "answer"}
)
PANEL = "data-panel"
"""Attribute of the parts that `clean` finds hidden until the reader opens them."""
_PERMALINKS = ("§", "¶", "#", "🔗")
# A part that holds more than this share of the page's text is shown, whatever its attributes say: scripts show it later.
_MOST_OF_PAGE = 0.4
# With less text than this, in characters, a page is made by scripts, and what it says to readers without them is what it says.
_LITTLE_TEXT = 250


def parse(markup: str) -> HtmlElement:
    """The tree of a page, shadow roots that it declares included, its structure within bounds (`bounds.bound_structure`).

    Raises `ValueError` for markup that no parser takes.
    """
    try:
        # Bytes, because lxml refuses text with an encoding declaration.
        tree = document_fromstring(
            markup.encode("utf-8"), parser=HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
        )
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise ValueError(str(error)) from error
    for template in list(tree.iter("template")):
        if template.get("shadowrootmode") or template.get("shadowroot"):
            template.tag = "div"
    for aside in list(tree.iter("noframes")):
        if aside.text and "<" in aside.text and aside.getparent() is not None:
            try:
                aside.append(document_fromstring(aside.text))
            except (etree.ParserError, etree.XMLSyntaxError):
                continue
            aside.text, aside.tag = None, "div"
    bound_structure(tree)
    return tree


def clean(body: HtmlElement) -> None:
    """Remove what is never text from `body`, and spell formulas as TeX where the page knows it."""
    total = len(body.text_content())
    opened = {opener.get("aria-controls") for opener in body.iter("button", "a", "div", "summary")} - {None, ""}
    doomed = []
    for element in list(body.iter(etree.Element)):
        tag = element.tag
        classes = (element.get("class") or "").split()
        if tag == "script" and "math/tex" in (element.get("type") or ""):
            element.text = _formula(element.text or "", display="display" in element.get("type"))
            element.tag = "span"
        elif tag == "math":
            _spell_formula(element)
        elif tag in _DROPPED or (classes and not _DROPPED_CLASSES.isdisjoint(classes)) or (tag == "sup" and "reference" in classes):
            doomed.append(element)
        elif tag == "sup":
            note = element.find("a")
            if note is not None and (note.get("href") or "").startswith("#") and (note.text or "").strip().isdigit():
                # Or the number would become a part of the word before it.
                note.text = f"[{note.text.strip()}]"
        elif _is_hidden(element):
            panel = element.get("id") in opened or element.get("role") == "tabpanel" or not _PANELS.isdisjoint(classes)
            if panel or len(element.text_content()) > _MOST_OF_PAGE * total:
                for name in ("hidden", "aria-hidden", "style"):
                    element.attrib.pop(name, None)
                if panel:
                    element.set(PANEL, "")
            else:
                doomed.append(element)
        elif tag == "button":
            if _is_heading(element) or next(element.iterdescendants("p"), None) is not None:
                element.tag = "span"
            else:
                doomed.append(element)
        elif tag == "a" and _is_permalink(element):
            doomed.append(element)
        elif tag == "img" and any("math" in name or "tex" in name for name in classes):
            # A formula is often a picture whose text is in `alt`.
            element.text = element.get("alt")
            element.tag = "span"
    for element in doomed:
        if element is not body and element.getparent() is not None:
            element.drop_tree()
    asides = list(body.iter("noscript"))
    if asides:
        shown = len(body.text_content()) - sum(len(aside.text_content()) for aside in asides)
        for aside in asides:
            if shown >= _LITTLE_TEXT:
                aside.drop_tree()
            else:
                aside.tag = "div"


def _is_hidden(element: HtmlElement) -> bool:
    if element.get("hidden") is not None or (element.get("aria-hidden") == "true" and element.tag != "body"):
        return True
    style = element.get("style")
    if not style:
        return False
    style = style.replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def _is_permalink(anchor: HtmlElement) -> bool:
    """Whether it is a mark beside a heading that links to the heading itself."""
    return len(anchor) == 0 and (anchor.text or "").strip() in _PERMALINKS and (anchor.get("href") or "").startswith("#")


def _is_heading(button: HtmlElement) -> bool:
    """Whether a button opens a part of the text, such as the answer to the question that it shows, and is its heading."""
    if next(button.iterdescendants(*HEADINGS), None) is not None:
        return True
    heading = next(button.iterancestors(*HEADINGS, "summary", "dt"), None)
    if heading is not None:
        return len(button.text_content().strip()) >= 0.8 * len(heading.text_content().strip())
    opens = button.get("aria-controls") or button.get("aria-expanded") or button.get("data-bs-toggle") == "collapse"
    return bool(opens) and len(button.text_content().split()) >= 3


def _spell_formula(math: HtmlElement) -> None:
    source = next((a.text for a in math.iter("annotation") if "tex" in (a.get("encoding") or "") and a.text), None) or math.get("alttext")
    if not source:
        for other in math.findall(".//annotation") + math.findall(".//annotation-xml"):
            other.drop_tree()
        return
    display = math.get("display") == "block"
    for child in list(math):
        math.remove(child)
    math.text = _formula(source, display=display)
    math.tag = "span"


def _formula(source: str, *, display: bool) -> str:
    mark = "$$" if display else "$"
    return f"{mark}{' '.join(source.split())}{mark}"
