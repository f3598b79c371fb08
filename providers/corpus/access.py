"""Which folder a request may search and read."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import CorpusError, InvalidRequest
from schemas.settings import Settings


def corpus_folder(settings: Settings, requested: str = "") -> Path | None:
    """The folder that a request names, which must be the configured one or inside it; the configured one when it names none.

    In a shared corpus (DEEPSEARCH_CORPUS_URL) without a configured folder a request may name any, and None is all of it. Raises
    `InvalidRequest` (field `corpus`) for any other folder, `CorpusError` when there is neither a folder nor a shared corpus.
    """
    configured = settings.deepsearch_corpus.expanduser().resolve() if settings.deepsearch_corpus is not None else None
    shared = settings.deepsearch_corpus_url is not None
    if not requested:
        if configured is None and not shared:
            raise CorpusError("no corpus is configured; set DEEPSEARCH_CORPUS to a folder of documents", field="deepsearch_corpus")
        return configured
    try:
        if shared and configured is None and not Path(requested).is_absolute():
            raise InvalidRequest("corpus: give the whole path of the folder, as it was indexed", field="corpus")
        folder = Path(requested).expanduser().resolve()
    except (ValueError, RuntimeError, OSError) as error:
        raise InvalidRequest(f"corpus: {requested[:200]!r} is no folder name ({error})", field="corpus") from error
    if configured is None and shared:
        return folder
    if configured is None or not folder.is_relative_to(configured):
        raise InvalidRequest("corpus: only the folder set as DEEPSEARCH_CORPUS, or a folder inside it, may be searched", field="corpus")
    return folder
