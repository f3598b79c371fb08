"""What of the knowledge a prompt shows: the best of it that fits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from providers.llm.base import ChatModel, Prompt
from providers.llm.prompts import PromptFile
from schemas.errors import BudgetExceeded
from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message
from schemas.settings import Settings
from schemas.usage import Allowance

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


def other_turns(question: str, messages: Iterable[Message]) -> list[Message]:
    """The conversation without the question itself."""
    return [message for message in messages if message.content.strip() and message.content.strip() != question.strip()]


def fitted(
    template: PromptFile,
    knowledge: Sequence[Knowledge],
    evidence: Mapping[str, Evidence],
    *,
    model: ChatModel,
    allowance: Allowance,
    settings: Settings,
    wanted: Collection[str] = (),
    may_be_empty: bool = False,
    **values: object,
) -> Prompt:
    """The prompt of `template` with as many `items` of the knowledge as fit beside `values` and leave room to write.

    Everything is in order of arrival. What does not fit is left out by score, the ids in `wanted` and findings last; search
    snippets are not shown, as nothing in them may be cited.
    Raises `BudgetExceeded` when not one passage or finding fits.
    """
    tokens = min(settings.llm_context_tokens, allowance.tokens)
    empty = template.render(items=[], **values)
    room = tokens - model.count_tokens(empty.system) - model.count_tokens(empty.user)
    room -= min(settings.llm_max_output_tokens, int(tokens * _WRITING_SHARE))
    items = _fitting(knowledge, evidence, room, model.count_tokens, wanted)
    if not items and not may_be_empty:
        raise BudgetExceeded(f"not one passage fits into the {tokens} tokens allowed for the answer")
    return template.render(items=items, **values)


def _fitting(
    knowledge: Sequence[Knowledge],
    evidence: Mapping[str, Evidence],
    room: int,
    count_tokens: Callable[[str], int],
    wanted: Collection[str],
) -> list[Item]:
    costs = [(2.0, _FRAME_TOKENS + count_tokens(f"{item.question}\n{item.answer}"), id(item)) for item in findings(knowledge)]
    for key, piece in evidence.items():
        costs.append((piece.score + 2 * (key in wanted), _FRAME_TOKENS + count_tokens(f"{piece.title}\n{piece.quote}"), id(piece)))
    kept: set[int] = set()
    for _, cost, key_of_item in sorted(costs, key=lambda entry: -entry[0]):
        if cost <= room:
            kept.add(key_of_item)
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
