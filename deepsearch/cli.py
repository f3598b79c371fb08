"""The `deepsearch` command.

Results go to stdout, everything else to stderr. Every failure is one line and the exit code of its class in
`schemas.errors`: 1 when a run failed, 2 when the input has to change, 130 after Ctrl-C or SIGTERM.
"""

# Libraries are imported by the commands that need them: jina and docarray take longer to load than most commands to run.
# ruff: noqa: PLC0415
from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from deepsearch.local import LocalDeepSearch
    from deepsearch.watching import Watch
    from providers.corpus import IndexProgress, IndexReport
    from providers.journal.base import Journal, StoredEvent
    from schemas.errors import DeepSearchError
    from schemas.events import ResearchEvent, RunEnded
    from schemas.research import ResearchAnswer, ResearchRequest, RunSummary
    from schemas.settings import Settings

Result = TypeVar("Result")

INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="deepsearch",
    help="Answers a question by searching, reading and reasoning, and cites every sentence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

export_app = typer.Typer(no_args_is_help=True)
app.add_typer(export_app, name="export", help="Write an answer as a document, a whole run, or the Flow for Docker Compose or Kubernetes.")

# Some releases of typer carry a click of their own, so the class is found through one that typer itself exports.
UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")

_FLAGS = {
    "question": "QUESTION",
    "run_id": "--run-id",
    "budget_tokens": "--budget-tokens",
    "budget_seconds": "--budget-seconds",
    "reasoning_effort": "--effort",
    "language_code": "--language",
    "team_size": "--team-size",
    "plan_first": "--plan-first",
    "words": "--words",
    "mode": "--report",
}
"""The flag that sets a field of the request."""


_HINTS = {'set mode to "report" too': "add --report"}
"""What a message about a request advises, and what that is in flags."""

_FORM = "The form of the answer"
"""Heading of the flags that change what kind of answer is made."""


class CitationsChoice(str, Enum):
    """What happens to a statement that no source supports."""

    strict = "strict"
    flag = "flag"
    off = "off"


class Effort(str, Enum):
    """How much a run may spend when it names no limits."""

    low = "low"
    medium = "medium"
    high = "high"


@dataclass
class Diagnostics:
    """What `main` needs to know when a command fails in a way that nobody foresaw."""

    debug: bool = False


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? rather than ending the run
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC prints what is raised as well
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # to be told to stop is what Ctrl-C is
    sys.exit(_run(Diagnostics()))


def _run(diagnostics: Diagnostics) -> int:
    try:
        code = app(prog_name="deepsearch", standalone_mode=False, obj=diagnostics)
        sys.stdout.flush()
        return int(code or 0)
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "deepsearch"
        message = error.format_message().rstrip(".")
        # Without any argument the help has been printed, and there is nothing to add.
        return _fail(f"{message}; see {command} --help", INPUT) if message else INPUT
    except BrokenPipeError:
        # Whoever read the output has gone; nothing is left to flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from schemas.errors import DeepSearchError

        if isinstance(error, DeepSearchError):
            return _fail(_line(error), error.exit_code)
        if diagnostics.debug:
            raise
        return _fail(f"internal error, {type(error).__name__}: {error}; deepsearch --debug shows where", 1)


def _fail(message: str, code: int) -> int:
    from deepsearch.terminal import one_line

    for line in message.splitlines() or [""]:
        print(f"deepsearch: {one_line(line, 1_000)}", file=sys.stderr)
    return code


def _line(error: DeepSearchError) -> str:
    """An error's message as this command says it."""
    from schemas.errors import RunNotFound

    told = str(error).endswith(" lists them")  # a Flow that was asked says how it is asked
    if isinstance(error, RunNotFound) and error.field == "run_id" and not told:
        return f"{error}: `deepsearch runs` lists them"
    return _in_flags(error)


def _in_flags(error: DeepSearchError) -> str:
    """An error's message, with names of a request's fields as the flags that set them."""
    text = str(error)
    if error.exit_code != INPUT:
        return text
    for advice, flags in _HINTS.items():
        text = text.replace(advice, flags)
    named = {field: flag for field, flag in _FLAGS.items() if "_" in field or field == error.field}
    return re.sub(r"\w+", lambda word: named.get(word.group(), word.group()), text)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("deepsearch"))
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error happened.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    context.obj.debug = debug


# -- asking ------------------------------------------------------------------------------------------------------------


