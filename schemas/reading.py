"""Pages and the passages selected from them."""

from typing import List, Optional

from docarray import BaseDoc, DocList

from schemas.usage import Allowance, Usage


class ReadRequest(BaseDoc):
    """A page to read for a question."""

    url: str = ""
    question: str = ""
    corpus: str = ""
    """Folder that `file:` URLs must lie in; empty: the configured one."""
    timeout_seconds: float = 60.0
    allowance: Allowance = Allowance()


class Page(BaseDoc):
    """What was read, once and for all: a page never changes, a new reading is a new page."""

    page_id: str = ""
    """First 16 hexadecimal digits of SHA-256 over the normalised URL, a newline and the text."""
    url: str = ""
    """Normalised; the page's identity."""
    title: str = ""
    text: str = ""
    """Markdown or plain text; all spans are character offsets into it."""
    language_code: str = ""
    published: Optional[str] = None
    """ISO 8601 date."""
    source: str = ""
    """Name of the reader."""


class Passage(BaseDoc):
    """A span of a page that bears on the question."""

    text: str = ""
    """Exactly `page.text[start:end]`."""
    start: int = 0
    end: int = 0
    score: float = 0.0
    """Relevance to the question, 0 to 1."""


class Link(BaseDoc):
    """A link found on a page."""

    url: str = ""
    text: str = ""


class ReadResponse(BaseDoc):
    """The page and its best passages, best first."""

    page: Page = Page()
    passages: DocList[Passage] = DocList[Passage]()
    links: DocList[Link] = DocList[Link]()
    errors: List[str] = []
    """One line per reader that was tried and failed."""
    usage: Usage = Usage()
