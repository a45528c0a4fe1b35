"""What alerts about ourselves are made of: outages recorded, alerts that fire, and the device that they hang on."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.coverage import OutageCause
from store.connection import Executor

_NAMES: Final = ("streetwarden", "streetwarden-service")
"""What our own device is called; the second where an operator gave the first to another device."""

_SERVICE_DISTRICT: Final = "000000"
"""No division has this code."""


class Outage(NamedTuple):
    """A time in which nothing could reach one worker over one source."""

    id: int
    cause: OutageCause
    began: datetime
    ended: datetime


class OwnAlert(NamedTuple):
    """An alert about ourselves."""

    rule: str
    onset: datetime
    fired_at: datetime
    cleared_at: datetime | None
    acknowledged_at: datetime | None


_UNREPORTED: Final = "SELECT id, cause, began, ended FROM outage WHERE NOT reported ORDER BY id LIMIT 1000"

_REPORTED: Final = "UPDATE outage SET reported = true WHERE id = ANY($1::bigint[])"

_ALERTS: Final = """
SELECT a.rule, a.onset, a.fired_at, a.cleared_at, a.acknowledged_at
  FROM alert AS a JOIN device AS d ON d.id = a.device_id
 WHERE d.kind = $1 AND (a.state = 'firing' OR a.cleared_at >= $2)
 ORDER BY a.onset
"""

_FIND_DEVICE: Final = "SELECT id FROM device WHERE kind = $1 ORDER BY id LIMIT 1 FOR NO KEY UPDATE"

_MAKE_DEVICE: Final = """
INSERT INTO device (name, kind, district, simulated, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (name) DO NOTHING
"""


async def unreported_outages(connection: Executor) -> list[Outage]:
    """Outages that no alert tells of yet."""
    return [Outage(row[0], OutageCause(row[1]), row[2], row[3]) for row in await connection.fetch(_UNREPORTED)]


async def mark_reported(connection: Executor, outages: Sequence[Outage]) -> None:
    """An alert tells of them."""
    await connection.execute(_REPORTED, [outage.id for outage in outages])


async def own_alerts(connection: Executor, kind: str, since: datetime) -> list[OwnAlert]:
    """The alerts about ourselves that fire, or cleared at or after ``since``."""
    return [OwnAlert._make(row) for row in await connection.fetch(_ALERTS, kind, since)]


async def lock_own_device(connection: Executor, kind: str, now: datetime, *, simulated: bool) -> int:
    """The id of our own device, made when needed; its row is locked, so that of several workers one decides."""
    for name in (None, *_NAMES):
        if name is not None:
            await connection.execute(_MAKE_DEVICE, name, kind, _SERVICE_DISTRICT, simulated, now)
        row = await connection.fetchrow(_FIND_DEVICE, kind)
        if row is not None:
            return int(row[0])
    message = f"Both names of the service's own device are taken: {', '.join(_NAMES)}. Rename one of those devices."
    raise LookupError(message)
