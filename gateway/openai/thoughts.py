"""What a run thinks and does on the way to its answer, from its events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.events import ResearchEvent


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
        data = event.data
        match event.type:
            case "decided":
                texts = [data["decision"].get("think", "")]
            case "evaluated":
                texts = [data["evaluation"].get("think", "")]
            case "analyzed":
                texts = [data["analysis"].get(part, "") for part in ("recap", "blame", "improvement")]
            case "stage_called":
                return self._calls(data["effect"])
            case _:
                return []
        return [Thought("text", text) for text in map(_spoken, texts) if text]

    def _calls(self, effect: dict[str, object]) -> list[Thought]:
        items = effect.get("items")
        if effect["kind"] not in ("search", "read") or not isinstance(items, list):
            return []
        thoughts = dict.fromkeys(Thought("query" if effect["kind"] == "search" else "url", str(item)) for item in items)
        new = [thought for thought in thoughts if thought not in self._told]
        self._told.update(new)
        return new


def _spoken(text: str) -> str:
    """A model's or page's words, unable to open or close the part of the answer that clients show as thinking."""
    while "<think>" in text or "</think>" in text:
        text = text.replace("<think>", "").replace("</think>", "")
    return text.strip()
