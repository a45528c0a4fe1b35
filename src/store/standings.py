"""What late readings change in alerts that stand: contradicted, corrected, upheld again; and which tickets wait."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.alert import Severity, Step
from domain.alert_change import AlertKey
from domain.reading import Position
from domain.ticket import Move
from store.connection import Executor, Pool


class Contradicted(NamedTuple):
    """An alert after it was contradicted."""

    key: AlertKey
    id: int
    ticket_id: int | None
    fired: bool
    """Whether it fired until then."""


_CONTRADICT: Final = """
WITH stood AS (
    SELECT a.device_id, a.rule, a.onset, a.state, n.by_at, n.by_digest
    FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[])
        AS n(device_id, rule, onset, by_at, by_digest)
    JOIN alert AS a ON a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
), changed AS (
    UPDATE alert AS a
    SET standing = 'contradicted', state = 'cleared', contradicted_at = $6, contradicted_by_at = s.by_at,
        contradicted_by_digest = s.by_digest, changed = pg_current_xact_id(),
        -- Nothing clears it any more: what it would have watched is watched by the alerts that the order upholds.
        cleared_at = coalesce(a.cleared_at, greatest(a.onset, s.by_at))
    FROM stood AS s
    WHERE a.device_id = s.device_id AND a.rule = s.rule AND a.onset = s.onset
    RETURNING a.device_id, a.rule, a.onset, a.id, a.ticket_id, a.severity, s.state, s.by_at, s.by_digest
), recorded AS (
    INSERT INTO alert_event (device_id, rule, onset, at, step, severity, reading_at, reading_digest, decided_at)
    SELECT device_id, rule, onset, by_at, $7, severity, by_at, by_digest, $6 FROM changed
)
SELECT device_id, rule, onset, id, ticket_id, state = 'firing' FROM changed
"""

_CORRECT: Final = """
WITH changed AS (
    UPDATE alert AS a
    SET standing = 'upheld', contradicted_at = NULL, contradicted_by_at = NULL, contradicted_by_digest = NULL,
        fired_at = n.fired_at, peak = n.peak, cleared_at = coalesce(n.cleared_at, a.cleared_at),
        changed = pg_current_xact_id()
    FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::smallint[])
        AS n(device_id, rule, onset, fired_at, cleared_at, peak)
    WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
    RETURNING a.device_id, a.rule, a.onset, a.ticket_id, a.fired_at, a.cleared_at, a.severity
), recorded AS (
    INSERT INTO alert_event (device_id, rule, onset, at, step, severity, decided_at)
    SELECT device_id, rule, onset, coalesce(cleared_at, fired_at), $8, severity, $7 FROM changed
)
SELECT DISTINCT ticket_id FROM changed WHERE ticket_id IS NOT NULL
"""

_REVIEW: Final = """
UPDATE ticket AS t SET review = c.review, alerts = c.alerts, changed = pg_current_xact_id()
FROM unnest($1::bigint[]) AS n(id)
CROSS JOIN LATERAL (
    SELECT count(*) AS alerts, count(*) > 0 AND bool_and(a.standing = 'contradicted') AS review
    FROM alert AS a WHERE a.ticket_id = n.id
) AS c
WHERE t.id = n.id AND (t.review, t.alerts) IS DISTINCT FROM (c.review, c.alerts)
"""


_SETTLE_REVIEW: Final = """
WITH looked_at AS (
    UPDATE ticket
    SET review = false, touched_at = $4, changed = pg_current_xact_id(),
        resolved_at = CASE WHEN firing <= 0 THEN coalesce(resolved_at, $4) ELSE resolved_at END,
        state = CASE WHEN firing <= 0 THEN 'resolved' ELSE state END
    WHERE id = $1 AND review
    RETURNING id, number, state
), freed AS (
    UPDATE ticket_subject AS s SET open = false FROM looked_at AS l
    WHERE s.ticket_id = l.id AND s.open AND l.state = 'resolved'
), moved AS (
    INSERT INTO ticket_move (ticket_id, at, move, by, detail)
    SELECT id, $4, $5::text, $2::text, jsonb_build_object('note', $3::text, 'state', state) FROM looked_at
), told AS (
    INSERT INTO outbox (at, topic, body)
    SELECT $4, 'ticket', jsonb_build_object('number', number, 'state', state, 'move', $5::text) FROM looked_at
)
SELECT count(*) FROM looked_at
"""


async def settle_review(pool: Pool, ticket_id: int, *, by: str, note: str, now: datetime) -> bool:
    """Record that a person looked, in one statement; False if the ticket did not wait for it."""
    row = await pool.fetchrow(_SETTLE_REVIEW, ticket_id, by, note, now, Move.REVIEWED.value)
    return row is not None and bool(row[0])


async def contradict(
    connection: Executor, contradictions: Sequence[tuple[AlertKey, Position]], decided_at: datetime
) -> list[Contradicted]:
    """Mark alerts as contradicted, each by the reading that says so; they no longer fire."""
    rows = await connection.fetch(
        _CONTRADICT,
        [key[0] for key, _ in contradictions],
        [key[1] for key, _ in contradictions],
        [key[2] for key, _ in contradictions],
        [reading.at for _, reading in contradictions],
        [reading.digest for _, reading in contradictions],
        decided_at,
        Step.CONTRADICTED.value,
    )
    return [Contradicted((row[0], row[1], row[2]), row[3], row[4], row[5]) for row in rows]


async def correct(
    connection: Executor,
    corrections: Sequence[tuple[AlertKey, datetime, datetime | None, Severity]],
    decided_at: datetime,
) -> set[int]:
    """Give alerts the times and the peak (key, fired, cleared, peak) that the stream in order gives them.

    One that had been contradicted is upheld again. Whether it fires, and when one that fired cleared, is for its steps
    to say (``None`` leaves it). Returns the ids of the tickets behind them: before the steps, which may change those.
    """
    rows = await connection.fetch(
        _CORRECT,
        [key[0] for key, *_ in corrections],
        [key[1] for key, *_ in corrections],
        [key[2] for key, *_ in corrections],
        [fired for _, fired, _, _ in corrections],
        [cleared for _, _, cleared, _ in corrections],
        [int(peak) for *_, peak in corrections],
        decided_at,
        Step.CORRECTED.value,
    )
    return {int(row[0]) for row in rows}


async def mark_reviews(connection: Executor, tickets: Sequence[int]) -> None:
    """Let a ticket wait for a person where every alert behind it is contradicted, and no longer where one is not.

    The caller has locked them. Of those resolved before, only this and the number of alerts change.
    """
    await connection.execute(_REVIEW, sorted(tickets))
