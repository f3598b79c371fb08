"""Whether quotes say what a statement says."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import regex

from providers.support.comparing import replaced_word
from providers.support.deriving import derived
from providers.support.language import is_foreign, sentence_language
from providers.support.matching import Match, match
from providers.support.outline import content_of, outline
from providers.support.sentence import Sentence, sentence_of
from providers.support.word_lists import phrases
from schemas.support import Verdict

Similarity = Callable[[str, str], float]
"""How alike a statement and a quote are in meaning, 0 to 1, as an embedding model sees it."""

# Shares of a statement's weight, tuned on the pairs marked `tune` in tests/providers/support/pairs.
_SUPPORTED = 0.62
_PARTLY = 0.46
# Of the words alone, because a number may agree by chance.
_WORDS = 0.55
_OPPOSED = 0.55
_ABOUT = 0.25
# Precision before recall where evidence is set against evidence.
_OPPOSED_ELSEWHERE = 0.75
# What a second and third sentence add counts less: words that are scattered over a quote say less together.
_FURTHER = 0.85
# The share of a statement's content words that may be missing where the rest is said; a number that agrees counts for some words.
_UNTOLD = 0.14
_FACT_WORDS = 3
# A statement of whose predicate less than this is said is not said in part.
_HALF = 0.6
# Another number or date speaks against a statement only where as much of the predicate is told.
_OPPOSED_OF_IT = 0.3
_MOST_SENTENCES = 3
_MOST_IN_OTHER_WORDS = 0.99
_LEAST_GAIN = 0.02
FACT_WEIGHT = 1.5
# Only the sentences that share the most words with a statement are looked at closely.
_MOST_COMPARED = 6
# So many also when they share none: other words may say it.
_LEAST_COMPARED = 3
_MANY_FACTS = 3
# A count of two counts what is in plain sight more often than it tells a number.
_FEW = 2
# From here on an embedding counts two texts of different languages as alike.
_LIKE = 0.7
_SENTENCE_START = regex.compile(r"(?:^|[.!?…。！？\n|])[\s\"“”‘’«»「」『』()\[\]*_#>•\-]*$")
_WHERE = regex.compile(r"\b(?:in|of|for)\s(?:the\s)?$")
# What only one can be or do.
_UNIQUE = regex.compile(
    r"\bthe\s(?:\w+\s){0,4}?(?:capital|first|last|only|\w+est|most|author|founder|president|king|queen|winner|\w+or|\w+er)\b"
)
_SEVERAL = regex.compile(r"[,;]|\b(?:and|who|which|that|when|where|while|after|before)\b")
_CAPITAL_NOUNS = frozenset({"de"})
_MARKS = regex.compile(r"[*_`\\]+|\s+")
# Words that only count the statements of a text.
_LEADING_OVER = regex.compile(
    r"^\s*(?:First(?:ly)?|Second(?:ly)?|Third(?:ly)?|Fourth(?:ly)?|Fifth(?:ly)?|Finally|Lastly|Next|Then|Erstens|Zweitens|Drittens|Schließlich"
    r"|Premièrement|Deuxièmement|Troisièmement|Enfin|Primero|Segundo|Tercero|Finalmente),\s+(?=\S)"
)
_END = regex.compile(r"[\s\\.!?…。！？*_`\"”’»)\]]*$")


@dataclass(frozen=True)
class Judgement:
    """A statement held against quotes."""

    verdict: Verdict
    score: float
    """How much of it they say, 0 to 1."""
    missing: tuple[str, ...] = ()
    """Its numbers, dates and names that none of them holds."""
    quote: int = -1
    """Index of the quote that says it best (or speaks against it), -1 when none is about it."""
    reason: str = ""
    used: tuple[int, ...] = ()
    """Indices of all the quotes that are needed for it, best first."""


@lru_cache(maxsize=4_000)
def _unmarked(text: str) -> str:
    return _MARKS.sub(" ", text)


def is_verbatim(statement: str, quote: str) -> bool:
    """Whether `statement` is one or more whole sentences (or lines) of `quote`, apart from emphasis and white space."""
    wanted = _unmarked(statement).strip()
    if not wanted:
        return False
    if wanted == _unmarked(quote).strip():
        return True
    text = quote.strip() if wanted in quote else _unmarked(quote)
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        starts = at == 0 or bool(_SENTENCE_START.search(text, max(0, at - 8), at))
        ends = end == len(text) or wanted[-1] in ".!?…。！？؟" or text[end] in ".!?。！？\n|" or bool(_END.fullmatch(text, end))
        if starts and ends:
            return True
        at = text.find(wanted, at + 1)
    return False


def judge(statement: str, quotes: Sequence[str], similarity: Similarity | None = None) -> Judgement:
    """Judge `statement`, plain words without citations, by `quotes`. Nothing is raised, whatever they hold."""
    statement = _LEADING_OVER.sub("", statement, count=1)
    for i, quote in enumerate(quotes):
        if is_verbatim(statement, quote):
            return Judgement("supported", 1.0, quote=i, used=(i,))
    language = sentence_language(statement)
    told = [sentence_language(quote) for quote in quotes]
    foreign = [is_foreign(language, other) for other in told]
    native = [i for i in range(len(quotes)) if not foreign[i]]
    code = language or next((other for other in told if other), "")
    best = (
        _by_words(statement, code, quotes, native, similarity)
        if native
        else Judgement("unsupported", 0.0, reason="no evidence speaks of it")
    )
    if best.verdict != "supported":
        for i in range(len(quotes)):
            if foreign[i]:
                other = _by_facts(
                    sentence_of(statement, language),
                    sentence_of(quotes[i], told[i]),
                    i,
                    similarity(statement, quotes[i]) if similarity else None,
                )
                if other.score > best.score and best.verdict != "contradicted":
                    best = other
    return best


def _by_words(statement: str, code: str, quotes: Sequence[str], native: list[int], similarity: Similarity | None) -> Judgement:
    wanted = sentence_of(statement, code)
    lines = [(i, line) for i in native for line in outline(quotes[i], code)]
    terms = content_of(statement, code)
    lines.sort(key=lambda line: -len(terms & line[1].terms))
    sentences = [
        (i, sentence_of(line.read, code)) for n, (i, line) in enumerate(lines[:_MOST_COMPARED]) if n < _LEAST_COMPARED or terms & line.terms
    ]
    subject = frozenset() if _joined(statement) else _subject(wanted)
    pool = [(i, match(wanted, sentence)) for i, sentence in sentences]
    reckoned = derived(wanted, [sentence for _, sentence in sentences])
    if reckoned:
        pool = [(i, _with_reckoned(found, reckoned)) for i, found in pool]
    if not pool:
        return Judgement("unsupported", 0.0, reason="no evidence was given")
    singles = [_coverage(wanted, [found]) for _, found in pool]
    order = sorted(range(len(pool)), key=lambda n: (-singles[n], n))
    lift = max((similarity(statement, quotes[i]) for i in native), default=0.0) if similarity else 0.0
    chosen = _chosen(wanted, [found for _, found in pool], singles, order)
    matches = [pool[n][1] for n in chosen]
    covered = _coverage(wanted, matches)
    score = singles[order[0]] + _FURTHER * (covered - singles[order[0]])
    score = _score(max(score, (score + lift) / 2))
    first = pool[order[0]][0]
    used = tuple(dict.fromkeys(pool[n][0] for n in chosen))
    missing = _missing(wanted, matches)
    everywhere = _missing(wanted, [found for _, found in pool])
    # One sentence that says all of it decides, whatever others say.
    for n in order[:_MOST_SENTENCES]:
        i, found = pool[n]
        whole = max(singles[n], (singles[n] + lift) / 2)
        if (
            whole >= _SUPPORTED
            and not found.conflicts
            and not found.overclaims
            and not found.elsewhere
            and not _replaced(wanted, n, sentences, pool)
            and not _missing(wanted, [found])
            and not _untold(wanted, [found])
        ):
            return Judgement("supported", _score(whole), quote=i, used=(i,))
    against = _opposing(wanted, pool, chosen, order)
    if against:
        i, reason = against
        return Judgement("contradicted", score, everywhere, i, reason, (i,))
    # What a simple statement says of its subject has to stand in one sentence; only the subject may stand in others.
    untold = "" if lift >= _WORDS else _untold(wanted, matches) or (_untold(wanted, matches[:1], subject) if subject else "")
    if (
        score >= _SUPPORTED
        and not missing
        and not untold
        and not pool[order[0]][1].elsewhere
        and max(_share(wanted, matches), lift) >= _WORDS
    ):
        if pool[order[0]][1].overclaims:
            return Judgement("partly", score, everywhere, first, "it says more than its evidence does", used)
        hard = [conflict for conflict in pool[order[0]][1].conflicts if conflict.fact < 0 and not conflict.weak]
        other_word = _replaced(wanted, order[0], sentences, pool)
        if not hard and other_word:
            return Judgement("partly", score, everywhere, first, other_word, used)
        if hard:
            return Judgement("partly", score, everywhere, first, hard[0].reason, used)
        return Judgement("supported", score, quote=first, used=used)
    if score >= _PARTLY and (not untold or _said_of_it(wanted, matches) >= _HALF):
        reason = f"nothing there says {', '.join(missing[:3])}" if missing else untold or "only some of it is said there"
        return Judgement("partly", score, everywhere, first, reason, used)
    return Judgement("unsupported", score, everywhere, first if score > 0.2 else -1, "no evidence says it")


def _with_reckoned(found: Match, reckoned: frozenset[int]) -> Match:
    facts = tuple(True if i in reckoned else said for i, said in enumerate(found.facts))
    return replace(found, facts=facts, conflicts=tuple(conflict for conflict in found.conflicts if conflict.fact not in reckoned))


def _chosen(statement: Sentence, matches: list[Match], singles: list[float], order: list[int]) -> list[int]:
    """The sentence that says most, and those that add most to it."""
    chosen = [order[0]]
    covered = singles[order[0]]
    while len(chosen) < _MOST_SENTENCES:
        gains = [
            (_coverage(statement, [matches[n] for n in [*chosen, other]]), -other)
            for other in order
            if other not in chosen and not (matches[other].elsewhere or matches[chosen[0]].elsewhere)
        ]
        if not gains or max(gains)[0] <= covered + _LEAST_GAIN:
            break
        covered, other = max(gains)
        chosen.append(-other)
    return chosen


def _opposing(statement: Sentence, pool: list[tuple[int, Match]], chosen: list[int], order: list[int]) -> tuple[int, str] | None:
    """The quote that speaks against the statement, and how. What the sentence leaves out (its subject, often) may stand in others."""
    together = [pool[n][1] for n in chosen]
    subject = _subject(statement, where=False) if statement.language in ("en", "") else frozenset()
    for n in order[:_MOST_SENTENCES]:
        i, found = pool[n]
        if found.share < _ABOUT or _share(statement, [found, *together]) < _OPPOSED:
            continue
        for conflict in found.conflicts:
            if conflict.fact >= 0 and any(other.facts[conflict.fact] is True and other.share > 0 for _, other in pool):
                continue
            if conflict.fact >= 0 and statement.language in ("en", "") and _said_of_it(statement, [found], facts=False) < _OPPOSED_OF_IT:
                continue
            if conflict.word in subject and not _UNIQUE.search(statement.text):
                continue
            if conflict.weak and any(other.words[conflict.word] > 0 for _, other in pool):
                continue
            if conflict.fact < 0 and found.share < _OPPOSED:
                continue
            return i, conflict.reason
    return None


def _replaced(statement: Sentence, n: int, sentences: list[tuple[int, Sentence]], pool: list[tuple[int, Match]]) -> str:
    """The word in whose place sentence `n` has another one, and that no other sentence has either."""
    word, reason = replaced_word(statement, sentences[n][1], pool[n][1].places)
    return reason if word >= 0 and not any(other.words[word] > 0 for _, other in pool) else ""


def _said_of_it(statement: Sentence, matches: list[Match], facts: bool = True) -> float:
    """The share of what the statement says of its subject that the sentences hold."""
    subject = _subject(statement, where=facts)
    rest = [(token.weight, any(found.words[i] for found in matches)) for i, token in enumerate(statement.tokens) if i not in subject]
    if facts:
        rest += [
            (FACT_WEIGHT, any(found.facts[i] is True for found in matches)) for i in range(len(statement.dates) + len(statement.quantities))
        ]
    total = sum(weight for weight, _ in rest)
    return sum(weight for weight, said in rest if said) / total if total else 1.0


def _joined(statement: str) -> bool:
    """Whether it may say more than one thing."""
    return _SEVERAL.search(statement) is not None


def _subject(statement: Sentence, where: bool = True) -> frozenset[int]:
    """The tokens of the name with which it begins, and with `where` of that which only says where."""
    runs = list(statement.names)
    if not runs or runs[0][0] > 1:
        return frozenset()
    if runs[0] == (0, 0) and 0 in statement.meanings:
        runs = [(0, -1), *runs[1:]]  # a word that only begins the sentence
    found = set(range(runs[0][0], runs[0][1] + 1))
    first, last = runs[-1] if len(runs) > 1 else (0, -1)
    # Where or whose it is may have been said before.
    if where and _WHERE.search(statement.text, 0, statement.tokens[first].start):
        found.update(range(first, last + 1))
    return frozenset(found)


@cache
def _slight(language: str) -> frozenset[str]:
    return frozenset(phrases("light", f"{language} slight"))


def _untold(statement: Sentence, matches: list[Match], excused: frozenset[int] = frozenset()) -> str:
    """Which content words of the statement the sentences lack, when they are too many for a paraphrase."""
    slight = _slight(statement.language or "en")
    if not slight:
        return ""
    content = [i for i, token in enumerate(statement.tokens) if token.weight >= 1 and i not in excused]
    lacking = [i for i in content if not any(found.words[i] for found in matches) and statement.tokens[i].text.lower() not in slight]
    facts = sum(any(found.facts[i] is True for found in matches) for i in range(len(statement.dates) + len(statement.quantities)))
    if len(lacking) <= _UNTOLD * (len(content) + _FACT_WORDS * facts):
        return ""
    return f"nothing there says {', '.join(statement.tokens[i].text for i in lacking[:3])}"


def _share(statement: Sentence, matches: list[Match]) -> float:
    """The share of the statement's words, without its numbers, that the sentences hold together."""
    total = sum(token.weight for token in statement.tokens)
    return (
        sum(token.weight * max(found.about[i] for found in matches) for i, token in enumerate(statement.tokens)) / total if total else 0.0
    )


