"""The API keys: where they come from, and whose a key is."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from schemas.errors import ConfigurationError
from schemas.settings import Settings

logger = logging.getLogger(__name__)

_HASHED = re.compile(r"sha256:([0-9a-fA-F]{64})")
_NAME = "key "
"""How the names of callers with a key begin, and no others."""
_MOST_KEY_BYTES = 1_024
_MOST_FILE_BYTES = 10_000_000

_FILE = "DEEPSEARCH_API_KEYS_FILE"


class Keys:
    """The keys of the settings, of which only hashes are kept here. The file is read again when it changes.

    Raises `ConfigurationError` when a key has no valid form or the file cannot be read. What is wrong with a later version of
    the file is logged, and the keys stay as they were.
    """

    def __init__(self, settings: Settings) -> None:
        listed = settings.deepsearch_api_keys.get_secret_value().split(",") if settings.deepsearch_api_keys else []
        self._listed = _hashes("DEEPSEARCH_API_KEYS", listed)
        self._file = settings.deepsearch_api_keys_file
        self._filed: frozenset[bytes] = frozenset()
        self._version: tuple[int, ...] | None = None
        self.configured = settings.deepsearch_api_keys is not None or self._file is not None
        """Whether there are to be keys. A file without any means that nobody has one, not that nobody needs one."""
        if self._file is not None:
            try:
                self._read(self._file)
            except OSError as error:
                raise ConfigurationError(f"{_FILE}: {self._file} cannot be read: {error.strerror}.", field=_FILE) from error

    def owner(self, key: str) -> str | None:
        """A name for the caller with `key`, from its hash; None for a wrong key.

        The time it takes depends on the number of keys alone.
        """
        if self._file is not None:
            try:
                self._read(self._file)
            except (OSError, ConfigurationError) as error:
                logger.error("the keys stay as they were: %s", error)
        wanted = sha256(key.encode("utf-8", "surrogateescape")[:_MOST_KEY_BYTES]).digest()
        found = [known for known in self._listed | self._filed if hmac.compare_digest(known, wanted)]
        return f"{_NAME}{found[0].hex()[:16]}" if found else None

    def _read(self, file: Path) -> None:
        status = file.stat()
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version == self._version:
            return
        self._version = version  # also when what follows fails: said once for each version
        if status.st_size > _MOST_FILE_BYTES:
            raise ConfigurationError(f"{_FILE}: {file} has more than {_MOST_FILE_BYTES:,} bytes; is it the right file?", field=_FILE)
        lines = file.read_text("utf-8", "replace").splitlines()
        self._filed = _hashes(_FILE, (line for line in lines if not line.lstrip().startswith("#")))


def names_key(caller: str) -> bool:
    """Whether a caller's name is that of a key."""
    return caller.startswith(_NAME)


def _hashes(setting: str, keys: Iterable[str]) -> frozenset[bytes]:
    return frozenset(_hash(setting, number, key.strip()) for number, key in enumerate(keys, 1) if key.strip())


def _hash(setting: str, number: int, key: str) -> bytes:
    hashed = _HASHED.fullmatch(key)
    if hashed:
        return bytes.fromhex(hashed[1])
    if key.startswith("sha256:"):
        raise ConfigurationError(f"{setting}: after sha256: key {number} must have 64 hexadecimal digits.", field=setting)
    if not key.isascii() or not key.isprintable() or " " in key or len(key) > _MOST_KEY_BYTES:
        raise ConfigurationError(
            f"{setting}: key {number} cannot be sent in a header; use at most {_MOST_KEY_BYTES} printable ASCII characters, no spaces.",
            field=setting,
        )
    return sha256(key.encode()).digest()
