"""The contract of a language model: text in, a validated object or streamed text out, never more than allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from schemas.usage import Allowance, Usage

Role = Literal["planner", "coder", "evaluator", "finalizer"]
Output = TypeVar("Output", bound=BaseModel)


@dataclass(frozen=True)
class Prompt:
    """What a model is given. `system` and the beginning of `user` never change within a run, so that a prompt cache hits."""

    system: str
    user: str
    images: tuple[str, ...] = ()
    """Images that `user` speaks of, as data URIs; for models that can see."""


@dataclass(frozen=True)
class Generated(Generic[Output]):
    """A validated object and what it cost, failed attempts included."""

    value: Output
    usage: Usage


@dataclass(frozen=True)
class TextChunk:
    """A piece of streamed text; the last one has empty `text` and the usage of the whole call."""

    text: str
    usage: Usage = field(default_factory=Usage)


class ChatModel(Protocol):
    """A language model, shared by all runs of a process. Safe for concurrent use within one event loop."""

    def name(self, role: Role) -> str:
        """The model configured for `role`."""
        ...

    async def generate(
        self,
        role: Role,
        prompt: Prompt,
        output: type[Output],
        allowance: Allowance,
        *,
        check: Callable[[Output], str | None] | None = None,
    ) -> Generated[Output]:
        """Return an object of type `output`.

        `check` looks at a valid object and returns None, or one line saying what is wrong with it, which counts as
        invalid output and is shown to the model in the last retry.
        Raises `BudgetExceeded` when not even a minimal answer fits the allowance (nothing was sent),
        `ModelUnavailable`, `ModelRejected`, `ModelOutputInvalid`, `DeadlineExceeded`; each carries the usage so far.
        """
        ...

    def stream(self, role: Role, prompt: Prompt, allowance: Allowance) -> AsyncGenerator[TextChunk, None]:
        """Yield the text of a free-form answer as it is written, `<think>` blocks left out. Raises as `generate` does."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of `text`, by the tokenizer that stands in when the server counts none. An estimate for unknown models."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
