"""The search and the reader of the scripted server, in Jina's wire formats."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.scripted.replies import Json, Reply, Status, Text

Handler = Callable[[Any], Reply]


class _Service:
    """Answers with its own default, or with what `script` says."""

    def __init__(self) -> None:
        self._handler: Handler | None = None

    def script(self, handler: Handler) -> None:
        self._handler = handler

    def reply(self, request: Any) -> Reply:
        return self._handler(request) if self._handler is not None else self.default(request)

    def default(self, request: Any) -> Reply:
        raise NotImplementedError

    def body(self, request: Any, reply: Json | Text) -> bytes:
        return (reply.text if isinstance(reply, Text) else json.dumps(reply.value)).encode()


class ScriptedSearch(_Service):
    """`POST {q, num}`: the pages that share most words with the query, at most `num`; those that share none are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[tuple[str, str, str]] = []

    def default(self, request: Any) -> Reply:
        wanted = set(re.findall(r"\w+", str(request.get("q", "")).lower()))
        scored = [
            (len(wanted & set(re.findall(r"\w+", f"{title} {text}".lower()))), page) for page in self.pages for _, title, text in [page]
        ]
        best = sorted((entry for entry in scored if entry[0]), key=lambda entry: -entry[0])[: int(request.get("num") or 10)]
        return Json(self.found([result(url, title, text[:200]) for _, (url, title, text) in best]))

    @staticmethod
    def found(results: list[dict[str, Any]]) -> dict[str, Any]:
        """The body that carries `results`."""
        return {"code": 200, "status": 20000, "data": results}


class ScriptedReader(_Service):
    """`POST {url}`: the page that was added under that URL, or Jina's 422 for an address that does not resolve."""

    def __init__(self) -> None:
        super().__init__()
        self._pages: dict[str, dict[str, Any]] = {}

    def add(self, url: str, title: str, text: str, *, links: list[tuple[str, str]] | None = None, published: str | None = None) -> None:
        """Make a page. `links` are (text, url) pairs; `published` is an ISO 8601 date."""
        page: dict[str, Any] = {"title": title, "url": url, "content": text, "links": [list(link) for link in links or []], "images": {}}
        if published is not None:
            page["publishedTime"] = published
        self._pages[url] = page | {"usage": {"tokens": max(1, len(text) // 4)}}

    def default(self, request: Any) -> Reply:
        page = self._pages.get(str(request.get("url", "")))
        if page is None:
            message = "Failed to goto the URL: it could not be resolved"
            return Status(422, {"code": 422, "name": "AssertionFailureError", "status": 42206, "message": message, "data": None})
        return Json({"code": 200, "status": 20000, "data": page})


def result(url: str, title: str, description: str, *, tokens: int = 0, **details: Any) -> dict[str, Any]:
    """One search result; `details` are `content`, `date` and the like."""
    return {"title": title, "description": description, "url": url, **details, "usage": {"tokens": tokens or max(1, len(description) // 4)}}
