"""A file made ready for the index: its text, its passages and their terms. Runs in worker processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from providers.corpus.files import read_bytes
from providers.lexical import terms
from providers.reader.chunks import Chunk, chunks
from providers.reader.documents import Document, convert
from schemas.errors import ReadError

# Sizes of a passage, in characters: small enough to be a snippet, large enough to hold what a question asks for together.
_AIM = 500
_MOST = 1_000
# The index drops longer terms; nobody searches for them.
_MAX_TERM_CHARACTERS = 64


@dataclass(frozen=True)
class PreparedPassage:
    """A passage, `text[start:end]`, the headings above it, and its terms and theirs, separated by spaces."""

    start: int
    end: int
    heading: str
    terms: str


@dataclass(frozen=True)
class PreparedFile:
    """A file's content hash, and the rest unless the hash is the one already known."""

    content_hash: bytes
    document: Document | None = None
    title_terms: str = ""
    passages: tuple[PreparedPassage, ...] = ()


def prepare(path: Path, max_file_bytes: int, known_hash: bytes | None) -> PreparedFile:
    """Read, convert and tokenise one file. Raises `ReadError` with the cause."""
    try:
        data = read_bytes(path, max_file_bytes)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ReadError(f"{path.name}: it cannot be read ({reason})") from error
    content_hash = hashlib.blake2b(data, digest_size=16).digest()
    if content_hash == known_hash:
        return PreparedFile(content_hash)
    document = convert(data, path.name, max_bytes=max_file_bytes)
    language = document.language_code
    passages = tuple(
        PreparedPassage(chunk.start, chunk.end, heading, passage_terms(heading, document.text[chunk.start : chunk.end], language))
        for chunk, heading in _with_headings(document.text)
    )
    return PreparedFile(content_hash, document, joined(terms(document.title, language)), passages)


def passage_terms(heading: str, text: str, language_code: str) -> str:
    """Terms of a passage and of the headings above it, separated by spaces."""
    return joined([*terms(heading, language_code), *terms(text, language_code)])


def joined(words: Iterable[str]) -> str:
    """Terms as the index takes them, separated by spaces."""
    return " ".join(word[:_MAX_TERM_CHARACTERS] for word in words)


def _with_headings(text: str) -> Iterator[tuple[Chunk, str]]:
    for chunk in chunks(text, aim=_AIM, most=_MOST):
        yield chunk, " > ".join(chunk.heading)
