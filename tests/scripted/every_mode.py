"""A model, a search and a reader for any number of runs in every mode: answers, reports and teams. They keep no state.

Each question names a subject (`about(17)`: "cluster C17"), which comes back in all that is sent for its run: in prompts, in queries and
in the addresses of pages. So whoever looks at the requests knows whose they are (`subject_of`), and no run finds the pages of another.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.scripted.five_steps import reply as reply_of_a_session
from tests.scripted.jina import ScriptedSearch, result
from tests.scripted.llm import schema_name, text_of
from tests.scripted.replies import Json, Reply, Status, Text
from tests.scripted.server import ScriptedServer

PAGES = 6
_SUBJECT = re.compile(r"\bC\d+\b")
_EVIDENCE = re.compile(r"\[(e\d+)\]|\b(e\d+)\b")
_STATEMENT = re.compile(r"^Statement (\d+)", re.MULTILINE)
_ADDRESS = re.compile(r"https://host(\d+)\.org/(C\d+)/readers")


def about(number: int) -> str:
    """The subject of a run."""
    return f"cluster C{number}"


def question(number: int) -> str:
    """A question about a subject."""
    return f"How do I scale the page readers of {about(number)}?"


def subject_of(request: Any) -> str:
    """The subject that a request is about; empty when it names none."""
    found = _SUBJECT.search(json.dumps(request))
    return found[0] if found else ""


def reply(request: Any) -> Reply:
    """The reply to one chat completion."""
    name = schema_name(request)
    prompts = "\n".join(text_of(message) for message in request["messages"] if message["role"] != "system")
    subject = subject_of(request)
    cited = next((found[0] or found[1] for found in _EVIDENCE.findall(prompts)), "e1")
    says = f"Page readers of cluster {subject} scale by their number of replicas [{cited}]."
    match name:
        case "":
            return Text(says)
        case "DecisionOutput":
            decided = reply_of_a_session(request)
            return _about(decided, subject, says) if isinstance(decided, Json) else decided
        case "RewritingOutput":
            queries = [{"text": f"readers guide {subject}"}, {"text": f"reader replicas {subject}"}]
            return Json({"think": "Two angles.", "queries": queries})
        case "DecompositionOutput":
            parts = [f"How many replicas do the page readers of cluster {subject} need?", f"Which ports do readers of {subject} listen on?"]
            return Json({"think": "Number and place.", "questions": parts, "no_more_parts": True})
        case "DigestOutput":
            return Json({"findings": [says]})
        case "SynthesisOutput":
            return Json({"agreements": [], "conflicts": [], "gaps": []})
        case "OutlineOutput":
            sections = [
                {"heading": heading, "brief": f"What {subject} needs.", "evidence": [cited], "words": 60}
                for heading in ("Replicas", "Ports")
            ]
            return Json({"think": "Two parts.", "title": f"Readers of {subject}", "sections": sections})
        case "EntailmentOutput":
            numbers = [int(number) for number in _STATEMENT.findall(prompts)]
            report = [{"number": number, "reason": "It says so.", "verdict": "supported", "evidence": [cited]} for number in numbers]
            return Json({"statements": report, "pairs": []})
    return reply_of_a_session(request)


def _about(decided: Json, subject: str, says: str) -> Json:
    decision = dict(decided.value)
    if "queries" in decision:
        decision["queries"] = [f"{query} {subject}" for query in decision["queries"]]
    if "answer" in decision:
        decision["answer"] = says
    return Json(decision)


def found(request: Any) -> Reply:
    """The pages about the subject of a query."""
    subject = subject_of(request)
    pages = [_page(number, subject) for number in range(PAGES)] if subject else []
    results = [result(page["url"], page["title"], page["content"][:200]) for page in pages]
    return Json(ScriptedSearch.found(results[: int(request.get("num") or 10)]))


def read(request: Any) -> Reply:
    """The page at an address."""
    place = _ADDRESS.fullmatch(str(request.get("url", "")))
    if place is None:
        return Status(422, {"code": 422, "name": "AssertionFailureError", "status": 42206, "message": "no such page", "data": None})
    return Json({"code": 200, "status": 20000, "data": _page(int(place[1]), place[2])})


def _page(number: int, subject: str) -> dict[str, Any]:
    text = (
        f"Page readers of cluster {subject} scale by their number of replicas. "
        f"This is part {number}: give each replica of {subject} a port of its own."
    )
    page = {"title": f"Page readers of {subject}, part {number}", "url": f"https://host{number}.org/{subject}/readers", "content": text}
    return {**page, "links": [], "images": {}, "usage": {"tokens": len(text) // 4}}


def add_every_mode(server: ScriptedServer) -> None:
    """Teach `server` all of it."""
    server.llm.script(reply)
    server.search.script(found)
    server.reader.script(read)
