"""The contract of the sandbox that runs generated programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SandboxLimits:
    """What a program may use."""

    seconds: float = 5.0
    memory_mb: int = 128
    output_characters: int = 20_000


class Sandbox(Protocol):
    """Runs one JavaScript program without any input or output but its return value.

    The program is a function body: it must `return` a JSON-serialisable value. It sees the standard ECMAScript library
    and nothing else: no files, no network, no processes, no timers, no module loading.
    """

    async def run(self, source_code: str, limits: SandboxLimits) -> str:
        """Run in a process of its own and return the value: strings as they are, anything else as JSON.

        Raises `SandboxError` for a syntax error, an exception, an undefined result, too much time, memory or output;
        the message says which, in one line that a model can act on.
        """
        ...

    async def close(self) -> None:
        """End the processes."""
        ...
