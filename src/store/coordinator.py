"""What the coordinator reads: who leads, how far it has read, alerts in commit order, and how large groups are."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Executor

_LEADERSHIP: Final = 0x5354_5245_4554
"""The advisory lock that the leader holds: "STREET". Such locks belong to one database."""

_LEAD: Final = "SELECT pg_try_advisory_lock($1)"

_BEGIN: Final = """
INSERT INTO coordinator AS c (changed, alert_id, leader, since)
VALUES (pg_snapshot_xmin(pg_current_snapshot()), 0, $1, $2)
ON CONFLICT (only_row) DO UPDATE SET
    leader = excluded.leader, since = excluded.since,
    -- A cursor ahead of all transactions is that of another database, from before a restore.
    changed = least(c.changed, pg_snapshot_xmax(pg_current_snapshot())),
    alert_id = CASE WHEN c.changed > pg_snapshot_xmax(pg_current_snapshot()) THEN 0 ELSE c.alert_id END
"""

_CURSOR: Final = "SELECT changed, alert_id FROM coordinator FOR UPDATE"

_MOVE: Final = "UPDATE coordinator SET changed = $1, alert_id = $2"

_ANY: Final = """
SELECT EXISTS (
    SELECT FROM alert AS a, coordinator AS c
    WHERE a.changed >= c.changed AND (a.changed > c.changed OR a.id > c.alert_id)
      AND a.changed < pg_snapshot_xmin(pg_current_snapshot())
)
"""

_AS_CHANGED: Final = """
SELECT a.changed, a.id, a.device_id, d.kind, a.rule, a.state = 'firing' AND a.standing = 'upheld', a.fired_at,
       a.cleared_at, d.interval_s, s.circuit, s.site, s.unit_grid, s.longitude, s.latitude
"""

_READ: Final = f"""
{_AS_CHANGED} FROM (
    -- Below the oldest transaction that still runs, nothing can be added any more.
    SELECT * FROM alert
    WHERE changed >= $1 AND (changed > $1 OR id > $2) AND changed < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY changed, id LIMIT $3
) AS a
JOIN device AS d ON d.id = a.device_id
LEFT JOIN asset AS s ON s.id = a.asset_id
ORDER BY a.changed, a.id
"""

_READ_FIRING: Final = f"""
{_AS_CHANGED} FROM (
    SELECT * FROM alert WHERE state = 'firing' AND standing = 'upheld' AND rule = ANY($1::text[]) AND id > $2
    ORDER BY id LIMIT $3
) AS a
JOIN device AS d ON d.id = a.device_id
LEFT JOIN asset AS s ON s.id = a.asset_id
ORDER BY a.id
"""

_SIZES: Final = """
SELECT s.{column}, d.kind, count(*)
FROM asset AS s
JOIN fitting AS f ON f.asset_id = s.id AND f.fitted_until IS NULL
JOIN device AS d ON d.id = f.device_id AND d.life_cycle IN ('registered', 'in_service')
WHERE s.{column} = ANY($1::text[]) GROUP BY 1, 2
"""

_COLUMNS: Final = {"circuit": "circuit", "site": "site", "grid": "unit_grid"}
"""What devices have in common → where it stands."""


class Cursor(NamedTuple):
    """Up to where alerts were read: transaction and, within it, alert."""

    changed: int
    alert_id: int


class ChangedAlert(NamedTuple):
    """An alert as it stands, read because it changed; the order of the fields is that of ``_READ``."""

    changed: int
    id: int
    device_id: int
    kind: str
    rule: str
    firing: bool
    """And upheld."""
    fired_at: datetime
    cleared_at: datetime | None
    interval_s: float | None
    """The device's own; ``None``: its kind's."""
    circuit: str | None
    site: str | None
    grid: str | None
    longitude: float | None
    latitude: float | None


async def try_to_lead(connection: Executor) -> bool:
    """Become the leader for as long as this connection lives, unless another one is."""
    return bool(await connection.fetchval(_LEAD, _LEADERSHIP))


async def begin(connection: Executor, leader: str, now: datetime) -> None:
    """Write down who leads. The very first begins with what changes from now on."""
    await connection.execute(_BEGIN, leader, now)


async def anything_new(connection: Executor) -> bool:
    """Whether an alert changed behind the cursor: a look at the end of an index, that locks nothing."""
    return bool(await connection.fetchval(_ANY))


async def lock_cursor(connection: Executor) -> Cursor:
    """The cursor, locked: of two that believe that they lead, one waits."""
    row = await connection.fetchrow(_CURSOR)
    assert row is not None  # written by ``begin``
    return Cursor(row[0], row[1])


async def move_cursor(connection: Executor, cursor: Cursor) -> None:
    """Go on from there next time."""
    await connection.execute(_MOVE, cursor.changed, cursor.alert_id)


async def read_changed(connection: Executor, cursor: Cursor, most: int) -> list[ChangedAlert]:
    """Alerts that changed behind the cursor, in the order of their transactions.

    An alert that changes again meanwhile moves on to its new transaction: it is read there, and never missed.
    """
    return [ChangedAlert._make(row) for row in await connection.fetch(_READ, cursor.changed, cursor.alert_id, most)]


async def read_firing(connection: Executor, rules: Sequence[str], after: int, most: int) -> list[ChangedAlert]:
    """Alerts of these rules that fire and are upheld, by their numbers."""
    return [ChangedAlert._make(row) for row in await connection.fetch(_READ_FIRING, list(rules), after, most)]


async def count_devices(connection: Executor, by: str, names: Sequence[str]) -> Mapping[tuple[str, str], int]:
    """(name of the circuit, site or grid; device kind) → how many devices are fitted there."""
    if not names:
        return {}
    rows = await connection.fetch(_SIZES.format(column=_COLUMNS[by]), list(names))
    return {(row[0], row[1]): int(row[2]) for row in rows}
