"""Silences as people order and read them: made, prolonged, ended, listed, and what they hid."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, cast

import asyncpg

from domain.mute import MuteReason
from domain.silence import SilenceScope, SilenceSort, SilenceState
from store.connection import Executor, Pool
from store.listing import Conditions
from store.mutes import end_source, prolong_source


class NewSilence(NamedTuple):
    """What a person orders."""

    sort: SilenceSort
    scope: SilenceScope
    starts_at: datetime
    ends_at: datetime
    author: str
    """Name of the key."""
    reason: str
    crew: str | None = None


class SilenceRow(NamedTuple):
    """One silence, with what it hid; the order of the fields is that of ``_COLUMNS``."""

    id: int
    sort: SilenceSort
    scope: SilenceScope
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str
    crew: str | None
    created_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    alerts: int
    """Alerts that it ever muted."""
    wanted: int
    """Of those, the ones that wanted a ticket meanwhile."""
    muted_now: int


class SilenceFilter(NamedTuple):
    """Which silences a list shows; ``None`` does not care."""

    state: SilenceState | None = None
    sort: SilenceSort | None = None
    device: str | None = None
    asset: str | None = None
    rule: str | None = None


_COLUMNS: Final = """
       s.id, s.sort, d.name, x.name, s.model, s.owner, s.grid, s.circuit, s.site, s.device_kind, s.rule,
       s.starts_at, s.ends_at, s.author, s.reason, s.crew, s.created_at, s.ended_at, s.ended_by,
       h.alerts, h.wanted, h.muted_now
"""

_JOINS: Final = """
  LEFT JOIN device d ON d.id = s.device_id
  LEFT JOIN asset x ON x.id = s.asset_id
 CROSS JOIN LATERAL (
       SELECT count(*) AS alerts, count(*) FILTER (WHERE m.wanted) AS wanted,
              count(*) FILTER (WHERE m.ended_at IS NULL) AS muted_now
         FROM alert_mute m WHERE m.source = s.id::text AND m.reason = s.sort
 ) h
"""

_STATES: Final = {
    SilenceState.PLANNED: "s.ended_at IS NULL AND s.starts_at > {}",
    SilenceState.ACTIVE: "s.ended_at IS NULL AND s.starts_at <= {} AND s.ends_at > {}",
    SilenceState.ENDED: "(s.ended_at IS NOT NULL OR s.ends_at <= {})",
}

_SCOPED: Final = {
    "device": "SELECT FROM device WHERE name = $1",
    "asset": "SELECT FROM asset WHERE name = $1",
    "model": "SELECT FROM device WHERE model = $1",
    "owner": "SELECT FROM asset WHERE owner = $1",
    "grid": "SELECT FROM asset WHERE unit_grid = $1",
    "circuit": "SELECT FROM asset WHERE circuit = $1",
    "site": "SELECT FROM asset WHERE site = $1",
    "kind": "SELECT FROM device WHERE kind = $1",
    "rule": "SELECT FROM rule_revision WHERE key = $1",
}

_MAKE: Final = """
WITH made AS (
    INSERT INTO silence (sort, device_id, asset_id, model, owner, grid, circuit, site, device_kind, rule, starts_at,
                         ends_at, author, reason, crew, created_at, changed_at, sweep_due)
    SELECT $1, (SELECT id FROM device WHERE name = $2), (SELECT id FROM asset WHERE name = $3), $4, $5, $6, $7, $8, $9,
           $10, $11, $12, $13, $14, $15, $16, $16, $11
    RETURNING id, sort
), told AS (
    INSERT INTO outbox (at, topic, body)
    SELECT $16, 'silence', jsonb_build_object('id', id, 'kind', sort, 'step', 'made', 'by', $13::text) FROM made
)
SELECT id FROM made
"""

_END: Final = """
WITH ended AS (
    UPDATE silence SET ended_at = $3, ended_by = $2, changed_at = $3, sweep_due = $3
    WHERE id = ANY($1::bigint[]) AND ended_at IS NULL AND ends_at > $3
    RETURNING id, sort
), told AS (
    INSERT INTO outbox (at, topic, body)
    SELECT $3, 'silence', jsonb_build_object('id', id, 'kind', sort, 'step', 'ended', 'by', $2::text) FROM ended
)
SELECT id, sort FROM ended ORDER BY id
"""

_CHECK_INS: Final = """
SELECT s.id FROM silence s JOIN asset x ON x.id = s.asset_id
 WHERE x.name = $1 AND s.crew IS NOT NULL AND s.ended_at IS NULL AND s.ends_at > $2
   AND ($3::text IS NULL OR s.crew = $3)
 ORDER BY s.id FOR NO KEY UPDATE OF s
