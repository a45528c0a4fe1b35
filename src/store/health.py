"""Whether the database answers, and how far each source is covered: what the ready endpoint tells."""

import asyncio
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from store.connection import Executor, Pool

_PATIENCE_S: Final = 3.0
"""A database that does not answer `SELECT 1` in this time cannot serve an operator either."""


def is_unavailable(error: Exception) -> bool:
    """Whether an exception means that the database cannot be reached or has no room for us now."""
    return isinstance(
        error,
        OSError
        | TimeoutError
        | asyncpg.InterfaceError
        | asyncpg.PostgresConnectionError
        | asyncpg.CannotConnectNowError
        | asyncpg.InsufficientResourcesError
        | asyncpg.OperatorInterventionError
        | asyncpg.LockNotAvailableError,
    )


async def answers(pool: Pool) -> bool:
    """Whether the database answers within a short time."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await pool.execute("SELECT 1")
    except Exception as error:
        if is_unavailable(error):
            return False
        raise
    return True


class CoverageRow(NamedTuple):
    """The present unbroken stretch in which one worker heard its own heartbeats on one source."""

    source: str
    worker: str
    since: datetime
    until: datetime


_COVERAGE: Final = "SELECT source, worker, since, until FROM coverage ORDER BY source, worker"


async def list_coverage(connection: "Executor | Pool") -> list[CoverageRow]:
    """Coverage of every source and worker."""
    return [CoverageRow._make(record) for record in await connection.fetch(_COVERAGE)]


class OutageRow(NamedTuple):
    """A time in which nothing could reach us."""

    source: str
    worker: str
    cause: str
    began: datetime
    ended: datetime


_OUTAGES: Final = """
SELECT source, worker, cause, began, ended FROM outage WHERE ended >= $1 ORDER BY id DESC LIMIT 20
"""


async def list_outages(pool: Pool, since: datetime) -> list[OutageRow]:
    """The last outages that ended at or after ``since``, newest first."""
    return [OutageRow._make(record) for record in await pool.fetch(_OUTAGES, since)]
