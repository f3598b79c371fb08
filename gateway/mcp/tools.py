"""The tools: what each takes, what it does, and how it is described to the model that chooses among them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from docarray import DocList
from mcp import types
from pydantic import BaseModel, ConfigDict, Field

from gateway.calls import Calls
from gateway.mcp import results
from gateway.mcp.runs import Runs
from gateway.mcp.tool_call import ToolCall
from gateway.openai.requests import LEAST_WORDS, MOST_RESEARCHERS, MOST_WORDS
from gateway.outlines import RunView
from schemas.errors import ConfigurationError, CorpusError, DeepSearchError, InvalidRequest, from_code
from schemas.reading import ReadRequest, ReadResponse
from schemas.reporting import Outline
from schemas.research import Effort, ResearchRequest, RunList, RunQuery
from schemas.search import SearchQuery, SearchRequest, SearchResponse, TimeRange
from schemas.support import Citations

READ_SECONDS = 45.0
"""Longest a page may take: many clients give up after 60 seconds."""
_URL = re.compile(r"https?://", re.IGNORECASE)

Question = Annotated[
    str, Field(min_length=1, max_length=20_000, description="The question, in full sentences, with what is needed to understand it.")
]
Hostnames = Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=100)]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="run_id that `research` or `ask_corpus` gave.")]
WaitSeconds = Annotated[
    float,
    Field(
        ge=0,
        le=600,
        description="How long to wait for the answer. When it is over the run goes on by itself, and get_research continues to wait. "
        "Keep it below your own time limit for a tool call.",
    ),
]


class Arguments(BaseModel):
    """Base of what tools take: a name that a tool does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class AskArguments(Arguments):
    """A question and its limits."""

    question: Question
    effort: Effort = Field("medium", description="How many tokens and attempts the answer may cost when no budget is given.")
    budget_seconds: float | None = Field(None, ge=1, le=86_400, description="Time limit of the run.")
    budget_tokens: int | None = Field(None, ge=1_000, le=100_000_000, description="Token limit of the run.")
    language_code: str | None = Field(
        None, max_length=35, description="Language of the answer (ISO 639-1), such as `de`; without it, the question's language."
    )
    wait_seconds: WaitSeconds = 45.0


class ResearchArguments(AskArguments):
    """A question for the web."""

    only_hostnames: Hostnames = Field([], description="Use only pages of these sites, such as `example.org`; subdomains count.")
    bad_hostnames: Hostnames = Field([], description="Use no page of these sites.")
    boost_hostnames: Hostnames = Field([], description="Prefer pages of these sites.")
    mode: Literal["answer", "report"] = Field("answer", description="`report`: a long text in sections instead of an answer.")
    words: int | None = Field(
        None, ge=LEAST_WORDS, le=MOST_WORDS, description="Length of a report; without it, what the question asks for."
    )
    plan_first: bool = Field(
        False, description="True: a report's outline comes first, in a result with state `waiting`; approve_outline lets it be written."
    )
    team_size: int = Field(1, ge=1, le=MOST_RESEARCHERS, description="How many researchers share the question and its budget.")
    citations: Citations | None = Field(
        None, description="What happens to a statement that no evidence supports: `strict` removes it, `flag` marks it, `off` lets it be."
    )
    allow_guess: bool = Field(False, description="True: where nothing that was read answers, the model may answer from memory.")
    polish: bool = Field(False, description="True: a model rewrites the accepted answer for better reading.")


class RunArguments(Arguments):
    """Which run."""

    run_id: RunId


class WaitArguments(RunArguments):
    """Which run, and how long to wait for it."""

    wait_seconds: WaitSeconds = 45.0


class ApproveArguments(WaitArguments):
    """Which run, and what its report is to look like."""

    title: str = Field("", max_length=300, description="Title of the report; without sections the outline stays as it was proposed.")
    sections: list[results.Section] = Field([], max_length=50, description="Its sections in order; none: those that were proposed.")


class ListArguments(Arguments):
    """How many runs."""

    limit: int = Field(10, ge=1, le=100, description="How many, newest first.")


