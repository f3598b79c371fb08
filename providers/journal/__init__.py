"""Where runs are kept, chosen by the scheme of DEEPSEARCH_STATE_URL."""

# A client of one storage is loaded only where that storage is used.
# ruff: noqa: PLC0415
from __future__ import annotations

from pathlib import Path

from providers.journal.base import Journal, StoredEvent
from providers.journal.sqlite import SQLiteJournal
from schemas.errors import ConfigurationError
from schemas.settings import Settings

__all__ = ["Journal", "SQLiteJournal", "StoredEvent", "create_journal"]

_FORMS = "sqlite:///PATH, postgresql://USER:PASSWORD@HOST:PORT/DATABASE or redis://:PASSWORD@HOST:PORT/0"


def create_journal(settings: Settings) -> Journal:
    """The configured journal; a server is connected with the first call.

    Raises `ConfigurationError` for a URL that cannot be used, `JournalError` when a file cannot be opened. No message holds
    the URL, which may hold a password.
    """
    url, lease_seconds = settings.state_url, settings.deepsearch_lease_seconds
    scheme, separator, path = url.partition("://")
    if separator and scheme == "sqlite" and path.strip("/"):
        # As in SQLAlchemy: three slashes for a relative path, four for an absolute one; a leading "/" that is one already stays.
        return SQLiteJournal(Path(path.removeprefix("/")) if not path.startswith("//") else Path(path[1:]), lease_seconds)
    if separator and scheme in ("postgresql", "postgres"):
        from providers.journal.postgres import PostgresJournal

        return PostgresJournal(url, lease_seconds)
    if separator and scheme in ("redis", "rediss"):
        from providers.journal.redis import RedisJournal

        return RedisJournal(url, lease_seconds)
    raise ConfigurationError(f"DEEPSEARCH_STATE_URL must look like {_FORMS}", field="DEEPSEARCH_STATE_URL")
