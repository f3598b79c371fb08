"""The documents of a folder: which files count, and how they are read without leaving the folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorpusError

SUFFIXES = (".md", ".txt", ".rst", ".html", ".htm", ".pdf")


@dataclass(frozen=True)
class FoundFile:
    """A document and its state when it was found. Sizes in bytes, times in nanoseconds since the epoch."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that is left out; `failed` when it looks like a document of the corpus that cannot be had."""

    path: Path
    reason: str
    failed: bool


def checked_folder(folder: Path) -> Path:
    """`folder`, links resolved. Raises `CorpusError` when it is missing, not a folder, or unreadable; the message says what to do."""
    try:
        resolved = folder.expanduser().resolve(strict=True)
        if not resolved.is_dir():
            raise CorpusError(f"corpus {folder}: it is a file; name the folder that holds the documents", field="deepsearch_corpus")
        with os.scandir(resolved):
            pass
    except FileNotFoundError as error:
        raise CorpusError(
            f"corpus {folder}: there is no such folder; create it or correct DEEPSEARCH_CORPUS", field="deepsearch_corpus"
        ) from error
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CorpusError(f"corpus {folder}: it cannot be read ({reason}); check its permissions", field="deepsearch_corpus") from error
    return resolved


def index_folder(folder: Path, home: Path) -> Path:
    """Where the files of the index of `folder` lie below `home`."""
    return home / "corpora" / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def own_files(folder: Path, home: Path) -> Path:
    """What is left out of `folder`: our own files are no documents.

    A corpus may lie among them: then only the indexes are left out, and searching and reading agree.
    """
    own = (home, home / "corpora", index_folder(folder, home))
    return next(place for place in own if not folder.is_relative_to(place))


def named(path: Path, folder: Path) -> str:
    """The name of a file in messages."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "replace")


def nothing_readable(folder: Path, failed: list[tuple[str, str]]) -> CorpusError:
    """The error for a folder without documents."""
    first = f"; the first of {len(failed)} that failed is {': '.join(failed[0])}" if failed else ""
    return CorpusError(
        f"corpus {folder}: no readable document in it; put files of type {', '.join(SUFFIXES)} there{first}", field="deepsearch_corpus"
    )


def walk(folder: Path, *, leave_out: Path, max_file_bytes: int) -> Iterator[FoundFile | SkippedFile]:
    """Every document below `folder` in a stable order, and what was skipped and why.

    Hidden files and folders, and `leave_out`, are not entered. Symbolic links are never followed: what they lead to is
    either found under its own name or outside the folder.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield SkippedFile(folder, f"the folder cannot be read ({error.strerror})", failed=True)
        return
    for entry in listed:
        path = Path(entry.path)
        is_document = path.suffix.lower() in SUFFIXES
        if entry.name.startswith("."):
            if entry.is_dir(follow_symlinks=False):
                yield SkippedFile(path, "hidden folder", failed=False)
        elif entry.is_symlink():
            yield SkippedFile(path, "symbolic link, not followed", failed=False)
        elif entry.is_dir(follow_symlinks=False):
            if path != leave_out:
                yield from walk(path, leave_out=leave_out, max_file_bytes=max_file_bytes)
        elif is_document:
            yield _found(entry, path, max_file_bytes)


def _found(entry: os.DirEntry[str], path: Path, max_file_bytes: int) -> FoundFile | SkippedFile:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return SkippedFile(path, f"it cannot be read ({error.strerror})", failed=True)
    if not stat.S_ISREG(status.st_mode):
        return SkippedFile(path, "not a regular file", failed=True)
    if status.st_size > max_file_bytes:
        return SkippedFile(path, f"larger than {max_file_bytes:,} bytes (MAX_PAGE_BYTES)", failed=True)
    return FoundFile(path, status.st_size, status.st_mtime_ns)


def read_bytes(path: Path, max_file_bytes: int) -> bytes:
    """Content of a regular file, no link. Raises `OSError`, or `ValueError` for one that is too large or no regular file."""
    # O_NONBLOCK: opening a named pipe that took the file's place must not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor, not a path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        data = file.read(max_file_bytes + 1)
    if len(data) > max_file_bytes:
        raise ValueError(f"it is larger than {max_file_bytes:,} bytes (MAX_PAGE_BYTES)")
    return data
