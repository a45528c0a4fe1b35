"""Readings in: those certainly new are copied, those that may be there already are inserted with care."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

import orjson

from domain.reading import Reading
from store.connection import Executor

_COLUMNS: Final = ("device_id", "at", "digest", "received_at", "measures", "flags", "extra", "seq")

_INSERT: Final = """
INSERT INTO reading (device_id, at, digest, received_at, measures, flags, extra, seq)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::timestamptz[], $5::jsonb[], $6::jsonb[],
                     $7::jsonb[], $8::bigint[])
ON CONFLICT (device_id, at, digest) DO NOTHING
RETURNING device_id, at, digest
"""

_IS_PARTITION: Final = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1))"

_INSERT_EVENTS: Final = """
INSERT INTO device_event (device_id, at, digest, received_at, class, body)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::timestamptz[], $5::text[], $6::jsonb[])
ON CONFLICT (device_id, at, digest) DO NOTHING
RETURNING device_id, at, digest
"""

Identity = tuple[int, datetime, int]
"""(device, time, digest)."""


class StoredEvent(NamedTuple):
    """Something a device told that is not a measurement, ready to be stored."""

    device_id: int
    at: datetime
    digest: int
    received_at: datetime
    event_class: str
    body: bytes


def _row(reading: Reading) -> tuple[int, datetime, int, datetime, bytes, bytes | None, bytes | None, int | None]:
    return (
        reading.device_id,
        reading.at,
        reading.digest,
        reading.received_at,
        reading.body,
        orjson.dumps(reading.flags) if reading.flags else None,
        None if reading.extra is None else orjson.dumps(reading.extra),
        reading.seq,
    )


async def copy_readings(connection: Executor, readings: Sequence[Reading]) -> None:
    """Store readings known to be new: newer than the newest of their (locked) devices."""
    await connection.copy_records_to_table("reading", records=[_row(reading) for reading in readings], columns=_COLUMNS)


async def insert_readings(connection: Executor, readings: Sequence[Reading]) -> set[Identity]:
    """Store readings that may be there already; return the identities of those that were not."""
    columns = list(zip(*(_row(reading) for reading in readings), strict=True))
    rows = await connection.fetch(_INSERT, *columns)
    return {(row[0], row[1], row[2]) for row in rows}


async def insert_events(connection: Executor, events: Sequence[StoredEvent]) -> set[Identity]:
    """Store events that may be there already; return the identities of those that were not."""
    columns = list(zip(*events, strict=True))
    rows = await connection.fetch(_INSERT_EVENTS, *columns)
    return {(row[0], row[1], row[2]) for row in rows}


class Partitions:
    """The daily partitions of ``reading``, made when a day's first reading arrives and remembered."""

    def __init__(self) -> None:
        """Know none yet; the database is asked once a day and process."""
        self._known: set[date] = set()

    async def ensure(self, connection: Executor, days: Iterable[date]) -> None:
        """Make the partitions of these UTC days where they are missing, each in a transaction of its own.

        Safe beside other workers. Outside the batch's transaction: the lock it takes must not last as long.
        """
        for day in sorted(set(days) - self._known):
            async with connection.transaction():
                await _make_partition(connection, day)
            self._known.add(day)


async def _make_partition(connection: Executor, day: date) -> None:
    """Make one day's table and attach it.

    Attaching takes a lock that lets readers and writers of other days go on; creating it as a partition would not.
    Only digits of a date go into the statement.
    """
    name = f"reading_{day:%Y%m%d}"
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('streetwarden_partition'))")
    row = await connection.fetchrow(_IS_PARTITION, name)
    if row is not None and row[0]:
        return
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    span = f"FROM ('{first.isoformat()}') TO ('{(first + timedelta(days=1)).isoformat()}')"
    await connection.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE reading INCLUDING ALL)")
    await connection.execute(f"ALTER TABLE reading ATTACH PARTITION {name} FOR VALUES {span}")
