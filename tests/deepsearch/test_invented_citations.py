"""Whole runs with a model that makes things up wherever it writes: nothing of that is cited, linked to or said in an answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deepsearch.local import LocalDeepSearch
from executors.controller.run import replay
from executors.controller.state import RunState
from providers.support import statements
from schemas.research import ResearchAnswer, ResearchRequest
from schemas.settings import Settings
from schemas.support import Citations, Statement
from tests.deepsearch.inventions.model import INVENTED_HOST, NAME, Inventor
from tests.scripted.server import ScriptedServer

MakeSettings = Callable[..., Settings]

RUNS = 100
AT_ONCE = 10
"""Runs of one test, one after the other over the same stages."""
LEAST_INVENTIONS = 30
"""What every single run must have tried."""
LEAST_INVENTIONS_AT_ONCE = 1_500
"""What the runs of one test must have tried together: fifteen thousand in all tests."""
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((Path(__file__).parent / "inventions").glob("*.md"))}
QUESTION = "Who built the tidal stations of Halvern, when did they open, and how much power do they give?"
_MARKER = re.compile(r"\[\^(\d+)\]")
_CODE = re.compile(r"(`+).+?\1")
_FIGURE = re.compile(r"\d[\d,]*\d")


def settings_for(make_settings: MakeSettings, server: ScriptedServer) -> Settings:
    return make_settings(
        openai_base_url=server.llm_url,
        openai_api_key="scripted",
        llm_model="scripted",
        llm_max_retries=0,
        jina_api_key="scripted",
        jina_search_url=server.search_url,
        jina_reader_url=server.reader_url,
        embedding_provider="none",
        rerank_provider="none",
        use_duckduckgo=False,
        deepsearch_max_steps=10,
    )


def fields_for(seed: int) -> dict[str, Any]:
    """Of ten runs two are those of a team, one is a report, one is polished, and six are as usual."""
    kinds: dict[int, dict[str, Any]] = {
        3: {"polish": True},
        7: {"team_size": 2},
        8: {"team_size": 2},
        9: {"mode": "report", "words": 300, "reasoning_effort": "low"},
    }
    return kinds.get(seed % 10, {})


class Finished:
    """A run that has ended, with what its model made up and what is wrong with its answer."""

    def __init__(self, seed: int, model: Inventor, answer: ResearchAnswer, state: RunState) -> None:
        self.seed, self.model, self.answer = seed, model, answer
        self._known = {evidence.evidence_id for item in state.knowledge for evidence in item.evidence}
        self._outcome = state.outcome

    @property
    def standing(self) -> list[Statement]:
        """What the report says of the statements that are in the text."""
        return [statement for statement in self.answer.support.statements if not statement.removed]

    def invented_in(self, text: str) -> list[str]:
        """The names and figures in `text` that no page has."""
        figures = [found for found in _FIGURE.findall(text) if found.replace(",", "") in self.model.figures]
        return [*NAME.findall(text), *figures]

    async def ends_and_cites_wrongly(self, local: LocalDeepSearch, served: set[str]) -> list[str]:
        """Every marker has exactly its reference; every quote stands at its span of a page that was served."""
        answer, faults = self.answer, []
        if self._outcome != "finished":
            faults.append(f"the run ended as {self._outcome}")
        if (tried := sum(self.model.tried.values())) < LEAST_INVENTIONS:
            faults.append(f"only {tried} inventions were tried")
        numbers = list(dict.fromkeys(int(number) for number in _MARKER.findall(answer.text)))
        if not numbers == [reference.number for reference in answer.references] == list(range(1, len(answer.references) + 1)):
            faults.append(f"the markers are {numbers}, the references {[reference.number for reference in answer.references]}")
        for reference in answer.references:
            page = await local.journal.page(answer.run_id, reference.page_id)
            if not page.text[reference.start : reference.end] == reference.quote != "":
                faults.append(f"reference {reference.number} is no quote: {reference.quote!r}")
            if page.url != reference.url or reference.url not in served:
                faults.append(f"reference {reference.number} is of {reference.url}, which was not read")
            if reference.evidence_id not in self._known:
                faults.append(f"reference {reference.number} is {reference.evidence_id}, which is no evidence")
        return faults

    def links_wrongly(self) -> list[str]:
        """Every address in the text was seen in the run."""
        found = []
        for line in self.answer.text.splitlines():
            if INVENTED_HOST in _CODE.sub("", line):
                found.append(f"an invented address is in: {line}")
            elif INVENTED_HOST in line:
                found.append(f"an invented address is in the code of: {line}")
        return found

    def says_wrongly(self) -> Iterator[str]:
        """No statement has a figure or a name that no page holds."""
        for span in statements(self.answer.text):
            if span.claim and (found := self.invented_in(span.words)):
                verdicts = [one.verdict for one in self.standing if one.start <= span.start and span.end <= one.end]
                yield f"{', '.join(found)} stands, {'/'.join(verdicts) or 'not in the report'}: {span.words}"

    def reports_wrongly(self) -> Iterator[str]:
        """The sums agree with the statements, the spans with the text, the ids with the evidence."""
        report, text = self.answer.support, self.answer.text
        verdicts = Counter(statement.verdict for statement in self.standing)
        sums = (report.supported, report.partly, report.unsupported, report.removed)
        counted = (verdicts["supported"], verdicts["partly"], verdicts["unsupported"] + verdicts["contradicted"])
        if sums != (*counted, len(report.statements) - len(self.standing)):
            yield f"the sums are {sums}, the statements standing {dict(verdicts)} of {len(report.statements)}"
        for statement in self.standing:
            if not 0 <= statement.start < statement.end <= len(text):
                yield f"a statement is at {statement.start}:{statement.end}: {statement.text}"
            if strange := {key.lower() for key in [*statement.cited, *statement.evidence]} - self._known:
                yield f"{', '.join(sorted(strange))} is no evidence of: {statement.text}"
            if statement.verdict == "supported" and not statement.evidence:
                yield f"supported by nothing: {statement.text}"
        for span in statements(text):
            if span.claim and not any(one.start <= span.start and span.end <= one.end for one in self.standing):
                yield f"in no report, at {span.start}:{span.end}: {text[span.start : span.end]}"


async def runs(seeds: range, make_settings: MakeSettings, citations: Citations) -> tuple[list[Finished], list[str]]:
    """The runs of `seeds`, and what is wrong with their ends and citations."""
    finished, faults = [], []
    with ScriptedServer() as server:
        for name, text in PAGES.items():
            title, _, body = text.partition("\n")
            server.add_page(f"https://{name}.example.org/page", title.lstrip("# "), body.strip())
        async with LocalDeepSearch(settings_for(make_settings, server)) as local:
            for seed in seeds:
                model = Inventor(seed)
                server.llm.script(model)
                request = ResearchRequest(question=QUESTION, no_direct_answer=True, max_attempts=1, citations=citations, **fields_for(seed))
                answer = await local.ask(request)
                done = Finished(seed, model, answer, replay(await local.journal.events(answer.run_id)))
                served = {recorded.body["url"] for recorded in server.sent("/reader/")}
                faults += [f"run {seed}: {fault}" for fault in await done.ends_and_cites_wrongly(local, served)]
                finished.append(done)
    return finished, faults


@pytest.mark.parametrize("first", range(0, RUNS, AT_ONCE))
async def test_nothing_that_was_made_up_is_published(first: int, make_settings: MakeSettings) -> None:
    finished, faults = await runs(range(first, first + AT_ONCE), make_settings, "strict")
    for run in finished:
        unsupported = [f"stands unsupported: {one.text}" for one in run.standing if one.verdict in ("unsupported", "contradicted")]
        found = [*run.links_wrongly(), *run.says_wrongly(), *run.reports_wrongly(), *unsupported]
        faults += [f"run {run.seed}: {fault}" for fault in found]
    tried = sum((run.model.tried for run in finished), start=Counter())
    print(f"{sum(tried.values())} inventions in {len(finished)} runs: {dict(tried)}")
    assert sum(tried.values()) >= LEAST_INVENTIONS_AT_ONCE
    assert any(run.answer.support.supported for run in finished), "nothing true was left either"
    assert sum(run.answer.support.removed for run in finished) > AT_ONCE
    assert not faults, "\n".join(faults)


async def test_flag_marks_what_it_leaves(make_settings: MakeSettings) -> None:
    """What was made up may stay, but never as supported, and never with a made up source."""
    finished, faults = await runs(range(AT_ONCE), make_settings, "flag")
    for run in finished:
        believed = [
            f"passes as {one.verdict}: {one.text}"
            for one in run.standing
            if run.invented_in(one.text) and (one.verdict == "supported" or (one.verdict == "partly" and not one.missing))
        ]
        faults += [f"run {run.seed}: {fault}" for fault in [*run.links_wrongly(), *run.reports_wrongly(), *believed]]
    assert any(run.answer.support.unsupported for run in finished)
    assert not faults, "\n".join(faults)


async def test_off_checks_nothing_but_cites_only_what_was_read(make_settings: MakeSettings) -> None:
    finished, faults = await runs(range(AT_ONCE), make_settings, "off")
    for run in finished:
        if run.answer.references:  # without a source, and unchecked by request, the text is the model's own, and no link works in it
            faults += [f"run {run.seed}: {fault}" for fault in run.links_wrongly()]
    assert any(run.invented_in(run.answer.text) for run in finished)
    assert not any(run.answer.support.removed for run in finished)
    assert not faults, "\n".join(faults)
