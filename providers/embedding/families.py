"""What families of open embedding models expect of their texts: a prefix for each task, and how much they read.

A model that is not listed gets its texts as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import regex

from providers.embedding.base import Task

_RETRIEVE = "Given a question, retrieve passages that answer it"
_REPRESENT = "Represent this sentence for searching relevant passages: "


@dataclass(frozen=True)
class Family:
    """Prefixes of the three tasks, and the characters of a text that the model reads at least."""

    query: str = ""
    passage: str = ""
    match: str = ""
    characters: int = 24_000
    """About 3 for each token of the window."""

    def prefix(self, task: Task) -> str:
        """What goes before a text."""
        return {"query": self.query, "passage": self.passage, "match": self.match}[task]


_SHORT = 1_500
"""Characters that a window of 512 tokens holds."""

# From the models' own cards. The first pattern found in the name counts.
_FAMILIES = [
    (r"\be5-.*instruct|e5-mistral", Family(query=f"Instruct: {_RETRIEVE}\nQuery: ", characters=_SHORT)),
    (r"\be5-", Family(query="query: ", passage="passage: ", match="query: ", characters=_SHORT)),
    (r"nomic-embed-text", Family(query="search_query: ", passage="search_document: ", match="clustering: ", characters=6_000)),
    (r"\bbge-(small|base|large)-en|mxbai-embed-large", Family(query=_REPRESENT, characters=_SHORT)),
    (r"\bbge-(small|base|large)-", Family(characters=_SHORT)),
    (r"qwen3-embedding", Family(query=f"Instruct: {_RETRIEVE}\nQuery:")),
    (
        r"embedding-?gemma",
        Family(
            query="task: search result | query: ",
            passage="title: none | text: ",
            match="task: sentence similarity | query: ",
            characters=6_000,
        ),
    ),
]


def family_of(model: str) -> Family:
    """The family of the model with this name, which may carry its maker and a tag, such as `intfloat/e5-base-v2`."""
    return next((family for pattern, family in _FAMILIES if regex.search(pattern, model, regex.IGNORECASE)), Family())