class SearchArguments(Arguments):
    """Queries and filters."""

    queries: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        min_length=1, max_length=10, description="Search queries, as short as one would type them; they run at the same time."
    )
    max_results: int = Field(10, ge=1, le=20, description="Results for each query.")
    time_range: TimeRange | None = Field(None, description="Only pages of this last period.")
    language_code: str | None = Field(None, max_length=35, description="Language of the results (ISO 639-1), such as `de`.")
    only_hostnames: Hostnames = Field([], description="Only results of these sites, such as `example.org`; subdomains count.")
    bad_hostnames: Hostnames = Field([], description="No results of these sites.")


class ReadArguments(Arguments):
    """A page, and which part of it."""

    url: str = Field(min_length=1, max_length=8_000, description="The page: http, https, or a file: URL that `search` gave.")
    question: str = Field("", max_length=20_000, description="With a question, the passages that answer it best are picked out.")
    offset: int = Field(0, ge=0, description="Character of the text to begin at; next_offset of the call before.")
    max_characters: int = Field(10_000, ge=0, le=100_000, description="Most characters of text; 0: only the passages.")


Answer = tuple[str, BaseModel]
"""The same result as text and as fields."""


@dataclass(frozen=True)
class Tool:
    """A tool: its name and title, its description for a model, and the function behind it."""

    name: str
    title: str
    description: str
    takes: type[Arguments]
    gives: type[BaseModel]
    run: Callable[[Any, ToolCall], Awaitable[Answer]]
    reads_only: bool = True
    ends: bool = False
    """It undoes what was done."""
    open_world: bool = False

    def listed(self) -> types.Tool:
        """As it is told to clients."""
        return types.Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            inputSchema=self.takes.model_json_schema(),
            outputSchema=self.gives.model_json_schema(),
            annotations=types.ToolAnnotations(
                title=self.title,
                readOnlyHint=self.reads_only,
                destructiveHint=self.ends,
                idempotentHint=self.takes not in (AskArguments, ResearchArguments, ApproveArguments),
                openWorldHint=self.open_world,
            ),
        )


