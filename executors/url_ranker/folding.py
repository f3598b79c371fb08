"""Candidates that are one page in several dresses, or copies of one text, counted as one.

Folding loses a source when it is wrong, so it takes two pages for one only when
- one is the mobile, AMP or print variant of the other by its URL: `m.` or `amp.` before the host, `?amp=1`, `?print=1`, unless both
  have titles and these differ; or a path that ends in `/amp` or `/print`, when both have the same title; or
- their titles are the same and their descriptions nearly letter for letter: at least 16 words and 60 characters, the same words of
  content in the same order save for what one of them has more at its ends, a tenth at most, the same `marks` (negations,
  numbers, signs, single letters), and a similarity of at least 0.86.

A part of a title that names the host ("... - Wikipedia") does not count as title.

The best of them stays: one whose text is there already before one that must be fetched, then one that is no variant, then the
shortest URL, then the first in the alphabet. It gets the weights of the others, and of title, description and date what it
lacks. All of this is independent of the order in which candidates come.

Only pages of the same title are compared, each with a few, so that the cost grows with the number of candidates and not with its
square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import regex

from executors.url_ranker.candidates import Entry
from executors.url_ranker.distinctions import content, marks
from providers.lexical import similarity, terms

_SAME_FROM = 0.86
_LEAST_WORDS = 16
_LEAST_CHARACTERS = 60
_LEAST_SHARE = 0.9
"""Of the longer description's words of content that the shorter one has."""
_MOST_CHARACTERS = 1_000
_MOST_COMPARED = 8
"""With how many of the pages of its title one page is compared."""
_TITLE_SEPARATOR = regex.compile(r"\s+[-|–—·•»:]\s+")
_MOBILE_LABELS = frozenset({"m", "mobile", "amp"})
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"})
"""Below the two letters of a country these are no names of sites."""
_VARIANT_ENDINGS = ("/amp", "/amp/", "/print", "/print/")
_VARIANT_PARAMETERS = frozenset(
    {"amp", "amp=1", "amp=true", "outputtype=amp", "print", "print=1", "print=true", "printable=1", "printable=yes"}
)


def fold(entries: Sequence[Entry]) -> list[Entry]:
    """One entry for each page, in the order of `entries`, which are changed where they take up others."""
    variants = {id(entry): found for entry in entries if (found := _plain_page(entry)) != entry.address.page}
    best_first = sorted(
        entries, key=lambda entry: (not entry.candidate.page_id, id(entry) in variants, len(entry.address.page), entry.address.page)
    )
    one_page = _folded_variants(best_first, variants)
    kept = {id(entry) for entry in _folded_copies(one_page)}
    return [entry for entry in entries if id(entry) in kept]


def _folded_variants(best_first: Sequence[Entry], variants: dict[int, str]) -> list[Entry]:
    if not variants:
        return list(best_first)
    kept: dict[str, Entry] = {}
    for entry in best_first:
        plain, is_variant = variants.get(id(entry), entry.address.page), id(entry) in variants
        known = kept.get(plain) or (kept.get(f"{plain}/") if is_variant else None)
        if known is not None and _are_variants(known, entry):
            known.absorb(entry.candidate, entry.weight)
        else:
            # A variant that stays answers for its page, so that the page and its other variants fold into it.
            kept.setdefault(plain, entry)
            kept[entry.address.page] = entry
    return list({id(entry): entry for entry in kept.values()}.values())


def _plain_page(entry: Entry) -> str:
    """The URL of the page that this one is a variant of; its own when it is none."""
    page, host = entry.address.page, entry.address.host
    if not host:
        return page
    lowered = page.lower()
    labels = host.split(".")
    site = 3 if len(labels[-1]) == 2 and labels[-2:-1] and labels[-2] in _SECOND_LEVELS else 2
    if any(label in _MOBILE_LABELS for label in labels[:-site]):
        plain = ".".join([label for label in labels[:-site] if label not in _MOBILE_LABELS] + labels[-site:])
        page = page.replace(host, plain, 1)
    if "amp" in lowered or "print" in lowered:
        path, _, query = page.partition("?")
        path = _without_ending(path)
        parameters = [parameter for parameter in query.split("&") if parameter.lower() not in _VARIANT_PARAMETERS]
        page = f"{path}?{'&'.join(parameters)}" if parameters and query else path
    return page


