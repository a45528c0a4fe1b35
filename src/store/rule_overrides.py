"""What models, owners, grids, circuits and sites set differently in rules: read for judging, listed and changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from domain.errors import NotFoundError
from domain.scope import Group, Scope
from store.connection import Executor, Pool
from store.listing import Conditions
from store.registry import Writing


class OverrideRow(NamedTuple):
    """What one group sets differently in one rule; the order of the fields is that of ``_COLUMNS``."""

    scope: Scope
    name: str
    rule: str
    parameters: Mapping[str, Any]
    author: str
    reason: str
    updated_at: datetime


_ALL: Final = "SELECT scope, name, rule, parameters FROM rule_override"


async def load_group_overrides(connection: Executor) -> dict[Group, dict[str, Mapping[str, Any]]]:
    """Group → rule → parameters; they are few."""
    groups: dict[Group, dict[str, Mapping[str, Any]]] = {}
    for scope, name, rule, parameters in await connection.fetch(_ALL):
        groups.setdefault(Group(Scope(scope), name), {})[rule] = orjson.loads(parameters)
    return groups


_COLUMNS: Final = "o.scope, o.name, o.rule, o.parameters, o.author, o.reason, o.updated_at"


async def list_overrides(
    pool: Pool,
    *,
    scope: Scope | None,
    name: str | None,
    rule: str | None,
    after: tuple[str, str, str] | None,
    limit: int,
) -> list[OverrideRow]:
    """Overrides of groups by scope, name and rule."""
    where = Conditions()
    where.add_given("o.scope = {}", scope)
    where.add_given("o.name = {}", name)
    where.add_given("o.rule = {}", rule)
    if after is not None:
        where.add("(o.scope, o.name, o.rule) > ({}, {}, {})", *after)
    statement = (
        f"SELECT {_COLUMNS} FROM rule_override o WHERE {where.text} "
        f"ORDER BY o.scope, o.name, o.rule LIMIT {where.parameter(limit)}"
    )
    return [_row(record) for record in await pool.fetch(statement, *where.values)]


_ONE: Final = f"SELECT {_COLUMNS} FROM rule_override o WHERE (o.scope, o.name, o.rule) = ($1, $2, $3)"


async def find_override(pool: Pool, group: Group, rule: str) -> OverrideRow | None:
    """What one group sets differently in one rule."""
    record = await pool.fetchrow(_ONE, *group, rule)
    return None if record is None else _row(record)


_OF_GROUPS: Final = f"""
SELECT {_COLUMNS} FROM unnest($1::text[], $2::text[]) AS g (scope, name)
  JOIN rule_override o ON (o.scope, o.name) = (g.scope, g.name)
"""  # columns are a constant


async def overrides_of(connection: Executor, groups: Sequence[Group]) -> list[OverrideRow]:
    """All that these groups set differently."""
    scopes, names = [group.scope for group in groups], [group.name for group in groups]
    return [_row(record) for record in await connection.fetch(_OF_GROUPS, scopes, names)]


_CONCERNED: Final = """
SELECT count(*)
  FROM device d
  LEFT JOIN fitting f ON f.device_id = d.id AND f.fitted_until IS NULL
  LEFT JOIN asset a ON a.id = f.asset_id
 WHERE d.kind = ANY($3::text[]) AND d.life_cycle <> 'retired'
   AND $2 = CASE $1 WHEN 'model' THEN d.model WHEN 'owner' THEN a.owner WHEN 'grid' THEN a.unit_grid
                    WHEN 'circuit' THEN a.circuit WHEN 'site' THEN a.site END
"""


async def count_devices(pool: Pool, group: Group, kinds: list[str]) -> int:
    """How many devices of these kinds belong to a group now."""
    return int(await pool.fetchval(_CONCERNED, *group, kinds))


_PUT: Final = """
INSERT INTO rule_override AS o (scope, name, rule, parameters, author, reason, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (scope, name, rule) DO UPDATE
   SET parameters = excluded.parameters, author = excluded.author, reason = excluded.reason,
       updated_at = excluded.updated_at
"""


async def put_override(pool: Pool, override: OverrideRow) -> None:
    """Let a group set exactly this in a rule; what it set before is gone."""
    async with pool.acquire() as connection, connection.transaction():
        # As whoever writes the registry: both have the ticker look at devices, and would lock each other out.
        await Writing(connection, override.updated_at).lock()
        await connection.execute(_PUT, *override[:3], orjson.dumps(override.parameters), *override[4:])


_DELETE: Final = "DELETE FROM rule_override WHERE (scope, name, rule) = ($1, $2, $3) RETURNING rule"


async def delete_override(pool: Pool, group: Group, rule: str, now: datetime) -> None:
    """Let a group be judged by the weaker layers again.

    Raises:
        NotFoundError: it sets nothing in this rule.
    """
    async with pool.acquire() as connection, connection.transaction():
        await Writing(connection, now).lock()
        if await connection.fetchrow(_DELETE, *group, rule) is None:
            raise NotFoundError(f"The {group.scope} {group.name} sets nothing in {rule}.")


def _row(record: asyncpg.Record) -> OverrideRow:
    scope, name, rule, parameters, author, reason, updated_at = record
    return OverrideRow(Scope(scope), name, rule, orjson.loads(parameters), author, reason, updated_at)
