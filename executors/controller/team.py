"""Team mode: the question is split, a run of its own works on each sub-problem, and their answers become one draft.

    decompose → delegate, in parallel → reduce → evaluate, as any draft

When the draft does not pass, the run goes on by itself with all that the team has found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import regex
from docarray import DocList

from executors.controller.answering import judge
from executors.controller.budget import LEAST_SECONDS, LEAST_TOKENS
from executors.controller.evidence import with_images
from executors.controller.state import RunState
from executors.controller.step import call, changed, finish, learned, next_step
from providers.support.markup import PARSER, prose
from schemas import events as ev
from schemas.answering import ReducePart
from schemas.events import Effect
from schemas.knowledge import Evidence, Knowledge
from schemas.reading import Image
from schemas.research import Reference, ResearchAnswer

TEAM_SHARE = 0.8
"""Part of what is left that the team may spend together; the rest is for merging, evaluating, and what is missing then."""
_MARKER = regex.compile(r"\[\^([0-9]{1,6})\]")
_PLACE = regex.compile("\ue000([0-9]+)\ue001")
"""Characters for private use that stand for a marker while it is found out what it is a part of."""


def begin_team(state: RunState) -> RunState:
    """Split the question."""
    return call(changed(state, phase="team"), "decompose")


def on_decomposed(state: RunState, effect: Effect, event: ev.Decomposed) -> RunState:
    """Give each sub-problem to a run of its own; a question that cannot be split, or a budget, stays with this one."""
    questions = list(dict.fromkeys(question.strip() for question in event.decomposition.questions if question.strip()))
    questions = questions[: state.request.team_size]
    if len(questions) < 2:
        return next_step(state)
    reason = state.budget.exhausted(model=state.uses_model)
    if reason:
        return finish(state, reason)
    run_id = state.request.run_id
    effects = tuple(
        state.budget.allot(
            Effect(id=f"{state.sequence}.delegate.{number}", kind="delegate", question=question, items=[f"{run_id}-{number}"]),
            part=TEAM_SHARE / len(questions),
            model=state.uses_model,
        )
        for number, question in enumerate(questions, start=1)
    )
    if not all(_is_enough(effect, model=state.uses_model) for effect in effects):
        return next_step(state)
    return changed(state, team=tuple(questions), questions=(*state.questions, *questions), pending=effects)


def _is_enough(share: Effect, *, model: bool) -> bool:
    """Whether a run can be made of it that reads anything."""
    enough = share.tokens >= LEAST_TOKENS and share.seconds >= LEAST_SECONDS and share.searches > 0 and share.pages > 0
    return enough and share.usd != 0 and (share.llm_calls > 0 or not model)


def on_delegated(state: RunState, effect: Effect, event: ev.Delegated) -> RunState:
    """Keep the answer until those of the others are there."""
    return after_delegation(changed(state, team_answers={**state.team_answers, effect.question: event.answer}))


def on_delegation_failed(state: RunState, effect: Effect, event: ev.CallFailed) -> RunState:
    """Go on without this sub-problem, and say so."""
    return after_delegation(changed(state, unread=(*state.unread, f"{effect.question}: {event.message}")))


def after_delegation(state: RunState) -> RunState:
    """Merge the answers when the last one is there; they enter in the order of the sub-problems."""
    if state.pending:
        return state
    for question in state.team:
        if question in state.team_answers:
            state = _with_answer(state, question, state.team_answers[question])
    state = changed(state, team_answers={})
    return call(state, "reduce") if state.parts else next_step(state)


def _with_answer(state: RunState, question: str, answer: ResearchAnswer) -> RunState:
    """The answer's references become evidence of this run, and its markers cite them."""
    known = {(piece.page_id, piece.start, piece.end): piece.evidence_id for item in state.knowledge for piece in item.evidence}
    ids: dict[int, str] = {}
    evidence: list[Evidence] = []
    for reference in answer.references:
        place = (reference.page_id, reference.start, reference.end)
        if place not in known:  # or another researcher found it too
            known[place] = f"e{state.evidence_count + len(evidence) + 1}"
            evidence.append(_evidence(known[place], reference))
        ids[reference.number] = known[place]
    images = (Image(id="", url=i.url, text=i.text, width=i.width, height=i.height, page_url=i.page_url) for i in answer.images)
    state = changed(
        state,
        images=with_images(state, images),
        visited=tuple(dict.fromkeys((*state.visited, *answer.read_urls))),
        read=tuple(dict.fromkeys((*state.read, *answer.read_urls))),
        queries=tuple(dict.fromkeys((*state.queries, *answer.queries))),
    )
    if not ids or answer.stop_reason == "no_evidence":
        return state  # an answer without a source is no finding
    text = _citing(answer.text, ids)
    state = learned(state, Knowledge(id="", kind="qa", question=question, answer=text, evidence=DocList[Evidence](evidence)))
    state = changed(state, evidence_count=state.evidence_count + len(evidence))
    return changed(state, parts=(*state.parts, ReducePart(id="", question=question, text=text)))


def _evidence(evidence_id: str, reference: Reference) -> Evidence:
    return Evidence(
        id="",
        evidence_id=evidence_id,
        page_id=reference.page_id,
        url=reference.url,
        title=reference.title,
        quote=reference.quote,
        start=reference.start,
        end=reference.end,
        score=1.0,
        published=reference.published,
        modified=reference.modified,
        read_at=reference.read_at,
    )


def _citing(text: str, ids: Mapping[int, str]) -> str:
    """The text with its footnote markers as citations of evidence; in code they are no markers."""
    text = _PLACE.sub("", text)
    markers = list(_MARKER.finditer(text))
    places = iter(range(len(markers)))
    placed = _MARKER.sub(lambda _: f"\ue000{next(places)}\ue001", text)
    code = {int(number) for piece in _code(placed) for number in _PLACE.findall(piece)}

    def cited(place: regex.Match[str]) -> str:
        marker = markers[int(place[1])]
        if int(place[1]) in code:
            return str(marker[0])
        return f"[{ids[int(marker[1])]}]" if int(marker[1]) in ids else ""

    return str(_PLACE.sub(cited, placed))


def _code(text: str) -> Iterator[str]:
    """The pieces of a Markdown text that are code."""
    for token in PARSER.parse(text):
        if token.type in ("fence", "code_block"):
            yield token.content
        elif token.type == "inline":
            yield from (token.content[start:end] for start, end in prose(token.content)[1])


def on_reduced(state: RunState, effect: Effect, event: ev.Reduced) -> RunState:
    """The merged draft is judged like any other."""
    draft = event.draft.text.strip()
    return judge(changed(state, draft=draft, support=None)) if draft else next_step(state)