@app.command()
def ask(  # noqa: PLR0917  (one parameter for each flag)
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know.", show_default=False)],
    corpus: Annotated[
        Path | None, typer.Option(help="Folder of documents to search; indexed first, unless the corpus is shared.", show_default=False)
    ] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Most tokens to spend.", show_default=False)] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Most time to take, in seconds.", show_default=False)] = None,
    effort: Annotated[Effort, typer.Option(help="Tokens and attempts when no limit is given.")] = Effort.medium,
    language: Annotated[str | None, typer.Option(help="Language of the answer, such as de.", show_default=False)] = None,
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A document or image that the question is about; may be given again.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Ask a running Flow: grpc://host:port or http://host:port.", show_default=False)] = None,
    run_id: Annotated[str | None, typer.Option(help="Id for the run; made up when not given.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer to FILE: .md, .html, .txt, .pdf or .docx.", show_default=False)
    ] = None,
    support: Annotated[bool, typer.Option("--support", help="Show for every statement whether its sources say it.")] = False,
    citations: Annotated[
        CitationsChoice | None,
        typer.Option(help="What happens to statements that no source supports; unset: DEEPSEARCH_CITATIONS.", show_default=False),
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="A long text in sections, with an outline.", rich_help_panel=_FORM)] = False,
    words: Annotated[int | None, typer.Option(help="Length of the report.", rich_help_panel=_FORM, show_default=False)] = None,
    plan_first: Annotated[
        bool, typer.Option("--plan-first", help="Stop at the report's outline, until `approve`.", rich_help_panel=_FORM)
    ] = False,
    team_size: Annotated[int, typer.Option(help="Researchers that share the question, 1 to 8.", rich_help_panel=_FORM)] = 1,
    polish: Annotated[bool, typer.Option("--polish", help="Have a model rewrite the answer for reading.", rich_help_panel=_FORM)] = False,
    allow_guess: Annotated[
        bool, typer.Option("--allow-guess", help="Answer from the model's memory when nothing was found.", rich_help_panel=_FORM)
    ] = False,
) -> int:
    """Answer QUESTION, with a numbered quote for every sentence."""
    from schemas.research import ResearchRequest

    if output is not None:
        from deepsearch.exporting import format_of

        format_of(output)
    request = ResearchRequest(
        question=question,
        run_id=run_id or "",
        reasoning_effort=effort.value,
        budget_tokens=budget_tokens,
        budget_seconds=budget_seconds,
        language_code=language,
        corpus=str(corpus or ""),
        citations=citations.value if citations else None,
        mode="report" if report else "answer",
        words=words,
        plan_first=plan_first,
        team_size=team_size,
        polish=polish,
        allow_guess=allow_guess,
    )
    if attach:
        from deepsearch.attaching import message_with

        request.messages = message_with(question, attach)
    watch = _watch()
    return _answered(_ask(request, host, watch), watch, Printing(as_json, output, host, support))


@app.command()
def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> int:
    """Go on with a run that was interrupted."""
    watch = _watch()
    return _answered(_resume(run, watch), watch, Printing(as_json))


