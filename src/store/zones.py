"""Zones as the coordinator judges them: which are due, what their meters told, and what became of a window."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.alert_change import AlertKey
from store.connection import Executor


class ZoneRow(NamedTuple):
    """A zone between two windows; the order of the fields is that of ``_DUE``."""

    name: str
    rule: str
    members_since: datetime
    judged_until: datetime | None
    run: int
    run_since: datetime | None
    firing_since: datetime | None
    head_device: int | None
    removed: bool


class MeterRow(NamedTuple):
    """What one meter of a zone told; the order of the fields is that of ``_POINTS``."""

    device_id: int
    role: str
    at: list[datetime]
    values: list[float]


_DUE: Final = """
SELECT name, rule, members_since, judged_until, run, run_since, firing_since, head_device, removed
FROM zone WHERE look_at <= $1 ORDER BY look_at, name LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_POINTS: Final = """
SELECT m.device_id, m.role, coalesce(p.at, '{}'), coalesce(p.values, '{}')
FROM zone_member AS m
LEFT JOIN LATERAL (
    SELECT array_agg(r.at ORDER BY r.at) AS at,
           array_agg((r.measures ->> $2)::double precision ORDER BY r.at) AS values
    FROM reading AS r
    WHERE r.device_id = m.device_id AND r.at >= $3 AND r.at <= $4
      AND jsonb_typeof(r.measures -> $2) = 'number' AND NOT coalesce(r.flags ? $2, false)
) AS p ON true
WHERE m.zone = $1 ORDER BY m.device_id
"""

_LATER: Final = "UPDATE zone SET look_at = $2 WHERE name = $1"

_LOOK_NOW: Final = "UPDATE zone SET look_at = least(look_at, $2::timestamptz) WHERE rule = ANY($1::text[])"

_FORGET: Final = "DELETE FROM zone WHERE name = $1"

_JUDGED: Final = """
INSERT INTO zone_balance (zone, window_start, window_end, inflow_m3, outflow_m3, judged_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (zone, window_start) DO NOTHING
"""

_MOVE_ON: Final = """
UPDATE zone SET judged_until = $2, run = $3, run_since = $4, firing_since = $5, head_device = $6, look_at = $7
WHERE name = $1
"""

_NAME_TICKET: Final = """
UPDATE ticket AS t SET title = t.title || ': ' || $4, title_zh = t.title_zh || ': ' || $4
FROM alert AS a
WHERE a.device_id = $1 AND a.rule = $2 AND a.onset = $3 AND t.id = a.ticket_id AND t.alerts = 1
"""


async def next_due(connection: Executor, now: datetime) -> ZoneRow | None:
    """The zone that must be looked at first, locked; ``None``: none is due."""
    row = await connection.fetchrow(_DUE, now)
    return None if row is None else ZoneRow._make(row)


async def meters_of(connection: Executor, zone: str, measure: str, since: datetime, until: datetime) -> list[MeterRow]:
    """What the zone's meters told of a measure, without values in doubt; the inlet with the lowest number first."""
    rows = await connection.fetch(_POINTS, zone, measure, since, until)
    return [MeterRow._make(row) for row in rows]


async def look_later(connection: Executor, zone: str, at: datetime) -> None:
    """Nothing can be said yet."""
    await connection.execute(_LATER, zone, at)


async def look_at_zones(connection: Executor, rules: Sequence[str], now: datetime) -> None:
    """Rules have changed: their zones are due."""
    await connection.execute(_LOOK_NOW, list(rules), now)


async def forget_zone(connection: Executor, zone: str) -> None:
    """It was removed, and nothing hangs on it any more."""
    await connection.execute(_FORGET, zone)


async def record_window(
    connection: Executor, zone: str, window: tuple[datetime, datetime], total: tuple[float, float] | None, now: datetime
) -> None:
    """Keep what a window came to: inflow and outflow, or that it could not be judged."""
    await connection.execute(_JUDGED, zone, *window, *(total or (None, None)), now)


async def move_on(connection: Executor, zone: ZoneRow, look_at: datetime) -> None:
    """Store where the zone stands now."""
    await connection.execute(
        _MOVE_ON, zone.name, zone.judged_until, zone.run, zone.run_since, zone.firing_since, zone.head_device, look_at
    )


async def name_ticket(connection: Executor, alert: AlertKey, zone: str) -> None:
    """Give the ticket that an alert opened the zone's name."""
    await connection.execute(_NAME_TICKET, *alert, zone)


LOOK_AGAIN: Final = timedelta(minutes=10)
"""Between two looks at a window whose readings have not all come."""
