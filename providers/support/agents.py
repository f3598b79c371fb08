"""Who does or is what, in English: whether a quote says of another what a statement says."""

from __future__ import annotations

import regex

from providers.support.sentence import Sentence
from providers.support.word_lists import phrases

_BE = regex.compile(r"\b(?:is|was|are|were|be|been|being|get|got)\b")
_BY = regex.compile(r"\bby\b")
_BETWEEN_NAMES = regex.compile(r"\s*(?:,|and|&|,\s*and|\.|’s|'s)?\s*(?:the\s+|Sir\s+)?$", regex.IGNORECASE)
# "A is the ROLE", "A, a ROLE", "A (born in 1971) was a ROLE", "A's ROLE is" is no such thing.
_COPULA = regex.compile(
    r"\s*(?:\([^()]*\)\s*)?(?:,?\s*(?:is|was|became|remains|are|were|serves as|served as|works as|worked as)|,)\s+"
    r"(?P<article>the|an?)?\s*(?:[\w-]+\s+){0,5}$"
)
_PREPOSITION = regex.compile(r"\b(?:in|on|at|by|of|for|from|to|with|into|near|not|never)\b|\w\wed\b")
_AFTER_NAME = regex.compile(r"(?:\s\([^()]*\))?(?:\sof\s[\w\s]{1,30}?)?,?\s(?:is|was|has|had|the|an?|who|won|hosted|became)\b")
_PREPOSITION_BEFORE = regex.compile(r"\b(?:in|on|at|by|of|for|from|to|with|into|near|and|or)\s(?:the\s)?$")
_NOW = regex.compile(r"\b(?:currently|still|now|is the current)\b")
_FORMER = regex.compile(
    r"\b(?:former|formerly|previously|ex-|step(?:ped|ping)? down as|(?:resigned|retired|retirement|resignation|removed|fired) (?:as|from))"
    r"\s*(?:the |its |their |his |her )?$"
)
_FAR = 3
_FAR_CHARACTERS = 60

Run = tuple[int, int]
"""First and last index of neighbouring tokens that make a name."""


