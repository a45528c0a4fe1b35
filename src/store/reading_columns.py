"""Readings as columns: what a device measured over a time, measure by measure, in its order; read for judging it anew.

PostgreSQL takes the values out of their JSON and packs each column into one string of bytes: a row a device instead of
a row a reading, so that reading a million costs seconds.
"""

import sys
from array import array
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from store.connection import Executor, Pool

_POSTGRES_EPOCH_US: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
"""What ``timestamptz_send`` counts from."""

_MISSING: Final = "'\\x7ff8000000000000'::bytea"
"""A NaN on the wire."""

_DEVICES_AT_ONCE: Final = 200
"""Rows that lie ready on our side; one may be some megabytes."""


class Measured(NamedTuple):
    """One measure to be read."""

    name: str
    boolean: bool


class DeviceColumns(NamedTuple):
    """The readings of one device over a time, in the order (time, digest)."""

    device_id: int
    at: "array[int]"
    """Microseconds since 1970."""
    received: "array[int]"
    values: dict[str, "array[float]"]
    """Measure → values; NaN where a reading has none."""
    flags: Sequence[Mapping[str, str] | None] | None


_READ: Final = """
SELECT device_id,
       string_agg(timestamptz_send(at), ''::bytea),
       string_agg(timestamptz_send(received_at), ''::bytea),
       CASE WHEN count(flags) > 0 THEN array_agg(flags) END
       {packed}
FROM (
    SELECT r.device_id, r.at, r.received_at, r.flags
           {taken}
    FROM reading AS r
    WHERE r.at >= $1 AND r.at < $2 AND {whose}
    ORDER BY r.device_id, r.at, r.digest
) AS ordered
GROUP BY device_id ORDER BY device_id
"""

_OF_KIND: Final = "r.device_id IN (SELECT id FROM device WHERE kind = $3)"
_OF_LIST: Final = "r.device_id = ANY($3::bigint[])"


async def read_columns(
    connection: Executor, measures: Sequence[Measured], since: datetime, until: datetime, whose: str | Sequence[int]
) -> AsyncGenerator[DeviceColumns, None]:
    """Read the measures of all devices of a kind, or of those listed, device by device; within a transaction.

    Names of measures come from the kinds' files. They are parameters all the same.
    """
    of_kind = isinstance(whose, str)
    names = [f"${number}" for number in range(4, 4 + len(measures))]
    # ->> and then a cast: half the cost of casting the JSON value.
    taken = "".join(
        f", (r.measures ->> {name}::text)::{'boolean::integer::float8' if one.boolean else 'float8'} AS m{place}"
        for place, (name, one) in enumerate(zip(names, measures, strict=True))
    )
    packed = "".join(
        f", string_agg(coalesce(float8send(m{place}), {_MISSING}), ''::bytea)" for place in range(len(measures))
    )
    statement = _READ.format(packed=packed, taken=taken, whose=_OF_KIND if of_kind else _OF_LIST)
    # Hashing would keep every device's bytes in memory at once, and the order within them only by chance.
    await connection.execute("SET LOCAL enable_hashagg = off")
    values: Any = whose if of_kind else list(whose)
    cursor = connection.cursor(
        statement, since, until, values, *[one.name for one in measures], prefetch=_DEVICES_AT_ONCE
    )
    async for row in cursor:
        yield _columns(row, measures)


def _columns(row: asyncpg.Record, measures: Sequence[Measured]) -> DeviceColumns:
    flags = row[3]
    return DeviceColumns(
        row[0],
        _times(row[1]),
        _times(row[2]),
        {one.name: _numbers("d", row[place]) for place, one in enumerate(measures, start=4)},
        None if flags is None else [None if one is None else orjson.loads(one) for one in flags],
    )


def _times(packed: bytes) -> "array[int]":
    return array("q", [micros + _POSTGRES_EPOCH_US for micros in _numbers("q", packed)])


def _numbers(code: str, packed: bytes) -> "array[Any]":
    numbers: array[Any] = array(code, packed)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


_OUTAGES: Final = """
SELECT source, began, ended FROM outage WHERE ended > $1 AND began < $2 ORDER BY source, began
"""

_HEARD: Final = "SELECT source, max(until) FROM coverage GROUP BY source"


async def heard_until(pool: Pool) -> dict[str, datetime]:
    """Source → up to when it was heard last."""
    return {row[0]: row[1] for row in await pool.fetch(_HEARD)}


async def outages_between(pool: Pool, since: datetime, until: datetime) -> dict[str, list[tuple[datetime, datetime]]]:
    """Source → (began, ended) of the times in which nothing of it could reach us."""
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for source, began, ended in await pool.fetch(_OUTAGES, since, until):
        found.setdefault(source, []).append((began, ended))
    return found
