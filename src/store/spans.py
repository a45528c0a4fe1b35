"""Stretches of devices' readings around a moment, and the alerts inside them: what judging late readings anew reads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from asyncpg import Record

from domain.alert import SHADOW_MARK
from domain.reading import Reading
from store.connection import Executor


class Bound(NamedTuple):
    """Where a stretch of one device begins or ends: a reading's place, not itself part of the stretch."""

    device_id: int
    at: datetime
    digest: int


class AlertRecord(NamedTuple):
    """One alert of a device and rule, as it stands."""

    device_id: int
    rule: str
    onset: datetime
    state: str
    standing: str
    severity: int
    peak: int
    fired_at: datetime
    cleared_at: datetime | None
    has_ticket: bool
    revision: str
    """Digest of the rule's form that raised it."""


_READ: Final = """
SELECT r.device_id, r.at, r.digest, r.received_at, r.measures, r.flags
FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS n(device_id, at, digest)
CROSS JOIN LATERAL (
    SELECT * FROM reading AS r
    WHERE r.device_id = n.device_id AND {condition}
    ORDER BY r.at {order}, r.digest {order} LIMIT $4
) AS r
"""
# The plain comparison of times beside that of places: only it lets whole partitions be passed over.

_BEFORE: Final = _READ.format(condition="r.at <= n.at AND (r.at, r.digest) < (n.at, n.digest)", order="DESC")
_AFTER: Final = _READ.format(condition="r.at >= n.at AND (r.at, r.digest) > (n.at, n.digest)", order="ASC")

_STANDING: Final = """
SELECT a.device_id, a.rule, a.onset, a.state, a.standing, a.severity, a.peak, a.fired_at, a.cleared_at,
       a.ticket_id IS NOT NULL, r.digest
FROM unnest($1::bigint[], $2::timestamptz[]) AS n(device_id, since)
JOIN alert AS a ON a.device_id = n.device_id AND (a.onset >= n.since OR a.cleared_at >= n.since OR a.state = 'firing')
JOIN rule_revision AS r ON r.id = a.revision_id
UNION ALL
SELECT a.device_id, a.rule || $3, a.onset, CASE WHEN a.cleared_at IS NULL THEN 'firing' ELSE 'cleared' END, a.standing,
       a.severity, a.peak, a.fired_at, a.cleared_at, false, r.digest
FROM unnest($1::bigint[], $2::timestamptz[]) AS n(device_id, since)
JOIN shadow_alert AS a ON a.device_id = n.device_id AND (a.onset >= n.since OR coalesce(a.cleared_at >= n.since, true))
JOIN rule_revision AS r ON r.id = a.revision_id
"""
# What rules in shadow came to is judged again as all else; the engine knows it under a name of its own.


async def readings_before(connection: Executor, bounds: Sequence[Bound], most: int) -> dict[int, list[Reading]]:
    """At most ``most`` readings of each device before its bound, in order."""
    found = await _read(connection, _BEFORE, bounds, most)
    for readings in found.values():
        readings.reverse()
    return found


async def readings_after(connection: Executor, bounds: Sequence[Bound], most: int) -> dict[int, list[Reading]]:
    """At most ``most`` readings of each device after its bound, in order."""
    return await _read(connection, _AFTER, bounds, most)


async def alerts_since(connection: Executor, since: Mapping[int, datetime]) -> list[AlertRecord]:
    """Alerts of the devices that began, or still fired, at a time or later; of any standing."""
    devices = sorted(since)
    rows = await connection.fetch(_STANDING, devices, [since[device] for device in devices], SHADOW_MARK)
    return [AlertRecord._make(row) for row in rows]


async def _read(connection: Executor, statement: str, bounds: Sequence[Bound], most: int) -> dict[int, list[Reading]]:
    columns = list(zip(*bounds, strict=True)) if bounds else [(), (), ()]
    found: dict[int, list[Reading]] = {bound.device_id: [] for bound in bounds}
    for row in await connection.fetch(statement, *columns, most):
        found[row[0]].append(_reading(row))
    return found


def _reading(row: Record) -> Reading:
    flags: dict[str, str] = {} if row[5] is None else orjson.loads(row[5])
    return Reading(row[0], row[1], row[3], orjson.loads(row[4]), flags, row[2], b"", None, None)
