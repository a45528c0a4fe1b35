"""Shadow alerts: what rules in shadow would have raised; kept and counted, and no alert."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from domain.alert import Severity
from domain.alert_change import AlertChange, AlertKey
from domain.reading import Position
from store.connection import Executor, Pool

_SAVE: Final = """
INSERT INTO shadow_alert AS a
    (device_id, rule, onset, revision_id, severity, peak, retrospective, fired_at, decided_at, cleared_at, measure,
     value, reading_at, reading_digest)
SELECT n.device_id, n.rule, n.onset, n.revision_id, n.severity, n.peak, n.retrospective, n.fired_at, $14, n.cleared_at,
       n.measure, n.value, n.reading_at, n.reading_digest
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::bigint[], $5::smallint[], $6::smallint[], $7::boolean[],
            $8::timestamptz[], $9::timestamptz[], $10::text[], $11::jsonb[], $12::timestamptz[], $13::bigint[])
    AS n(device_id, rule, onset, revision_id, severity, peak, retrospective, fired_at, cleared_at, measure, value,
         reading_at, reading_digest)
ON CONFLICT (device_id, rule, onset) DO UPDATE SET
    severity = CASE WHEN excluded.cleared_at IS NULL THEN excluded.severity ELSE a.severity END,
    peak = least(a.peak, excluded.peak),
    cleared_at = excluded.cleared_at,
    value = CASE WHEN excluded.cleared_at IS NULL THEN excluded.value ELSE a.value END,
    reading_at = CASE WHEN excluded.cleared_at IS NULL THEN excluded.reading_at ELSE a.reading_at END,
    reading_digest = CASE WHEN excluded.cleared_at IS NULL THEN excluded.reading_digest ELSE a.reading_digest END
"""

_CLEAR: Final = """
UPDATE shadow_alert AS a SET cleared_at = n.cleared_at
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS n(device_id, rule, onset, cleared_at)
WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
"""

_CONTRADICT: Final = """
UPDATE shadow_alert AS a
SET standing = 'contradicted', cleared_at = coalesce(a.cleared_at, greatest(a.onset, n.by_at))
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[]) AS n(device_id, rule, onset, by_at)
WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
"""

_CORRECT: Final = """
UPDATE shadow_alert AS a
SET standing = 'upheld', fired_at = n.fired_at, peak = n.peak, cleared_at = coalesce(n.cleared_at, a.cleared_at)
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::smallint[])
    AS n(device_id, rule, onset, fired_at, cleared_at, peak)
WHERE a.device_id = n.device_id AND a.rule = n.rule AND a.onset = n.onset
"""


class ShadowAlertRow(NamedTuple):
    """One of them; the order of the fields is that of ``_LIST``."""

    id: int
    device: str
    onset: datetime
    fired_at: datetime
    decided_at: datetime
    cleared_at: datetime | None
    severity: int
    peak: int
    standing: str
    retrospective: bool
    measure: str | None
    value: bytes | None
    reading_at: datetime | None
    received_at: datetime | None
    revision: str
    """Digest."""


class ShadowCount(NamedTuple):
    """What a rule in shadow came to."""

    alerts: int
    """Upheld ones."""
    firing: int
    devices: int


_LIST: Final = """
SELECT a.id, d.name, a.onset, a.fired_at, a.decided_at, a.cleared_at, a.severity, a.peak, a.standing, a.retrospective,
       a.measure, a.value, a.reading_at,
       (SELECT r.received_at FROM reading r
         WHERE r.device_id = a.device_id AND r.at = a.reading_at AND r.digest = a.reading_digest),
       v.digest
  FROM shadow_alert a
  JOIN device d ON d.id = a.device_id
  JOIN rule_revision v ON v.id = a.revision_id
 WHERE a.rule = $1 AND ($2::bigint IS NULL OR (-a.id) > -$2)
 ORDER BY (-a.id) LIMIT $3
"""

_COUNT: Final = """
SELECT count(*), count(*) FILTER (WHERE a.cleared_at IS NULL), count(DISTINCT a.device_id)
  FROM shadow_alert a
 WHERE a.rule = $1 AND a.standing = 'upheld'
"""


async def save_shadow_alerts(
    connection: Executor,
    changes: Sequence[tuple[AlertChange, int, bool]],
    decided_at: datetime,
) -> None:
    """Open, change or clear them, each with the id of its rule's revision and whether it was found late."""
    evidence = [change.evidence for change, _, _ in changes]
    await connection.execute(
        _SAVE,
        [change.key[0] for change, _, _ in changes],
        [change.key[1] for change, _, _ in changes],
        [change.key[2] for change, _, _ in changes],
        [revision for _, revision, _ in changes],
        [int(change.severity) for change, _, _ in changes],
        [int(change.peak) for change, _, _ in changes],
        [late for _, _, late in changes],
        [change.steps[0].at for change, _, _ in changes],
        [change.cleared_at for change, _, _ in changes],
        [step.measure for step in evidence],
        [None if step.value is None else orjson.dumps(step.value) for step in evidence],
        [None if step.reading is None else step.reading[0] for step in evidence],
        [None if step.reading is None else step.reading[1] for step in evidence],
        decided_at,
    )


async def clear_shadow_alerts(connection: Executor, ends: Mapping[AlertKey, datetime]) -> None:
    """Clear those whose rule is no longer in shadow."""
    await connection.execute(_CLEAR, *_columns(list(ends)), list(ends.values()))


async def contradict_shadow_alerts(connection: Executor, contradictions: Sequence[tuple[AlertKey, Position]]) -> None:
    """Mark those that the readings in order deny."""
    keys = [key for key, _ in contradictions]
    await connection.execute(_CONTRADICT, *_columns(keys), [reading.at for _, reading in contradictions])


async def correct_shadow_alerts(
    connection: Executor, corrections: Sequence[tuple[AlertKey, datetime, datetime | None, Severity]]
) -> None:
    """Give them the times and the peak (key, fired, cleared, peak) that the stream in order gives them."""
    await connection.execute(
        _CORRECT,
        *_columns([key for key, *_ in corrections]),
        [fired for _, fired, _, _ in corrections],
        [cleared for _, _, cleared, _ in corrections],
        [int(peak) for *_, peak in corrections],
    )


async def list_shadow_alerts(pool: Pool, rule: str, *, after: int | None, limit: int) -> list[ShadowAlertRow]:
    """Those of one rule, the latest first."""
    return [ShadowAlertRow._make(record) for record in await pool.fetch(_LIST, rule, after, limit)]


async def count_shadow_alerts(pool: Pool, rule: str) -> ShadowCount:
    """How many one rule came to."""
    record = await pool.fetchrow(_COUNT, rule)
    return ShadowCount(0, 0, 0) if record is None else ShadowCount._make(record)


def _columns(keys: Sequence[AlertKey]) -> tuple[list[int], list[str], list[datetime]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
