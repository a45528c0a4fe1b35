"""The ledger per device and day, as auditors read it: what is written, and the present day reckoned from the states."""

from datetime import date
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from store.connection import Pool
from store.ledger_views import Counts
from store.listing import Conditions

ACCOUNTS: Final = (
    "accepted",
    "quarantined",
    "ignored",
    "redelivered",
    "contained",
    "stored",
    "duplicate",
    "conflicting",
    "rejected",
)
"""The columns of ``ledger_device_day``."""


class DeviceDay(NamedTuple):
    """One device's two accounts of one day of the district."""

    day: date
    device_id: int
    device: str | None
    """Its name; ``None``: no device was known, or it is gone from the registry."""
    counts: Counts


class DevicePlace(NamedTuple):
    """Where a page ended."""

    day: str
    device_id: int


_USUAL: Final = """
SELECT (s.heard_at AT TIME ZONE {zone})::date AS day, s.device_id, s.readings - coalesce(s.readings_noted, 0) AS usual
  FROM device_state AS s
 WHERE s.heard_at IS NOT NULL AND s.readings <> coalesce(s.readings_noted, 0)
"""
"""The usual messages that no row tells yet: those of the day on which the device was last heard."""

DEVICE_DAYS: Final = f"""
SELECT l.day, l.device_id, {", ".join(f"l.{name}" for name in ACCOUNTS)}
  FROM ledger_device_day AS l WHERE {{booked}}
UNION ALL
SELECT u.day, u.device_id, u.usual, 0, 0, 0, u.usual, u.usual, 0, 0, 0
  FROM ({_USUAL}) AS u WHERE {{usual}}
"""
"""Everything, row by row; ``{booked}`` and ``{usual}`` are conditions, ``{zone}`` is the place of the zone's name."""

_LIST: Final = f"""
SELECT x.day, x.device_id, d.name, {", ".join(f"sum(x.{name})::bigint" for name in ACCOUNTS)}
  FROM ({DEVICE_DAYS}) AS x LEFT JOIN device AS d ON d.id = x.device_id
 GROUP BY x.day, x.device_id, d.name ORDER BY x.day DESC, x.device_id DESC LIMIT {{limit}}
"""


async def list_device_days(
    pool: Pool, zone: ZoneInfo, *, day: date | None, device_id: int | None, after: DevicePlace | None, limit: int
) -> list[DeviceDay]:
    """Accounts of a day, of a device, or of all; newest day first."""
    where = Conditions()
    where.add_given("day = {}", day)
    where.add_given("device_id = {}", device_id)
    if after is not None:
        where.add("(day, device_id) < ({}::date, {}::bigint)", date.fromisoformat(after.day), after.device_id)
    statement = _LIST.format(
        booked=where.text, usual=where.text, zone=where.parameter(zone.key), limit=where.parameter(limit)
    )
    return [
        DeviceDay(row[0], row[1], row[2], Counts._make((*row[3:], 0)))
        for row in await pool.fetch(statement, *where.values)
    ]
