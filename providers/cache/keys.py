"""What makes two questions to the outside the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from providers.cache.base import Kind

_FORMAT = 1
"""Raised when what is kept changes its form, so that no later version takes an entry for what it is not."""


@dataclass(frozen=True)
class Question:
    """What is asked outside."""

    kind: Kind
    material: Mapping[str, Any]
    """JSON values: all that determines the answer, and nothing else; never a time-out, an allowance or a secret."""
    shown: str
    """What is asked, for a message."""

    def key(self) -> str:
        """SHA-256 of the material as canonical JSON, in hexadecimal digits."""
        canonical = json.dumps([_FORMAT, self.kind, self.material], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def address(url: str) -> str:
    """`url` without the user name and password that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
