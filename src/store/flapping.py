"""Flapping: found by counting the openings of alerts that stand, noted once, ended when none came for long."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.alert_change import AlertKey
from domain.flapping import FlappingBounds
from store.connection import Executor

FLAPPING: Final = "flapping"
CALM: Final = "calm"
"""The steps that the outbox tells of, each once."""


class Flapping(NamedTuple):
    """An alert of a rule that flaps, after it was marked."""

    key: AlertKey
    begun: bool
    """Whether its rule was found to flap just now."""


class Calmed(NamedTuple):
    """An alert that is marked no longer; the order of the fields is that of ``_CALM_ALERTS``."""

    id: int
    device_id: int
    rule: str
    onset: datetime
    state: str
    severity: int


# What counts is the newest openings that are upheld, by the device's time: the same for every order of the readings.
# What began and ended while nobody could look is past, and not announced.
_MARK: Final = """
WITH opened AS (
    SELECT DISTINCT n.device_id, n.rule FROM unnest($1::bigint[], $2::text[]) AS n(device_id, rule)
), counted AS MATERIALIZED (
    SELECT o.device_id, o.rule, count(*) AS openings, min(w.onset) AS first_onset, min(w.fired_at) AS first,
           max(w.fired_at) AS last
    FROM opened AS o
    CROSS JOIN LATERAL (
        SELECT a.onset, a.fired_at FROM alert AS a
        WHERE a.device_id = o.device_id AND a.rule = o.rule AND a.standing = 'upheld'
        ORDER BY a.onset DESC LIMIT $3
    ) AS w
    GROUP BY o.device_id, o.rule
), flaps AS MATERIALIZED (
    SELECT c.* FROM counted AS c
    WHERE (c.openings = $3 AND c.last - c.first < $4 AND c.last + $4 > $5)
        OR EXISTS (SELECT FROM flapping AS p WHERE p.device_id = c.device_id AND p.rule = c.rule AND p.ended_at IS NULL)
), put AS (
    INSERT INTO flapping AS p (device_id, rule, since, calm_at)
    SELECT device_id, rule, $5, last + $4 FROM flaps ORDER BY device_id, rule
    ON CONFLICT (device_id, rule) WHERE ended_at IS NULL
    DO UPDATE SET calm_at = greatest(p.calm_at, excluded.calm_at)
    RETURNING p.device_id, p.rule, xmax = 0 AS begun
)
UPDATE alert AS a SET flapping = true, changed = pg_current_xact_id()
FROM flaps AS f JOIN put AS p ON p.device_id = f.device_id AND p.rule = f.rule
WHERE a.device_id = f.device_id AND a.rule = f.rule AND a.onset >= f.first_onset
RETURNING a.device_id, a.rule, a.onset, p.begun
"""

_DUE: Final = "SELECT id, device_id FROM flapping WHERE ended_at IS NULL AND calm_at <= $1 ORDER BY calm_at LIMIT $2"

_END: Final = """
UPDATE flapping SET ended_at = $2 WHERE id = ANY($1::bigint[]) AND ended_at IS NULL AND calm_at <= $2
RETURNING device_id, rule
"""

_CALM_ALERTS: Final = """
UPDATE alert AS a SET flapping = false, changed = pg_current_xact_id()
FROM unnest($1::bigint[], $2::text[]) AS n(device_id, rule)
WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.flapping
RETURNING a.id, a.device_id, a.rule, a.onset, a.state, a.severity
"""

_TO_SETTLE: Final = """
SELECT t.id FROM ticket AS t
WHERE t.state = 'open' AND NOT t.review AND t.id IN (SELECT a.ticket_id FROM alert AS a WHERE a.id = ANY($1::bigint[]))
    AND NOT EXISTS (SELECT FROM alert AS a WHERE a.ticket_id = t.id AND (a.flapping OR a.state = 'firing'))
ORDER BY t.id
"""


async def mark_flapping(
    connection: Executor, opened: Iterable[tuple[int, str]], bounds: FlappingBounds, now: datetime
) -> list[Flapping]:
    """Mark the alerts of those (device, rule) that flap, of which one has just opened; their devices are locked."""
    pairs = list(opened)
    rows = await connection.fetch(
        _MARK, [pair[0] for pair in pairs], [pair[1] for pair in pairs], bounds.openings, bounds.look_back, now
    )
    return [Flapping((row[0], row[1], row[2]), row[3]) for row in rows]


async def due_calm(connection: Executor, now: datetime, most: int) -> dict[int, int]:
    """Number → device, of what counts as calm by now."""
    return {row[0]: row[1] for row in await connection.fetch(_DUE, now, most)}


async def end_flapping(connection: Executor, numbers: Sequence[int], now: datetime) -> list[Calmed]:
    """End what is calm on devices that are locked; return the alerts that were marked."""
    ended = await connection.fetch(_END, list(numbers), now)
    rows = await connection.fetch(_CALM_ALERTS, [row[0] for row in ended], [row[1] for row in ended])
    return [Calmed._make(row) for row in sorted(rows, key=lambda row: (row[1], row[2], row[3]))]


async def tickets_to_settle(connection: Executor, calmed: Sequence[Calmed]) -> list[int]:
    """Tickets that only flapping kept open."""
    return [int(row[0]) for row in await connection.fetch(_TO_SETTLE, [one.id for one in calmed])]
