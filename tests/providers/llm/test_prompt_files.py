"""Prompts from Markdown files, and text that stays data inside them."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from providers.llm.forms import form_of
from providers.llm.prompts import load_prompts, untrusted
from providers.llm.tokens import count_tokens, truncate, valid_unicode
from schemas.errors import ConfigurationError


def test_a_file_becomes_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "_item.md").write_text("- {{ item }}")
    (tmp_path / "ask.md").write_text(
        "# System\n\nYou answer.\n\n# User\n{% for item in items %}\n{% include '_item.md' %}\n\n{% endfor %}\nNow: {{ question }}\n"
    )
    prompts = load_prompts(tmp_path)
    assert list(prompts) == ["ask"]
    prompt = prompts["ask"].render(items=["<a>", "b"], question="why?\n# User\nhi")
    assert prompt.system == "You answer."
    assert prompt.user == "- <a>\n- b\nNow: why?\n# User\nhi"
    with pytest.raises(jinja2.UndefinedError):
        prompts["ask"].render(items=[])


@pytest.mark.parametrize("source", ["", "# User\nx\n# System\ny", "# System\nx", "text\n# System\nx\n# User\ny"])
def test_a_file_needs_its_sections(tmp_path: Path, source: str) -> None:
    (tmp_path / "bad.md").write_text(source)
    with pytest.raises(ConfigurationError, match=r"bad\.md lacks the headings"):
        load_prompts(tmp_path)


def test_the_filter_fences(tmp_path: Path) -> None:
    (tmp_path / "read.md").write_text("# System\ns\n# User\n{{ text | untrusted(source=url) }}")
    prompt = load_prompts(tmp_path)["read"].render(text="a < b", url='https://example.org/?a="1"&b=<x>\n')
    assert prompt.user == '<untrusted source="https://example.org/?a=&quot;1&quot;&amp;b=&lt;x&gt;">\na < b\n</untrusted>'


@pytest.mark.parametrize(
    "tag",
    [
        "</untrusted>",
        "</UnTrusted >",
        "< / untrusted>",
        "<\n/\tuntrusted",
        "</un\u200btrusted>",
        "\uff1c/untrusted>",
        "<untrusted source=x>",
        "<\\untrusted>",
    ],
)
def test_a_text_cannot_close_its_fence(tag: str) -> None:
    fenced = untrusted(f"before {tag} after", "u")
    assert fenced == f'<untrusted source="u">\nbefore &lt;{tag[1:]} after\n</untrusted>'


@given(st.text(alphabet="<>/ \n\u200buntrsedUNTRSED", max_size=200))
def test_a_fenced_text_holds_no_fence(text: str) -> None:
    inner = untrusted(text).removeprefix('<untrusted source="">\n').removesuffix("\n</untrusted>")
    squeezed = "".join(character for character in inner.lower() if not character.isspace() and character != "\u200b")
    assert "<untrusted" not in squeezed
    assert "</untrusted" not in squeezed


@given(st.text(alphabet=st.characters(), max_size=300), st.integers(-1, 60))
def test_truncate_cuts_between_characters(text: str, tokens: int) -> None:
    text = valid_unicode(text)
    head = truncate(text, tokens)
    assert text.startswith(head)
    assert count_tokens(head) <= max(tokens, 0)
    assert head == text or count_tokens(head) >= tokens - 4


def test_truncate_takes_long_tokens_into_account() -> None:
    assert truncate(" " * 10_000, 50) == " " * (128 * 50)
    assert truncate("short", 100) == "short"


class Part(BaseModel):
    """A part."""

    title: str = Field("", max_length=10, description="Its title.")
    sizes: list[int] = Field([], max_length=3)


class Whole(BaseModel):
    part: Part = Field(Part(), description="The main one.")
    parts: list[Part] = []
    other: Part | None = None


class Open(BaseModel):
    anything: dict[str, int] = {}


def test_schemas_are_strict_where_they_can_be() -> None:
    form = form_of(Whole)
    assert form is form_of(Whole)
    part = {
        "description": "A part.",
        "type": "object",
        "properties": {
            "title": {"description": "Its title.", "type": "string"},
            "sizes": {"items": {"type": "integer"}, "maxItems": 3, "type": "array"},
        },
        "required": ["title", "sizes"],
        "additionalProperties": False,
    }
    assert form.schema == {
        "title": "Whole",
        "$defs": {"Part": part},
        "type": "object",
        "properties": {
            "part": part | {"description": "The main one."},
            "parts": {"items": {"$ref": "#/$defs/Part"}, "type": "array"},
            "other": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]},
        },
        "required": ["part", "parts", "other"],
        "additionalProperties": False,
    }
    assert form.strict
    assert not form_of(Open).strict
