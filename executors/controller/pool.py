"""The candidate URLs of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from providers.reader.pages import normalise_url
from schemas.ranking import Candidate

SEARCH_WEIGHT = 1.0
"""What being found by a search, or named by the user, adds to a candidate's weight."""
LINK_WEIGHT = 0.1
"""What being linked from a page that was read adds."""
RETRY_WEIGHT = 0.1
"""Weight of a candidate that could not be read just now."""
MOST_CANDIDATES = 400
"""A pool never grows beyond this; what is found later is dropped unless it is already there."""
_DESCRIPTION_CHARACTERS = 300
_CONTEXT_CHARACTERS = 50
_URL = re.compile(r"https?://[^\s<>\"'`\[\]{}|\\^]+")

Pool = Mapping[str, Candidate]
"""Candidates by normalised URL, in order of arrival."""


def add(pool: Pool, found: Iterable[Candidate]) -> dict[str, Candidate]:
    """The pool with `found` added; a candidate that is there already gains weight, and whatever it had not of the rest."""
    merged = dict(pool)
    for candidate in found:
        try:
            key = normalise_url(candidate.url)
        except ValueError:
            continue  # not something that can be visited
        known = merged.get(key)
        if known is None and len(merged) >= MOST_CANDIDATES:
            continue
        merged[key] = Candidate(
            id="",
            url=known.url if known else candidate.url,
            title=(known.title if known else "") or candidate.title,
            description=((known.description if known else "") or candidate.description)[:_DESCRIPTION_CHARACTERS],
            weight=round((known.weight if known else 0.0) + candidate.weight, 6),
            published=(known.published if known else None) or candidate.published,
            page_id=(known.page_id if known else "") or candidate.page_id,
        )
    return merged


def urls_in_text(text: str) -> list[Candidate]:
    """The http(s) URLs a person wrote, each with up to 50 characters of its surroundings on either side as description."""
    matches = list(_URL.finditer(text))
    found = []
    for i, match in enumerate(matches):
        url = _without_sentence_end(match.group())
        begin = max(matches[i - 1].end() if i else 0, match.start() - _CONTEXT_CHARACTERS)
        after = match.start() + len(url)
        end = min(matches[i + 1].start() if i + 1 < len(matches) else len(text), after + _CONTEXT_CHARACTERS)
        around = f"{text[begin : match.start()].strip()} … {text[after:end].strip()}".strip(" …")
        found.append(Candidate(id="", url=url, description=" ".join(around.split()), weight=SEARCH_WEIGHT))
    return found


def _without_sentence_end(url: str) -> str:
    """Drop punctuation that belongs to the sentence: any of `.,;:!?`, and a bracket that the URL did not open."""
    while url and (url[-1] in ".,;:!?*_" or (url[-1] == ")" and url.count("(") < url.count(")"))):
        url = url[:-1]
    return url
