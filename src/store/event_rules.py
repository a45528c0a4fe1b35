"""What rules on events read: a device's events from a time on, and the alerts that such rules raised."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.alert import SHADOW_MARK
from store.connection import Executor
from store.spans import AlertRecord

_KIND: Final = "event"
"""Of the rules: which alerts are theirs is told by the revision that raised them, not by what the rule is now."""


class EventRecord(NamedTuple):
    """One stored event."""

    at: datetime
    digest: int
    event_class: str
    ended: bool
    """Whether it says that what it names is over."""


_EVENTS: Final = """
SELECT e.device_id, e.at, e.digest, e.class, coalesce(e.body ->> 'state' = 'ended', false)
FROM unnest($1::bigint[], $2::timestamptz[]) AS n(device_id, since)
JOIN device_event AS e ON e.device_id = n.device_id AND e.at >= n.since AND e.received_at - e.at <= $3
"""

_ALERTS: Final = """
SELECT a.device_id, a.rule, a.onset, a.state, a.standing, a.severity, a.peak, a.fired_at, a.cleared_at,
       a.ticket_id IS NOT NULL, r.digest
FROM unnest($1::bigint[], $2::timestamptz[]) AS n(device_id, since)
JOIN alert AS a ON a.device_id = n.device_id AND (a.onset >= n.since OR a.cleared_at >= n.since OR a.state = 'firing')
JOIN rule_revision AS r ON r.id = a.revision_id AND r.body ->> 'kind' = $4
UNION ALL
SELECT a.device_id, a.rule || $3, a.onset, CASE WHEN a.cleared_at IS NULL THEN 'firing' ELSE 'cleared' END, a.standing,
       a.severity, a.peak, a.fired_at, a.cleared_at, false, r.digest
FROM unnest($1::bigint[], $2::timestamptz[]) AS n(device_id, since)
JOIN shadow_alert AS a ON a.device_id = n.device_id AND (a.onset >= n.since OR coalesce(a.cleared_at >= n.since, true))
JOIN rule_revision AS r ON r.id = a.revision_id AND r.body ->> 'kind' = $4
"""

_FIRING: Final = """
SELECT a.device_id, a.rule, a.onset
FROM rule_revision AS r JOIN alert AS a ON a.rule = r.key AND a.revision_id = r.id
WHERE r.body ->> 'kind' = $3 AND a.device_id = ANY($1::bigint[]) AND a.state = 'firing'
UNION ALL
SELECT a.device_id, a.rule || $2, a.onset
FROM rule_revision AS r JOIN shadow_alert AS a ON a.rule = r.key AND a.revision_id = r.id
WHERE r.body ->> 'kind' = $3 AND a.device_id = ANY($1::bigint[]) AND a.cleared_at IS NULL
"""
# By the rule's key as well: only so the alerts' primary key passes over all those of other rules.

_EVER: Final = "SELECT EXISTS (SELECT FROM rule_revision WHERE body ->> 'kind' = $1)"


async def rules_on_events_ever(connection: Executor) -> bool:
    """Whether there ever was a rule on events: nothing raises an alert before its revision is recorded."""
    row = await connection.fetchrow(_EVER, _KIND)
    return row is not None and bool(row[0])


async def events_since(
    connection: Executor, since: Mapping[int, datetime], bound: timedelta
) -> dict[int, list[EventRecord]]:
    """The events of devices at or after a time, but for those that came later than ``bound``."""
    devices = sorted(since)
    found: dict[int, list[EventRecord]] = {device: [] for device in devices}
    for row in await connection.fetch(_EVENTS, devices, [since[device] for device in devices], bound):
        found[row[0]].append(EventRecord(row[1], row[2], row[3], row[4]))
    return found


async def event_alerts_since(connection: Executor, since: Mapping[int, datetime]) -> list[AlertRecord]:
    """Alerts of rules on events that began, or still fired, at a time or later; of any standing."""
    devices = sorted(since)
    columns = (devices, [since[device] for device in devices])
    rows = await connection.fetch(_ALERTS, *columns, SHADOW_MARK, _KIND)
    return [AlertRecord._make(row) for row in rows]


async def firing_event_alerts(connection: Executor, devices: Iterable[int]) -> list[tuple[int, str, datetime]]:
    """(device, rule, onset) of what rules on events raised and what fires."""
    rows = await connection.fetch(_FIRING, list(devices), SHADOW_MARK, _KIND)
    return [(row[0], row[1], row[2]) for row in rows]
