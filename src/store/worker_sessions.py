"""The sessions that the broker keeps for our workers: what each may hold, and how far each has heard."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.coverage import Coverage, Stretches
from store.connection import Executor, Pool


class WorkerSession(NamedTuple):
    """One session at the broker."""

    client_id: str
    shared: bool
    """A member of the group; else it has the whole stream."""
    filters: tuple[str, ...]
    """Every filter it may still be subscribed to."""
    draining: bool
    since: datetime
    subscribed_at: datetime | None
    unseen_s: float | None
    """Seconds since its worker last said that it is connected, by the database's clock; ``None``: never."""


_COLUMNS: Final = """
client_id, shared, filters, state = 'draining', since, subscribed_at,
extract(epoch FROM clock_timestamp() - seen_at)::float8
"""

_FIND: Final = f"SELECT {_COLUMNS} FROM worker_session WHERE client_id = $1"
_LIST: Final = f"SELECT {_COLUMNS} FROM worker_session ORDER BY client_id"

_REGISTER: Final = """
INSERT INTO worker_session AS s (client_id, shared, filters, state, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (client_id) DO UPDATE SET shared = excluded.shared, filters = excluded.filters, state = excluded.state
"""

_SUBSCRIBED: Final = "UPDATE worker_session SET subscribed_at = $2, filters = $3 WHERE client_id = $1"

_SEEN: Final = "UPDATE worker_session SET seen_at = clock_timestamp() WHERE client_id = $1"

_OTHERS: Final = """
SELECT s.client_id, c.source, c.since, c.until
  FROM worker_session AS s LEFT JOIN coverage AS c ON c.worker = s.client_id
 WHERE s.client_id <> $1
"""

_FORGET: Final = (
    "DELETE FROM coverage WHERE worker = $1",
    "DELETE FROM worker_commit WHERE worker = $1",
    "DELETE FROM unconfirmed_delivery WHERE client_id = $1",
    "UPDATE worker_session SET subscribed_at = NULL WHERE client_id = $1",
)

_REMOVE: Final = "DELETE FROM worker_session WHERE client_id = $1"

_GONE: Final = "UPDATE worker_session SET seen_at = NULL WHERE client_id = $1"


async def find_session(connection: "Executor | Pool", client_id: str) -> WorkerSession | None:
    """One session, if we know it."""
    row = await connection.fetchrow(_FIND, client_id)
    return None if row is None else WorkerSession(row[0], row[1], tuple(row[2]), *row[3:])


async def list_sessions(connection: "Executor | Pool") -> list[WorkerSession]:
    """Every session, by its client id."""
    rows = await connection.fetch(_LIST)
    return [WorkerSession(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]


async def register_session(
    connection: Executor, client_id: str, filters: Sequence[str], now: datetime, *, shared: bool, draining: bool = False
) -> None:
    """Write a session down before it is connected: what the broker may keep under this name, we know of."""
    state = "draining" if draining else "active"
    await connection.execute(_REGISTER, client_id, shared, list(filters), state, now)


async def mark_subscribed(connection: Executor, client_id: str, filters: Sequence[str], at: datetime) -> None:
    """The session stands, under these filters and no others."""
    await connection.execute(_SUBSCRIBED, client_id, at, list(filters))


async def mark_seen(connection: Executor, client_id: str) -> None:
    """Its worker lives and is connected."""
    await connection.execute(_SEEN, client_id)


async def load_others(connection: Executor, client_id: str) -> dict[str, Stretches]:
    """How far the other sessions were heard, each with its sources; one never heard has none."""
    others: dict[str, dict[str, Coverage]] = {}
    for worker, source, since, until in await connection.fetch(_OTHERS, client_id):
        stretches = others.setdefault(worker, {})
        if source is not None:
            stretches[source] = Coverage(since, until)
    return dict(others)


async def mark_gone(pool: Pool, client_id: str) -> None:
    """Its worker has ended in good order."""
    await pool.execute(_GONE, client_id)


async def forget_worker(pool: Pool, client_id: str) -> None:
    """The session is empty and will be ended: it is no loss if the broker does not know it any more.

    What it settled stays in the ledger under its name.
    """
    async with pool.acquire() as connection, connection.transaction():
        for statement in _FORGET:
            await connection.execute(statement, client_id)


async def remove_session(pool: Pool, client_id: str) -> None:
    """The session has ended."""
    await pool.execute(_REMOVE, client_id)
