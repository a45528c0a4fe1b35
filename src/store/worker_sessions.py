"""The sessions that the broker keeps for our workers: what each may hold, and how far each has heard."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from domain.coverage import Coverage, Stretches
from store.connection import Executor, Pool

GONE_S: Final = 12.0
"""A worker says every two seconds that it is connected; unseen for longer than this, it is gone."""


class WorkerSession(NamedTuple):
    """One session at the broker."""

    client_id: str
    shared: bool
    """A member of the group; else it has the whole stream."""
    filters: tuple[str, ...]
    """Every filter it may still be subscribed to."""
    state: Literal["active", "ended", "draining"]
    """``ended``: its worker has ended in good order; ``draining``: it takes nothing new and will be ended."""
    since: datetime
    subscribed_at: datetime | None
    unseen_s: float
    """Seconds since its worker started or last said that it is connected, by the database's clock."""
    standing: bool
    """Its worker has said so since its last start, and within the last seconds."""

    @property
    def draining(self) -> bool:
        """Whether it takes nothing new."""
        return self.state == "draining"

    @property
    def idle(self) -> bool:
        """Whether nobody works under this name: its worker said that it ended, or has said nothing for long."""
        return self.state != "active" or self.unseen_s > GONE_S


_COLUMNS: Final = """
client_id, shared, filters, state, since, subscribed_at,
extract(epoch FROM clock_timestamp() - greatest(seen_at, registered_at))::float8,
coalesce(seen_at > registered_at AND seen_at > clock_timestamp() - interval '10 s', false)
"""

_FIND: Final = f"SELECT {_COLUMNS} FROM worker_session WHERE client_id = $1"
_LIST: Final = f"SELECT {_COLUMNS} FROM worker_session ORDER BY client_id"

_REGISTER: Final = """
INSERT INTO worker_session AS s (client_id, shared, filters, state, since) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (client_id) DO UPDATE SET
    shared = excluded.shared, filters = excluded.filters, state = excluded.state, registered_at = clock_timestamp()
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

_GONE: Final = "UPDATE worker_session SET state = 'ended' WHERE client_id = $1 AND state = 'active'"

_DRAIN: Final = """
UPDATE worker_session SET state = 'draining'
 WHERE client_id = ANY($1::text[])
   AND (state = 'ended' OR extract(epoch FROM clock_timestamp() - greatest(seen_at, registered_at)) > $2)
"""


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


async def mark_draining(pool: Pool, client_ids: Sequence[str]) -> None:
    """Nobody shall work under these names any more, and nobody does: that their workers are gone is no outage."""
    await pool.execute(_DRAIN, list(client_ids), GONE_S)


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
