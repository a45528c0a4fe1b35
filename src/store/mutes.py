"""Mutes: set on alerts, ended, and what has become of those whose last one ended.

An alert is muted while some row of it has no ``ended_at``. That column is set in one place, under the lock of the
alert's device: a batch that judges the device at the same moment sees either the mute, or the alert without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from asyncpg import Record

from domain.alert import Severity
from domain.alert_change import AlertKey
from domain.mute import Mute, MuteReason
from store.connection import Executor

MUTED: Final = "muted"
UNMUTED: Final = "unmuted"
"""The steps that the outbox tells of."""


class MuteEntry(NamedTuple):
    """One mute to set; set again, it gets the new end."""

    alert_id: int
    reason: MuteReason
    source: str
    until: datetime | None
    """``None``: until ``end_source``."""


class Lifted(NamedTuple):
    """An alert whose last mute has ended; the order of the fields is that of ``_UNMUTED``."""

    id: int
    device_id: int
    rule: str
    onset: datetime
    state: str
    severity: int
    peak: int
    fired_at: datetime
    asset_id: int | None
    ticket_id: int | None
    ticket_severity: int | None
    """How grave its ticket is, if it has one."""

    @property
    def key(self) -> AlertKey:
        """Its identity."""
        return self.device_id, self.rule, self.onset

    @property
    def rose(self) -> bool:
        """Whether it became graver than its ticket knows."""
        return self.ticket_severity is not None and self.peak < self.ticket_severity

    @property
    def worst(self) -> Severity:
        """The gravest it ever was."""
        return Severity(self.peak)


_LOCK_DEVICES_OF: Final = """
SELECT s.device_id FROM device_state AS s
WHERE s.device_id IN (SELECT a.device_id FROM alert AS a WHERE a.id = ANY($1::bigint[]))
ORDER BY s.device_id FOR NO KEY UPDATE
"""

_LOCK_FREE: Final = """
WITH free AS (
    SELECT device_id FROM device_state WHERE device_id = ANY($1::bigint[]) ORDER BY device_id
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT device_id FROM free
UNION ALL
-- Our own device has no state: nobody judges it.
SELECT n.id FROM unnest($1::bigint[]) AS n(id) WHERE NOT EXISTS (SELECT FROM device_state AS s WHERE s.device_id = n.id)
"""

_MUTE: Final = """
WITH put AS (
    INSERT INTO alert_mute AS m (alert_id, reason, source, since, until)
    SELECT DISTINCT n.alert_id, n.reason, n.source, $5::timestamptz, n.until
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS n(alert_id, reason, source, until)
    ORDER BY 1, 2, 3
    ON CONFLICT (alert_id, reason, source) DO UPDATE
    SET since = CASE WHEN m.ended_at IS NULL THEN m.since ELSE excluded.since END,
        until = excluded.until, ended_at = NULL
    WHERE m.ended_at IS NOT NULL OR m.until IS DISTINCT FROM excluded.until
    RETURNING m.alert_id
), changed AS (
    UPDATE alert SET changed = pg_current_xact_id() WHERE id IN (SELECT alert_id FROM put)
    RETURNING id, rule, state, severity
), told AS (
    INSERT INTO outbox (at, topic, body)
    SELECT $5, 'alert', jsonb_build_object('id', id, 'rule', rule, 'state', state, 'severity', severity,
                                           'step', $6::text, 'muted', true)
    FROM changed
)
SELECT id FROM changed ORDER BY id
"""

_STANDING: Final = """
SELECT alert_id, reason, source, since, until FROM alert_mute
WHERE alert_id = ANY($1::bigint[]) AND ended_at IS NULL
ORDER BY since, reason, source
"""

_WANTED: Final = """
WITH due AS (
    SELECT alert_id, reason, source FROM alert_mute
    WHERE alert_id = ANY($1::bigint[]) AND ended_at IS NULL AND NOT wanted ORDER BY 1, 2, 3 FOR NO KEY UPDATE
)
UPDATE alert_mute AS m SET wanted = true FROM due AS d
WHERE m.alert_id = d.alert_id AND m.reason = d.reason AND m.source = d.source
"""

_LOCK_SOURCE: Final = """
SELECT FROM alert_mute WHERE source = $2 AND reason = $1 AND ended_at IS NULL ORDER BY alert_id FOR NO KEY UPDATE
"""

_END_SOURCE: Final = """
UPDATE alert_mute SET until = least(until, $3::timestamptz) WHERE source = $2 AND reason = $1 AND ended_at IS NULL
"""
# Two statements: joined to the rows it locked, each was found by its source again, and ten thousand took half a minute.

_BESIDE: Final = """
SELECT DISTINCT source FROM alert_mute
WHERE reason = $1 AND source <> ALL($2::text[]) AND ended_at IS NULL ORDER BY source
"""

_PROLONG_SOURCE: Final = """
UPDATE alert_mute SET until = $3 WHERE source = $2 AND reason = $1 AND ended_at IS NULL
"""

_DUE: Final = """
SELECT m.alert_id, a.device_id FROM alert_mute AS m JOIN alert AS a ON a.id = m.alert_id
WHERE m.ended_at IS NULL AND m.until <= $1 ORDER BY m.until LIMIT $2
"""

_END_DUE: Final = """
WITH due AS (
    -- In order: what ends by its source locks the same rows without their devices.
    SELECT alert_id, reason, source FROM alert_mute
    WHERE alert_id = ANY($1::bigint[]) AND ended_at IS NULL AND until <= $2 ORDER BY 1, 2, 3 FOR NO KEY UPDATE
)
UPDATE alert_mute AS m SET ended_at = $2 FROM due AS d
WHERE m.alert_id = d.alert_id AND m.reason = d.reason AND m.source = d.source
RETURNING m.alert_id
"""

_UNMUTED: Final = """
UPDATE alert AS a SET changed = pg_current_xact_id()
FROM unnest($1::bigint[]) AS n(id)
WHERE a.id = n.id AND NOT EXISTS (SELECT FROM alert_mute AS m WHERE m.alert_id = n.id AND m.ended_at IS NULL)
RETURNING a.id, a.device_id, a.rule, a.onset, a.state, a.severity, a.peak, a.fired_at, a.asset_id, a.ticket_id,
          (SELECT t.severity FROM ticket AS t WHERE t.id = a.ticket_id)
"""


async def mute(connection: Executor, entries: Sequence[MuteEntry], now: datetime) -> list[int]:
    """Mute alerts and tell of it; return those for which something changed.

    A ticket that an alert has already stays as it is. Locks the alerts' devices, in order, until the transaction ends:
    call it before anything is done to tickets.
    """
    alerts = sorted({entry.alert_id for entry in entries})
    await connection.execute(_LOCK_DEVICES_OF, alerts)
    rows = await connection.fetch(
        _MUTE,
        [entry.alert_id for entry in entries],
        [entry.reason.value for entry in entries],
        [entry.source for entry in entries],
        [entry.until for entry in entries],
        now,
        MUTED,
    )
    return [int(row[0]) for row in rows]


async def end_source(connection: Executor, reason: MuteReason, source: str, now: datetime) -> None:
    """Let every mute end that one source has set. The next look of ``service.unmuting`` does what follows."""
    await connection.execute(_LOCK_SOURCE, reason.value, source)
    await connection.execute(_END_SOURCE, reason.value, source, now)


async def sources_beside(connection: Executor, reason: MuteReason, sources: Sequence[str]) -> list[str]:
    """Who else keeps alerts quiet for this reason, by name."""
    return [row[0] for row in await connection.fetch(_BESIDE, reason.value, list(sources))]


async def prolong_source(connection: Executor, reason: MuteReason, source: str, until: datetime) -> None:
    """Let every mute that one source has set, and that stands, end at another time."""
    await connection.execute(_LOCK_SOURCE, reason.value, source)
    await connection.execute(_PROLONG_SOURCE, reason.value, source, until)


async def standing_mutes(connection: Executor, alerts: Iterable[int]) -> dict[int, list[Mute]]:
    """Alert → its mutes, for those that have any."""
    return mutes_by_alert(await connection.fetch(_STANDING, list(alerts)))


def mutes_by_alert(rows: Iterable[Record]) -> dict[int, list[Mute]]:
    """Alert → its mutes, of rows that hold what a ``Mute`` does."""
    mutes: dict[int, list[Mute]] = {}
    for row in rows:
        mutes.setdefault(row[0], []).append(Mute(row[0], MuteReason(row[1]), row[2], row[3], row[4]))
    return mutes


async def note_wanted(connection: Executor, alerts: Sequence[int]) -> None:
    """Note that muted alerts wanted a ticket."""
    await connection.execute(_WANTED, sorted(alerts))


async def due_unmutes(connection: Executor, now: datetime, most: int) -> Mapping[int, int]:
    """Alert → its device, for those of which a mute is to end by now; those first that are due longest."""
    return {row[0]: row[1] for row in await connection.fetch(_DUE, now, most)}


async def lock_free_devices(connection: Executor, devices: Iterable[int]) -> set[int]:
    """Lock those that nobody holds: a busy device is left to the next look."""
    return {int(row[0]) for row in await connection.fetch(_LOCK_FREE, sorted(set(devices)))}


async def end_due(connection: Executor, alerts: Sequence[int], now: datetime) -> list[Lifted]:
    """End what is due on alerts whose devices are locked; return those that are muted no longer."""
    ended = sorted({int(row[0]) for row in await connection.fetch(_END_DUE, list(alerts), now)})
    return [Lifted._make(row) for row in await connection.fetch(_UNMUTED, ended)] if ended else []