def _score(value: float) -> float:
    """Below 1, which says that a statement stands word for word in its evidence."""
    return round(min(_MOST_IN_OTHER_WORDS, max(0.0, value)), 3)


def _coverage(statement: Sentence, matches: list[Match]) -> float:
    """The share of the statement's weight that the sentences hold together."""
    said = total = 0.0
    for i, token in enumerate(statement.tokens):
        total += token.weight
        said += token.weight * max(found.words[i] for found in matches)
    for i in range(len(statement.dates) + len(statement.quantities)):
        total += FACT_WEIGHT
        said += FACT_WEIGHT * any(found.facts[i] is True for found in matches)
    return said / total if total else 0.0


def _missing(statement: Sentence, matches: list[Match]) -> tuple[str, ...]:
    """Numbers, dates and names of the statement that none of the sentences holds."""
    facts = [*statement.dates, *statement.quantities]
    missing = [
        fact.text
        for i, fact in enumerate(facts)
        if not any(found.facts[i] is True for found in matches) and not (fact.value <= _FEW and fact.text.isalpha() and not fact.dimension)
    ]
    leading = _leading_name(statement)
    missing += [
        token.text
        for i, token in enumerate(statement.tokens)
        if (token.name or i == leading) and not any(found.words[i] for found in matches)
    ]
    return tuple(dict.fromkeys(missing))


