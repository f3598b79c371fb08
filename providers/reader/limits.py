"""Limits that hold for every kind of document."""

from __future__ import annotations

MAX_BYTES = 20_000_000
"""Largest document that is read unless the settings say otherwise, in bytes."""
MAX_LINKS = 500
"""Most links of one document that are kept."""
