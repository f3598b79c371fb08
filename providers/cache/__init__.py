"""One cache for everything that comes from outside, chosen by DEEPSEARCH_CACHE and the scheme of DEEPSEARCH_CACHE_URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from providers.cache.base import Cache, Entry, Kind
from providers.cache.keys import Question, address
from providers.cache.remembering import Codec, Memory, seconds_left
from schemas.errors import ConfigurationError
from schemas.settings import Settings

__all__ = ["STORES", "Cache", "Codec", "Entry", "Kind", "Memory", "Question", "address", "create_cache", "create_memory", "seconds_left"]


def _sqlite(settings: Settings) -> Cache:
    path = settings.cache_url.partition("://")[2]
    if not path.strip("/"):
        raise ConfigurationError("DEEPSEARCH_CACHE_URL names no file: sqlite:///path/to/cache.db", field="DEEPSEARCH_CACHE_URL")
    # Imported here, as a process without a cache needs none of it.
    from providers.cache.sqlite import SQLiteCache  # noqa: PLC0415

    # As in SQLAlchemy: three slashes for a relative path, four for an absolute one.
    return SQLiteCache(
        Path(path.removeprefix("/")), settings.deepsearch_cache_mb * 1_000_000, read_only=settings.deepsearch_cache == "replay"
    )


def _redis(settings: Settings) -> Cache:
    from providers.cache.redis import RedisCache  # noqa: PLC0415

    return RedisCache(settings.cache_url, settings.deepsearch_cache_mb * 1_000_000, read_only=settings.deepsearch_cache == "replay")


STORES: dict[str, Callable[[Settings], Cache]] = {"sqlite": _sqlite, "redis": _redis, "rediss": _redis}
"""Every store of a cache, by the scheme of its URL."""


def create_cache(settings: Settings) -> Cache | None:
    """The configured cache; None when it is off. Raises `ConfigurationError` for an unknown scheme."""
    if settings.deepsearch_cache == "off":
        return None
    scheme = settings.cache_url.partition("://")[0]
    if scheme not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise ConfigurationError(f"DEEPSEARCH_CACHE_URL must begin with one of: {known}", field="DEEPSEARCH_CACHE_URL")
    return STORES[scheme](settings)


def create_memory(settings: Settings) -> Memory:
    """What DEEPSEARCH_CACHE makes of the configured cache. Its owner closes it."""
    return Memory(create_cache(settings), settings.deepsearch_cache, settings.deepsearch_cache_seconds)
