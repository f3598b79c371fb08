"""What the verdicts mean for a text: citations put right, statements taken out or marked, contradictions said."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import regex

from executors.answer_finalizer.citations.editing import Edit, citations_in
from executors.answer_finalizer.citations.notices import Notices
from executors.answer_finalizer.citations.verdicts import moved
from executors.answer_finalizer.markdown.blocks import Blocks
from executors.answer_finalizer.markdown.prose import leaves
from executors.answer_finalizer.markdown.removing import only_cites, removals
from executors.answer_finalizer.markdown.rendering import escaped
from executors.answer_finalizer.markdown.rewriting import Replacement, Rewritten
from providers.citations import cited_ids
from providers.lexical import sentences
from providers.support import judge
from schemas.knowledge import Evidence
from schemas.support import Citations, Contradiction, Statement

MAX_CONTRADICTIONS = 3
_MAX_QUOTE = 300
_MAX_NEW_CITATIONS = 2
_FULL_STOPS = ".!?…。！？"
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}，。！？；：、）」』”]")


@dataclass(frozen=True)
class Applied:
    """A text that was dealt with; the spans of its statements are in it. Contradictions count them."""

    text: str
    statements: list[Statement]
    contradictions: list[Contradiction]

    @property
    def says_nothing(self) -> bool:
        """Whether statements were taken out and none that claims or cites anything is left."""
        left = [statement for statement in self.statements if not statement.removed]
        return len(left) < len(self.statements) and not any(statement.verdict != "no_claim" or statement.cited for statement in left)


def apply(
    text: str,
    statements: Sequence[Statement],
    contradictions: Sequence[Contradiction],
    evidence: Mapping[str, Evidence],
    *,
    citations: Citations,
    notices: Notices,
) -> Applied:
    """`text`, whose `statements` have spans in it, with their verdicts applied.

    - A statement that other evidence says than what it cites, cites that instead; a supported one that cites nothing cites
      the best of its evidence.
    - One that no evidence says, or only without a number, date or name in it, or that evidence speaks against, goes with
      `strict` and is marked with `flag`.
    - At most three contradictions are told, each in a sentence of its own behind the block of its statement, unless that
      cites both sides already.

    With `off` nothing is changed. The statements given are changed in place.
    """
    found = list(statements)
    if citations == "off":
        return Applied(text, found, list(contradictions))
    groups = _Groups(text, evidence)
    recited = {number: _recited(text, statement, groups) for number, statement in enumerate(found)}
    bad = [not _stands(statement) for statement in found]
    changes: list[Replacement] = []
    if citations == "strict" and any(bad):
        changes, gone = removals(text, [(statement.start, statement.end) for statement in found], bad)
        for statement, removed in zip(found, gone, strict=True):
            statement.removed = removed
    for number, statement in enumerate(found):
        if statement.removed:
            continue
        changes += recited[number]
        if citations == "flag" and bad[number]:
            mark = notices.contradicted if statement.verdict == "contradicted" else notices.unsupported
            changes.append(_behind(text, statement, mark))
    told = _told(text, found, contradictions, evidence, notices)
    rewritten = Rewritten(text, [*changes, *(replacement for replacement, _ in told)])
    for statement in found:
        start, end = rewritten.span((statement.start, statement.end))
        statement.start, statement.end = start, start if statement.removed else end
    for replacement, statement in told:
        at = next((start for placed, start in rewritten.placed if placed is replacement), None)
        if at is not None:
            statement.start = at + len(replacement.text) - len(replacement.text.lstrip())
            statement.end = at + len(replacement.text)
            found.append(statement)
    # A heading that went with what stood below it said nothing that anybody would miss.
    standing = [number for number, statement in enumerate(found) if statement.removed or statement.end > statement.start]
    order = sorted(standing, key=lambda number: (found[number].start, number))
    place = {old: new for new, old in enumerate(order)}
    kept = [moved(one, place[one.statement]) for one in contradictions if one.statement in place]
    return Applied(rewritten.text, [found[number] for number in order], kept)


def _stands(statement: Statement) -> bool:
    """Whether a statement may be published: what is partly supported may, unless a number, date or name in it is in no evidence."""
    if statement.verdict == "partly":
        return not statement.missing
    return statement.verdict not in ("unsupported", "contradicted")


def cite(text: str, statement: Statement, ids: Sequence[str]) -> Replacement:
    """The insertion of citations behind a statement's words, before its full stop."""
    return _behind(text, statement, "".join(f"[{key}]" for key in ids))


