"""A model that runs a session of five steps: search, visit, search, visit, answer. It keeps no state, so any number run at once."""

from __future__ import annotations

import re
from typing import Any

from tests.scripted.llm import schema_name, text_of
from tests.scripted.replies import Json, Reply, Status, Text
from tests.scripted.server import ScriptedServer

_STEP = re.compile(r"This is step (\d+)")
_EVIDENCE = re.compile(r"\be\d+\b")
PAGES = 6

_FIXED: dict[str, dict[str, Any]] = {
    "UnderstandingOutput": {
        "think": "A question of fact.",
        "language_code": "en",
        "language_style": "plain English",
        "needs_definitive": True,
        "needs_freshness": False,
        "needs_plurality": False,
        "needs_completeness": False,
    },
    "RewritingOutput": {"think": "One angle is enough.", "queries": [{"text": "readers guide for operators"}]},
    "ClusteringOutput": {"think": "They agree.", "clusters": [{"insight": "Readers scale.", "question": "How?", "results": [1]}]},
    "DefinitiveOutput": {"think": "It commits itself.", "passed": True},
    "StrictOutput": {"think": "Nothing is missing.", "passed": True, "improvement_plan": ""},
}


def reply(request: Any) -> Reply:
    """The reply to one chat completion of the session."""
    name = schema_name(request)
    if name == "":
        return Text("Page readers scale by their number of replicas [e1].")
    if name == "DecisionOutput":
        prompts = [text_of(message) for message in request["messages"]]
        return Json(_decision(next(prompt for prompt in reversed(prompts) if _STEP.search(prompt))))  # a complaint may follow it
    return Json(_FIXED[name]) if name in _FIXED else Status(400, {"error": {"message": f"nothing is scripted for {name}"}})


def _decision(prompt: str) -> dict[str, Any]:
    step = int(_STEP.findall(prompt)[-1])
    decision: dict[str, Any] = {"think": f"Step {step}.", "action": "answer"}
    if step in (1, 3):
        return {**decision, "action": "search", "queries": ["scale page readers" if step == 1 else "reader replicas and ports"]}
    if step in (2, 4):
        return {**decision, "action": "visit", "urls": [1]}
    cited = _EVIDENCE.findall(prompt)[0] if _EVIDENCE.findall(prompt) else "e1"
    return {**decision, "answer": f"Page readers scale by their number of replicas [{cited}]."}


def add_session(server: ScriptedServer) -> None:
    """Teach `server` the session and the pages it finds."""
    server.llm.script(reply)
    for number in range(PAGES):
        text = f"Page readers scale by their number of replicas. This is part {number}: give each replica a port of its own."
        server.add_page(f"https://host{number}.org/readers", f"Scaling page readers, part {number}", text)
