"""The answer as one Markdown text stays what it is when it is read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from executors.answer_finalizer.markdown.rendering import render_markdown
from schemas.research import Reference


def note(markdown: str) -> tuple[str, str, str]:
    """The quote, title and URL of the one footnote in `markdown`, read back by a Markdown parser."""
    definition = markdown.rpartition("\n\n")[2]
    assert definition.startswith("[^1]: ")
    (_, inline, _) = MarkdownIt("commonmark").enable("table").parse(definition.removeprefix("[^1]: "))
    children: list[Token] = inline.children or []
    kinds = [child.type for child in children]
    opening = kinds.index("link_open")
    assert set(kinds) <= {"text", "text_special", "link_open", "link_close"}
    assert kinds[-1] == "link_close"
    quote = "".join(child.content for child in children[:opening])
    title = "".join(child.content for child in children[opening:])
    assert quote.startswith('"')
    assert quote.endswith('" — ')
    return quote[1:-4], title, str(children[opening].attrGet("href"))


def rendered(quote: str, title: str = "Title", url: str = "https://a.example/x") -> str:
    return render_markdown("Text [^1].", [Reference(number=1, quote=quote, title=title, url=url)])


def test_the_plain_form() -> None:
    assert rendered("It is so.") == 'Text [^1].\n\n[^1]: "It is so." — [Title](https://a.example/x)'
    dated = Reference(number=1, quote="Q.", title="T", url="https://a.example", published="2026-05-01", modified="2026-06-01")
    assert render_markdown("A [^1].", [dated]).endswith('"Q." — [T](https://a.example), 2026-05-01')
    two = [Reference(number=n, quote="Q.", title="T", url="https://a.example") for n in (1, 2)]
    assert (
        render_markdown("A [^1]. B [^2].\n", two)
        == 'A [^1]. B [^2].\n\n[^1]: "Q." — [T](https://a.example)\n[^2]: "Q." — [T](https://a.example)'
    )
    assert render_markdown("Nothing.\n", []) == "Nothing.\n"


def test_names_with_underscores_stay_readable() -> None:
    assert "DEEPSEARCH_PAGE_READER_REPLICAS" in rendered("Set DEEPSEARCH_PAGE_READER_REPLICAS.")


def test_markup_in_quotes_titles_and_urls() -> None:
    quote = 'A | b\n\n`c` [d](e) ![f](g) **h** <i> \\ & &amp; ~~j~~ _k_ snake_case [^2]: "l" $m$\n# n'
    found = note(rendered(quote, "T ] [x] `y` |", 'https://a.example/a b(c)d[e]<f>?q="1"&r=`2`|3\\4&copy;#g'))
    assert found[0] == " ".join(quote.split())
    assert found[1] == "T ] [x] `y` |"
    assert found[2] == "https://a.example/a%20b%28c%29d%5Be%5D%3Cf%3E?q=%221%22&r=%602%60%7C3%5C4&copy;#g"


def test_a_page_without_a_title_is_named_by_its_url() -> None:
    assert note(rendered("Q", title=""))[1] == "https://a.example/x"


def test_direction_overrides_are_taken_out() -> None:
    assert note(rendered("a\u202eb\x1b[2Jc"))[0] == "a b [2Jc"
    assert note(rendered("שלום [עולם]", "כותרת"))[:2] == ("שלום [עולם]", "כותרת")


_HOSTILE = st.text(alphabet="ab1 \n\t`*_[](){}<>|\\~&;#!\"'$^:=-é中\u0301", min_size=1, max_size=40).filter(str.strip)


@given(quote=_HOSTILE, title=_HOSTILE)
def test_any_quote_and_title_can_be_read_back(quote: str, title: str) -> None:
    found = note(rendered(f"q{quote}q", f"t{title}t"))
    assert found[0] == " ".join(f"q{quote}q".split())
    assert found[1] == " ".join(f"t{title}t".split())
