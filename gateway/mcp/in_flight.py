"""The tool calls that are under way, so that a client can cancel one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from mcp import types

Key = tuple[str, types.RequestId]
"""The client's session and the id of its request."""


class InFlight:
    """Tool calls by session and request.

    The protocol's package looks for a call only in the connection on which the cancellation comes, and over HTTP each message
    has a connection of its own.
    """

    def __init__(self) -> None:
        self._scopes: dict[Key, anyio.CancelScope] = {}

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def call(self, session: str, request_id: types.RequestId) -> Iterator[anyio.CancelScope]:
        """The scope in which a call is made; `cancel` ends it. A call without a session can only be cancelled by losing its connection."""
        with anyio.CancelScope() as scope:
            if session:
                self._scopes[session, request_id] = scope
            try:
                yield scope
            finally:
                if self._scopes.get((session, request_id)) is scope:
                    del self._scopes[session, request_id]

    def cancel(self, session: str, message: types.JSONRPCMessage) -> bool:
        """Whether `message` cancels a request; the call, if it is still under way, is then cancelled."""
        notification = message.root
        if not isinstance(notification, types.JSONRPCNotification) or notification.method != "notifications/cancelled":
            return False
        request_id = (notification.params or {}).get("requestId")
        scope = self._scopes.get((session, request_id)) if isinstance(request_id, str | int) else None
        if scope is not None:
            scope.cancel()
        return True
