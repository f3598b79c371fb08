"""The block structure of a page, made regular: every text lies in exactly one block, and tables are data."""

from __future__ import annotations

from lxml.html import HtmlElement

BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li",
        "main", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    }
)  # fmt: skip
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# A cell with more text than this, in characters, is a part of the page and not of a table.
_LONGEST_CELL = 2_000
_LONG_CELL = 200


def regularize(body: HtmlElement) -> None:
    """Unwrap the tables that only lay out the page, and give loose text a paragraph of its own."""
    _unwrap_layout_tables(body)
    _wrap_inline_runs(body)


def leaves_of(body: HtmlElement) -> list[HtmlElement]:
    """The blocks that hold text themselves, in order; a table or a listing is one block."""
    containers = set(_containers(body))
    leaves: list[HtmlElement] = []
    skip: HtmlElement | None = None
    for element in body.iter(*BLOCKS):
        if skip is not None and skip in element.iterancestors("table", "pre"):
            continue
        if element.tag in ("table", "pre") or element not in containers:
            leaves.append(element)
            skip = element if element.tag in ("table", "pre") else None
    return leaves


def _is_data_table(table: HtmlElement) -> bool:
    """Whether a table holds data, and not the layout of the page or the line numbers of a listing."""
    if next(table.iterdescendants("table", "pre", "form", *HEADINGS), None) is not None:
        return False
    rows = [len(row) for row in table.iter("tr")]
    if not rows or max(rows) < 2:
        return False
    cells = [(cell, len(cell.text_content())) for cell in table.iter("td", "th")]
    if max((length for _, length in cells), default=0) > _LONGEST_CELL:
        return False
    if next(table.iterdescendants("th", "caption"), None) is not None:
        return True
    # Without a heading, a single row or parts of text in its cells are a layout.
    return len(rows) > 1 and not any(
        length > _LONG_CELL and next(cell.iterdescendants("p", "div", "ul", "ol", "blockquote", "center"), None) is not None
        for cell, length in cells
    )


def _unwrap_layout_tables(body: HtmlElement) -> None:
    layout = {table for table in body.iter("table") if not _is_data_table(table)}
    unwrapped = []
    for part in body.iter("table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption"):
        owner = part if part.tag == "table" else next(part.iterancestors("table"), None)
        if owner is None or owner in layout:
            unwrapped.append(part)
    for part in unwrapped:
        part.tag = "div"


def _wrap_inline_runs(body: HtmlElement) -> None:
    for container in _containers(body):
        run: HtmlElement | None = None
        children = list(container)
        lead, container.text = container.text, None
        if lead and lead.strip():
            run = container.makeelement("p")
            run.text = lead
            container.insert(0, run)
        for child in children:
            if child.tag in BLOCKS or _holds_block(child):
                tail, child.tail = child.tail, None
                run = None
                if tail and tail.strip():
                    run = container.makeelement("p")
                    run.text = tail
                    child.addnext(run)
            elif run is None:
                if not child.text_content().strip() and not (child.tail or "").strip():
                    continue
                run = container.makeelement("p")
                child.addprevious(run)
                run.append(child)  # its tail moves with it
            else:
                run.append(child)


def _holds_block(element: HtmlElement) -> bool:
    return next(element.iterdescendants(*BLOCKS), None) is not None


def _containers(body: HtmlElement) -> list[HtmlElement]:
    """Elements with block elements below them, outside tables of data and code, whatever their own tag is."""
    found: dict[HtmlElement, None] = {}
    atoms = set()
    for element in body.iter(*BLOCKS):
        above: list[HtmlElement] = []
        for ancestor in element.iterancestors():
            if ancestor.tag in ("table", "pre") or ancestor in atoms:
                above = []
                atoms.add(element)
                break
            if ancestor in found or ancestor is body.getparent():
                break
            above.append(ancestor)
        found.update(dict.fromkeys(above))
    return list(found)