def told_of_another(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> str:
    """Why the quote says of somebody else what the statement says, or "": another does it ("directed by B" for "A directed"),
    or another is it ("the singer B and the drummer A" for "A is the singer")."""
    if statement.language not in ("en", ""):
        return ""
    return _other_doer(statement, quote, places) or _other_holder(statement, quote, places) or _no_longer(statement, quote, places)


def doers(sentence: Sentence, verb: int, runs: list[Run]) -> tuple[list[Run], bool]:
    """The names that do what token `verb` says, and whether they are told in the passive."""
    token = sentence.tokens[verb]
    by = _BY.search(sentence.text, token.end, min(len(sentence.text), token.end + _FAR_CHARACTERS))
    following = [run for run in runs if run[0] > verb and by and sentence.tokens[run[0]].start >= by.end()]
    if by and following and _clear(sentence, token.end, by.start()):
        found: list[Run] = []
        at = by.end()
        for run in following:
            start = sentence.tokens[run[0]].start
            gap = sentence.text[at:start]
            if not (_BETWEEN_NAMES.fullmatch(gap) if found else len(gap) < 40 and _clear(sentence, at, start)):
                break
            found.append(run)
            at = sentence.tokens[run[1]].end
        return found, True
    before = [run for run in runs if run[1] < verb]
    if not before:
        return [], False
    gap = sentence.text[sentence.tokens[before[-1][1]].end : token.start]
    if verb - before[-1][1] > _FAR or _BE.search(gap) or not regex.fullmatch(r"[\w\s]*", gap):
        return [], False
    found = [before[-1]]
    for run in reversed(before[:-1]):
        if not _BETWEEN_NAMES.fullmatch(sentence.text, sentence.tokens[run[1]].end, sentence.tokens[found[0][0]].start):
            break
        found.insert(0, run)
    return found, False


def _before(pattern: regex.Pattern[str], sentence: Sentence, i: int) -> bool:
    """Whether `pattern`, which ends with `$`, stands just before token `i`."""
    start = sentence.tokens[i].start
    return pattern.search(sentence.text, max(0, start - _FAR_CHARACTERS), start) is not None


def _clear(sentence: Sentence, start: int, end: int) -> bool:
    return not any(mark in sentence.text[start:end] for mark in ",;:.()")


def _other_doer(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> str:
    ours, theirs = statement.names, quote.names
    for i, token in enumerate(statement.tokens):
        j = places[i]
        if (
            j < 0
            or token.name
            or token.weight < 1
            or quote.tokens[j].name
            or not _is_verb(token.text)
            or not _is_verb(quote.tokens[j].text)
        ):
            continue
        if {token.text.lower(), quote.tokens[j].text.lower()} & set(phrases("symmetric", "en")):
            continue
        mine, passive = doers(statement, i, ours)
        other, turned = doers(quote, j, theirs)
        if not mine or not other or shared(statement, mine, quote, other, places):
            continue
        # Without a second name that both tell, two things may have been done by two.
        rest = [run for run in ours if run not in mine]
        if turned or (passive and rest) or shared(statement, rest, quote, [run for run in theirs if run not in other], places):
            return f"“{token.text}” is said of “{_text(quote, other[0])}” there"
    return ""


_VERB = regex.compile(r"\w+(?:ed|en|s|t|n|w|e|d|k)$")
_NO_VERB = regex.compile(r"\w+(?:ment|tion|sion|ness|ity|ism|ance|ence|ship)s?$")


def _is_verb(word: str) -> bool:
    """Whether it may be one; English does not tell."""
    return bool(_VERB.match(word)) and not _NO_VERB.match(word)


def _other_holder(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> str:
    ours, theirs = statement.names, quote.names
    if not ours or ours[0][0] > 1:
        return ""
    subject = ours[0]
    for i, token in enumerate(statement.tokens):
        j = places[i]
        if i <= subject[1] or j < 0 or token.name or token.weight < 1 or i - subject[1] > 8:
            continue
        copula = _COPULA.fullmatch(statement.text, statement.tokens[subject[1]].end, token.start)
        if not copula or not copula["article"] or quote.tokens[j].name or _PREPOSITION.search(copula.group()):
            continue
        holder = _holder(quote, j, theirs)
        if holder is None or shared(statement, [subject], quote, [holder], places):
            continue
        present = _present(statement, subject, quote, holder)
        if present or copula["article"] == "the":
            return f"“{token.text}” is said of “{_text(quote, holder)}” there"
    return ""


def _no_longer(statement: Sentence, quote: Sentence, places: tuple[int, ...]) -> str:
    """A role that the statement says to be held now, and the quote to have been given up."""
    if not _NOW.search(statement.text):
        return ""
    for i, token in enumerate(statement.tokens):
        j = places[i]
        if j >= 0 and token.weight >= 1 and not token.name and _before(_FORMER, quote, j):
            return f"“{token.text}” is over there"
    return ""


def _holder(quote: Sentence, j: int, runs: list[Run]) -> Run | None:
    """Whom the role at token `j` is said of: the name right after it ("singer B"), or that of which it is a predicate."""
    following = next((run for run in runs if run[0] == j + 1), None)
    acts = _is_verb(quote.tokens[j].text) and quote.tokens[j].text.endswith(("ed", "s"))
    if following and not acts and not quote.text[quote.tokens[j].end : quote.tokens[following[0]].start].strip():
        return following
    for run in runs:
        if (
            run[1] < j
            and not _before(_PREPOSITION_BEFORE, quote, run[0])
            and _COPULA.fullmatch(quote.text, quote.tokens[run[1]].end, quote.tokens[j].start)
        ):
            return run
    return None


def _present(statement: Sentence, subject: Run, quote: Sentence, holder: Run) -> bool:
    terms = {quote.tokens[k].term for k in range(len(quote.tokens)) if not holder[0] <= k <= holder[1]}
    return any(statement.tokens[k].term in terms for k in range(subject[0], subject[1] + 1))


def shared(statement: Sentence, mine: list[Run], quote: Sentence, other: list[Run], places: tuple[int, ...]) -> bool:
    """Whether the names `mine` of the statement and `other` of the quote have a word in common."""
    terms = {quote.tokens[k].term for first, last in other for k in range(first, last + 1)}
    inside = {k for first, last in other for k in range(first, last + 1)}
    return any(statement.tokens[k].term in terms or places[k] in inside for first, last in mine for k in range(first, last + 1))


def _text(sentence: Sentence, run: Run) -> str:
    return sentence.text[sentence.tokens[run[0]].start : sentence.tokens[run[1]].end]


def about_another(statement: Sentence, quote: Sentence) -> bool:
    """Whether the quote's sentence has a name for its subject and does not mention the statement's: a sentence about somebody else."""
    if statement.language not in ("en", ""):
        return False
    ours, theirs = statement.names, quote.names
    if (
        not ours
        or not theirs
        or ours[0][0] > 1
        or theirs[0][0] > 1
        or (theirs[0][0] and quote.tokens[0].weight)
        or not _sure(statement, ours[0])
        or not _sure(quote, theirs[0])
    ):
        return False
    known = {quote.tokens[k].term for k in range(len(quote.tokens))} | set(quote.initials)
    wanted = [statement.tokens[k] for k in range(ours[0][0], ours[0][1] + 1)]
    if any(token.term in known or token.text.lower() in known for token in wanted):
        return False
    own = {token.term for token in statement.tokens} | set(statement.initials)
    return not any(quote.tokens[k].term in own for k in range(theirs[0][0], theirs[0][1] + 1))


def _sure(sentence: Sentence, run: Run) -> bool:
    """Whether it is a proper name, not just a word that begins a sentence."""
    if run[1] > run[0]:
        return True
    plain = sentence.tokens[run[0]].text.lower()
    common = plain.endswith("s") or (run[0] == 0 and run[0] in sentence.meanings)
    return not common and _AFTER_NAME.match(sentence.text, sentence.tokens[run[0]].end) is not None
