"""Writes what the documentation takes from the code: the settings table in README.md and all of docs/events.md.

python docs/generate.py            write
python docs/generate.py --check    exit with 1 and name the files that are stale
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from deepsearch.configuration import setting_rows
from schemas import events
from schemas.usage import Usage

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- settings: written by docs/generate.py -->", "<!-- end of settings -->"


def settings_table() -> str:
    """Every setting as a Markdown table."""
    rows = [f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {cell(row.description)} |" for row in setting_rows()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def readme(text: str) -> str:
    """README.md with the table put between its markers."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{settings_table()}\n{END}{tail}"


def events_page() -> str:
    """docs/events.md: the stream's form, each event with its fields, and the documents that they hold."""
    members = [*get_args(get_args(events.JournalEvent)[0]), events.AnswerDelta, events.RunEnded]
    parts = [
        "# Events of a run",
        "<!-- Written by docs/generate.py from schemas/events.py. -->",
        paragraphs(events.__doc__),
        "Fields that have their default are left out of `data`. Over HTTP an event is a server-sent event named `update`; "
        "the stream ends with one named `end`.",
        "## The envelope",
        "`ResearchEvent`: " + sentence(events.ResearchEvent.__doc__),
        table(events.ResearchEvent),
        "## Kinds of event",
        *(part for member in members for part in (f"### `{member.model_fields['type'].default}`", sentence(member.__doc__), table(member))),
        "## Documents inside events",
    ]
    for document in sorted(documents(members), key=lambda one: one.__name__):
        parts += [f"### {document.__name__}", paragraphs(document.__doc__), table(document)]
    return "\n\n".join(part for part in parts if part) + "\n"


def documents(owners: list[type[BaseModel]]) -> set[type[BaseModel]]:
    """Every document class that a field of `owners` can hold, however deep."""
    found: set[type[BaseModel]] = set()
    waiting = [kind for owner in owners for kind in held(owner)]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.add(kind)
            waiting += held(kind)
    return found | {Usage}


def held(owner: type[BaseModel]) -> list[type[BaseModel]]:
    """The document classes that the fields of `owner` name."""

    def within(annotation: Any) -> Iterator[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        item = getattr(annotation, "doc_type", None)  # of a DocList
        if isinstance(item, type) and issubclass(item, BaseModel):
            yield item
        for argument in get_args(annotation):
            yield from within(argument)

    return [kind for field in owner.model_fields.values() for kind in within(field.annotation)]


def table(owner: type[BaseModel]) -> str:
    """The fields of a class as a Markdown table: name, type, default and meaning."""
    written = source_fields(owner)
    rows = []
    for name, field in owner.model_fields.items():
        if name not in written or (name == "type" and written[name][0].startswith("Literal")):
            continue
        annotation, docstring = written[name]
        required = field.default is PydanticUndefined
        default = "" if required else f"`{default_text(field.default)}`"
        rows.append(f"| `{name}` | `{cell(annotation)}` | {default} | {cell(field.description or docstring)} |")
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows]) if rows else ""


def default_text(value: Any) -> str:
    """A default as a person writes it."""
    if isinstance(value, BaseModel):
        return f"{type(value).__name__}()"
    return "[]" if isinstance(value, list) or "DocList" in type(value).__name__ else repr(value).replace("'", '"')


@cache
def source_fields(owner: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Annotation and docstring of each field as they stand in the source; the string below a field is its documentation."""
    body = ast.parse(inspect.getsource(owner)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, following in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            below = following.value if isinstance(following, ast.Expr) else None
            text = str(below.value) if isinstance(below, ast.Constant) and isinstance(below.value, str) else ""
            found[statement.target.id] = (ast.unparse(statement.annotation), text)
    return found


def cell(text: str) -> str:
    """Text that fits a table's cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def sentence(text: str | None) -> str:
    """A docstring's first paragraph on one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


def paragraphs(text: str | None) -> str:
    """A docstring's paragraphs, one line each."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n"))


def main() -> int:
    """Write or check; returns the exit code."""
    readme_file, events_file = ROOT / "README.md", ROOT / "docs" / "events.md"
    wanted = {readme_file: readme(readme_file.read_text("utf-8")), events_file: events_page()}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale; run `make docs`\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path], "utf-8")
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
