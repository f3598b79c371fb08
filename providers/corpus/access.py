"""Which folder a request may search and read."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import CorpusError, InvalidRequest
from schemas.settings import Settings


def corpus_folder(settings: Settings, requested: str = "") -> Path:
    """The folder that a request names, which must be the configured one or inside it; the configured one when it names none.

    Raises `InvalidRequest` (field `corpus`) for any other folder, `CorpusError` when neither is given.
    """
    configured = settings.deepsearch_corpus.expanduser().resolve() if settings.deepsearch_corpus is not None else None
    if not requested:
        if configured is None:
            raise CorpusError("no corpus is configured; set DEEPSEARCH_CORPUS to a folder of documents", field="deepsearch_corpus")
        return configured
    try:
        folder = Path(requested).expanduser().resolve()
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidRequest(f"corpus: {requested[:200]!r} is no folder name ({error})", field="corpus") from error
    if configured is None or not folder.is_relative_to(configured):
        raise InvalidRequest("corpus: only the folder set as DEEPSEARCH_CORPUS, or a folder inside it, may be searched", field="corpus")
    return folder
