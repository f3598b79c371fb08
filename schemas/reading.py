"""Pages and the passages selected from them."""

from typing import List, Literal, Optional

from docarray import BaseDoc, DocList

from schemas.usage import Allowance, Usage

DateSource = Literal["json-ld", "meta", "time", "url", "text", "header", "document", "feed", "service"]


class Page(BaseDoc):
    """What was read, once and for all: a page never changes, a new reading is a new page."""

    page_id: str = ""
    """First 16 hexadecimal digits of SHA-256 over the normalised URL, a newline and the text."""
    url: str = ""
    """Normalised; the page's identity."""
    title: str = ""
    text: str = ""
    """Markdown or plain text; all spans are character offsets into it."""
    author: str = ""
    language_code: str = ""
    published: Optional[str] = None
    """ISO 8601 date."""
    modified: Optional[str] = None
    """ISO 8601 date of the last change, when the page states one."""
    date_source: Optional[DateSource] = None
    """Where `published`, or else `modified`, was found. `url` and `text` are guesses; `header` is the server's Last-Modified,
    `document` a PDF's or a Markdown file's own data, `feed` an RSS or Atom element, `service` what a provider reports."""
    source: str = ""
    """Name of the reader."""
    read_at: Optional[str] = None
    """When it was fetched, ISO 8601, UTC, in seconds; a page from the cache keeps the time of its fetching."""


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


class Image(BaseDoc):
    """An image found in the main part of a page."""

    url: str = ""
    text: str = ""
    """Its caption, or else its alternative text."""
    width: int = 0
    """Pixels, as the page states them; 0: unknown."""
    height: int = 0
    page_url: str = ""
    """The page it was found on."""


class Attachment(BaseDoc):
    """A file that came with a message."""

    name: str = ""
    media_type: str = ""
    """As the sender states it, such as `application/pdf` or `image/png`; what it really is, is found out."""
    content: str = ""
    """The file in base64; empty in the events of a run, which keeps it beside them."""


class ReadRequest(BaseDoc):
    """A page to read for a question."""

    url: str = ""
    question: str = ""
    page: Page = Page()
    """A page whose text is known already, such as one that a search delivered: nothing is fetched, only passages are selected."""
    attachment: Attachment = Attachment()
    """A file to read in place of a page; `url` is then `attachment:` and its name."""
    corpus: str = ""
    """Folder that `file:` URLs must lie in; empty: the configured one."""
    failures: int = 0
    """How often reading this page has failed in the run: each time another reader is tried first."""
    with_images: bool = False
    timeout_seconds: float = 60.0
    allowance: Allowance = Allowance()


class ReadResponse(BaseDoc):
    """The page and its best passages, best first."""

    page: Page = Page()
    passages: DocList[Passage] = DocList[Passage]()
    links: DocList[Link] = DocList[Link]()
    images: DocList[Image] = DocList[Image]()
    """Only when they were asked for."""
    errors: List[str] = []
    """One line per reader that was tried and failed, and one when passages could not be compared by embeddings."""
    usage: Usage = Usage()


class IllustrateRequest(BaseDoc):
    """A finished answer, and the images of the pages that were read for it."""

    text: str = ""
    images: DocList[Image] = DocList[Image]()
    most: int = 10
    timeout_seconds: float = 30.0
    allowance: Allowance = Allowance()


class RelatedImage(BaseDoc):
    """An image that shows what a part of an answer speaks of."""

    url: str = ""
    page_url: str = ""
    """The page it was found on."""
    text: str = ""
    """Its caption, or else its alternative text."""
    width: int = 0
    """Pixels, as measured."""
    height: int = 0
    score: float = 0.0
    """Similarity to the passage of the answer, 0 to 1."""
    start: int = 0
    end: int = 0
    """The passage of the answer that it belongs to, in characters."""


class Illustration(BaseDoc):
    """The images that fit, best first, each of them once."""

    images: DocList[RelatedImage] = DocList[RelatedImage]()
    errors: List[str] = []
    """One line per kind of failure."""
    usage: Usage = Usage()
