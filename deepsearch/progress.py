"""A run as a person sees it: one line for each thing that happened, and one for what is under way and spent.

The lines follow from the run's events alone, so a run shows the same here, at the other end of a network, and a year later.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deepsearch.terminal import one_line, printable
from schemas import events as ev
from schemas.events import JOURNAL_EVENT, Effect, JournalEvent, Limits, ResearchEvent
from schemas.usage import Usage

_DOING = {
    "understand": "understanding the question",
    "rank": "ranking URLs",
    "decide": "deciding what to do",
    "dedupe": "dropping repetitions",
    "search": "searching",
    "rewrite": "rewriting queries",
    "cluster": "condensing results",
    "read": "reading",
    "code": "computing",
    "compose": "composing an answer",
    "evaluate": "checking the answer",
    "analyze": "finding out why the answer failed",
    "finalize": "writing the answer",
    "describe": "looking at an image",
    "structure": "putting the answer into JSON",
    "check": "checking every statement",
    "revise": "putting right what is not supported",
    "decompose": "splitting the question",
    "delegate": "researchers at work",
    "reduce": "merging the answers",
    "digest": "taking findings from pages",
    "synthesize": "comparing the pages",
    "outline": "planning the report",
    "section": "writing a section",
    "illustrate": "looking for images that fit",
}


@dataclass(frozen=True)
class Line:
    """Something that happened: a label of one word, what it was, and whether it went wrong."""

    label: str
    text: str
    wrong: bool = False
    limit: int = 300

    def __str__(self) -> str:
        return f"{self.label}: {one_line(self.text, self.limit)}"

    def __rich__(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=8, no_wrap=True)
        grid.add_column(overflow="fold")
        style = "red" if self.wrong else "dim" if self.label in ("think", "budget") else ""
        grid.add_row(Text(self.label, style="red" if self.wrong else "cyan"), Text(one_line(self.text, self.limit), style=style))
        return grid


_EVENTS: dict[str, type[BaseModel]] = {kind.model_fields["type"].default: kind for kind in get_args(get_args(JournalEvent)[0])}


def journal_event(event: ResearchEvent) -> JournalEvent | None:
    """The event in its own class; None when it is of a kind that this version does not know or that no journal holds."""
    kind = _EVENTS.get(event.type)
    if kind is None:
        return None
    # What is empty is left out on the wire, whole documents included.
    absent: dict[str, Any] = {name: {} for name, field in kind.model_fields.items() if field.is_required() and _is_document(field)}
    try:
        return JOURNAL_EVENT.validate_python({**absent, **event.data, "type": event.type})
    except ValidationError:
        return None


def _is_document(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


class Progress:
    """Follows one run."""

    def __init__(self) -> None:
        self.spent = Usage()
        self.limits: Limits | None = None
        self.started_at = 0.0
        self.steps = 0
        self._now = 0.0
        self._calls: dict[str, Effect] = {}
        self._failure: list[Line] = []

    def follow(self, event: JournalEvent, time: float) -> list[Line]:
        """Take the next event and when it happened; return what to say about it.

        That a call failed is said with the event after it: when there is none, the failure is what ended the run, and is told as that.
        """
        self._now = time
        lines, self._failure = self._failure, []
        match event:
            case ev.RunStarted(request=request, limits=limits):
                self.limits, self.started_at = limits, time
                question = request.question or next((turn.content for turn in reversed(request.messages) if turn.role == "user"), "")
                return [Line("question", question, limit=2_000)]
            case ev.StageCalled(effect=effect):
                self._calls[effect.id] = effect
                return lines
            case ev.RunResumed():
                self._calls.clear()
                return [*lines, Line("resumed", "the run goes on where it was interrupted")]
            case ev.RunCancelled():
                return [*lines, Line("stopped", "the run was cancelled", wrong=True)]
            case ev.OutlineApproved():
                return [*lines, Line("outline", "the outline is approved")]
        call = self._calls.pop(event.effect_id, None)
        self.spent = self.spent + _usage_of(event)
        self.steps += isinstance(event, ev.Decided)
        said = _lines(event, call, self.steps)
        if isinstance(event, ev.CallFailed):
            self._failure = said
            return lines
        return lines + said

    def doing(self) -> str:
        """What is under way now, such as `reading 3 pages`."""
        calls = list(self._calls.values())
        if not calls:
            return "working"
        first = calls[0]
        if first.kind == "read":
            return f"reading {place(_first(first))}" if len(calls) == 1 else f"reading {len(calls)} pages"
        return f"searching {_quoted(first.items)}" if first.kind == "search" else _DOING[first.kind]

    def spending(self, now: float | None = None) -> str:
        """What is used of each limit. `now` is the time; without it, that of the last event."""
        if self.limits is None:
            return ""
        parts = [
            f"step {self.steps}",
            _share(self.spent.total_tokens, self.limits.tokens, "tokens"),
            _share((now or self._now) - self.started_at, self.limits.seconds, "s"),
            _share(self.spent.pages, self.limits.pages, "pages"),
        ]
        if self.limits.usd is not None:
            parts.append(f"${self.spent.cost_usd:.4f} of ${self.limits.usd:g}")
        return " · ".join(parts)


def _usage_of(event: JournalEvent) -> Usage:
    """What a call spent: beside its result, or in it."""
    holders = [event, *(value for value in vars(event).values() if isinstance(value, BaseModel))]
    return next((holder.usage for holder in holders if hasattr(holder, "usage")), Usage())


def _lines(event: JournalEvent, call: Effect | None, step: int) -> list[Line]:
    match event:
        case ev.Understood(understanding=understanding):
            by = f"model {understanding.model}" if understanding.mode == "model" else "no language model (extractive mode)"
            criteria = ", ".join(understanding.criteria) or "nothing in particular"
            return [Line("plan", f"answer in {understanding.language_style or understanding.language_code}; check: {criteria}; {by}")]
        case ev.Decided(decision=decision):
            said = [Line("think", decision.think)] if decision.think.strip() else []
            what = {
                "search": _quoted(decision.queries),
                "visit": ", ".join(place(url) for url in decision.urls),
                "reflect": " ".join(decision.questions),
                "answer": "",
                "coding": decision.code_issue,
            }[decision.action]
            return [*said, Line(f"step {step}", f"{decision.action} {what}".strip())]
        case ev.Searched(response=response):
            return [
                Line(
                    "search",
                    f"“{outcome.query}” {_count(outcome.results, 'result')}"
                    + (f" from {outcome.provider}" if outcome.provider else "")
                    + (f" ({'; '.join(outcome.errors)})" if outcome.errors else ""),
                    wrong=not outcome.provider,
                )
                for outcome in response.outcomes
            ]
        case ev.Clustered(clustering=clustering):
            return [Line("learn", cluster.insight) for cluster in clustering.clusters]
        case ev.PageRead(page=page, passages=passages):
            title = page.title or place(page.url)
            return [Line("read", f"{title} ({place(page.url)}): {_count(len(passages), 'passage')}")]
        case ev.Computed(result=result):
            return [Line("code", result.output)]
        case ev.Composed(draft=draft):
            return [Line("draft", draft.text or "nothing that was read answers the question", wrong=not draft.text, limit=160)]
        case ev.Evaluated(evaluation=evaluation):
            verdict = "passed" if evaluation.passed else f"not {evaluation.failed_criterion or 'good enough'}"
            return [Line("check", f"{verdict}: {evaluation.think}".rstrip(": "), wrong=not evaluation.passed)]
        case ev.Checked(support=support):
            unsupported = f", {support.unsupported} without support" if support.unsupported else ""
            sums = f"{_count(support.supported, 'statement')} supported, {support.partly} partly{unsupported}"
            return [Line("check", sums, wrong=support.unsupported > 0)]
        case ev.Revised(draft=draft):
            return [Line("draft", draft.error or "put right where it was not supported", wrong=bool(draft.error), limit=160)]
        case ev.Decomposed(decomposition=decomposition):
            return [Line("team", question) for question in decomposition.questions]
        case ev.Delegated(answer=answer):
            return [Line("team", f"{answer.question}: {answer.stop_reason}, {_count(len(answer.references), 'reference')}")]
        case ev.Reduced(draft=draft):
            return [Line("draft", draft.text, limit=160)]
        case ev.Digested(digest=digest):
            return [Line("digest", f"{digest.title or place(digest.url)}: {_count(len(digest.findings), 'finding')}")]
        case ev.Synthesized(synthesis=synthesis):
            sums = f"{_count(len(synthesis.agreements), 'agreement')}, {_count(len(synthesis.conflicts), 'conflict')}"
            return [Line("compare", sums), *(Line("gap", gap) for gap in synthesis.gaps)]
        case ev.Outlined(outline=outline):
            return [Line("outline", outline.title), *(Line("section", f"{s.heading}: {s.brief}".rstrip(": ")) for s in outline.sections)]
        case ev.SectionWritten(draft=draft):
            return [Line("section", draft.text or "nothing to say", wrong=not draft.text, limit=160)]
        case ev.Illustrated(illustration=illustration):
            return [Line("images", f"{_count(len(illustration.images), 'image')} that fit")] if illustration.images else []
        case ev.Analyzed(analysis=analysis):
            return [Line("lesson", analysis.improvement or analysis.blame)]
        case ev.Finalized(error=error):
            return [Line("answer", error, wrong=True)] if error else []
        case ev.CallFailed(message=message):
            doing = _DOING[call.kind] if call else "a call"
            what = f" {place(_first(call))}" if call and call.kind == "read" else ""
            return [Line("failed", f"{doing}{what}: {message}", wrong=True)]
    return []


def place(url: str) -> str:
    """A URL as a person reads it: host and path, or a file's name."""
    try:
        parts = urlsplit(printable(url))
    except ValueError:  # a model or a page may call anything a URL
        return one_line(url, 80)
    if parts.scheme == "file":
        return PurePosixPath(unquote(parts.path)).name
    return one_line(f"{parts.hostname or ''}{unquote(parts.path)}".rstrip("/") or url, 80)


def _first(call: Effect) -> str:
    return call.items[0] if call.items else ""


def _quoted(texts: list[str]) -> str:
    return ", ".join(f"“{text}”" for text in texts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _share(spent: float, limit: float, unit: str) -> str:
    share = f" ({spent / limit:.0%})" if limit else ""
    return f"{spent:,.0f} of {limit:,.0f} {unit}{share}"
