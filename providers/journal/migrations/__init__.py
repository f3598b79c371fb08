"""The steps by which the tables of a journal came to be, a folder for each database, applied in the order of their numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from schemas.errors import JournalError


@cache
def migrations(database: str) -> tuple[str, ...]:
    """The SQL of every step for a `database` (name of a folder here): the first makes version 1 of an empty one."""
    return tuple(file.read_text() for file in sorted((Path(__file__).parent / database).glob("*.sql")))


def steps_from(database: str, version: int) -> tuple[str, ...]:
    """The steps that a journal of `version` still needs. Raises `JournalError` for one that a later release has written."""
    known = migrations(database)
    if version > len(known):
        raise JournalError(f"the journal has version {version} and this release knows {len(known)}: use the release that wrote it")
    return known[version:]
