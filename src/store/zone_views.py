"""Zones as people register and read them: members with their roles, and what the windows came to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from domain.errors import ConflictError, NotFoundError
from store.connection import Pool


class ZoneSummary(NamedTuple):
    """One zone; the order of the fields is that of ``_COLUMNS``."""

    name: str
    rule: str
    note: str | None
    inlets: int
    outlets: int
    firing_since: datetime | None
    judged_until: datetime | None
    updated_at: datetime


class ZoneMember(NamedTuple):
    """A meter of a zone."""

    device: str
    role: str


class ZoneWindow(NamedTuple):
    """What one window came to; the order of the fields is that of ``_WINDOWS``."""

    start: datetime
    end: datetime
    inflow_m3: float | None
    outflow_m3: float | None
    judged_at: datetime


_COLUMNS: Final = """
z.name, z.rule, z.note,
(SELECT count(*) FROM zone_member AS m WHERE m.zone = z.name AND m.role = 'in'),
(SELECT count(*) FROM zone_member AS m WHERE m.zone = z.name AND m.role = 'out'),
z.firing_since, z.judged_until, z.updated_at
"""

_LIST: Final = f"SELECT {_COLUMNS} FROM zone AS z WHERE NOT z.removed AND z.name > $1 ORDER BY z.name LIMIT $2"

_ONE: Final = f"SELECT {_COLUMNS} FROM zone AS z WHERE NOT z.removed AND z.name = $1"

_MEMBERS: Final = """
SELECT d.name, m.role FROM zone_member AS m JOIN device AS d ON d.id = m.device_id
WHERE m.zone = $1 ORDER BY m.role, d.name
"""

_WINDOWS: Final = """
SELECT window_start, window_end, inflow_m3, outflow_m3, judged_at FROM zone_balance
WHERE zone = $1 ORDER BY window_start DESC LIMIT $2
"""

_LOCK: Final = "SELECT rule, firing_since, removed FROM zone WHERE name = $1 FOR UPDATE"

_FIND_DEVICES: Final = "SELECT name, id FROM device WHERE name = ANY($1::text[])"

_PUT_NEW: Final = """
INSERT INTO zone (name, rule, note, members_since, look_at, updated_at) VALUES ($1, $2, $3, $4, $4, $4)
ON CONFLICT (name) DO NOTHING
"""

_CHANGE: Final = "UPDATE zone SET rule = $2, note = $3, updated_at = $4 WHERE name = $1"

_REGROUP: Final = """
UPDATE zone SET members_since = $2, look_at = $2, run = 0, run_since = NULL WHERE name = $1
"""

_DROP_MEMBERS: Final = "DELETE FROM zone_member WHERE zone = $1"

_ADD_MEMBERS: Final = """
INSERT INTO zone_member (zone, device_id, role)
SELECT $1, n.device_id, n.role FROM unnest($2::bigint[], $3::text[]) AS n(device_id, role)
"""

_REMOVE: Final = "UPDATE zone SET removed = true, look_at = $2 WHERE name = $1 AND NOT removed"


async def list_zones(pool: Pool, *, after: str | None, limit: int) -> list[ZoneSummary]:
    """Zones by name."""
    return [ZoneSummary._make(row) for row in await pool.fetch(_LIST, after or "", limit)]


async def find_zone(pool: Pool, name: str) -> ZoneSummary | None:
    """One zone."""
    row = await pool.fetchrow(_ONE, name)
    return None if row is None else ZoneSummary._make(row)


async def zone_members(pool: Pool, name: str) -> list[ZoneMember]:
    """The meters of a zone, inlets first."""
    return [ZoneMember(row[0], row[1]) for row in await pool.fetch(_MEMBERS, name)]


async def zone_windows(pool: Pool, name: str, limit: int) -> list[ZoneWindow]:
    """What its last windows came to, the latest first."""
    return [ZoneWindow._make(row) for row in await pool.fetch(_WINDOWS, name, limit)]


async def put_zone(
    pool: Pool, name: str, *, rule: str, note: str | None, members: Sequence[ZoneMember], now: datetime
) -> None:
    """Register a zone with exactly these meters. Other meters than before are judged from the next whole window on.

    Raises:
        NotFoundError: a device does not exist.
        ConflictError: it is being removed, or its alert fires under another rule.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_PUT_NEW, name, rule, note, now)
        row = await connection.fetchrow(_LOCK, name)
        assert row is not None  # just put there, or before
        if row[2]:
            raise ConflictError(f"The zone {name} is being removed; try again in a moment.")
        if row[0] != rule and row[1] is not None:
            raise ConflictError(
                f"An alert of {row[0]} fires for the zone {name}; remove the zone, and register it anew."
            )
        ids = {
            found[0]: found[1] for found in await connection.fetch(_FIND_DEVICES, [member.device for member in members])
        }
        missing = sorted({member.device for member in members} - ids.keys())
        if missing:
            raise NotFoundError(f"There is no device {missing[0]}.")
        before = {ZoneMember(one[0], one[1]) for one in await connection.fetch(_MEMBERS, name)}
        await connection.execute(_CHANGE, name, rule, note, now)
        if before != set(members) or row[0] != rule:
            await connection.execute(_DROP_MEMBERS, name)
            await connection.execute(
                _ADD_MEMBERS, name, [ids[member.device] for member in members], [member.role for member in members]
            )
            await connection.execute(_REGROUP, name, now)


async def remove_zone(pool: Pool, name: str, now: datetime) -> bool:
    """Let a zone be forgotten as soon as its alert has cleared; ``False``: there is none."""
    return bool((await pool.execute(_REMOVE, name, now)).endswith(" 1"))
