"""Search queries made of words: what a question asks about, what is still uncovered, what the evidence names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

import regex

from providers.lexical import aboutness, asked, content_terms, coverage, terms

MAX_QUERY_CHARACTERS = 120
_EDGES = "\"'`“”„‘’«»‹›¿¡?!.,;:…()[]{}<>|*_、。？！，；：（）「」『』【】"
# What a query may gain from a passage: no number but a year, and no sentence of a script without spaces.
_SEARCHABLE = regex.compile(r"(?:\d{4}|(?=\D)[^。，！？；、]{1,40})")
_SUBJECT_WORDS = 3
_NEW_WORDS = 3


def one_line(text: str, limit: int = MAX_QUERY_CHARACTERS) -> str:
    """`text` with white space collapsed, cut to `limit` characters at the last word that fits whole."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    head, _, _ = line[: limit + 1].rpartition(" ")
    return head or line[:limit]


def unsent(queries: Iterable[str], sent: Collection[str]) -> Iterator[str]:
    """`queries` that are not empty, each once, without those already sent; letter case and spacing make no difference."""
    seen = {_key(query) for query in sent}
    for query in map(one_line, queries):
        if query and _key(query) not in seen:
            seen.add(_key(query))
            yield query


def _key(query: str) -> str:
    return one_line(query).casefold()


def words_of(text: str, wanted: Collection[str], language_code: str) -> list[str]:
    """Words of `text` as they are written, in order and each once, that hold one of the `wanted` terms."""
    return [word for word in _words(text) if any(term in wanted for term in terms(word, language_code))]


def keyword_query(text: str, language_code: str) -> str:
    """`text` without function and question words and verbs that say nothing; the text itself when no word is left.

    Abbreviations (US, IT, C++) stay.
    """
    searched = asked(text, language_code).searched
    content = set(words_of(searched, set(content_terms(searched, language_code)), language_code))
    kept = [word for word in _words(searched) if word in content or (word.isupper() and len(word) > 1)]
    return one_line(" ".join(kept)) or one_line(text)


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word for word in (word.strip(_EDGES) for word in text.split()) if word))


def uncovered_words(question: str, quotes: Iterable[str], language_code: str) -> list[str]:
    """Words of `question` whose terms occur in none of the quotes."""
    present = {term for quote in quotes for term in terms(quote, language_code)}
    return words_of(question, set(content_terms(asked(question, language_code).about, language_code)) - present, language_code)


def key_words(question: str, quotes: Sequence[str], language_code: str) -> list[str]:
    """Words that the three best quotes about `question` add to it, names and numbers first, then by how many of them use them."""
    known = set(terms(question, language_code))
    about = asked(question, language_code).about
    fitting = [quote for quote, score in zip(quotes, aboutness(about, quotes, language_code), strict=True) if score]
    best = sorted(fitting, key=lambda quote: -coverage(about, quote, language_code))[:3]
    counts: Counter[str] = Counter()
    for quote in best:
        new = set(content_terms(quote, language_code)) - known
        counts.update(word for word in words_of(quote, new, language_code) if _SEARCHABLE.fullmatch(word))
    # Sorting is stable, so equal words keep the order in which the quotes name them.
    return sorted(counts, key=lambda word: (not (word[:1].isupper() or word[:1].isdigit()), -counts[word]))


def query_ideas(question: str, quotes: Sequence[str], language_code: str) -> Iterator[str]:
    """Queries worth sending for `question`, best first: its words, what is uncovered beside what was learned, and its own wording."""
    yield keyword_query(question, language_code)
    learned = key_words(question, quotes, language_code)
    missing = uncovered_words(question, quotes, language_code) or [keyword_query(question, language_code)]
    if learned:
        yield " ".join([*missing, *learned[:2]])
    yield question
    if learned[2:]:
        yield " ".join([*missing, *learned[2:4]])


def other_angles(question: str, asked: Iterable[str], titles: Iterable[str], found: Sequence[str], language_code: str) -> Iterator[str]:
    """Queries that look for `question` where the usual ones found nothing new, best first.

    Its names together with what reviewers and sub-questions ask for (`asked`), then with what the titles of read pages speak of;
    then its words without the one, two ... of them that the fewest texts of `found` hold.
    """
    known = set(terms(question, language_code))
    words = words_of(question, set(content_terms(question, language_code)), language_code)
    subject = [word for word in words if word[:1].isupper() or word[:1].isdigit()] or words
    for text in (*asked, *titles):
        new = words_of(text, set(content_terms(text, language_code)) - known, language_code)
        if new:
            yield " ".join([*subject[:_SUBJECT_WORDS], *new[:_NEW_WORDS]])
    texts = [set(terms(text, language_code)) for text in found]
    texts_with = {word: sum(not held.isdisjoint(terms(word, language_code)) for held in texts) for word in words}
    # Of words as rare as each other, the last one is left out first.
    rarest = sorted(words, key=lambda word: (texts_with[word], -words.index(word)))
    for left_out in range(1, len(words)):
        yield " ".join(word for word in words if word not in rarest[:left_out])
