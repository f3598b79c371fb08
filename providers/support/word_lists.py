"""The word lists beside this code: `[language]` sections of plain text."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def sections(name: str) -> dict[str, tuple[str, ...]]:
    """The lines of `name`.txt by the section they stand in, without comments and empty lines."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            section = text.strip("[]")
        elif text and not text.startswith("#"):
            found.setdefault(section, []).append(text)
    return {section: tuple(lines) for section, lines in found.items()}


@cache
def phrases(name: str, section: str) -> tuple[str, ...]:
    """The entries of one section, which commas separate, longest first."""
    entries = {entry.strip().lower() for line in sections(name).get(section, ()) for entry in line.split(",")}
    return tuple(sorted(entries - {""}, key=lambda entry: (-len(entry), entry)))
