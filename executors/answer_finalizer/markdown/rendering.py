"""The finished answer as one Markdown text, its references as footnotes."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote as percent_encoded

import regex

from schemas.research import Reference

# Characters that begin markup inside a line. An underscore between letters or digits begins none.
_MARKUP = regex.compile(r"[\\`*\[\]<>|~&$]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])")
_ENTITY = regex.compile(r"&(?=#?\w+;)")
_FOLLOWED = regex.compile(r"(?:https?|file)://", regex.IGNORECASE)
# What may stand in a URL between round brackets as it is; everything else in ASCII is percent-encoded.
_URL_SAFE = "/:?#@!$&+,;=%-._~*'"


def render_markdown(text: str, references: Iterable[Reference]) -> str:
    """`text` followed by one footnote definition for each reference: `[^1]: "quote" — [title](url), date`.

    The date is that of the page, or of its last change, where it is known.

    Every definition is one line; white space in quotes and titles becomes single spaces, markup in them is escaped, and
    characters in URLs that would end the link are percent-encoded. Without references the text stays as it is.
    """
    notes = [_footnote(reference) for reference in references]
    return "\n\n".join([text.rstrip(), "\n".join(notes)]) if notes else text


def _footnote(reference: Reference) -> str:
    date = reference.published or reference.modified
    note = f'[^{reference.number}]: "{escaped(reference.quote)}" — {link(reference.title, reference.url)}'
    return f"{note}, {escaped(date)}" if date else note


def link(title: str, url: str) -> str:
    """A link with `title`, or with the URL where there is none; only its words when `url` is of no kind that may be followed."""
    words = escaped(title) or escaped(url)
    return f"[{words}]({_url(url)})" if _FOLLOWED.match(url.strip()) else words


def escaped(text: str) -> str:
    """`text` on one line as Markdown that shows exactly it."""
    # Control and format characters could reorder or hide what follows them on a terminal.
    shown = regex.sub(r"[\p{Cc}\u2066-\u2069\u202a-\u202e]", " ", text)
    return _MARKUP.sub(lambda match: "\\" + match.group(), " ".join(shown.split()))


def _url(url: str) -> str:
    encoded = "".join(c if ord(c) > 0x7F and not c.isspace() else percent_encoded(c, safe=_URL_SAFE) for c in url.strip())
    return _ENTITY.sub("\\&", encoded)
