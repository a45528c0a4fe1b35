"""Lighting schedules: read for judging, listed and changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from domain.errors import NotFoundError
from store.connection import Executor, Pool


class LitGroup(NamedTuple):
    """Some lamps that one schedule applies to."""

    scope: str
    """``district``, ``grid``, ``circuit`` or ``site``."""
    name: str


class ScheduleRow(NamedTuple):
    """One schedule; the order of the fields is that of ``_SELECT``."""

    name: str
    seasons: Sequence[Any]
    groups: Sequence[LitGroup]
    author: str
    reason: str
    updated_at: datetime


_SELECT: Final = """
SELECT s.name, s.seasons, s.author, s.reason, s.updated_at, g.scopes, g.names
  FROM lighting_schedule s
  LEFT JOIN LATERAL (
       SELECT array_agg(g.scope ORDER BY g.scope, g.name) AS scopes, array_agg(g.name ORDER BY g.scope, g.name) AS names
         FROM lighting_schedule_group g WHERE g.schedule = s.name) g ON true
"""


async def load_schedules(connection: "Executor | Pool") -> list[ScheduleRow]:
    """All of them, by name; they are few."""
    return [_row(record) for record in await connection.fetch(f"{_SELECT} ORDER BY s.name")]


async def find_schedule(pool: Pool, name: str) -> ScheduleRow:
    """One of them.

    Raises:
        NotFoundError: there is none.
    """
    record = await pool.fetchrow(f"{_SELECT} WHERE s.name = $1", name)
    if record is None:
        raise NotFoundError(f"There is no lighting schedule {name}.")
    return _row(record)


_PUT: Final = """
INSERT INTO lighting_schedule AS s (name, seasons, author, reason, updated_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name) DO UPDATE
   SET seasons = excluded.seasons, author = excluded.author, reason = excluded.reason, updated_at = excluded.updated_at
"""
_TAKEN: Final = """
SELECT g.scope, g.name, g.schedule
  FROM unnest($1::text[], $2::text[]) AS n (scope, name) JOIN lighting_schedule_group g USING (scope, name)
 WHERE g.schedule <> $3 ORDER BY g.scope, g.name
"""
_LEAVE: Final = "DELETE FROM lighting_schedule_group WHERE schedule = $1"
_JOIN: Final = """
INSERT INTO lighting_schedule_group (scope, name, schedule)
SELECT n.scope, n.name, $3 FROM unnest($1::text[], $2::text[]) AS n (scope, name)
"""


async def put_schedule(pool: Pool, row: ScheduleRow) -> list[tuple[LitGroup, str]]:
    """Write a schedule and the groups it applies to: exactly these.

    Nothing is written if some have another schedule; they are returned, each with the name of that.
    """
    scopes, names = [group.scope for group in row.groups], [group.name for group in row.groups]
    async with pool.acquire() as connection, connection.transaction():
        # One writer at a time, so that what was looked at stays so until it is written.
        await connection.execute("LOCK TABLE lighting_schedule IN SHARE ROW EXCLUSIVE MODE")
        taken = await connection.fetch(_TAKEN, scopes, names, row.name)
        if taken:
            return [(LitGroup(record[0], record[1]), str(record[2])) for record in taken]
        await connection.execute(_PUT, row.name, orjson.dumps(row.seasons), row.author, row.reason, row.updated_at)
        await connection.execute(_LEAVE, row.name)
        await connection.execute(_JOIN, scopes, names, row.name)
        return []


async def delete_schedule(pool: Pool, name: str) -> None:
    """Take a schedule away; nothing is expected any more of the lamps it applied to.

    Raises:
        NotFoundError: there is none.
    """
    if await pool.fetchval("DELETE FROM lighting_schedule WHERE name = $1 RETURNING name", name) is None:
        raise NotFoundError(f"There is no lighting schedule {name}.")


def _row(record: asyncpg.Record) -> ScheduleRow:
    name, seasons, author, reason, updated_at, scopes, names = record
    groups = [LitGroup(scope, group) for scope, group in zip(scopes or (), names or (), strict=True)]
    return ScheduleRow(name, orjson.loads(seasons), groups, author, reason, updated_at)
