"""HTML as plain text, in full, without a choice of what counts."""

from __future__ import annotations

import re

from resiliparse.extract.html2text import extract_plain_text

# Each level of a list indents its lines: from this many lists on they may be nested so that the text is many times as long as the page.
_MOST_LISTS = 100
_LIST = re.compile(r"</?(?:ul|ol|dl|menu|dir)\b[^<>]*>?", re.IGNORECASE)


def plain_text(markup: str) -> str:
    """All text of `markup`, in lines; its lists keep their indentation when they are not very many."""
    if len(_LIST.findall(markup)) > 2 * _MOST_LISTS:
        markup = _LIST.sub(" ", markup)
    return str(extract_plain_text(markup, main_content=False, alt_texts=False, preserve_formatting=True)).strip()
