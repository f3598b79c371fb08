"""DeepSearch: answers a question by searching, reading and reasoning, and cites every sentence.

    import asyncio
    import deepsearch

    answer = asyncio.run(deepsearch.ask("What does the contract say about notice periods?", corpus="contracts"))
    print(answer.text)

`ask` and `stream` run the whole Flow in this process; `DeepSearchClient` asks one that runs elsewhere. Both raise the errors
of `schemas.errors`. Names are loaded at first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepsearch.api import ask, stream
    from deepsearch.client import DeepSearchClient
    from deepsearch.local import LocalDeepSearch
    from schemas.errors import DeepSearchError
    from schemas.events import ResearchEvent
    from schemas.research import Reference, ResearchAnswer, ResearchRequest
    from schemas.settings import Settings

__all__ = [
    "DeepSearchClient",
    "DeepSearchError",
    "LocalDeepSearch",
    "Reference",
    "ResearchAnswer",
    "ResearchEvent",
    "ResearchRequest",
    "Settings",
    "ask",
    "stream",
]

_HOMES = {
    "DeepSearchClient": "deepsearch.client",
    "DeepSearchError": "schemas.errors",
    "LocalDeepSearch": "deepsearch.local",
    "Reference": "schemas.research",
    "ResearchAnswer": "schemas.research",
    "ResearchEvent": "schemas.events",
    "ResearchRequest": "schemas.research",
    "Settings": "schemas.settings",
    "ask": "deepsearch.api",
    "stream": "deepsearch.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
