"""The score of a candidate URL: how often it was found, how its host and path recur, and how its text fits the question.

    score = frequency + host + path + relevance + boost, at least 0 and at most 5, with N the number of candidates:
    frequency   weight / N * 0.5
    host        candidates of the same host / N * 0.5
    path        for each prefix of the path, i = 0, 1 ...: candidates of the same host with that prefix / N * 0.8^i * 0.4
    relevance   relevance of title and description to the question, 0 to 1, * 0.8
    boost       2 for a host that the caller prefers

The formula and its constants are those of Jina DeepSearch, save that a path counts only within its host, and that the
relevance is always of this question and these candidates.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import can_ada

from providers.hostnames import within
from providers.lexical import relevance
from providers.reader.pages import normalise_url
from schemas.ranking import Candidate, RankedUrl

_FREQUENCY = 0.5
_HOST = 0.5
_PATH = 0.4
_PATH_DECAY = 0.8
_RELEVANCE = 0.8
_BOOST = 2.0
_LOWEST, _HIGHEST = 0.0, 5.0
_DEEPEST_PATH = 16  # deeper prefixes would add less than 0.01
_TEXT_CHARACTERS = 1_000


@dataclass
class _Entry:
    candidate: Candidate
    weight: float
    host: str
    """Empty for files."""
    prefixes: list[tuple[str, str]]
    """The prefixes of its path, each with the host."""


def rank(
    question: str,
    candidates: Sequence[Candidate],
    *,
    boost_hostnames: Sequence[str] = (),
    bad_hostnames: Sequence[str] = (),
    only_hostnames: Sequence[str] = (),
    per_hostname: int = 2,
    limit: int = 20,
) -> tuple[list[RankedUrl], int]:
    """The best candidates, best first (equal scores in the order they came), and how many passed the host filters.

    Hostnames are as `providers.hostnames.hostnames` makes them; a subdomain belongs to its domain. Files are of no host:
    no list concerns them, and neither does `per_hostname`, which also yields when all candidates are of one host.
    Candidates of the same normalised URL count as one, with the sum of their weights; what is not a URL is left out.
    """
    entries = [entry for entry in _entries(candidates) if _passes(entry.host, bad_hostnames, only_hostnames)]
    scored = sorted(zip(_scores(question, entries, boost_hostnames), entries, strict=True), key=lambda pair: -pair[0])
    several_hosts = len({entry.host for entry in entries}) > 1
    taken: Counter[str] = Counter()
    best: list[RankedUrl] = []
    for score, entry in scored:
        if len(best) == limit:
            break
        if several_hosts and entry.host and taken[entry.host] == per_hostname:
            continue
        taken[entry.host] += 1
        found = entry.candidate
        best.append(RankedUrl(url=found.url, title=found.title, description=found.description, score=score))
    return best, len(entries)


def _entries(candidates: Sequence[Candidate]) -> list[_Entry]:
    entries: dict[str, _Entry] = {}
    for candidate in candidates:
        try:
            page = normalise_url(candidate.url)
        except ValueError:
            continue
        weight = max(0.0, candidate.weight) if math.isfinite(candidate.weight) else 0.0
        if page in entries:
            entries[page].weight += weight
            continue
        parsed = can_ada.parse(page)
        host = parsed.hostname
        entries[page] = _Entry(candidate, weight, host, [(host, prefix) for prefix in _prefixes(parsed.pathname)])
    return list(entries.values())


def _passes(host: str, bad_hostnames: Sequence[str], only_hostnames: Sequence[str]) -> bool:
    return not host or (not within(host, bad_hostnames) and (not only_hostnames or within(host, only_hostnames)))


def _prefixes(path: str) -> Iterator[str]:
    """`/a/b/c` gives `/a`, `/a/b`, `/a/b/c`."""
    prefix = ""
    for segment in path.strip("/").split("/")[:_DEEPEST_PATH]:
        prefix += f"/{segment}"
        yield prefix


def _scores(question: str, entries: Sequence[_Entry], boost_hostnames: Sequence[str]) -> list[float]:
    total = len(entries)
    hosts = Counter(entry.host for entry in entries)
    prefixes = Counter(prefix for entry in entries for prefix in entry.prefixes)
    texts = [f"{entry.candidate.title} {entry.candidate.description}"[:_TEXT_CHARACTERS] for entry in entries]
    scores = []
    for entry, fit in zip(entries, relevance(question, texts), strict=True):
        path = sum(prefixes[prefix] / total * _PATH_DECAY**depth for depth, prefix in enumerate(entry.prefixes))
        score = _FREQUENCY * entry.weight / total + _HOST * hosts[entry.host] / total + _PATH * path + _RELEVANCE * fit
        if within(entry.host, boost_hostnames):
            score += _BOOST
        scores.append(min(_HIGHEST, max(_LOWEST, score)))
    return scores
