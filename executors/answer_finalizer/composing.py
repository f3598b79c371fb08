"""What a model is shown to write the answer: the question and the best of the knowledge that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from providers.llm.base import Prompt
from providers.llm.prompts import load_prompts
from schemas.errors import BudgetExceeded
from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message

_PROMPT = load_prompts(Path(__file__).parent / "prompts")["compose"]
# Tags, id and date around a passage or a finding, in tokens.
_FRAME_TOKENS = 30
# The part of the tokens at hand that is kept for writing, at most what a call may write.
_WRITING_SHARE = 0.25


@dataclass
class Item:
    """One piece of knowledge as the prompt shows it; `answer` is empty where the passages speak for themselves."""

    question: str = ""
    answer: str = ""
    passages: list[Evidence] = field(default_factory=list)


def findings(knowledge: Iterable[Knowledge]) -> list[Knowledge]:
    """What was worked out rather than read: answered sub-questions, lessons and computations."""
    return [item for item in knowledge if item.kind in ("qa", "coding") and item.answer]


def prompt(
    question: str,
    messages: Iterable[Message],
    language_style: str,
    knowledge: Sequence[Knowledge],
    evidence: Mapping[str, Evidence],
    *,
    tokens: int,
    writing_tokens: int,
    count_tokens: Callable[[str], int],
) -> Prompt:
    """The prompt for the answer, at most `tokens` long with room left to write.

    `tokens` is what prompt and answer may take together, `writing_tokens` the most that one call may write. Everything
    is in order of arrival. What does not fit is left out by score, findings last, because they are short;
    search snippets are not shown, as nothing in them may be cited.
    Raises `BudgetExceeded` when not one passage or finding fits.
    """
    turns = [message for message in messages if message.content.strip() and message.content.strip() != question.strip()]
    empty = _PROMPT.render(question=question, messages=turns, language_style=language_style, items=[])
    room = tokens - count_tokens(empty.system) - count_tokens(empty.user) - min(writing_tokens, int(tokens * _WRITING_SHARE))
    items = _fitting(knowledge, evidence, room, count_tokens)
    if not items:
        raise BudgetExceeded(f"not one passage fits into the {tokens} tokens allowed for the final answer")
    return _PROMPT.render(question=question, messages=turns, language_style=language_style, items=items)


def _fitting(knowledge: Sequence[Knowledge], evidence: Mapping[str, Evidence], room: int, count_tokens: Callable[[str], int]) -> list[Item]:
    wanted = [(2.0, _FRAME_TOKENS + count_tokens(f"{item.question}\n{item.answer}"), id(item)) for item in findings(knowledge)]
    wanted += [(piece.score, _FRAME_TOKENS + count_tokens(f"{piece.title}\n{piece.quote}"), id(piece)) for piece in evidence.values()]
    kept: set[int] = set()
    for _, cost, key in sorted(wanted, key=lambda entry: -entry[0]):
        if cost <= room:
            kept.add(key)
            room -= cost
    items: list[Item] = []
    shown: set[str] = set()
    for item in knowledge:
        ids = [piece.evidence_id.lower() for piece in item.evidence]
        passages = [evidence[key] for key in dict.fromkeys(ids) if key in evidence and key not in shown and id(evidence[key]) in kept]
        shown.update(ids)
        finding = id(item) in kept
        if passages or finding:
            items.append(Item(item.question if finding else "", item.answer if finding else "", passages))
    rest = [piece for key, piece in evidence.items() if key not in shown and id(piece) in kept]
    return [*items, Item(passages=rest)] if rest else items
