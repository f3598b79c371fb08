"""Prompts are Markdown files with Jinja2 placeholders; text from outside enters them fenced as data."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from providers.llm.base import Prompt
from schemas.errors import ConfigurationError

_SECTIONS = re.compile(r"\A\s*^# System[ \t]*\n(?P<system>.*?)^# User[ \t]*\n(?P<user>.*)\Z", re.MULTILINE | re.DOTALL)

_INVISIBLE = r"[\s\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
_FENCE = re.compile(rf"[<\uff1c\ufe64](?={_INVISIBLE}[/\uff0f\\]?{_INVISIBLE}{_INVISIBLE.join('untrusted')})", re.IGNORECASE)
_LONGEST_SOURCE = 500  # characters


def untrusted(text: str, source: str = "") -> str:
    """`text` as data: between fence tags that it cannot close itself, under the name of its source (such as a URL).

    The beginning of every fence tag inside the text becomes `&lt;`, however it is cased, spaced or broken up by
    invisible characters; the rest of the text stays as it is.
    """
    name = escape(" ".join(str(source).split())[:_LONGEST_SOURCE], quote=True)
    return f'<untrusted source="{name}">\n{_FENCE.sub("&lt;", str(text))}\n</untrusted>'


def environment(folder: Path) -> Environment:
    """The Jinja2 environment of a folder of prompts: a name that is missing is an error, nothing is escaped by itself."""
    # Prompts are no HTML: nothing is escaped, and what comes from outside is fenced by `untrusted`.
    found = Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    found.filters["untrusted"] = untrusted
    return found


class PromptFile:
    """A prompt that is compiled and waits for its values."""

    def __init__(self, system: Template, user: Template) -> None:
        self._system = system
        self._user = user

    def render(self, **values: object) -> Prompt:
        """The prompt with its values. Raises `jinja2.UndefinedError` for a value that is missing."""
        return Prompt(system=self._system.render(values).strip(), user=self._user.render(values).strip())


def load_prompts(folder: Path) -> dict[str, PromptFile]:
    """Compile every `<name>.md` of a folder that holds the sections `# System` and `# User`, in this order.

    Files whose name begins with `_` are fragments for `{% include %}`. The sections are separated before anything is
    filled in, so that no value can add one. Raises `ConfigurationError` for a file without the two sections.
    """
    jinja = environment(folder)
    prompts: dict[str, PromptFile] = {}
    for path in sorted(folder.glob("[!_]*.md")):
        sections = _SECTIONS.match(path.read_text("utf-8"))
        if sections is None:
            raise ConfigurationError(f"prompt {path.name} lacks the headings '# System' and '# User', in this order")
        prompts[path.stem] = PromptFile(jinja.from_string(sections["system"]), jinja.from_string(sections["user"]))
    return prompts