def _without_ending(path: str) -> str:
    for ending in _VARIANT_ENDINGS:
        if path.lower().endswith(ending) and path.count("/") > 3:
            return path[: -len(ending)]
    return path


def _ends_as_variant(entry: Entry) -> bool:
    return entry.address.page.partition("?")[0].lower().endswith(_VARIANT_ENDINGS)


def _are_variants(one: Entry, other: Entry) -> bool:
    """Whether pages that are variants by their URLs may be that by their titles."""
    first, second = _title(one), _title(other)
    if first and second:
        return first == second
    return not (_ends_as_variant(one) or _ends_as_variant(other))


def _title(entry: Entry) -> str:
    """The title, case folded, without a first or last part that names the host."""
    title = " ".join(entry.candidate.title[:_MOST_CHARACTERS].casefold().split())
    parts = list(_TITLE_SEPARATOR.finditer(title))
    if not parts:
        return title
    names = [label for label in entry.address.host.split(".")[:-1] if label]
    if _names_host(title[parts[-1].end() :], names):
        return title[: parts[-1].start()]
    if _names_host(title[: parts[0].start()], names):
        return title[parts[0].end() :]
    return title


def _names_host(part: str, labels: Sequence[str]) -> bool:
    name = "".join(filter(str.isalnum, part))
    return any(name == label.replace("-", "") or (len(label) >= 4 and label in name) for label in labels)


@dataclass(frozen=True)
class _Description:
    """What is compared of a description, computed when it is needed."""

    text: str

    @cached_property
    def is_long(self) -> bool:
        return len(self.text) >= _LEAST_CHARACTERS and len(terms(self.text)) >= _LEAST_WORDS

    @cached_property
    def content(self) -> tuple[str, ...]:
        return content(self.text)

    @cached_property
    def marks(self) -> tuple[str, ...]:
        return marks(self.text)


def _folded_copies(best_first: Sequence[Entry]) -> list[Entry]:
    same: dict[tuple[str, str], Entry] = {}
    alike: dict[str, list[tuple[Entry, _Description]]] = defaultdict(list)
    kept = []
    for entry in best_first:
        title = _title(entry)
        description = _Description(" ".join(entry.candidate.description[:_MOST_CHARACTERS].split()))
        written = (title, description.text.casefold())
        copied = None
        if title and len(description.text) >= _LEAST_CHARACTERS:
            copied = same.get(written) if written in same and description.is_long else None
            copied = copied or next((other for other, theirs in alike[title] if _is_copy(description, theirs)), None)
        if copied is not None:
            copied.absorb(entry.candidate, entry.weight)
            continue
        kept.append(entry)
        same.setdefault(written, entry)
        if len(alike[title]) < _MOST_COMPARED:
            alike[title].append((entry, description))
    return kept


def _is_copy(one: _Description, other: _Description) -> bool:
    """Whether two descriptions are one text. What is cheap comes first."""
    return (
        one.is_long
        and other.is_long
        and _is_within(one.content, other.content)
        and one.marks == other.marks
        and similarity(one.text, other.text) >= _SAME_FROM
    )


def _is_within(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the shorter of the two is a run of the longer one, and nearly all of it."""
    shorter, longer = sorted((one, other), key=len)
    spare = len(longer) - len(shorter)
    if len(shorter) < _LEAST_SHARE * len(longer):
        return False
    return any(longer[start : start + len(shorter)] == shorter for start in range(spare + 1))
