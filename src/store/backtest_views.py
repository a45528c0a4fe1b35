"""What a backtest asks of the registry beside the readings: which devices, and by which source they are heard."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool


class Subject(NamedTuple):
    """One device whose readings are judged again."""

    device_id: int
    name: str
    source: str | None
    """By which it was heard last."""


_SUBJECTS: Final = """
SELECT d.id, d.name, s.source FROM device AS d LEFT JOIN device_state AS s ON s.device_id = d.id
WHERE d.kind = $1 AND ($2::text[] IS NULL OR d.name = ANY($2)) ORDER BY d.id
"""

_STANDING: Final = """
SELECT a.device_id, a.rule, a.onset, a.fired_at, a.severity FROM alert AS a JOIN device AS d ON d.id = a.device_id
WHERE d.kind = $1 AND a.standing = 'upheld' AND a.fired_at < $2 AND (a.cleared_at IS NULL OR a.cleared_at >= $2)
"""

_KINDS: Final = "SELECT DISTINCT kind FROM device WHERE name = ANY($1::text[])"

_UNKNOWN: Final = """
SELECT n.name FROM unnest($1::text[]) AS n(name) LEFT JOIN device AS d ON d.name = n.name WHERE d.id IS NULL LIMIT 1
"""


async def subjects_of(pool: Pool, kind: str, names: Sequence[str] | None) -> list[Subject]:
    """The devices of a kind, or those of them that are named."""
    rows = await pool.fetch(_SUBJECTS, kind, None if names is None else list(names))
    return [Subject._make(row) for row in rows]


async def standing_at(pool: Pool, kind: str, moment: datetime) -> list[tuple[int, str, datetime, datetime, int]]:
    """(device, rule, onset, fired, severity) of alerts of a kind that fired at a moment."""
    return [(row[0], row[1], row[2], row[3], row[4]) for row in await pool.fetch(_STANDING, kind, moment)]


async def kinds_of(pool: Pool, names: Sequence[str]) -> set[str]:
    """The kinds of these devices."""
    return {row[0] for row in await pool.fetch(_KINDS, list(names))}


async def first_unknown(pool: Pool, names: Sequence[str]) -> str | None:
    """One of the names that no device has."""
    row = await pool.fetchrow(_UNKNOWN, list(names))
    return None if row is None else str(row[0])
