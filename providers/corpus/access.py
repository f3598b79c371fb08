"""Which folder a request may search and read."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import CorpusError, InvalidRequest
from schemas.settings import Settings


def corpus_folder(settings: Settings, requested: str = "") -> Path | None:
    """The folder that a request names, which must be the configured one or inside it, links followed; the configured one when it names
    none. A name that is not a whole path is below the configured folder, or else below the working folder.

    In a shared corpus (DEEPSEARCH_CORPUS_URL) without a configured folder a request may name any, and None is all of it. Raises
    `InvalidRequest` (field `corpus`) for any other folder, and for one that is not there in a configured one that is; `CorpusError` when
    there is neither a folder nor a shared corpus.
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
        named = Path(requested).expanduser()
        folder = ((configured or Path()) / named).resolve()
        if configured is not None and not folder.is_dir() and named.resolve().is_relative_to(configured):
            folder = named.resolve()
        missing = configured is not None and not shared and configured.is_dir() and not folder.is_dir()
    except (ValueError, RuntimeError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__  # the whole of it names the configured folder
        raise InvalidRequest(f"corpus: {requested[:200]!r} is no folder name ({reason})", field="corpus") from error
    if configured is None and shared:
        return folder
    if configured is None or not folder.is_relative_to(configured):
        raise InvalidRequest("corpus: only the folder set as DEEPSEARCH_CORPUS, or a folder inside it, may be searched", field="corpus")
    if missing:  # who asks may know the folder's name from elsewhere: a process need not have the documents itself
        raise InvalidRequest("corpus: the folder set as DEEPSEARCH_CORPUS has no such folder", field="corpus")
    return folder
