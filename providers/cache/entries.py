"""The form of what is kept: a line of JSON about the answer, then the answer itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import DeepSearchError, from_wire
from schemas.usage import Usage


@dataclass(frozen=True)
class Kept:
    """A remembered answer, or the error that came in its place."""

    value: bytes = b""
    usage: Usage = field(default_factory=Usage)
    """What the answer cost when it was given; an error carries its own."""
    error: DeepSearchError | None = None
    recording: str = ""
    """Which recording it belongs to; empty outside of recordings."""

    def packed(self) -> bytes:
        """The bytes that `unpacked` reads."""
        head: dict[str, Any] = {}
        if spent := self.usage.model_dump(exclude={"id"}, exclude_defaults=True):
            head["usage"] = spent
        if self.error is not None:
            head["error"] = [type(self.error).__name__, *self.error.args]
        if self.recording:
            head["recording"] = self.recording
        return json.dumps(head).encode("ascii") + b"\n" + self.value


def unpacked(entry: bytes) -> Kept:
    """What `packed` made. Raises `ValueError` for anything else."""
    head, _, value = entry.partition(b"\n")
    match json.loads(head):
        case {"error": [str(name), str(message), str(at), str(spent)], **about}:
            error: DeepSearchError | None = from_wire(name, [message, at, spent])
        case {**about} if "error" not in about:
            error = None
        case _:
            raise ValueError("it begins with nothing that is known")
    return Kept(value, Usage.model_validate(about.get("usage", {})), error, str(about.get("recording", "")))
