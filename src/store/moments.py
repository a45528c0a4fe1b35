"""What stood on a device at a past moment: its alerts, what kept them quiet, and when it was last heard."""

from datetime import datetime
from typing import Final, NamedTuple

from domain.mute import Mute
from store.connection import Executor
from store.mutes import mutes_by_alert


class AlertThen(NamedTuple):
    """An alert of one rule around a moment; the order of the fields is that of ``_ALERTS``."""

    id: int
    rule: str
    onset: datetime
    fired_at: datetime
    cleared_at: datetime | None
    severity: int
    standing: str
    acknowledged_by: str | None
    ticket: str | None
    revision: int


_ALERTS: Final = """
SELECT a.id, a.rule, a.onset, a.fired_at, a.cleared_at, a.severity, a.standing, a.acknowledged_by, t.number,
       a.revision_id
  FROM alert AS a LEFT JOIN ticket AS t ON t.id = a.ticket_id
 WHERE a.device_id = $1 AND a.rule = $2 AND a.onset <= $3 AND (a.cleared_at IS NULL OR a.cleared_at > $3)
 ORDER BY a.onset
"""

_MUTES: Final = """
SELECT alert_id, reason, source, since, until FROM alert_mute
 WHERE alert_id = ANY($1::bigint[]) AND since <= $2 AND (ended_at IS NULL OR ended_at > $2)
 ORDER BY since, reason, source
"""

_HEARD: Final = """
SELECT max(received_at) FROM reading WHERE device_id = $1 AND at <= $2 AND at >= $3 AND received_at <= $2
"""


async def alerts_at(connection: Executor, device_id: int, rule: str, moment: datetime) -> list[AlertThen]:
    """Alerts whose condition held then: those that fired, and those that fired later from an onset before."""
    return [AlertThen._make(row) for row in await connection.fetch(_ALERTS, device_id, rule, moment)]


async def mutes_at(connection: Executor, alerts: list[int], moment: datetime) -> dict[int, list[Mute]]:
    """Alert → what kept it quiet then."""
    return mutes_by_alert(await connection.fetch(_MUTES, alerts, moment))


async def heard_at(connection: Executor, device_id: int, moment: datetime, since: datetime) -> datetime | None:
    """When a device was last heard before a moment, by readings that tell of a time after ``since``."""
    row = await connection.fetchrow(_HEARD, device_id, moment, since)
    return None if row is None else row[0]
