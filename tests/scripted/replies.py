"""What a scripted service can do with a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

UsageMode = Literal["counted", "missing"] | Mapping[str, Any]
"""`counted`: the server counts tokens; `missing`: no usage in the response; a mapping: exactly that."""


@dataclass(frozen=True)
class Json:
    """A model answers with this object (as content, or as arguments of the forced tool); another service's whole body."""

    value: Any
    usage: UsageMode = "counted"


@dataclass(frozen=True)
class Text:
    """A model answers with this content, whatever form it was asked for; another service's raw body.

    `pieces` are the chunks of a stream (joined they are the content). After `stop_after` pieces a stream stands still
    (`then="stall"`, until the client or the server goes) or its connection is closed (`then="drop"`).
    """

    text: str = ""
    usage: UsageMode = "counted"
    finish_reason: str = "stop"
    pieces: Sequence[str] = ()
    stop_after: int | None = None
    then: Literal["drop", "stall"] = "drop"

    @property
    def content(self) -> str:
        return "".join(self.pieces) if self.pieces else self.text


@dataclass(frozen=True)
class Status:
    """An HTTP status with a body: an object as JSON, a string as it is."""

    code: int
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delay:
    """`reply` after `seconds`, or never when the server is closed or the client goes first."""

    seconds: float
    reply: Reply


@dataclass(frozen=True)
class Drop:
    """The connection is closed without an answer."""


@dataclass(frozen=True)
class Drip:
    """A body that never ends, a byte at a time: no single read of it ever takes long."""


Reply = Json | Text | Status | Delay | Drop | Drip
