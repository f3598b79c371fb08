"""Where runs are kept, chosen by the scheme of DEEPSEARCH_STATE_URL."""

from __future__ import annotations

from pathlib import Path

from providers.journal.base import Journal, StoredEvent
from providers.journal.sqlite import SQLiteJournal
from schemas.errors import ConfigurationError
from schemas.settings import Settings

__all__ = ["Journal", "StoredEvent", "create_journal"]


def create_journal(settings: Settings) -> Journal:
    """The configured journal. Raises `ConfigurationError` for an unknown scheme, `JournalError` when it cannot be opened."""
    scheme, _, path = settings.state_url.partition("://")
    if scheme != "sqlite" or not path.strip("/"):
        raise ConfigurationError("DEEPSEARCH_STATE_URL must look like sqlite:///path/to/runs.db", field="DEEPSEARCH_STATE_URL")
    # As in SQLAlchemy: three slashes for a relative path, four for an absolute one; a leading "/" that is one already stays.
    return SQLiteJournal(Path(path.removeprefix("/")) if not path.startswith("//") else Path(path[1:]), settings.deepsearch_lease_seconds)
