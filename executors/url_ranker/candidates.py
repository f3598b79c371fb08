"""The pages that can be ranked: what candidates name, each page once, past the host filters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import can_ada

from providers.hostnames import within
from providers.reader.pages import normalise_url
from schemas.ranking import Candidate

_DEEPEST_PATH = 16  # deeper prefixes would add less than 0.01 to a score
_TEXT_CHARACTERS = 1_000
_DETAILS = ("title", "description", "published")


@dataclass(frozen=True)
class Address:
    """A page by its normalised URL."""

    page: str
    host: str
    """Empty for files."""
    prefixes: tuple[tuple[str, str], ...]
    """The prefixes of its path, each with the host: `/a/b/c` gives `/a`, `/a/b`, `/a/b/c`."""


@dataclass
class Entry:
    """A page that can be ranked."""

    candidate: Candidate
    """The one that named it, with what it lacked and others of the same page have."""
    address: Address
    weight: float
    """The sum of the weights of all candidates of this page; not finite or negative ones count as 0."""
    text: str
    """Title and description."""

    @classmethod
    def of(cls, candidate: Candidate, address: Address) -> Entry:
        """The page of `candidate`, at its address."""
        return cls(candidate, address, _weight(candidate.weight), _text(candidate))

    def absorb(self, candidate: Candidate, weight: float) -> None:
        """Count `candidate` as this page: add its weight, and take from it what is missing here."""
        self.weight += _weight(weight)
        missing = {name: value for name in _DETAILS if not getattr(self.candidate, name) and (value := getattr(candidate, name))}
        if missing:
            self.candidate = self.candidate.model_copy(update=missing)
            self.text = _text(self.candidate)


def passing(candidates: Sequence[Candidate], bad_hostnames: Sequence[str] = (), only_hostnames: Sequence[str] = ()) -> list[Entry]:
    """The pages that `candidates` name, in order, without those on unwanted hosts.

    Hostnames are as `providers.hostnames.hostnames` makes them; a subdomain belongs to its domain. Files are of no host and
    always pass. What is not a URL is left out.
    """
    entries: dict[str, Entry] = {}
    for candidate in candidates:
        address = _address(candidate.url)
        if address is None or not _passes(address.host, bad_hostnames, only_hostnames):
            continue
        if known := entries.get(address.page):
            known.absorb(candidate, candidate.weight)
        else:
            entries[address.page] = Entry.of(candidate, address)
    return list(entries.values())


def _weight(weight: float) -> float:
    return max(0.0, weight) if math.isfinite(weight) else 0.0


def _text(candidate: Candidate) -> str:
    return f"{candidate.title} {candidate.description}"[:_TEXT_CHARACTERS]


# The candidates of a run come again at every step.
@lru_cache(maxsize=2_048)
def _address(url: str) -> Address | None:
    try:
        page = normalise_url(url)
    except ValueError:
        return None
    parsed = can_ada.parse(page)
    host = str(parsed.hostname)
    return Address(page, host, tuple((host, prefix) for prefix in _prefixes(parsed.pathname)))


def _prefixes(path: str) -> Iterator[str]:
    prefix = ""
    for segment in path.strip("/").split("/")[:_DEEPEST_PATH]:
        prefix += f"/{segment}"
        yield prefix


def _passes(host: str, bad_hostnames: Sequence[str], only_hostnames: Sequence[str]) -> bool:
    return not host or (not within(host, bad_hostnames) and (not only_hostnames or within(host, only_hostnames)))