@app.command()
def approve(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    outline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with `title` and `sections`; unset: as it was proposed.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> int:
    """Write the report whose outline waits for approval."""
    watch = _watch()
    return _answered(_approve(run, outline, watch), watch, Printing(as_json))


@app.command()
def rerun(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> int:
    """Ask the question of a run again, as of its date. With DEEPSEARCH_CACHE=replay, a recorded run needs no network."""
    watch = _watch()
    return _answered(_rerun(run, watch), watch, Printing(as_json))


def _watch() -> Watch:
    from deepsearch.terminal import Terminal
    from deepsearch.watching import Watch

    return Watch(Terminal(sys.stderr))


async def _ask(request: ResearchRequest, host: str | None, watch: Watch) -> RunEnded | None:
    if host is not None:
        from deepsearch.client import DeepSearchClient
        from deepsearch.configuration import load_settings

        key = load_settings().deepsearch_api_key
        async with DeepSearchClient(host, key.get_secret_value() if key else None) as client, aclosing(client.stream(request)) as events:
            return await watch.follow(events)
    from deepsearch.configuration import load_settings

    settings, request.corpus = await _with_documents(request.corpus, load_settings())
    from deepsearch.local import LocalDeepSearch

    async with LocalDeepSearch(settings) as local, aclosing(local.stream(request)) as events:
        return await watch.follow(events)


async def _resume(run_id: str, watch: Watch) -> RunEnded | None:
    return await _go_on(run_id, watch, lambda local: local.resume(run_id))


async def _go_on(run_id: str, watch: Watch, begin: Callable[[LocalDeepSearch], AsyncGenerator[ResearchEvent, None]]) -> RunEnded | None:
    from deepsearch.configuration import load_settings
    from deepsearch.local import LocalDeepSearch
    from schemas.events import RunStarted

    settings = load_settings()
    stored = await _read_journal(lambda journal: journal.events(run_id))
    watch.recall(stored)
    started = stored[0].event if stored else None
    if isinstance(started, RunStarted):
        settings, _ = await _with_documents(started.request.corpus, settings)
    async with LocalDeepSearch(settings) as local, aclosing(begin(local)) as events:
        return await watch.follow(events)


async def _approve(run_id: str, outline: Path | None, watch: Watch) -> RunEnded | None:
    from deepsearch.approving import outline_in
    from schemas.reporting import Outline, OutlineApproval

    approval = OutlineApproval(run_id=run_id, outline=outline_in(outline) if outline else Outline())
    return await _go_on(run_id, watch, lambda local: local.approve(approval))


async def _rerun(run_id: str, watch: Watch) -> RunEnded | None:
    from executors.controller.attachments import attached
    from schemas.events import RunStarted

    async def request_of(journal: Journal) -> ResearchRequest:
        started = (await journal.events(run_id))[0].event
        if not isinstance(started, RunStarted):
            raise ValueError(f"the journal of run {run_id} does not begin with its start")
        for url, file in attached(started.request).items():
            file.content = (await journal.attachment(run_id, url)).content
        return started.request

    request = await _read_journal(request_of)
    return await _ask(request.model_copy(update={"run_id": ""}), None, watch)


async def _with_documents(requested: str, settings: Settings) -> tuple[Settings, str]:
    """Index the folder that a question asks for, if any; return the settings under which it may be searched, and its name."""
    from deepsearch.indexing import corpus_of, is_indexed_by_asking, with_corpus

    folder = corpus_of(requested, settings)
    if folder is None:
        return settings, ""
    if is_indexed_by_asking(settings):
        report = await _index(folder, settings)
        if report.added or report.updated or report.removed:
            print(f"documents: {_changes(report)}", file=sys.stderr)
    return with_corpus(settings, folder), str(folder)


@dataclass(frozen=True)
class Printing:
    """Where an answer goes, and in which form."""

    as_json: bool = False
    output: Path | None = None
    host: str | None = None
    support: bool = False


def _answered(run: Coroutine[Any, Any, RunEnded | None], watch: Watch, how: Printing) -> int:
    """Wait for a run and print its answer, or write it to a file. Raises the error that it ended with."""
    from schemas.errors import StageUnavailable, from_code

    try:
        ended = asyncio.run(run)
    except KeyboardInterrupt:
        kept = f"the run is kept; go on with it: deepsearch resume {watch.run_id}" if watch.run_id else "the run had not begun"
        return _fail(f"interrupted; {kept}", INTERRUPTED)
    if ended is None:
        raise StageUnavailable("the stream ended before the run did; the server may have been stopped")
    if ended.outcome == "failed":
        raise from_code(ended.code, ended.message, ended.field)
    if ended.outcome == "waiting":
        where = f"POST {how.host}/v1/research/{watch.run_id}/outline" if how.host else f"deepsearch approve {watch.run_id}"
        print(f"deepsearch: the outline waits for approval: {where}", file=sys.stderr)
        if how.as_json:
            print(json.dumps({"run_id": watch.run_id, "outcome": "waiting"}))
        return 0
    if ended.answer is None:
        return _fail("the run was cancelled before there was an answer", 1)

    from deepsearch.history import fields
    from deepsearch.terminal import Terminal, write
    from deepsearch.watching import closing_line, write_answer, write_support

    if how.output is not None:
        asyncio.run(_export(how.output, how.host, ended.answer))
    if how.as_json:
        print(json.dumps(fields(ended.answer)))
    elif how.output is not None:
        write(Terminal(sys.stderr), f"written: {how.output}", closing_line(ended.answer))
    else:
        write_answer(Terminal(sys.stdout), ended.answer)
        sys.stdout.flush()
        write(Terminal(sys.stderr), closing_line(ended.answer))
    if how.support:
        write_support(Terminal(sys.stderr), ended.answer)
    return 0 if ended.outcome == "finished" else 1


# -- documents ---------------------------------------------------------------------------------------------------------


@app.command()
def index(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of documents.", show_default=False)]) -> int:
    """Prepare the documents in DIR for search; only what has changed since the last time is read.

    With DEEPSEARCH_CORPUS_URL they go into the corpus that all processes share.
    """
    from deepsearch.configuration import load_settings

    try:
        report = asyncio.run(_index(folder, load_settings()))
    except KeyboardInterrupt:
        return _fail("interrupted; what is finished is kept, and the next time goes on from there", INTERRUPTED)
    print(f"{_changes(report)}, {report.unchanged} unchanged in {report.seconds:.1f} s: {folder}")
    return 0


def _changes(report: IndexReport) -> str:
    failed = f", {len(report.failed)} not readable" if report.failed else ""
    return f"{report.added} added, {report.updated} updated, {report.removed} removed{failed}"


async def _index(folder: Path, settings: Settings) -> IndexReport:
    """Index what has changed, with a bar on a terminal; name the documents that could not be read."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from deepsearch.indexing import index_folder
    from deepsearch.terminal import Terminal, one_line, write

    console = Terminal(sys.stderr)
    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[path]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task("", total=None, path="")

        def show(now: IndexProgress) -> None:
            path = "waiting for another process that indexes this folder" if now.stage == "waiting" else now.path
            bar.update(task, completed=now.done, total=now.total or None, path=one_line(path, 60))

        report = await index_folder(folder, settings, show)
    if report.rebuilt:
        write(console, f"the index was made anew: {report.rebuilt}")
    for path, cause in report.failed:
        write(console, f"not readable: {one_line(path)}: {one_line(cause)}")
    if report.without_vectors:
        write(console, f"some documents can be found by their words only, until they are indexed again: {one_line(report.without_vectors)}")
    return report


# -- the Flow and the runs it keeps ------------------------------------------------------------------------------------


@app.command()
def serve(flow: Annotated[Path | None, typer.Option(help="Flow to serve instead of the built-in one.", show_default=False)] = None) -> int:
    """Start the Flow: gateway and all stages, over gRPC and HTTP."""
    from deepsearch.configuration import load_settings
    from deepsearch.serve import serve as serve_flow

    return serve_flow(load_settings(), flow)


@export_app.command("compose")
def export_compose(
    output: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")] = Path("docker-compose.yml"),
    flow: Annotated[Path | None, typer.Option(help="Flow to write it for instead of the built-in one.", show_default=False)] = None,
) -> None:
    """Write the Flow for Docker Compose: the gateway and every stage as a container of its own."""
    from deepsearch.deploying.compose import write_compose_file

    write_compose_file(output, flow)
    print(f"written: {output}")


@export_app.command("kubernetes")
def export_kubernetes(
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder whose `base` is written.")] = Path("k8s"),
    flow: Annotated[Path | None, typer.Option(help="Flow to write it for instead of the built-in one.", show_default=False)] = None,
) -> None:
    """Write the Flow for Kubernetes: a Kustomize base with the gateway and every stage."""
    from deepsearch.deploying.kubernetes import write_kubernetes_files

    write_kubernetes_files(output, flow)
    print(f"written: {output / 'base'}")


@app.command()
def mcp(
    corpus: Annotated[Path | None, typer.Option(help="Folder of documents for the tool ask_corpus.", show_default=False)] = None,
    host: Annotated[str | None, typer.Option(help="Use a running Flow: grpc://host:port or http://host:port.", show_default=False)] = None,
) -> int:
    """Serve the tools to an MCP client on stdin and stdout."""
    if corpus is not None and host is not None:
        return _fail("--corpus is for this process: a running Flow has its own DEEPSEARCH_CORPUS", INPUT)
    from deepsearch.configuration import load_settings
    from deepsearch.mcp import serve

    try:
        asyncio.run(serve(load_settings, host, corpus))
    except KeyboardInterrupt:  # before there was anything to stop
        return INTERRUPTED
    return 0


@app.command()
def runs(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of a table.")] = False,
) -> None:
    """List the runs that are kept."""
    from deepsearch.history import fields, write_runs
    from deepsearch.terminal import Terminal

    summaries = asyncio.run(_read_journal(lambda journal: journal.runs(limit)))
    if as_json:
        print(json.dumps([fields(summary) for summary in summaries]))
    else:
        write_runs(Terminal(sys.stdout), summaries)


@app.command()
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the journal as one JSON object.")] = False,
) -> None:
    """Show a run as it happened: searches, pages, thoughts, checks, answer and what each call used."""
    from deepsearch.history import fields, write_story
    from deepsearch.terminal import Terminal

    summary, stored, _ = _kept(run)
    if as_json:
        events = [
            {"sequence": one.sequence, "time": one.time, "type": one.event.type, **fields(one.event, defaults=False)} for one in stored
        ]
        print(json.dumps({**fields(summary), "events": events}))
    else:
        write_story(Terminal(sys.stdout), summary, stored)


@app.command()
def replay(run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)]) -> int:
    """Rebuild a run's state from its journal, without any call, and compare it with what was kept."""
    from deepsearch.history import write_replay
    from deepsearch.terminal import Terminal

    return 0 if write_replay(Terminal(sys.stdout), *_kept(run)) else 1


@app.command()
def forget(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    host: Annotated[str | None, typer.Option(help="Of a running Flow: grpc://host:port or http://host:port.", show_default=False)] = None,
) -> None:
    """Delete RUN with its pages and files; not while it is under way."""
    summary = asyncio.run(_forget(run, host))
    print(f"deleted: {summary.run_id}")


async def _forget(run_id: str, host: str | None) -> RunSummary:
    if host is None:
        from executors.controller.retention import forget as forget_run

        return await _read_journal(lambda journal: forget_run(journal, run_id))
    from deepsearch.configuration import load_settings
    from deepsearch.flow_calls import FlowCalls
    from schemas.research import RunQuery, RunSummary

    key = load_settings().deepsearch_api_key
    calls = FlowCalls(host, key.get_secret_value() if key else None)
    try:
        return await calls.call("/forget", RunQuery(run_id=run_id), RunSummary)
    finally:
        await calls.close()


@export_app.command("run")
def export_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write.", show_default=False)],
) -> None:
    """Write RUN with everything that belongs to it to FILE, for `deepsearch import`."""
    from deepsearch.archive import export_run as write_run

    asyncio.run(_read_journal(lambda journal: write_run(journal, run, file)))
    print(f"written: {file} ({file.stat().st_size:,} bytes)")


@app.command("import")
def import_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `deepsearch export run` writes it.", show_default=False)],
    new_id: Annotated[str, typer.Option("--as", metavar="RUN", help="Another id for the run.", show_default=False)] = "",
) -> None:
    """Keep the run in FILE with the others, once it was checked."""
    from deepsearch.archive import import_run as read_run

    print(f"imported: {asyncio.run(_read_journal(lambda journal: read_run(journal, file, new_id)))}")


@export_app.command("answer")
def export_answer(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write: .md, .html, .txt, .pdf or .docx.", show_default=False)],
    host: Annotated[str | None, typer.Option(help="Of a running Flow: grpc://host:port or http://host:port.", show_default=False)] = None,
) -> int:
    """Write the answer of RUN to FILE, with its sources as footnotes."""
    from deepsearch.exporting import format_of

    format_of(file)
    try:
        asyncio.run(_export(file, host, run))
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    print(f"written: {file}")
    return 0


async def _export(file: Path, host: str | None, answer: ResearchAnswer | str) -> None:
    """Write an answer, or that of a run, by the Flow at `host` or in this process."""
    from deepsearch.exporting import answer_of, kept_answer, write

    if host is None:
        kept = await _read_journal(lambda journal: kept_answer(answer, journal)) if isinstance(answer, str) else answer
        await write(kept, file, None)
        return
    from deepsearch.configuration import load_settings
    from deepsearch.flow_calls import FlowCalls

    key = load_settings().deepsearch_api_key
    calls = FlowCalls(host, key.get_secret_value() if key else None)
    try:
        await write(await answer_of(answer, calls) if isinstance(answer, str) else answer, file, calls)
    finally:
        await calls.close()


def _kept(run_id: str) -> tuple[RunSummary, list[StoredEvent], str]:
    async def read(journal: Journal) -> tuple[RunSummary, list[StoredEvent], str]:
        return await journal.summary(run_id), await journal.events(run_id), await journal.state_digest(run_id)

    return asyncio.run(_read_journal(read))


async def _read_journal(read: Callable[[Journal], Coroutine[Any, Any, Result]]) -> Result:
    from deepsearch.configuration import load_settings
    from providers.journal import create_journal

    journal = create_journal(load_settings())
    try:
        return await read(journal)
    finally:
        await journal.close()


@app.command()
def settings() -> None:
    """List every setting with its value and meaning; secrets are stars."""
    from rich.padding import Padding
    from rich.text import Text

    from deepsearch.configuration import load_settings, setting_rows
    from deepsearch.terminal import Terminal, write

    console = Terminal(sys.stdout)
    rows = setting_rows(load_settings())
    if not console.is_terminal:
        write(console, *(f"{row.name}={row.value}\t{row.description}" for row in rows))
        return
    for row in rows:
        console.print(Text.assemble((row.name, "cyan"), "=", (row.value, "bold")))
        console.print(Padding(Text(row.description, style="dim"), (0, 0, 0, 4)))
