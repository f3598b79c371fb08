"""Candidates that are one page in several dresses, or copies of one text, counted as one.

Two pages are one when
- one is the mobile, AMP or print variant of the other by its URL (`m.` or `amp.` before the host, `?amp=1`, `?print=1`; a path that
  ends in `/amp` or `/print` only when their titles agree), or
- title and description together say the same: letter for letter in 40 characters or more, or with a similarity of at least
  0.86 over at least 10 words; they must name the same numbers, and on one host their titles must agree, because many sites
  describe all their pages in the same words.

The best of them stays: one whose text is there already before one that must be fetched, then one that is no variant, then the
shortest URL, then the first in the alphabet. It gets the weights of the others, and of title, description and date what it
lacks. All of this is independent of the order in which candidates come.

Only pages that share one of the three rarest words of their titles, and half of the words of the shorter one, are compared,
each with a few, so that the cost grows with the number of candidates and not with its square. Words are what stands
between white space here: where a script has no spaces, only texts that are the same letter for letter are found.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import KeysView, Sequence
from itertools import chain

import regex

from executors.url_ranker.candidates import Entry
from providers.lexical import similarity

_SAME_FROM = 0.86
_LEAST_WORDS = 10
_LEAST_CHARACTERS = 40
# Cheaper than a similarity, and a similarity of 0.86 is out of reach with fewer words in common.
_LEAST_SHARED_WORDS = 0.7
_RAREST_WORDS = 3
_MOST_COMPARED = 8
"""With how many of the pages that share a rare word one page is compared."""
_NUMBERS = regex.compile(r"\p{N}+")
_MOBILE_LABELS = frozenset({"m", "mobile", "amp"})
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
        by_path = known is not None and (_ends_as_variant(known) or _ends_as_variant(entry))
        if known is not None and (not by_path or _titles_agree(known, entry, or_missing=True)):
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
    if any(label in _MOBILE_LABELS for label in labels[:-2]):
        plain = ".".join([label for label in labels[:-2] if label not in _MOBILE_LABELS] + labels[-2:])
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


def _titles_agree(one: Entry, other: Entry, *, or_missing: bool = False) -> bool:
    first, second = (entry.candidate.title.strip().casefold() for entry in (one, other))
    return first == second or (or_missing and not (first and second))


def _folded_copies(best_first: Sequence[Entry]) -> list[Entry]:
    words = [dict.fromkeys(entry.candidate.title[:200].casefold().split()).keys() for entry in best_first]
    pages_with = Counter(chain.from_iterable(words))
    same: dict[str, list[Entry]] = defaultdict(list)
    alike: dict[str, list[tuple[Entry, KeysView[str]]]] = defaultdict(list)
    kept = []
    for entry, own in zip(best_first, words, strict=True):
        shared = sorted([word for word in own if pages_with[word] > 1], key=pages_with.__getitem__)
        near = [alike[word] for word in shared[:_RAREST_WORDS]]
        folded = entry.text.strip().casefold() if shared or not own else ""
        copied = next((other for other in same[folded] if _is_same(entry, other)), None) if len(folded) >= _LEAST_CHARACTERS else None
        if copied is None:
            compared = (other for group in near for other, theirs in group if 2 * len(own & theirs) >= min(len(own), len(theirs)))
            copied = next((other for other in compared if _is_copy(entry, other)), None)
        if copied is not None:
            copied.absorb(entry.candidate, entry.weight)
            continue
        kept.append(entry)
        same[folded].append(entry)
        for group in near:
            if len(group) < _MOST_COMPARED:
                group.append((entry, own))
    return kept


def _is_same(one: Entry, other: Entry) -> bool:
    """Whether two pages of the same text are copies."""
    return one.address.host != other.address.host or _titles_agree(one, other)


def _is_copy(one: Entry, other: Entry) -> bool:
    first, second = set(one.text.casefold().split()), set(other.text.casefold().split())
    return (
        min(len(first), len(second)) >= _LEAST_WORDS
        and len(first & second) >= _LEAST_SHARED_WORDS * max(len(first), len(second))
        and _is_same(one, other)
        and sorted(_NUMBERS.findall(one.text)) == sorted(_NUMBERS.findall(other.text))
        and similarity(one.text, other.text) >= _SAME_FROM
    )
