"""Where a message is: its readings, alerts, duplicates, its place in quarantine, and whether we could hear then."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from store.connection import Executor
from store.ledger_views import Counts
from store.quarantine import storable

HISTORY: Final = timedelta(days=2)
"""Without its bytes, a message is looked for among readings whose own time lies at most this far before its receipt."""

_MOST: Final = 100


class Window(NamedTuple):
    """The stretch in which a message is looked for, both ends included."""

    since: datetime
    until: datetime


class FoundReading(NamedTuple):
    """A stored reading."""

    device_id: int
    at: datetime
    digest: int
    received_at: datetime


class FoundEvent(NamedTuple):
    """A stored event."""

    device_id: int
    at: datetime
    digest: int
    received_at: datetime
    event_class: str


class FoundStatus(NamedTuple):
    """The last connection status that a device told."""

    device_id: int
    online: bool
    at: datetime


class RaisedAlert(NamedTuple):
    """A step of an alert that a reading decided."""

    device_id: int
    at: datetime
    digest: int
    alert_id: int
    rule: str
    step: str


class FoundDouble(NamedTuple):
    """A receipt of a reading that was stored already."""

    device_id: int
    at: datetime
    digest: int
    received_at: datetime
    redelivered: bool


class FoundHeld(NamedTuple):
    """A message in quarantine, and its receipts in the window that still lie there."""

    id: int
    reason: str
    detail: str
    state: str
    seen: int
    held: int
    first_seen: datetime
    last_seen: datetime
    redriven_at: datetime | None
    expired_at: datetime | None
    receipts: list[datetime]

    def in_question(self, window: Window) -> bool:
        """Whether it may have come in the window: unless every time at which it came is known, and lies outside."""
        seen_then = any(window.since <= at <= window.until for at in (self.first_seen, self.last_seen, *self.receipts))
        return seen_then or self.seen != self.held


class Stretch(NamedTuple):
    """The present unbroken stretch in which one worker hears its own heartbeats on the source."""

    worker: str
    since: datetime
    until: datetime


class Gap(NamedTuple):
    """A time in which nothing could reach a worker."""

    worker: str
    cause: str
    began: datetime
    ended: datetime


_AROUND: Final = f"""
SELECT device_id, at, digest, received_at FROM reading
 WHERE device_id = ANY($1::bigint[]) AND at >= $2::timestamptz - $4::interval AND at <= $3
   AND (at >= $2 OR received_at BETWEEN $2 AND $3)
 ORDER BY received_at, device_id, at, digest LIMIT {_MOST}
"""

_EXACTLY: Final = """
SELECT r.device_id, r.at, r.digest, r.received_at FROM reading AS r
  JOIN unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS n(device_id, at, digest)
    ON r.device_id = n.device_id AND r.at = n.at AND r.digest = n.digest
"""

_BY_DIGEST: Final = f"""
SELECT r.device_id, r.at, r.digest, r.received_at FROM reading AS r
  JOIN unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS n(device_id, at, digest)
    ON r.device_id = n.device_id AND r.digest = n.digest AND r.at BETWEEN n.at - $4::interval AND n.at + $4::interval
 ORDER BY r.received_at LIMIT {_MOST}
"""

_EVENTS: Final = f"""
SELECT device_id, at, digest, received_at, class FROM device_event
 WHERE device_id = ANY($1::bigint[]) AND (at BETWEEN $2 AND $3 OR received_at BETWEEN $2 AND $3)
 ORDER BY received_at LIMIT {_MOST}
"""

_ALERTS: Final = """
SELECT e.device_id, e.reading_at, e.reading_digest, a.id, e.rule, e.step
  FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS n(device_id, at, digest)
  JOIN alert_event AS e ON e.device_id = n.device_id AND e.reading_at = n.at AND e.reading_digest = n.digest
  JOIN alert AS a ON a.device_id = e.device_id AND a.rule = e.rule AND a.onset = e.onset
 ORDER BY e.decided_at, a.id
"""

_DOUBLES: Final = f"""
SELECT device_id, at, digest, received_at, redelivered FROM duplicate_receipt
 WHERE device_id = ANY($1::bigint[]) AND received_at BETWEEN $2 AND $3 ORDER BY received_at LIMIT {_MOST}
"""

_HELD: Final = f"""
SELECT q.id, q.reason, q.detail, q.state, q.count, q.held, q.first_seen, q.last_seen, q.redriven_at, q.expired_at,
       ARRAY(SELECT r.received_at FROM quarantine_receipt AS r
              WHERE r.quarantine_id = q.id AND r.received_at BETWEEN $2 AND $3 ORDER BY r.id LIMIT {_MOST})
  FROM quarantine AS q WHERE {{which}} AND q.first_seen <= $3 AND q.last_seen >= $2 ORDER BY q.id DESC LIMIT {_MOST}
