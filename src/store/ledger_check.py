"""Whether the books balance: every identity of the ledger, read in one snapshot, each deviation told."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from store.connection import Executor, Pool
from store.device_ledger_views import ACCOUNTS, DEVICE_DAYS

MOST_TOLD: Final = 100
"""Deviations of one kind that are told one by one; all are counted."""


class Scope(NamedTuple):
    """What is checked: days of the district, both inclusive; ``None`` is open."""

    zone: ZoneInfo
    since: date | None = None
    until: date | None = None


class Finding(NamedTuple):
    """What one check found."""

    compared: int
    """Rows that were looked at."""
    deviating: int
    told: list[tuple[Any, ...]]
    """The first of those that deviate."""


_SUMS: Final = ", ".join(f"sum({name})::bigint AS {name}" for name in ACCOUNTS)
_EACH: Final = ", ".join(f"x.{name}" for name in ACCOUNTS)
_OFF: Final = (
    "x.contained <> x.stored + x.duplicate + x.conflicting + x.rejected OR least("
    + ", ".join(f"x.{name}" for name in ACCOUNTS)
    + ") < 0"
)
"""Sums over all workers: a re-drive's own rows may be negative, what they add up to may not."""

_MINUTES: Final = f"""
SELECT m.minute, m.source, {_SUMS} FROM ledger_minute AS m
 WHERE ($2::date IS NULL OR m.minute >= $2::date::timestamp AT TIME ZONE $1)
   AND ($3::date IS NULL OR m.minute < ($3::date + 1)::timestamp AT TIME ZONE $1)
 GROUP BY m.minute, m.source
"""

_SPAN: Final = "($2::date IS NULL OR day >= $2::date) AND ($3::date IS NULL OR day <= $3::date)"
_DEVICES: Final = f"""
SELECT y.day, y.device_id, {_SUMS} FROM ({DEVICE_DAYS.format(zone="$1", booked=_SPAN, usual=_SPAN)}) AS y
 GROUP BY y.day, y.device_id
"""

_SINCE_OPENING: Final = """
day > coalesce((SELECT max(o.day) FROM ledger_device_day AS o WHERE o.worker = 'opening'), '-infinity')
"""
"""What came before devices had a ledger was carried over in one sum: from the day after it on, days can be compared."""

_WITH_NAME: Final = "coalesce((SELECT d.name FROM device AS d WHERE d.id = x.device_id), '#' || x.device_id)"

_CHECKS: Final = {
    "minutes": (f"SELECT x.minute, x.source, {_EACH}, ({_OFF}) AS off FROM ({_MINUTES}) AS x"),
    "held": f"""
SELECT h.minute, h.source, coalesce(x.quarantined, 0) AS quarantined, h.held,
       h.held > coalesce(x.quarantined, 0) AS off
  FROM (SELECT date_trunc('minute', received_at) AS minute, source, count(*) AS held FROM quarantine_receipt
         WHERE rejected IS NULL
           AND ($2::date IS NULL OR received_at >= $2::date::timestamp AT TIME ZONE $1)
           AND ($3::date IS NULL OR received_at < ($3::date + 1)::timestamp AT TIME ZONE $1)
         GROUP BY 1, 2) AS h
  LEFT JOIN ({_MINUTES}) AS x ON x.minute = h.minute AND x.source = h.source
""",
    "devices": (f"SELECT x.day, {_WITH_NAME}, {_EACH}, ({_OFF}) AS off FROM ({_DEVICES}) AS x"),
    "days": f"""
SELECT coalesce(a.day, b.day) AS day, {", ".join(f"coalesce(a.{name}, 0), coalesce(b.{name}, 0)" for name in ACCOUNTS)},
       ({" OR ".join(f"coalesce(a.{name}, 0) <> coalesce(b.{name}, 0)" for name in ACCOUNTS)}) AS off
  FROM (SELECT * FROM (SELECT (m.minute AT TIME ZONE $1)::date AS day, {_SUMS} FROM ({_MINUTES}) AS m GROUP BY 1) AS p
         WHERE {_SINCE_OPENING}) AS a
  FULL JOIN (SELECT * FROM (SELECT e.day, {_SUMS} FROM ({_DEVICES}) AS e GROUP BY 1) AS q
              WHERE {_SINCE_OPENING}) AS b ON b.day = a.day
""",
    "states": f"""
SELECT {_WITH_NAME}, x.readings, x.noted, x.booked, x.noted <> x.booked OR x.readings < x.noted AS off FROM (
    SELECT coalesce(s.device_id, l.device_id) AS device_id, coalesce(s.readings, 0) AS readings,
           coalesce(s.readings_noted, 0) AS noted, coalesce(l.booked, 0) AS booked
      FROM device_state AS s
      FULL JOIN (SELECT device_id, sum(stored)::bigint AS booked FROM ledger_device_day WHERE device_id <> 0
                  GROUP BY device_id) AS l ON l.device_id = s.device_id
     WHERE EXISTS (SELECT FROM device AS d WHERE d.id = coalesce(s.device_id, l.device_id))
       AND $1::text IS NOT NULL AND $2::date IS NOT DISTINCT FROM $2 AND $3::date IS NOT DISTINCT FROM $3
) AS x
""",
    "readings": f"""
SELECT coalesce(a.day, b.day) AS day,
       coalesce((SELECT d.name FROM device AS d WHERE d.id = coalesce(a.device_id, b.device_id)),
                '#' || coalesce(a.device_id, b.device_id)),
       coalesce(a.stored, 0), coalesce(b.rows, 0), coalesce(a.stored, 0) <> coalesce(b.rows, 0) AS off
  FROM (SELECT * FROM ({_DEVICES}) AS p WHERE {_SINCE_OPENING} AND p.stored <> 0) AS a
  FULL JOIN (SELECT * FROM (
                SELECT (r.received_at AT TIME ZONE $1)::date AS day, r.device_id, count(*) AS rows FROM reading AS r
                 WHERE ($2::date IS NULL OR r.received_at >= $2::date::timestamp AT TIME ZONE $1)
                   AND ($3::date IS NULL OR r.received_at < ($3::date + 1)::timestamp AT TIME ZONE $1)
                 GROUP BY 1, 2) AS q
              WHERE {_SINCE_OPENING}) AS b ON b.day = a.day AND b.device_id = a.device_id
""",
}


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncGenerator[Executor]:
    """One view of the whole database: batches that commit meanwhile are not seen by halves."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        yield connection


async def look(connection: Executor, check: str, scope: Scope) -> Finding:
    """Do one check: ``minutes``, ``held``, ``devices``, ``days``, ``states`` or ``readings``."""
    values = (scope.zone.key, scope.since, scope.until)
    counted = await connection.fetchrow(
        f"SELECT count(*), count(*) FILTER (WHERE z.off) FROM ({_CHECKS[check]}) AS z", *values
    )
    assert counted is not None  # an aggregate without GROUP BY always gives a row
    compared, deviating = int(counted[0]), int(counted[1])
    if not deviating:
        return Finding(compared, 0, [])
    rows = await connection.fetch(f"SELECT * FROM ({_CHECKS[check]}) AS z WHERE z.off LIMIT {MOST_TOLD}", *values)
    return Finding(compared, deviating, [tuple(row)[:-1] for row in rows])