class Tools:
    """Every tool, over the endpoints of the Flow."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._runs = Runs(calls)

    def all(self) -> list[Tool]:
        """The tools, the one to begin with first."""
        return [
            Tool(
                "research",
                "Research a question",
                "Answers a question by searching the web, reading pages and checking the answer; every sentence is cited by a verbatim "
                "quote. Use it for questions that need several sources, recent facts or verification. It takes from seconds to minutes: "
                "when the answer is not there after wait_seconds, the result has state `running` and a run_id for get_research. "
                "With mode `report` it writes a long text in sections. For a list of links use `search`, for one page `read_url`.",
                ResearchArguments,
                results.Run,
                self._research,
                open_world=True,
            ),
            Tool(
                "ask_corpus",
                "Ask the documents",
                "Answers a question from this server's own collection of documents, with verbatim quotes; the web is not searched. "
                "Use it for what only these documents can know. Long runs are continued with get_research, as those of `research`.",
                AskArguments,
                results.Run,
                self._ask_corpus,
            ),
            Tool(
                "get_research",
                "Get the answer of a run",
                "The answer of a run that `research` or `ask_corpus` left running, waiting for it at most wait_seconds; call it again "
                "while the state is `running`.",
                WaitArguments,
                results.Run,
                self._get_research,
            ),
            Tool(
                "approve_outline",
                "Approve an outline",
                "Lets a report be written whose run is in state `waiting`, with the outline it proposed or with one of your own, and waits "
                "for it at most wait_seconds; get_research continues to wait.",
                ApproveArguments,
                results.Run,
                self._approve_outline,
                reads_only=False,
            ),
            Tool(
                "cancel_research",
                "Stop a run",
                "Stops a run for good, so that it spends nothing more. A run that has ended stays as it is.",
                RunArguments,
                results.Run,
                self._cancel_research,
                reads_only=False,
                ends=True,
            ),
            Tool(
                "list_research",
                "List runs",
                "The newest runs with their run_id, state and question: to find a run whose run_id was lost.",
                ListArguments,
                results.RunLines,
                self._list_research,
            ),
            Tool(
                "search",
                "Search",
                "Search results for one or more queries: title, URL and snippet. Quick; nothing is read or checked. "
                "To have a question answered from the pages themselves use `research`.",
                SearchArguments,
                results.Hits,
                self._search,
                open_world=True,
            ),
            Tool(
                "read_url",
                "Read a page",
                "The text of a web page, PDF or document as Markdown, a part at a time; with a question also its best passages. "
                "Go on with offset = next_offset until that is null.",
                ReadArguments,
                results.PageText,
                self._read_url,
                open_world=True,
            ),
        ]

    async def _research(self, given: ResearchArguments, call: ToolCall) -> Answer:
        for name in ("words", "plan_first"):
            if getattr(given, name) and given.mode != "report":
                raise InvalidRequest(f"{name}: it is for reports, set mode to report too", field=name)
        more = given.model_dump(exclude={*AskArguments.model_fields})
        return await self._asked(_request(given).model_copy(update=more), given.wait_seconds, call)

    async def _ask_corpus(self, given: AskArguments, call: ToolCall) -> Answer:
        if _URL.search(given.question):
            raise InvalidRequest("question names a web page; ask_corpus reads only documents: use research or read_url", field="question")
        await self._check_corpus(given.question)
        request = _request(given).model_copy(update={"search_provider": "local", "no_direct_answer": True})
        return await self._asked(request, given.wait_seconds, call)

    async def _check_corpus(self, question: str) -> None:
        """Raise `CorpusError` when there is nothing to search. A run would search on when a search fails, so it is tried first."""
        query = SearchQuery(text=question[:500])
        try:
            await self._calls.call(
                "/search", SearchRequest(queries=DocList[SearchQuery]([query]), provider="local", max_results=1), SearchResponse
            )
        except CorpusError:
            raise
        except ConfigurationError as error:
            cause = "this server has no documents: set DEEPSEARCH_CORPUS to a folder, or use research"
            raise CorpusError(cause, field="DEEPSEARCH_CORPUS") from error

    async def _asked(self, request: ResearchRequest, wait_seconds: float, call: ToolCall) -> Answer:
        return _told(await self._runs.begin(request, wait_seconds, call))

    async def _get_research(self, given: WaitArguments, call: ToolCall) -> Answer:
        return _told(await self._runs.wait(given.run_id, given.wait_seconds, call))

    async def _approve_outline(self, given: ApproveArguments, call: ToolCall) -> Answer:
        outline = Outline(title=given.title, sections=[section.model_dump() for section in given.sections])
        return _told(await self._runs.approve(given.run_id, outline, given.wait_seconds, call))

    async def _cancel_research(self, given: RunArguments, call: ToolCall) -> Answer:
        return _told(await self._runs.stop(given.run_id, call))

    async def _list_research(self, given: ListArguments, call: ToolCall) -> Answer:
        found = await self._calls.call("/runs", RunQuery(limit=given.limit), RunList)
        lines = results.runs_result(found.runs)
        return results.runs_text(lines), lines

    async def _search(self, given: SearchArguments, call: ToolCall) -> Answer:
        queries = [SearchQuery(text=text, time_range=given.time_range, language_code=given.language_code) for text in given.queries]
        request = SearchRequest(
            queries=DocList[SearchQuery](queries),
            only_hostnames=given.only_hostnames,
            bad_hostnames=given.bad_hostnames,
            max_results=given.max_results,
        )
        hits = results.search_result(await self._calls.call("/search", request, SearchResponse))
        return results.search_text(hits), hits

    async def _read_url(self, given: ReadArguments, call: ToolCall) -> Answer:
        # Without a question the passages are not told; the stage wants one nevertheless.
        request = ReadRequest(url=given.url, question=given.question.strip() or given.url, timeout_seconds=READ_SECONDS)
        response = await self._calls.call("/read", request, ReadResponse)
        characters = len(response.page.text)
        if given.offset > characters:
            raise InvalidRequest(f"offset is {given.offset}, but the page has {characters} characters", field="offset")
        page = results.page_result(response, given.question.strip(), given.offset, given.max_characters)
        return results.page_text(page), page


def _request(given: AskArguments) -> ResearchRequest:
    return ResearchRequest(
        question=given.question,
        reasoning_effort=given.effort,
        budget_seconds=given.budget_seconds,
        budget_tokens=given.budget_tokens,
        language_code=given.language_code,
    )


def _told(report: RunView) -> Answer:
    """A run as a result. Raises the error with which it failed."""
    if report.run.state == "failed":
        failure: DeepSearchError = from_code(report.code, report.message or "the run failed")
        raise type(failure)(f"{failure.message} (run {report.run.run_id})")
    run = results.run_result(report)
    return results.run_text(run), run
