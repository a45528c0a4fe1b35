"""Bring the database's schema to the version that this code speaks, and refuse to work on another."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import asyncpg
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import AdaptedConnection, Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from domain.errors import RefusedError
from store.pool import unavailable, without_secret

_LOCK_KEY: Final = 0x5354574D
"""Advisory lock that only one migration may hold ("STWM")."""
_SETTINGS: Final = {
    "application_name": "streetwarden migrate",
    "timezone": "UTC",
    # A migration that waits for a lock blocks everyone behind it: better it fails and is started again at a quiet hour.
    "lock_timeout": "10s",
    "statement_timeout": "15min",
}


class SchemaOutOfDateError(RefusedError):
    """The database's schema is not the one that this code was written for."""

    code = "schema_out_of_date"
    exit_code = 75


class MigrationFailedError(RefusedError):
    """A migration was refused by the database; nothing of it remains."""

    code = "migration_failed"


def migrations_folder() -> Path:
    """Where the revisions lie: inside the package when installed from a wheel, beside ``src`` in a checkout."""
    here = Path(__file__).parent
    checkout = here.parents[1] / "migrations"
    return checkout if checkout.is_dir() else here / "migrations"


def head_revision() -> str:
    """The newest revision that this code knows."""
    head = ScriptDirectory.from_config(_configuration()).get_current_head()
    if head is None:
        raise SchemaOutOfDateError(f"There are no migrations in {migrations_folder()}: the installation is incomplete.")
    return head


async def current_revision(pool: "asyncpg.Pool[asyncpg.Record]") -> str | None:
    """The revision that the database is at; ``None`` for an empty one."""
    async with pool.acquire() as connection:
        if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
            return None
        return cast("str | None", await connection.fetchval("SELECT version_num FROM public.alembic_version"))


async def require_current_schema(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Raise unless the database is at the newest revision.

    Raises:
        SchemaOutOfDateError: it is older, newer, or empty; the message says which command helps.
    """
    found, head = await current_revision(pool), head_revision()
    if found == head:
        return
    if found is None:
        raise SchemaOutOfDateError("The database is empty. Run `streetwarden migrate` first.")
    known = {script.revision for script in ScriptDirectory.from_config(_configuration()).walk_revisions()}
    if found in known:
        raise SchemaOutOfDateError(
            f"The database is at revision {found}, this code needs {head}. Run `streetwarden migrate`."
        )
    raise SchemaOutOfDateError(
        f"The database is at revision {found}, which this code does not know (its newest is {head}): "
        "a newer Streetwarden has been here. Install that version or a later one."
    )


async def migrate(url: str) -> str:
    """Bring the schema to the newest revision, each revision in its own transaction; return that revision.

    Any number of processes may call this at once: one works, the others wait and find nothing left to do.
    """
    async with _locked(url):
        try:
            await _upgrade(url)
        except Exception as error:
            refusal = _refusal(url, error)
            if refusal is None:
                raise
            raise refusal from error
    return head_revision()


def run_sql(sql: str) -> None:
    """Run the plain SQL of a revision, any number of statements; for use inside ``upgrade()``."""

    async def run(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.execute(sql)

    bind = op.get_bind()
    # SQLAlchemy opens the transaction with its first own statement; ours go past it, so one must come first.
    bind.exec_driver_sql("SELECT 1")
    # The driver's own execute takes several statements in one string; SQLAlchemy's would prepare one.
    driver = cast("AdaptedConnection", bind.connection.dbapi_connection)
    driver.run_async(run)


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder()))
    configuration.set_main_option("path_separator", "os")
    return configuration


@asynccontextmanager
async def _locked(url: str) -> AsyncGenerator[None]:
    try:
        connection = await asyncpg.connect(
            url, timeout=10, server_settings={"application_name": "streetwarden migrate"}
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise unavailable(url, error) from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY, timeout=900)
        yield
    finally:
        await connection.close(timeout=10)  # also frees the lock


async def _upgrade(url: str) -> None:
    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(url, timeout=10, server_settings=_SETTINGS)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade_on)
    finally:
        await engine.dispose()


def _upgrade_on(connection: Connection) -> None:
    configuration = _configuration()
    configuration.attributes["connection"] = connection  # migrations/env.py takes it from here
    command.upgrade(configuration, "head")


def _refusal(url: str, error: Exception) -> MigrationFailedError | None:
    """What PostgreSQL said, under the layers that SQLAlchemy wraps around it."""
    root: BaseException = error
    while not isinstance(root, asyncpg.PostgresError):
        if root.__cause__ is None:
            return None
        root = root.__cause__
    return MigrationFailedError(
        f"The database at {without_secret(url)} refused a migration, of which nothing remains: {root}. "
        "If it waited for a lock, run `streetwarden migrate` again at a quieter time."
    )