"""

_PROLONG: Final = """
WITH prolonged AS (
    UPDATE silence SET ends_at = $2, reason = $3, changed_at = $4, sweep_due = $4 WHERE id = $1 RETURNING id, sort
)
INSERT INTO outbox (at, topic, body)
SELECT $4, 'silence', jsonb_build_object('id', id, 'kind', sort, 'step', 'prolonged', 'by', $5::text) FROM prolonged
"""


async def unknown_in(pool: Pool, scope: SilenceScope) -> list[str]:
    """The parts of a scope that fit nothing there is."""
    return [name for name, value in scope.given() if not await pool.fetchval(f"SELECT EXISTS ({_SCOPED[name]})", value)]


async def make_silence(pool: Pool, wanted: NewSilence, now: datetime) -> int:
    """Write it down and tell of it; from its commit on it holds. Returns its number."""
    async with pool.acquire() as connection, connection.transaction():
        return await _make(connection, wanted, now)


async def end_silence(pool: Pool, silence: int, *, by: str, now: datetime) -> bool:
    """End it before its time; False if it has ended."""
    async with pool.acquire() as connection, connection.transaction():
        return bool(await _end(connection, [silence], by, now))


async def check_in(pool: Pool, wanted: NewSilence, now: datetime) -> int:
    """Let a crew be at work on an asset until a time; one that is there already is there until then."""
    async with pool.acquire() as connection, connection.transaction():
        standing = await connection.fetch(_CHECK_INS, wanted.scope.asset, now, wanted.crew)
        if not standing:
            return await _make(connection, wanted, now)
        silence = int(standing[0][0])
        await connection.execute(_PROLONG, silence, wanted.ends_at, wanted.reason, now, wanted.author)
        await prolong_source(connection, MuteReason.MAINTENANCE, str(silence), wanted.ends_at)
        return silence


async def check_out(pool: Pool, asset: str, crew: str | None, *, by: str, now: datetime) -> list[int]:
    """Let a crew, or all of them, be gone from an asset; returns what has ended."""
    async with pool.acquire() as connection, connection.transaction():
        standing = await connection.fetch(_CHECK_INS, asset, now, crew)
        return await _end(connection, [int(row[0]) for row in standing], by, now) if standing else []


async def list_silences(
    pool: Pool, wanted: SilenceFilter, *, now: datetime, after: int | None, limit: int
) -> list[SilenceRow]:
    """Silences, newest first."""
    where = Conditions()
    if wanted.state is not None:
        clause = _STATES[wanted.state]
        where.add(clause, *[now] * clause.count("{}"))
    where.add_given("s.sort = {}", wanted.sort)
    where.add_given("s.device_id = (SELECT id FROM device WHERE name = {})", wanted.device)
    where.add_given("s.asset_id = (SELECT id FROM asset WHERE name = {})", wanted.asset)
    where.add_given("s.rule = {}", wanted.rule)
    where.add_given("s.id < {}", after)
    shown = f"WHERE {where.text} ORDER BY s.id DESC LIMIT {where.parameter(limit)}"
    statement = f"SELECT {_COLUMNS} FROM silence s {_JOINS} {shown}"
    return [_row(record) for record in await pool.fetch(statement, *where.values)]


async def find_silence(pool: Pool, silence: int) -> SilenceRow | None:
    """One silence."""
    record = await pool.fetchrow(f"SELECT {_COLUMNS} FROM silence s {_JOINS} WHERE s.id = $1", silence)
    return None if record is None else _row(record)


async def _make(connection: Executor, wanted: NewSilence, now: datetime) -> int:
    row = await connection.fetchrow(
        _MAKE,
        wanted.sort,
        *wanted.scope,
        wanted.starts_at,
        wanted.ends_at,
        wanted.author,
        wanted.reason,
        wanted.crew,
        now,
    )
    assert row is not None  # one row was inserted
    return int(row[0])


async def _end(connection: Executor, silences: Sequence[int], by: str, now: datetime) -> list[int]:
    ended = await connection.fetch(_END, list(silences), by, now)
    for silence, sort in ended:
        await end_source(connection, MuteReason(sort), str(silence), now)
    return [int(row[0]) for row in ended]


def _row(record: asyncpg.Record) -> SilenceRow:
    values = tuple(record)
    scope = SilenceScope(*cast("tuple[str | None, ...]", values[2:11]))
    return SilenceRow(values[0], SilenceSort(values[1]), scope, *values[11:])
