"""Devices' clocks: samples of how far received times lay after the devices' own, a row a device and UTC day."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from domain.clock_health import ClockDay
from store.connection import Executor, Pool


class ClockSample(NamedTuple):
    """One look at a device's clock."""

    device_id: int
    day: date
    """UTC day of receipt."""
    lag_s: float
    """Received time less the device's own."""
    refused: bool
    """Too far ahead to be believed: the reading was not stored."""


class DoubtfulClock(NamedTuple):
    """A device of which some recent day looks wrong, with its days."""

    device: str
    kind: str
    days: tuple[ClockDay, ...]


_ADD: Final = """
INSERT INTO device_clock AS c (device_id, day, samples, low_s, high_s, refused)
SELECT device_id, day, count(*), min(lag), max(lag), count(*) FILTER (WHERE refused)
FROM unnest($1::bigint[], $2::date[], $3::double precision[], $4::boolean[]) AS n(device_id, day, lag, refused)
GROUP BY device_id, day ORDER BY device_id, day
ON CONFLICT (device_id, day) DO UPDATE SET
    samples = c.samples + excluded.samples, low_s = least(c.low_s, excluded.low_s),
    high_s = greatest(c.high_s, excluded.high_s), refused = c.refused + excluded.refused
"""

_DAYS: Final = """
SELECT day, samples, low_s, high_s, refused FROM device_clock WHERE device_id = $1 AND day >= $2 ORDER BY day
"""

_DOUBTFUL: Final = """
SELECT d.name, d.kind, c.day, c.samples, c.low_s, c.high_s, c.refused
FROM (
    SELECT d.id, d.name, d.kind FROM device AS d
    WHERE d.name > $2 AND EXISTS (
        SELECT FROM device_clock AS c WHERE c.device_id = d.id AND c.day >= $1
            AND (c.low_s < $3 OR c.low_s > $4 OR c.refused > 0)
    )
    ORDER BY d.name LIMIT $5
) AS d
JOIN device_clock AS c ON c.device_id = d.id AND c.day >= $1
ORDER BY d.name, c.day
"""

_FORGET: Final = "DELETE FROM device_clock WHERE day < $1"

LOOKED_AT: Final = timedelta(days=14)
"""Days by which a clock is judged."""
_KEPT: Final = timedelta(days=60)


async def add_clock_samples(connection: Executor, samples: Iterable[ClockSample]) -> None:
    """Add samples to their days."""
    columns = list(zip(*samples, strict=True))
    if columns:
        await connection.execute(_ADD, *columns)


async def clock_days(pool: Pool, device_id: int, now: datetime) -> list[ClockDay]:
    """The last days of a device's clock, in order."""
    rows = await pool.fetch(_DAYS, device_id, (now - LOOKED_AT).date())
    return [ClockDay._make(row) for row in rows]


async def doubtful_clocks(
    pool: Pool, now: datetime, *, ahead_s: float, behind_s: float, after: str, limit: int
) -> list[DoubtfulClock]:
    """Devices, by name after ``after``, further ahead or behind on some recent day, or whose time was refused."""
    rows = await pool.fetch(_DOUBTFUL, (now - LOOKED_AT).date(), after, -ahead_s, behind_s, limit)
    found: dict[tuple[str, str], list[ClockDay]] = {}
    for name, kind, *day in rows:
        found.setdefault((name, kind), []).append(ClockDay._make(day))
    return [DoubtfulClock(name, kind, tuple(days)) for (name, kind), days in found.items()]


async def forget_old_clocks(connection: Executor, now: datetime) -> None:
    """Remove days that nobody looks at any more."""
    await connection.execute(_FORGET, (now - _KEPT).date())
