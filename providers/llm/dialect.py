"""Which parts of the chat-completions API a server speaks for a model, learned from what it rejects and ignores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_SAFETY = 1.1
"""Prompts are counted with a tokenizer that may not be the model's; they are taken to be at least this much longer."""

_TOO_MANY = ("too large", "at most", "maximum context", "context length")
"""Said about the value of `max_tokens`, not about its name."""

_HIGHEST_RATIO = 3.0
_SMALLEST_SAMPLE = 200  # tokens; below, a chat template's fixed part outweighs the text


@dataclass
class Dialect:
    """What is known about one model on one server. Begins with the full API and only ever loses parts of it."""

    rung: int = 0
    """Index into `forms.RUNGS`: the best form of structured output that works."""
    limit: str = "max_tokens"
    """Name of the parameter that bounds the answer; newer OpenAI models want `max_completion_tokens`."""
    temperature: bool = True
    stream_usage: bool = True
    ratio: float = 1.0
    """The highest ratio seen between the server's count of a prompt and the tokenizer's."""

    def parameters(self, most_output: int, temperature: float, *, stream: bool) -> dict[str, Any]:
        """The parameters of a request that depend on the dialect."""
        parameters: dict[str, Any] = {self.limit: most_output}
        if self.temperature:
            parameters["temperature"] = temperature
        if stream:
            parameters["stream"] = True
            if self.stream_usage:
                parameters["stream_options"] = {"include_usage": True}
        return parameters

    def adapt(self, rejection: str, sent: dict[str, Any]) -> bool:
        """Give up the parameter of the request `sent` that the server's message names; False when it names none."""
        named = rejection.lower()
        if "temperature" in named and "temperature" in sent:
            self.temperature = False
        elif "max_tokens" in named and "max_tokens" in sent and not any(words in named for words in _TOO_MANY):
            self.limit = "max_completion_tokens"
        elif ("stream_options" in named or "include_usage" in named) and "stream_options" in sent:
            self.stream_usage = False
        else:
            return False
        return True

    def upper_estimate(self, counted: int) -> int:
        """Tokens that a prompt has at most, when the tokenizer counted so many."""
        return math.ceil(counted * max(_SAFETY, self.ratio))

    def estimate(self, counted: int) -> int:
        """Tokens that a prompt or an answer is charged with when the server counts none."""
        return math.ceil(counted * self.ratio)

    def observe(self, counted: int, reported: int) -> None:
        """Learn from the server's own count of a prompt."""
        if counted >= _SMALLEST_SAMPLE:
            self.ratio = max(self.ratio, min(reported / counted, _HIGHEST_RATIO))