def _leading_name(statement: Sentence) -> int:
    """The index of a word that only begins the sentence, but is a name by all that can be seen: no list of words has it; -1 if none."""
    if statement.language in _CAPITAL_NOUNS or not statement.names or statement.names[0] != (0, 0) or 0 in statement.meanings:
        return -1
    first = statement.tokens[0]
    # "Second, …": a word before a comma only leads over.
    return -1 if statement.text[first.end : first.end + 1] in (",", "，", "、", "،") else 0


def _names(sentence: Sentence) -> list[list[int]]:
    """Neighbouring tokens that are names, together."""
    found: list[list[int]] = []
    for i, token in enumerate(sentence.tokens):
        if token.name or (i == 0 and token.weight > 0 and token.text[:1].isupper()):
            if found and found[-1][-1] == i - 1:
                found[-1].append(i)
            else:
                found.append([i])
    return found


def _plain(term: str) -> str:
    """Without accents, which languages spell differently in one name."""
    return "".join(c for c in unicodedata.normalize("NFKD", term) if not unicodedata.combining(c))


def _terms(sentence: Sentence) -> frozenset[str]:
    return frozenset(_plain(token.term) for token in sentence.tokens)


def _by_facts(wanted: Sentence, found: Sentence, index: int, lift: float | None) -> Judgement:
    """Across languages only numbers, dates, names and identifiers can be compared."""
    result = match(wanted, found)
    names = _names(wanted)
    heard = [
        any(result.words[i] > 0 or _plain(wanted.tokens[i].term) in terms for i in name) for name in names for terms in [_terms(found)]
    ]
    total = len(wanted.dates) + len(wanted.quantities) + len(names)
    agree = sum(said is True for said in result.facts) + sum(heard)
    facts = [*wanted.dates, *wanted.quantities]
    missing = (
        *(fact.text for i, fact in enumerate(facts) if result.facts[i] is not True),
        *(" ".join(wanted.tokens[i].text for i in name) for name, known in zip(names, heard, strict=True) if not known),
    )
    if not total:
        like = lift or 0.0
        return Judgement(
            "partly" if like > _LIKE else "unsupported", _score(like), (), index, "it is in another language than its evidence"
        )
    share = agree / total
    if lift is not None:
        share = (share + lift) / 2
    if agree >= _MANY_FACTS and not missing:
        return Judgement("supported", _score(0.9 * share), quote=index, used=(index,))
    if agree and share >= 0.5:
        return Judgement(
            "partly",
            _score(0.6 * share),
            missing,
            index,
            "its evidence is in another language, of which only facts can be compared",
            (index,),
        )
    return Judgement("unsupported", _score(0.4 * share), missing, index if agree else -1, "no evidence says it")


def opposes(statement: str, sentence: str) -> str:
    """Why `sentence` cannot be true together with `statement`, or "": only when apart from that it says nearly the same."""
    language = sentence_language(statement)
    other = sentence_language(sentence)
    if is_foreign(language, other):
        return ""
    wanted = sentence_of(statement, language or other)
    found = match(wanted, sentence_of(sentence, language or other))
    if not found.conflicts or found.share < _OPPOSED_ELSEWHERE:
        return ""
    # What is said of another thing speaks against nothing.
    leading = _leading_name(wanted)
    unnamed = {i for i, token in enumerate(wanted.tokens) if (token.name or i == leading) and not found.words[i]}
    if unnamed and (any(conflict.fact >= 0 for conflict in found.conflicts) or not _UNIQUE.search(statement)):
        return ""
    return next((conflict.reason for conflict in found.conflicts if unnamed <= {conflict.word}), "")
