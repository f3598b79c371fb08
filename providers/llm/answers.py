"""What a chat-completions server sent back, read without trusting its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_LARGEST_COUNT = 2**31 - 1  # what a 32-bit field carries; no honest server reports more


@dataclass(frozen=True)
class Counted:
    """The server's own token counts."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True)
class Answer:
    """What the model wrote."""

    text: str
    """Arguments of the tool call if there is one, else the content."""
    hidden: str
    """Reasoning that was sent beside it; it is paid for, and never read."""
    cut: bool
    """Whether it ended because it reached the limit."""


def answer_of(response: Any) -> Answer | None:
    """The first choice of a response; None when the response is no chat completion."""
    choice = _first(_get(response, "choices"))
    message = _get(choice, "message")
    if not isinstance(message, dict):
        return None
    arguments = _get(_get(_first(message.get("tool_calls")), "function"), "arguments")
    text = arguments if isinstance(arguments, str) and arguments else _text(message.get("content"))
    return Answer(text=text, hidden=_reasoning(message), cut=is_cut(response))


def is_cut(response: Any) -> bool:
    """Whether a response, or an event of a stream, says that the answer ended because it reached the limit."""
    return bool(_get(_first(_get(response, "choices")), "finish_reason") == "length")


def delta_of(event: Any) -> tuple[str, str]:
    """Content and reasoning of one event of a stream."""
    delta = _get(_first(_get(event, "choices")), "delta")
    return (_text(delta.get("content")), _reasoning(delta)) if isinstance(delta, dict) else ("", "")


def counted_in(response: Any, *, wrote: bool) -> Counted | None:
    """The server's counts; None when there are none, or when they cannot be right (`wrote`: there is an answer to count)."""
    usage = _get(response, "usage")
    prompt, completion = _count(_get(usage, "prompt_tokens")), _count(_get(usage, "completion_tokens"))
    if not prompt or completion is None or (wrote and not completion):
        return None
    cached = _count(_get(_get(usage, "prompt_tokens_details"), "cached_tokens")) or 0
    return Counted(prompt, completion, min(cached, prompt))


def error_in(body: Any) -> tuple[str, str]:
    """Message and code of an error body; empty when it has none."""
    error = _get(body, "error", body)
    if isinstance(error, str):
        return error, ""
    message = _get(error, "message") or _get(error, "detail") or (error if isinstance(error, (dict, list)) else "")
    return str(message or ""), str(_get(error, "code") or "")


def _get(value: Any, key: str, default: Any = None) -> Any:
    return value.get(key, default) if isinstance(value, dict) else default


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT else None


def _text(content: Any) -> str:
    if isinstance(content, list):  # parts of a multimodal message
        return "".join(_text(_get(part, "text")) for part in content)
    return content if isinstance(content, str) else ""


def _reasoning(message: dict[str, Any]) -> str:
    return _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
