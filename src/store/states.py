"""The present of each device, and what its rules remember: locked, read and written with the batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from asyncpg import Record

from domain.reading import Position
from store.connection import Executor


@dataclass(slots=True)
class DeviceState:
    """One row of ``device_state``, held under its lock."""

    device_id: int
    last: Position | None
    """The newest reading."""
    heard_at: datetime | None
    """Received time of the last message."""
    source: str | None
    """The source it came by: whose coverage tells whether a silence is real."""
    measures: bytes
    """JSON: measure → [value, time in µs since 1970, digest], merged by (time, digest)."""
    tracks: bytes | None
    """Stored form of ``rules.tracks``."""
    readings: int
    """Readings stored so far."""
    late: int
    """Readings stored that were older than the newest."""
    seq: int | None
    """The device's last own counter."""
    missed: int
    """Numbers of that counter that were skipped and never came."""
    online: bool | None
    """Its connection, as last told by its status topic; ``None`` if it never told."""
    online_at: datetime | None
    noted: int = 0
    """Of ``readings``, how many stand in the ledger of devices and days; the others are of the day of ``heard_at``."""


_COLUMNS: Final = """
device_id, last_at, last_digest, heard_at, source, measures, tracks, readings, late, seq, missed, online,
online_at, readings_noted
"""

_NAMES: Final = tuple(name.strip() for name in _COLUMNS.split(","))

_LOCK: Final = f"""
SELECT {_COLUMNS} FROM device_state WHERE device_id = ANY($1::bigint[]) ORDER BY device_id FOR UPDATE
"""  # columns are a constant

_LOCK_FREE: Final = f"""
SELECT {_COLUMNS} FROM device_state WHERE device_id = ANY($1::bigint[]) ORDER BY device_id FOR UPDATE SKIP LOCKED
"""  # columns are a constant

_ADD_MISSING: Final = """
INSERT INTO device_state (device_id) SELECT * FROM unnest($1::bigint[]) ON CONFLICT (device_id) DO NOTHING
"""

_SAVE: Final = """
UPDATE device_state AS s
SET last_at = n.last_at, last_digest = n.last_digest, heard_at = n.heard_at, source = n.source,
    measures = n.measures, tracks = n.tracks, readings = n.readings, late = n.late, seq = n.seq,
    missed = n.missed, online = n.online, online_at = n.online_at,
    readings_noted = n.readings_noted
FROM arriving_state AS n
WHERE s.device_id = n.device_id
"""

_ARRIVING: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS arriving_state (LIKE device_state) ON COMMIT DELETE ROWS
"""


def _read(row: Record) -> DeviceState:
    at = row[1]
    return DeviceState(
        device_id=row[0],
        last=None if at is None else Position(at, row[2]),
        heard_at=row[3],
        source=row[4],
        measures=row[5],
        tracks=row[6],
        readings=row[7],
        late=row[8],
        seq=row[9],
        missed=row[10],
        online=row[11],
        online_at=row[12],
        noted=row[13] or 0,
    )


async def lock_states(connection: Executor, device_ids: Iterable[int]) -> dict[int, DeviceState]:
    """Lock the rows in the order of their ids, so that two batches never wait for each other in a ring.

    A device whose row is missing is given one: it is registered, so its readings have a place.
    """
    wanted = list(device_ids)
    rows = await connection.fetch(_LOCK, wanted)
    if len(rows) < len(wanted):
        await connection.execute(_ADD_MISSING, wanted)
        rows = await connection.fetch(_LOCK, wanted)
    return {row[0]: _read(row) for row in rows}


async def lock_free_states(connection: Executor, device_ids: Iterable[int]) -> dict[int, DeviceState]:
    """Lock those that nobody holds: the ticker leaves a busy device to whoever is busy with it."""
    rows = await connection.fetch(_LOCK_FREE, list(device_ids))
    return {row[0]: _read(row) for row in rows}


async def save_states(connection: Executor, states: Sequence[DeviceState]) -> None:
    """Write them back.

    Copied into a temporary table first: as arrays, asyncpg looks at every element twice (twelve columns of them cost
    more than the rest of the batch).
    """
    await connection.execute(_ARRIVING)
    await connection.copy_records_to_table("arriving_state", records=[_row(state) for state in states], columns=_NAMES)
    await connection.execute(_SAVE)


def _row(state: DeviceState) -> tuple[object, ...]:
    last = state.last
    return (
        state.device_id,
        None if last is None else last.at,
        None if last is None else last.digest,
        state.heard_at,
        state.source,
        state.measures,
        state.tracks,
        state.readings,
        state.late,
        state.seq,
        state.missed,
        state.online,
        state.online_at,
        state.noted,
    )
