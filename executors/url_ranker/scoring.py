"""The score of a candidate URL: how often it was found, how its host and path recur, and how its text fits the question.

    score = frequency + host + path + relevance + boost + freshness + source, at least 0 and at most 5, with N the number of pages:
    frequency   weight / N * 0.5
    host        pages of the same host / N * 0.5
    path        for each prefix of the path, i = 0, 1 ...: pages of the same host with that prefix / N * 0.8^i * 0.4
    relevance   relevance of title and description to the question, 0 to 1, * 0.8
    boost       2 for a host that the caller prefers
    freshness   RANK_FRESHNESS_WEIGHT * 2^(-age in days / 90); 0 when the day of the page or today is not known. A question
                that asks for recent information gives it a weight of at least 0.5
    source      RANK_SOURCE_WEIGHT * the prior of the host's kind, 0 to 1 (`source_kinds`)

The first five and their constants are those of Jina DeepSearch, save that a path counts only within its host, and that the
relevance is always of this question and these candidates. The weights of the last two are 0 when nothing else is configured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from executors.url_ranker.candidates import Entry
from executors.url_ranker.source_kinds import prior
from providers.hostnames import within
from schemas.ranking import RankedUrl

_FREQUENCY = 0.5
_HOST = 0.5
_PATH = 0.4
_PATH_DECAY = 0.8
RELEVANCE = 0.8
_BOOST = 2.0
_LOWEST, _HIGHEST = 0.0, 5.0
_HALF_LIFE_DAYS = 90.0
FRESH_WEIGHT = 0.5
"""The least weight of freshness for a question that asks for recent information."""


@dataclass(frozen=True)
class Preferences:
    """What speaks for a page besides its text."""

    boost_hostnames: Sequence[str] = ()
    freshness_weight: float = 0.0
    source_weight: float = 0.0
    today: str = ""
    """ISO 8601 date; empty: not known."""


def standing(entries: Sequence[Entry], preferences: Preferences) -> list[float]:
    """The score of each entry without its relevance."""
    total = len(entries)
    hosts = Counter(entry.address.host for entry in entries)
    prefixes = Counter(prefix for entry in entries for prefix in entry.address.prefixes)
    today = _day(preferences.today) if preferences.freshness_weight else None
    scores = []
    for entry in entries:
        host = entry.address.host
        path = sum(prefixes[prefix] / total * _PATH_DECAY**depth for depth, prefix in enumerate(entry.address.prefixes))
        score = _FREQUENCY * entry.weight / total + _HOST * hosts[host] / total + _PATH * path
        if within(host, preferences.boost_hostnames):
            score += _BOOST
        if today is not None:
            score += preferences.freshness_weight * freshness(entry.candidate.published, today)
        if preferences.source_weight:
            score += preferences.source_weight * prior(host)
        scores.append(score)
    return scores


def freshness(published: str | None, today: date) -> float:
    """1 for what was published today, half of it for every 90 days before; 0 when that is not known, or lies in the future."""
    day = _day(published or "")
    # A day's difference is one of time zones.
    if day is None or (day - today).days > 1:
        return 0.0
    return float(2 ** (-max(0, (today - day).days) / _HALF_LIFE_DAYS))


def best(entries: Sequence[Entry], standings: Sequence[float], fits: Sequence[float], *, per_hostname: int, limit: int) -> list[RankedUrl]:
    """The best entries by standing and relevance, best first; equal scores stay in their order.

    At most `limit`, and at most `per_hostname` of one host, unless all are of one host; files are of no host.
    """
    scores = [min(_HIGHEST, max(_LOWEST, own + RELEVANCE * fit)) for own, fit in zip(standings, fits, strict=True)]
    several_hosts = len({entry.address.host for entry in entries}) > 1
    taken: Counter[str] = Counter()
    found: list[RankedUrl] = []
    for score, entry in sorted(zip(scores, entries, strict=True), key=lambda pair: -pair[0]):
        if len(found) == limit:
            break
        host = entry.address.host
        if several_hosts and host and taken[host] == per_hostname:
            continue
        taken[host] += 1
        candidate = entry.candidate
        found.append(RankedUrl(url=candidate.url, title=candidate.title, description=candidate.description, score=score))
    return found


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
