"""The URL of a storage, which may hold a password, as it may be shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_USER = re.compile(r'\b(user|role) (?:"[^"]*"|\S+(?= has no permissions))', re.IGNORECASE)


def place_of(url: str, default_port: int | None = None) -> str:
    """A storage's address: without user, password and options.

    Raises `ValueError`, whose text may hold a part of a password, for one that cannot be read, or of which nobody can tell where the
    password ends: after the host there is no `@`, because a `/`, `?` or `#` that was not quoted in a password looks like its end.
    """
    parts = urlsplit(url)
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("an @ after the host")
    host, port = parts.hostname or "", parts.port or default_port
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"


def without_user(message: str) -> str:
    """What PostgreSQL or Redis says, without the name of the user."""
    return _USER.sub(r"\1", message)