class _Groups:
    """The groups of citations in a text, looked for once, when they are first asked for."""

    def __init__(self, text: str, evidence: Mapping[str, Evidence]) -> None:
        self._text = text
        self._evidence = evidence

    def within(self, start: int, end: int) -> list[Edit]:
        """Those that stand in a span of the text, in order."""
        found, starts = self._found
        return [group for group in found[bisect_left(starts, start) : bisect_left(starts, end)] if group.end <= end]

    @cached_property
    def _found(self) -> tuple[list[Edit], list[int]]:
        groups = [group for leaf in leaves(self._text) for group in citations_in(leaf, self._evidence) if group.ids]
        groups.sort(key=lambda group: group.start)
        return groups, [group.start for group in groups]


def _recited(text: str, statement: Statement, groups: _Groups) -> list[Replacement]:
    """The changes that make a statement cite what says it, and its verdict when that was only looked for at the wrong place."""
    says = statement.evidence
    if statement.verdict in ("contradicted", "no_claim") or not says:
        return []
    if statement.verdict == "unsupported":
        wanted = says[:_MAX_NEW_CITATIONS]
        statement.verdict, statement.reason = "supported", ""
    elif not statement.cited:
        wanted = says[:1] if statement.verdict == "supported" else []
    elif set(says).isdisjoint(statement.cited):
        wanted = says[:_MAX_NEW_CITATIONS]
    else:
        return []
    if not wanted:
        return []
    statement.cited = list(wanted)
    own = groups.within(statement.start, statement.end)
    if not own:
        return [cite(text, statement, wanted)]
    first, *others = own
    written = first.lead + "".join(f"[{key}]" for key in wanted)
    return [Replacement(first.start, first.end, written), *(Replacement(other.start, other.end) for other in others)]


def _behind(text: str, statement: Statement, written: str) -> Replacement:
    """An insertion behind the words of a statement: before its full stop, and inside the last cell of a table row."""
    end = statement.end
    if text[statement.start : statement.start + 1] == "|" and text[end - 1 : end] == "|":
        end = statement.start + len(text[statement.start : end].rstrip(" \t|"))
        if text[end - 1] == "\\":
            end += 1
    else:
        while end > statement.start + 1 and text[end - 1] in _FULL_STOPS:
            end -= 1
        # A citation belongs behind a full stop that others follow, and behind an abbreviation's.
        if end <= statement.start + 1 or text[end - 1].isspace():
            end = statement.end
    space = "" if _UNSPACED.match(text[end - 1 : end]) else " "
    return Replacement(end, end, space + written, joins=True)


def _told(
    text: str,
    statements: Sequence[Statement],
    contradictions: Sequence[Contradiction],
    evidence: Mapping[str, Evidence],
    notices: Notices,
) -> list[tuple[Replacement, Statement]]:
    """A paragraph for each contradiction that the text does not tell itself, with the statement that it is."""
    blocks = Blocks(text) if contradictions else None
    found: list[tuple[Replacement, Statement]] = []
    said: set[tuple[int, str]] = set()
    for contradiction in contradictions:
        opposing, supporting = contradiction.opposing.lower(), contradiction.supporting.lower()
        quote = contradiction.quote.strip()
        if blocks is None or len(found) == MAX_CONTRADICTIONS or not 0 <= contradiction.statement < len(statements):
            continue
        statement = statements[contradiction.statement]
        if statement.removed or opposing not in evidence or not quote or quote not in evidence[opposing].quote:
            continue
        line = blocks.line_at(statement.start)
        number = next((number for number, block in enumerate(blocks.root.children) if block.first <= line < block.last), None)
        if number is None:
            continue
        block, *following = blocks.root.children[number : number + 2]
        if (block.first, opposing) in said:
            continue
        # What a table rests on stands in a paragraph of its own below it.
        last = next((after for after in following if only_cites(text[blocks.starts[after.first] : blocks.end(after)])), block)
        cited = cited_ids(text[blocks.starts[block.first] : blocks.end(last)], evidence)
        if opposing in cited and (supporting in cited or not supporting):
            continue
        said.add((block.first, opposing))
        sentence = f"{notices.otherwise.replace('{quote}', notices.quoted(escaped(_short(quote))))} [{opposing}]"
        at = blocks.end(last)
        at -= len(text[:at]) - len(text[:at].rstrip())
        judgement = judge(quote, [evidence[opposing].quote])
        found.append(
            (
                Replacement(at, at, f"\n\n{sentence}"),
                Statement(
                    text=sentence.rpartition(" ")[0],
                    verdict=judgement.verdict,
                    score=judgement.score,
                    cited=[opposing],
                    evidence=[opposing],
                ),
            )
        )
    return found


def _short(quote: str) -> str:
    """The quote, or its first sentences, or its first words, up to what one sentence can carry."""
    if len(quote) <= _MAX_QUOTE:
        return quote
    end = max((end for _, end in sentences(quote) if end <= _MAX_QUOTE), default=0)
    return quote[:end] if end else f"{quote[:_MAX_QUOTE].rpartition(' ')[0] or quote[:_MAX_QUOTE]} …"
