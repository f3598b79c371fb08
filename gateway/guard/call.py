"""The request that is being served: whose it is, and whether anybody still waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from gateway.guard.keys import names_key
from schemas.errors import DeepSearchError


@dataclass
class Call:
    """One HTTP request, WebSocket or gRPC call."""

    caller: str
    """The caller's name, as `Access.caller` gives it."""
    left: Callable[[], Awaitable[object]] | None = None
    """Returns when the client has gone; None where a client that leaves cancels the work by itself."""
    trace: Mapping[str, str] = field(default_factory=dict)
    """The headers by which it says that it is part of a trace."""
    passed_on: Mapping[str, str] = field(default_factory=dict)
    """The headers that name its span at the gateway, once it was passed on to a stage."""
    refusal: DeepSearchError | None = None
    """Why a run was refused, for what the response says beside it."""

    @property
    def owner(self) -> str:
        """Whose the runs are that it asks for: its key's. Who has none owns none, because an address is many people's."""
        return self.caller if names_key(self.caller) else ""


CURRENT: ContextVar[Call | None] = ContextVar("call", default=None)
"""None: the gateway's own business."""
