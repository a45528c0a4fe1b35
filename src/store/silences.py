"""Silences at work: the mutes that they set on alerts as these change, and on those that fire already when they begin.

Which alerts a silence fits is told once, in ``_FITS``, and judged by the database in the transaction that decides: so
no silence has to be remembered, and none is overlooked because it was made a moment ago.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.mute import MuteReason
from store.connection import Executor

_ALERTS: Final = """
SELECT a.id, a.rule, a.fired_at, a.state, a.device_id, d.kind AS device_kind, d.model, x.id AS asset_id, x.owner,
       x.unit_grid AS grid, x.circuit, x.site, coalesce((r.body ->> 'hushed_at_work')::boolean, false) AS hushed_at_work
FROM alert AS a
JOIN device AS d ON d.id = a.device_id
JOIN rule_revision AS r ON r.id = a.revision_id
LEFT JOIN fitting AS f ON f.device_id = d.id AND f.fitted_until IS NULL
LEFT JOIN asset AS x ON x.id = f.asset_id
"""
"""Alerts with all that a silence may name."""

_FITS: Final = """
(s.device_id IS NULL OR s.device_id = a.device_id) AND (s.asset_id IS NULL OR s.asset_id = a.asset_id)
AND (s.model IS NULL OR s.model = a.model) AND (s.owner IS NULL OR s.owner = a.owner)
AND (s.grid IS NULL OR s.grid = a.grid) AND (s.circuit IS NULL OR s.circuit = a.circuit)
AND (s.site IS NULL OR s.site = a.site) AND (s.device_kind IS NULL OR s.device_kind = a.device_kind)
AND (s.rule IS NULL OR s.rule = a.rule) AND (s.sort = 'silence' OR s.rule IS NOT NULL OR a.hushed_at_work)
"""

_HUSH: Final = f"""
WITH live AS MATERIALIZED (
    SELECT s.*, least(s.ends_at, s.ended_at) AS over_at FROM silence AS s
    WHERE s.ends_at > $3 AND (s.ended_at IS NULL OR s.ended_at > $3) AND s.starts_at <= $4
), concerned AS MATERIALIZED (
    -- Looked up once for all silences, and not at all if there is none.
    {_ALERTS} WHERE a.id = ANY($2::bigint[]) AND EXISTS (SELECT FROM live)
), put AS (
    INSERT INTO alert_mute AS m (alert_id, reason, source, since, until)
    SELECT a.id, s.sort, s.id::text, $4, s.over_at
    FROM concerned AS a JOIN live AS s ON {_FITS}
    WHERE $4 < s.over_at OR (s.starts_at <= a.fired_at AND a.fired_at < s.over_at)
    ORDER BY 1, 2, 3
    -- One that is over mutes an alert no second time.
    ON CONFLICT (alert_id, reason, source) DO UPDATE SET since = $4, until = excluded.until, ended_at = NULL
    WHERE m.ended_at IS NOT NULL AND excluded.until > $4
    RETURNING m.alert_id
)
SELECT alert_id FROM put
UNION
SELECT alert_id FROM alert_mute WHERE alert_id = ANY($1::bigint[]) AND ended_at IS NULL
"""

_CLAIM: Final = """
SELECT id, sort, least(ends_at, ended_at) FROM silence WHERE sweep_due <= $1
ORDER BY sweep_due LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""

_UNHUSHED: Final = f"""
SELECT a.id FROM silence AS s JOIN ({_ALERTS} WHERE a.state = 'firing') AS a ON {_FITS}
WHERE s.id = $1 AND NOT EXISTS (
    SELECT FROM alert_mute AS m
    WHERE m.alert_id = a.id AND m.source = s.id::text AND m.reason = s.sort AND m.ended_at IS NULL
        AND m.until = s.ends_at
)
ORDER BY a.id LIMIT $2
"""

# Swept a second time after a minute: a batch that began before the silence was there, and commits after the first
# sweep, is seen by none of the two. No batch takes so long.
_SWEPT: Final = """
UPDATE silence
SET sweep_due = CASE WHEN greatest(starts_at, changed_at) + interval '1 minute' > $2
                     THEN greatest(starts_at, changed_at) + interval '1 minute' END
WHERE id = $1
"""


class Sweep(NamedTuple):
    """A silence whose alerts must be looked for; its row is locked."""

    id: int
    reason: MuteReason
    over_at: datetime
    """Its end, or when it was ended before that."""


async def hush(
    connection: Executor, alerts: Sequence[int], speaking: Sequence[int], floor: datetime, now: datetime
) -> set[int]:
    """Mute those ``speaking`` that a silence fits, and return which of ``alerts`` are muted by whatever: one statement.

    A silence fits if it lasts now, at the time of deciding, or did when the alert fired; ``floor`` is the earliest of
    all these times. The alerts' devices are locked by the caller.
    """
    return {int(row[0]) for row in await connection.fetch(_HUSH, list(alerts), list(speaking), floor, now)}


async def claim_sweep(connection: Executor, now: datetime) -> Sweep | None:
    """Lock the silence that is due longest and that nobody sweeps."""
    row = await connection.fetchrow(_CLAIM, now)
    return None if row is None else Sweep(row[0], MuteReason(row[1]), row[2])


async def unhushed(connection: Executor, silence: int, most: int) -> list[int]:
    """Alerts that fire, and that a silence fits and does not yet mute until its end."""
    return [int(row[0]) for row in await connection.fetch(_UNHUSHED, silence, most)]


async def mark_swept(connection: Executor, silence: int, now: datetime) -> None:
    """Nothing more is to be found just now."""
    await connection.execute(_SWEPT, silence, now)
