"""Alerts in: the net effect of a batch on each, its steps, and what changed for whoever must be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import orjson

from domain.alert_change import AlertChange, AlertKey
from store.connection import Executor


@dataclass(frozen=True, slots=True)
class AlertSetting:
    """What the alert row needs besides the change itself."""

    revision_id: int
    asset_id: int | None
    simulated: bool
    retrospective: bool = False
    """Found late, from readings that came late."""


News: TypeAlias = tuple[str, dict[str, object]]
"""(topic, body) of what is to be told."""

_UPSERT: Final = """
INSERT INTO alert AS a
    (device_id, rule, onset, revision_id, asset_id, severity, peak, state, fired_at, decided_at, cleared_at, measure,
     value, reading_at, reading_digest, simulated, retrospective)
SELECT n.device_id, n.rule, n.onset, n.revision_id, n.asset_id, n.severity, n.peak, n.state, n.fired_at, $16,
       n.cleared_at, n.measure, n.value, n.reading_at, n.reading_digest, n.simulated,
       n.retrospective
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::smallint[], $7::smallint[],
            $8::text[], $9::timestamptz[], $10::timestamptz[], $11::text[], $12::jsonb[], $13::timestamptz[],
            $14::bigint[], $15::boolean[], $17::boolean[])
    AS n(device_id, rule, onset, revision_id, asset_id, severity, peak, state, fired_at, cleared_at, measure, value,
         reading_at, reading_digest, simulated, retrospective)
ON CONFLICT (device_id, rule, onset) DO UPDATE SET
    severity = CASE WHEN excluded.state = 'firing' THEN excluded.severity ELSE a.severity END,
    peak = least(a.peak, excluded.peak),
    state = excluded.state,
    -- One that fires again from the same onset asks for a ticket anew: its former one resolved when it cleared.
    ticket_id = CASE WHEN a.state = 'cleared' THEN NULL ELSE a.ticket_id END,
    cleared_at = excluded.cleared_at,
    value = CASE WHEN excluded.state = 'firing' THEN excluded.value ELSE a.value END,
    reading_at = CASE WHEN excluded.state = 'firing' THEN excluded.reading_at ELSE a.reading_at END,
    reading_digest = CASE WHEN excluded.state = 'firing' THEN excluded.reading_digest ELSE a.reading_digest END,
    changed = pg_current_xact_id()
RETURNING a.device_id, a.rule, a.onset, a.id, a.ticket_id, a.flapping
"""

_CLEAR: Final = """
UPDATE alert AS a SET state = 'cleared', cleared_at = n.cleared_at, changed = pg_current_xact_id()
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS n(device_id, rule, onset, cleared_at)
WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
RETURNING a.device_id, a.rule, a.onset, a.id, a.ticket_id, a.flapping
"""

_STEP_COLUMNS: Final = (
    "device_id",
    "rule",
    "onset",
    "at",
    "step",
    "severity",
    "measure",
    "value",
    "reading_at",
    "reading_digest",
    "decided_at",
)

_OUTBOX: Final = """
INSERT INTO outbox (at, topic, body) SELECT $1, n.topic, n.body FROM unnest($2::text[], $3::jsonb[]) AS n(topic, body)
"""

_JOIN_TICKET: Final = """
UPDATE alert AS a SET ticket_id = n.ticket_id, changed = pg_current_xact_id()
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::bigint[]) AS n(device_id, rule, onset, ticket_id)
WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
"""


@dataclass(frozen=True, slots=True)
class SavedAlert:
    """An alert as it stands in the database."""

    id: int
    ticket_id: int | None
    flapping: bool = False
    """One of those that open again and again."""


async def save_alerts(
    connection: Executor,
    changes: Sequence[AlertChange],
    settings: Mapping[AlertKey, AlertSetting],
    decided_at: datetime,
) -> dict[AlertKey, SavedAlert]:
    """Open, change or clear the alerts, and append every step; return each one's id and ticket."""
    setting = [settings[change.key] for change in changes]
    evidence = [change.evidence for change in changes]
    rows = await connection.fetch(
        _UPSERT,
        [change.key[0] for change in changes],
        [change.key[1] for change in changes],
        [change.key[2] for change in changes],
        [one.revision_id for one in setting],
        [one.asset_id for one in setting],
        [int(change.severity) for change in changes],
        [int(change.peak) for change in changes],
        [change.state.value for change in changes],
        [change.steps[0].at for change in changes],
        [change.cleared_at for change in changes],
        [step.measure for step in evidence],
        [None if step.value is None else orjson.dumps(step.value) for step in evidence],
        [None if step.reading is None else step.reading[0] for step in evidence],
        [None if step.reading is None else step.reading[1] for step in evidence],
        [one.simulated for one in setting],
        decided_at,
        [one.retrospective for one in setting],
    )
    await _append_steps(connection, changes, decided_at)
    return {(row[0], row[1], row[2]): SavedAlert(row[3], row[4], row[5]) for row in rows}


async def clear_alerts(
    connection: Executor, changes: Sequence[AlertChange], decided_at: datetime
) -> dict[AlertKey, SavedAlert]:
    """Clear alerts whose rule no longer exists: nothing but their end can be told of them."""
    keys = [change.key for change in changes]
    rows = await connection.fetch(
        _CLEAR,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [change.cleared_at for change in changes],
    )
    await _append_steps(connection, changes, decided_at)
    return {(row[0], row[1], row[2]): SavedAlert(row[3], row[4], row[5]) for row in rows}


async def _append_steps(connection: Executor, changes: Sequence[AlertChange], decided_at: datetime) -> None:
    records = [
        (
            step.device_id,
            step.rule,
            step.onset,
            step.at,
            step.step.value,
            int(step.severity),
            step.measure,
            None if step.value is None else orjson.dumps(step.value),
            None if step.reading is None else step.reading[0],
            None if step.reading is None else step.reading[1],
            decided_at,
        )
        for change in changes
        for step in change.steps
    ]
    await connection.copy_records_to_table("alert_event", records=records, columns=_STEP_COLUMNS)


async def tell(connection: Executor, at: datetime, news: Sequence[News]) -> None:
    """Put news into the outbox, committed with the change it tells of."""
    await connection.execute(_OUTBOX, at, [topic for topic, _ in news], [orjson.dumps(body) for _, body in news])


async def join_tickets(connection: Executor, tickets: Mapping[AlertKey, int]) -> None:
    """Write into each alert the ticket it belongs to."""
    keys = sorted(tickets)
    await connection.execute(
        _JOIN_TICKET,
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [tickets[key] for key in keys],
    )
