"""Knowledge as the planner's prompts show it, and what is left out when a prompt would grow too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from executors.query_planner.keywords import one_line
from providers.llm.base import Prompt
from schemas.knowledge import Evidence, Knowledge
from schemas.research import Message
from schemas.usage import Allowance

# Tokens of the headings and fences around an item and around each of its passages, generously.
_FRAME_TOKENS = 24
# Pages are shortened by so many at a time, so that the beginning of the prompt holds still for the steps between.
_BLOCK = 4
_QUESTION_CHARACTERS = 300


@dataclass(frozen=True)
class Item:
    """One knowledge item as it is shown; `evidence` holds only what no earlier item shows."""

    kind: str
    question: str
    answer: str
    updated: str | None
    evidence: tuple[Evidence, ...]


def items_of(knowledge: Iterable[Knowledge]) -> list[Item]:
    """Items in order of arrival. A passage that several items hold is shown with the first one."""
    shown: set[str] = set()
    items = []
    for known in knowledge:
        new = tuple(evidence for evidence in known.evidence if evidence.evidence_id not in shown)
        shown.update(evidence.evidence_id for evidence in new)
        # A page is its passages: neither the question it was read for nor their summary says more.
        page = known.kind == "url" and bool(known.evidence)
        question, answer = ("", "") if page else (one_line(known.question, _QUESTION_CHARACTERS), known.answer)
        if answer or new:
            items.append(Item(known.kind, question, answer, known.updated, new))
    return items


def prompt_tokens(allowance: Allowance, context_tokens: int, output_tokens: int) -> int:
    """Tokens a prompt may have, so that the answer, at most `output_tokens` or a quarter of everything, fits beside it."""
    # Down to a power of two: the allowance shrinks with every step, and a prompt cut anew each time would share no beginning
    # with the one before, so that no prompt cache could serve it.
    whole = min(1 << max(0, allowance.tokens.bit_length() - 1), context_tokens)
    return whole - min(output_tokens, whole // 4)


def fitted_prompt(
    render: Callable[[list[Item], list[Message]], Prompt],
    knowledge: Iterable[Knowledge],
    turns: Sequence[Message],
    tokens: int,
    count: Callable[[str], int],
) -> Prompt:
    """The prompt that `render` makes of knowledge items and earlier turns, with as many of them as `tokens` permit."""
    bare = render([], [])
    return render(*fit(items_of(knowledge), turns, tokens - count(bare.system) - count(bare.user), count))


def fit(items: Sequence[Item], turns: Sequence[Message], room: int, count: Callable[[str], int]) -> tuple[list[Item], list[Message]]:
    """What of the knowledge and of the earlier conversation fits into `room` tokens, by `count`; the same input gives the same result.

    Given up in this order, until it fits: all search snippets; all but the best passage of pages, oldest pages first;
    earlier turns, oldest first; whole items, oldest first.
    """
    kept, turns = list(items), list(turns)
    if sum(map(_most_tokens, kept)) + sum(_FRAME_TOKENS + len(turn.content.encode()) for turn in turns) <= room:
        return kept, turns
    sizes = [_tokens(item, count) for item in kept]
    turn_sizes = [_FRAME_TOKENS + count(turn.content) for turn in turns]

    def fits() -> bool:
        return sum(sizes) + sum(turn_sizes) <= room

    if fits():
        return kept, turns
    kept = [item for item in kept if item.kind != "side-info"]
    sizes = [_tokens(item, count) for item in kept]
    pages = [index for index, item in enumerate(kept) if item.kind == "url" and len(item.evidence) > 1]
    for start in range(0, len(pages), _BLOCK):
        if fits():
            break
        for index in pages[start : start + _BLOCK]:
            best = max(kept[index].evidence, key=lambda evidence: evidence.score)
            kept[index] = replace(kept[index], evidence=(best,))
            sizes[index] = _tokens(kept[index], count)
    while turns and not fits():
        del turns[0], turn_sizes[0]
    while kept and not fits():
        del kept[0], sizes[0]
    return kept, turns


def _texts(item: Item) -> list[str]:
    return [item.question, item.answer, *(text for evidence in item.evidence for text in (evidence.quote, evidence.title, evidence.url))]


def _tokens(item: Item, count: Callable[[str], int]) -> int:
    return _FRAME_TOKENS * (1 + len(item.evidence)) + sum(count(text) for text in _texts(item))


def _most_tokens(item: Item) -> int:
    """An upper bound without counting: a token is at least one byte."""
    return _FRAME_TOKENS * (1 + len(item.evidence)) + sum(len(text.encode()) for text in _texts(item))
