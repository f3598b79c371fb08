"""What an answer may cite and link to: the evidence by id, and the URLs that were really seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex

from schemas.answering import FinalizeRequest
from schemas.knowledge import Evidence, Knowledge

# A bare URL ends at white space, at a bracket that Markdown or a citation uses, or at CJK punctuation.
BARE_URL = regex.compile(r"(?:https?://|(?<![\w/.])www\.)[^\s<>`\[\]{}|\"“”。，、！？；：（）【】「」『』]+", regex.IGNORECASE)
_TRAILING = ".,;:!?'*_~"


def bare_urls(text: str) -> Iterator[tuple[int, int]]:
    """Spans of the URLs written out in `text`, without the punctuation that follows them."""
    for match in BARE_URL.finditer(text):
        url = match.group()
        while url and (url[-1] in _TRAILING or (url[-1] == ")" and url.count(")") > url.count("("))):
            url = url[:-1]
        yield match.start(), match.start() + len(url)


def evidence_by_id(knowledge: Iterable[Knowledge], evidence: Iterable[Evidence] = ()) -> dict[str, Evidence]:
    """Everything that may be cited, by id, in order of arrival; the first of an id counts."""
    found: dict[str, Evidence] = {}
    for item in knowledge:
        for piece in item.evidence:
            found.setdefault(piece.evidence_id.lower(), piece)
    for piece in evidence:
        found.setdefault(piece.evidence_id.lower(), piece)
    found.pop("", None)
    return found


class KnownUrls:
    """The URLs that occur in what a run was asked and has learned. A link to any other was invented."""

    def __init__(self, urls: Iterable[str] = (), texts: Iterable[str] = ()) -> None:
        self._urls = {_key(url) for url in urls if url}
        for text in texts:
            self._urls.update(_key(text[start:end]) for start, end in bare_urls(text))

    @classmethod
    def of(cls, request: FinalizeRequest, evidence: Iterable[Evidence]) -> KnownUrls:
        """From the evidence's pages and quotes, the conversation and the question; not from what a model made of them."""
        pieces = list(evidence)
        texts = [piece.quote for piece in pieces]
        texts += [message.content for message in request.messages] + [request.question]
        return cls((piece.url for piece in pieces), texts)

    def __contains__(self, url: object) -> bool:
        return isinstance(url, str) and _key(url) in self._urls


def _key(url: str) -> str:
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        return url.strip().partition("#")[0].rstrip("/")
    host, slash, path = rest.partition("#")[0].partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/")
