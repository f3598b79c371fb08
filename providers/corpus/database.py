"""The PostgreSQL database of a shared corpus: connections that are made again when they are lost, and errors that say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random_exponential

from providers.corpus.schema import MIGRATIONS, SCHEMA, VECTORS
from providers.storage_url import place_of, without_user
from schemas.errors import ConfigurationError, CorpusError, UpstreamError

Result = TypeVar("Result")

_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_SETTING = "DEEPSEARCH_CORPUS_URL"
_CONNECTIONS = 8
_CONNECT_SECONDS = 5.0
_STATEMENT_SECONDS = 300.0
_CLOSE_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
_MIGRATION_LOCK = 0x636F_7270  # any number that all releases share

_LOST = (
    OSError,  # a `TimeoutError` too
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # the server is stopped or starts
    asyncpg.TooManyConnectionsError,
    asyncpg.TransactionRollbackError,  # a deadlock
)


class Database:
    """Up to eight connections to the database at `url`, made when they are first needed. For one event loop.

    Raises `ConfigurationError` when `url` cannot be read. No message repeats its user, password or options.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self.place = place_of(url)
        except ValueError:
            raise _unreadable() from None  # its message may hold a part of the password
        if not self.place.startswith(("postgresql://", "postgres://")):
            raise _unreadable()
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def run(self, work: Callable[[Any], Awaitable[Result]], *, patience_seconds: float = 2.0) -> Result:
        """What `work` makes with a connection.

        While the connection is lost or cannot be made, `work` is begun again, for `patience_seconds`; so it has to be one transaction, or
        read only. Raises `UpstreamError` when it was in vain, `CorpusError` for what waiting does not mend.
        """

        async def attempt() -> Result:
            pool = await self._opened()
            async with pool.acquire() as connection:
                return await work(connection)

        retrying = AsyncRetrying(
            stop=stop_after_delay(patience_seconds),
            wait=wait_random_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_LONGEST_PAUSE_SECONDS),
            retry=retry_if_exception(_is_lost),
            before_sleep=self._replace,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except asyncpg.ClientConfigurationError:
            raise _unreadable() from None  # asyncpg's message may repeat the URL
        except ValueError as error:  # what cannot be sent, such as half a character
            raise CorpusError(f"the shared corpus {self.place} cannot take it ({_cause(error)})", field=_SETTING) from error
        except _LOST as error:
            message = f"the shared corpus {self.place} cannot be reached ({_cause(error)}); check {_SETTING}, and that the server runs"
            raise UpstreamError(message) from error
        except asyncpg.PostgresError as error:
            raise self._told(error) from error

    async def migrate(self) -> None:
        """Make the tables, or bring older ones up to date. Several processes may do so at once."""

        async def migrate(connection: Any) -> None:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
                await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                await connection.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.version (version integer NOT NULL)")
                version = await connection.fetchval(f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.version")  # noqa: S608
                if version > len(MIGRATIONS):
                    raise CorpusError(
                        f"the shared corpus {self.place} is of a later version ({version}) than this one reads ({len(MIGRATIONS)}); "
                        "update DeepSearch here",
                        field=_SETTING,
                    )
                await connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
                for number, steps in enumerate(MIGRATIONS[version:], version + 1):
                    await connection.execute(steps)
                    await connection.execute(f"INSERT INTO {SCHEMA}.version VALUES ($1)", number)  # noqa: S608

        await self.run(migrate, patience_seconds=60)

    async def add_vectors(self) -> None:
        """Make what vectors need. Raises `CorpusError` when the server has no pgvector, or this user may not install it."""

        async def add(connection: Any) -> None:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
                await connection.execute(VECTORS)

        try:
            await self.run(add, patience_seconds=60)
        except CorpusError as error:
            cause = error.__cause__
            if not isinstance(cause, (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError, asyncpg.InsufficientPrivilegeError)):
                raise
            raise CorpusError(
                f"the shared corpus {self.place} cannot keep vectors ({_cause(cause)}); install pgvector on the server and run "
                "CREATE EXTENSION vector in the database as an administrator, or set EMBEDDING_PROVIDER=none",
                field=_SETTING,
            ) from error

    async def close(self) -> None:
        """Close the connections. The next call makes new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
            except _LOST:
                pool.terminate()

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=_CONNECTIONS,
                    timeout=_CONNECT_SECONDS,
                    command_timeout=_STATEMENT_SECONDS,
                    reset=_nothing,  # what is set or locked ends with its transaction, or with its turn
                    server_settings={"application_name": "deepsearch"},
                )
            return self._pool

    async def _replace(self, state: RetryCallState) -> None:
        if self._pool is not None:
            await self._pool.expire_connections()  # where one is lost, all may be

    def _told(self, error: asyncpg.PostgresError) -> CorpusError:
        match error:
            case asyncpg.InvalidSchemaNameError() | asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
                return CorpusError(
                    f"the shared corpus {self.place} holds no documents; run `deepsearch index FOLDER` with this {_SETTING}", field=_SETTING
                )
            case asyncpg.InvalidAuthorizationSpecificationError():
                fix = f"correct the user and password in {_SETTING}"
            case asyncpg.InvalidCatalogNameError():
                fix = f"create that database, or correct {_SETTING}"
            case asyncpg.InsufficientPrivilegeError():
                fix = "grant its user what is missing: to search, USAGE of the schema and SELECT; to index, to own the schema"
            case asyncpg.ReadOnlySQLTransactionError():
                fix = f"it is a replica, which can only be searched; to index, name the primary server in {_SETTING}"
            case asyncpg.DiskFullError():
                fix = "make room on its disk"
            case _:
                fix = f"check {_SETTING}"
        return CorpusError(f"the shared corpus {self.place} cannot be used ({_cause(error)}); {fix}", field=_SETTING)


async def _nothing(connection: Any) -> None:
    pass


def _is_lost(error: BaseException) -> bool:
    # What is said about a value is no fault of the connection, although asyncpg calls it one of its interface.
    return isinstance(error, _LOST) and not isinstance(error, ValueError)


def is_about_values(error: CorpusError) -> bool:
    """Whether the database refused what it was given, and takes other documents."""
    return isinstance(error.__cause__, (ValueError, asyncpg.DataError, asyncpg.ProgramLimitExceededError))


def _cause(error: BaseException) -> str:
    return without_user(" ".join(str(error).split()))[:300] or type(error).__name__


def _unreadable() -> ConfigurationError:
    message = (
        f"{_SETTING} must look like {_FORM}, with options that PostgreSQL knows; in a password, write / : @ # ? as %2F %3A %40 %23 %3F"
    )
    return ConfigurationError(message, field=_SETTING)