"""


async def readings_around(connection: Executor, devices: Sequence[int], window: Window) -> list[FoundReading]:
    """Readings of the devices that were measured or received in the window."""
    rows = await connection.fetch(_AROUND, list(devices), window.since, window.until, HISTORY)
    return [FoundReading._make(row) for row in rows]


async def readings_exactly(connection: Executor, identities: Sequence[tuple[int, datetime, int]]) -> list[FoundReading]:
    """The readings of these identities that are stored."""
    rows = await connection.fetch(_EXACTLY, *([one[part] for one in identities] for part in range(3)))
    return [FoundReading._make(row) for row in rows]


async def readings_by_digest(
    connection: Executor, identities: Sequence[tuple[int, datetime, int]], within: timedelta
) -> list[FoundReading]:
    """Readings of about these identities: of messages whose time is reckoned from that of their receipt."""
    rows = await connection.fetch(_BY_DIGEST, *([one[part] for one in identities] for part in range(3)), within)
    return [FoundReading._make(row) for row in rows]


async def events_around(connection: Executor, devices: Sequence[int], window: Window) -> list[FoundEvent]:
    """Events of the devices that happened or were received in the window."""
    rows = await connection.fetch(_EVENTS, list(devices), window.since, window.until)
    return [FoundEvent._make(row) for row in rows]


async def status_within(connection: Executor, devices: Sequence[int], window: Window) -> list[FoundStatus]:
    """The devices' last connection status, if it was told in the window; the ones before leave no trace."""
    rows = await connection.fetch(
        "SELECT device_id, online, online_at FROM device_state "
        "WHERE device_id = ANY($1::bigint[]) AND online IS NOT NULL AND online_at BETWEEN $2 AND $3",
        list(devices),
        window.since,
        window.until,
    )
    return [FoundStatus._make(row) for row in rows]


async def alerts_of(connection: Executor, readings: Sequence[FoundReading]) -> list[RaisedAlert]:
    """The steps of alerts that these readings decided."""
    rows = await connection.fetch(_ALERTS, *([one[part] for one in readings] for part in range(3)))
    return [RaisedAlert._make(row) for row in rows]


async def doubles_around(connection: Executor, devices: Sequence[int], window: Window) -> list[FoundDouble]:
    """Receipts of duplicates in the window."""
    rows = await connection.fetch(_DOUBLES, list(devices), window.since, window.until)
    return [FoundDouble._make(row) for row in rows]


async def held_of_topic(connection: Executor, topic: str, window: Window) -> list[FoundHeld]:
    """What lay or lies in quarantine of a topic, seen in the window."""
    rows = await connection.fetch(_HELD.format(which="q.topic = $1"), storable(topic), window.since, window.until)
    return [held for held in (FoundHeld._make(row) for row in rows) if held.in_question(window)]


async def held_of_identity(connection: Executor, identity: bytes, window: Window) -> list[FoundHeld]:
    """The very message in quarantine, under each of its reasons, seen in the window."""
    rows = await connection.fetch(_HELD.format(which="q.identity = $1"), identity, window.since, window.until)
    return [held for held in (FoundHeld._make(row) for row in rows) if held.in_question(window)]


class Hearing(NamedTuple):
    """What tells whether a message of the source could reach us in the window."""

    stretches: list[Stretch]
    gaps: list[Gap]
    counted: Counts
    """The source's minutes that touch the window."""


_STRETCHES: Final = "SELECT worker, since, until FROM coverage WHERE source = $1 ORDER BY worker"
_GAPS: Final = f"""
SELECT worker, cause, began, ended FROM outage WHERE source = $1 AND began <= $3 AND ended >= $2
 ORDER BY began LIMIT {_MOST}
"""
_COUNTED: Final = f"""
SELECT {", ".join(f"coalesce(sum({field}), 0)::bigint" for field in Counts._fields)} FROM ledger_minute
 WHERE source = $1 AND minute >= date_trunc('minute', $2::timestamptz) AND minute <= $3
"""


async def hearing(connection: Executor, source: str, window: Window) -> Hearing:
    """Coverage, outages, and what the ledger counts of the source around the window."""
    stretches = [Stretch._make(row) for row in await connection.fetch(_STRETCHES, source)]
    gaps = [Gap._make(row) for row in await connection.fetch(_GAPS, source, window.since, window.until)]
    counted = await connection.fetchrow(_COUNTED, source, window.since, window.until)
    assert counted is not None  # an aggregate without GROUP BY always gives a row
    return Hearing(stretches, gaps, Counts._make(counted))
