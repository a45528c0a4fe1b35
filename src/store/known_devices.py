"""What the way of a message needs of the registry: devices by the names their sources use."""

import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import orjson

from domain.device import Device, LifeCycle
from store.connection import Executor, Pool

_CHANGES: Final = "streetwarden_registry"

_SELECT: Final = """
SELECT a.source, a.alias, d.id, d.name, d.kind, d.district, d.life_cycle, f.asset_id, d.interval_s, d.fields,
       d.overrides, d.simulated, d.model, s.owner, s.unit_grid, s.circuit, s.site, s.longitude, s.latitude
"""

_BY_ALIAS: Final = f"""{_SELECT}
FROM unnest($1::text[], $2::text[]) AS n(source, alias)
JOIN device_alias AS a ON a.source = n.source AND a.alias = n.alias
JOIN device AS d ON d.id = a.device_id
LEFT JOIN fitting AS f ON f.device_id = d.id AND f.fitted_until IS NULL
LEFT JOIN asset AS s ON s.id = f.asset_id
"""

_BY_ID: Final = f"""{_SELECT.replace("a.source, a.alias", "'', ''")}
FROM device AS d
LEFT JOIN fitting AS f ON f.device_id = d.id AND f.fitted_until IS NULL
LEFT JOIN asset AS s ON s.id = f.asset_id
WHERE d.id = ANY($1::bigint[])
"""


async def devices_by_alias(connection: Executor, aliases: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Device]:
    """(source, alias) → device, for those registered."""
    rows = await connection.fetch(_BY_ALIAS, [source for source, _ in aliases], [alias for _, alias in aliases])
    return {(row[0], row[1]): _device(row) for row in rows}


async def devices_by_id(connection: Executor, ids: Sequence[int]) -> dict[int, Device]:
    """Id → device."""
    rows = await connection.fetch(_BY_ID, list(ids))
    return {row[2]: _device(row) for row in rows}


async def real_devices_exist(connection: Executor) -> bool:
    """Whether the registry holds a device of the city's that is not simulated; the service's own is none."""
    row = await connection.fetchrow("SELECT EXISTS (SELECT FROM device WHERE NOT simulated AND kind <> 'ingest')")
    return row is not None and bool(row[0])


@asynccontextmanager
async def following_registry(
    pool: Pool, changed: Callable[[], None], lost: Callable[[], None]
) -> AsyncGenerator[None, None]:
    """Call ``changed`` after every commit that touched the registry, ``lost`` when the connection is gone.

    After a loss the caller takes everything as changed: what was said meanwhile is not repeated.
    """

    def heard(*_: object) -> None:
        changed()

    def ended(*_: object) -> None:
        lost()

    async with pool.acquire() as connection:
        await connection.add_listener(_CHANGES, heard)
        connection.add_termination_listener(ended)
        try:
            yield
        finally:
            connection.remove_termination_listener(ended)
            if not connection.is_closed():
                await connection.remove_listener(_CHANGES, heard)


def _device(row: asyncpg.Record) -> Device:
    return Device(
        id=row[2],
        name=row[3],
        kind=row[4],
        district=row[5],
        life_cycle=LifeCycle(row[6]),
        asset_id=row[7],
        interval_s=row[8],
        fields=orjson.loads(row[9]),
        overrides=orjson.loads(row[10]),
        simulated=row[11],
        model=_shared(row[12]),
        owner=_shared(row[13]),
        unit_grid=_shared(row[14]),
        circuit=_shared(row[15]),
        site=_shared(row[16]),
        longitude=row[17],
        latitude=row[18],
    )


def _shared(name: str | None) -> str | None:
    """One string for all devices of a group: a hundred thousand of them are remembered."""
    return None if name is None else sys.intern(name)
