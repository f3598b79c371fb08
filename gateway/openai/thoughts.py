"""What a run thinks and does on the way to its answer, from its events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from schemas.events import ResearchEvent

_MOST_ITEMS = 12
_MOST_CHARACTERS = 200
_EVIDENCE = re.compile(r"\s*\[e\d+(?:,\s*e\d+)*\]")


@dataclass(frozen=True)
class Thought:
    """A line of reasoning, a query that is sent, or a URL that is read."""

    kind: Literal["text", "query", "url"]
    text: str


class Thoughts:
    """Turns events into thoughts. A query is told when it is first sent, a URL when it is first read, and never again."""

    def __init__(self) -> None:
        self._told: set[Thought] = set()

    def of(self, event: ResearchEvent) -> list[Thought]:
        """The thoughts of one event, none for most."""
        if event.type == "stage_called":
            return self._calls(event.data["effect"])
        return [Thought("text", text) for text in map(_spoken, _texts(event.type, event.data)) if text]

    def _calls(self, effect: dict[str, object]) -> list[Thought]:
        items = effect.get("items")
        if effect["kind"] not in ("search", "read") or not isinstance(items, list):
            return []
        thoughts = dict.fromkeys(Thought("query" if effect["kind"] == "search" else "url", str(item)) for item in items)
        new = [thought for thought in thoughts if thought not in self._told]
        self._told.update(new)
        return new


def _texts(kind: str, data: dict[str, Any]) -> list[str]:
    """What the event of that kind means, in words."""
    match kind:
        case "decided":
            return [data["decision"].get("think", "")]
        case "evaluated":
            return [data["evaluation"].get("think", "")]
        case "analyzed":
            return [data["analysis"].get(part, "") for part in ("recap", "blame", "improvement")]
        case "decomposed":
            questions = data["decomposition"].get("questions", [])
            return [_listed("Sub-problems", questions)] if len(questions) > 1 else []
        case "delegated":
            answer = data["answer"]
            return [f"A researcher has ended ({answer.get('stop_reason', '')}): {_line(answer.get('question', ''))}"]
        case "digested":
            digest = data["digest"]
            return [f"{_count(len(digest.get('findings', [])), 'finding')} in {_line(digest.get('title') or digest.get('url', ''))}"]
        case "synthesized":
            parts = {"agreements": "The sources agree", "conflicts": "The sources disagree", "gaps": "Still open"}
            return [_listed(head, data["synthesis"].get(part, [])) for part, head in parts.items()]
        case "outlined":
            outline = data["outline"]
            head = f"Outline of {_line(outline['title'])}" if outline.get("title") else "Outline"
            return [_listed(head, [section.get("heading", "") for section in outline.get("sections", [])])]
        case "checked":
            return [_checked(data["support"])]
        case "revised":
            return ["The draft was revised."]
        case _:
            return []


def _checked(support: dict[str, Any]) -> str:
    supported, partly, not_supported = (support.get(name, 0) for name in ("supported", "partly", "unsupported"))
    if not supported + partly + not_supported:
        return ""
    in_part = f"{partly} in part, " if partly else ""
    return f"Checked: {_count(supported, 'statement')} supported, {in_part}{not_supported} not."


def _listed(head: str, items: list[str]) -> str:
    """A heading and at most `_MOST_ITEMS` lines, nothing when there are none."""
    lines = [f"- {_line(item)}" for item in items[:_MOST_ITEMS] if item.strip()]
    more = [f"- and {len(items) - _MOST_ITEMS} more"] if len(items) > _MOST_ITEMS else []
    return "\n".join([f"{head}:", *lines, *more]) if lines else ""


def _line(text: str) -> str:
    """`text` on one line of at most `_MOST_CHARACTERS`, without the ids of evidence, which say nothing to a reader."""
    text = " ".join(_EVIDENCE.sub("", text).split())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1].rstrip()}…"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _spoken(text: str) -> str:
    """A model's or page's words, unable to open or close the part of the answer that clients show as thinking."""
    while "<think>" in text or "</think>" in text:
        text = text.replace("<think>", "").replace("</think>", "")
    return text.strip()
