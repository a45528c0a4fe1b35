"""Writing the registry: assets, devices, their aliases and fittings, one at a time or thousands in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import orjson

from store.connection import Executor, Pool

NATIVE: Final = "native"
"""The source whose alias of a device is the device's own name."""

_WRITER_LOCK: Final = 0x53545247
"""Advisory lock of whoever writes the registry ("STRG"): with one writer at a time, what was checked stays true until
it is written, and two imports cannot lock each other out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetEntry:
    """An asset as it shall be; in an import ``None`` leaves what is there."""

    name: str
    kind: str
    district: str
    component_code: str | None = None
    unit_grid: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    source_datum: str | None = None
    address: str | None = None
    owner: str | None = None
    keeper: str | None = None
    site: str | None = None
    circuit: str | None = None
    attributes: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEntry:
    """A device as it shall be; in an import ``None`` leaves what is there."""

    name: str
    kind: str
    district: str
    life_cycle: str | None = None
    model: str | None = None
    interval_s: float | None = None
    fields: Mapping[str, str] | None = None
    overrides: Mapping[str, Mapping[str, object]] | None = None
    simulated: bool | None = None
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    """Source → how it names the device; the native one need not be told."""
    asset: str | None = None
    """Name of the asset it is fitted to."""


class Clash(NamedTuple):
    """Something in the database stands against an entry."""

    name: str
    """Of the asset or device."""
    field: str
    sentence: str


class Saved(NamedTuple):
    """What one transaction did."""

    assets_created: int
    assets_updated: int
    devices_created: int
    devices_updated: int


class Writing:
    """One transaction of the only writer."""

    def __init__(self, connection: Executor, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def lock(self) -> None:
        """Become the only writer until the transaction ends."""
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", _WRITER_LOCK)

    async def existing(self, assets: Sequence[AssetEntry], devices: Sequence[DeviceEntry]) -> tuple[set[str], set[str]]:
        """Which of these names the registry knows already: assets, devices."""
        known_assets = await self._connection.fetch(_NAMES_OF_ASSETS, [asset.name for asset in assets])
        known_devices = await self._connection.fetch(_NAMES_OF_DEVICES, [device.name for device in devices])
        return {row["name"] for row in known_assets}, {row["name"] for row in known_devices}

    async def upsert_assets(self, assets: Sequence[AssetEntry]) -> tuple[int, int]:
        """Create or update; returns how many of each."""
        rows = await self._connection.fetch(
            _UPSERT_ASSETS,
            [a.name for a in assets],
            [a.kind for a in assets],
            [a.district for a in assets],
            [a.component_code for a in assets],
            [a.unit_grid for a in assets],
            [a.longitude for a in assets],
            [a.latitude for a in assets],
            [a.source_datum for a in assets],
            [a.address for a in assets],
            [a.owner for a in assets],
            [a.keeper for a in assets],
            [_json(a.attributes) for a in assets],
            [a.site for a in assets],
            [a.circuit for a in assets],
            self._now,
        )
        return _created_and_updated(rows)

    async def upsert_devices(self, devices: Sequence[DeviceEntry]) -> tuple[int, int]:
        """Create or update, with state, timer and aliases; returns how many were created and updated."""
        connection, names = self._connection, [d.name for d in devices]
        rows = await connection.fetch(
            _UPSERT_DEVICES,
            names,
            [d.kind for d in devices],
            [d.district for d in devices],
            [d.life_cycle for d in devices],
            [d.model for d in devices],
            [d.interval_s for d in devices],
            [_json(d.fields) for d in devices],
            [_json(d.overrides) for d in devices],
            [d.simulated for d in devices],
            self._now,
        )
        await connection.execute(_ADD_STATES, names)
        await connection.execute(_ADD_TIMERS, names)
        aliases = _alias_columns(devices)
        await connection.execute(_DROP_ALIASES, *aliases)
        await connection.execute(_ADD_ALIASES, *aliases)
        return _created_and_updated(rows)

    async def fit(self, fittings: Sequence[tuple[str, str]], since: datetime) -> None:
        """Fit devices to assets from ``since`` on, ending what they sat on; a device already there stays as it is."""
        columns = [device for device, _ in fittings], [asset for _, asset in fittings], since
        await self._connection.execute(_END_OTHER_FITTINGS, *columns)
        await self._connection.execute(_BEGIN_FITTINGS, *columns)


async def find_clashes(
    connection: Executor, assets: Sequence[AssetEntry], devices: Sequence[DeviceEntry]
) -> list[Clash]:
    """What in the database stands against these entries."""
    fetch = connection.fetch
    found = [
        Clash(row["name"], "kind", f"the {row['what']} is registered as {row['kind']}, and a kind never changes")
        for row in [
            *await fetch(_ASSETS_OF_OTHER_KIND, [a.name for a in assets], [a.kind for a in assets]),
            *await fetch(_DEVICES_OF_OTHER_KIND, [d.name for d in devices], [d.kind for d in devices]),
        ]
    ]
    coded = [asset for asset in assets if asset.component_code is not None]
    found += [
        Clash(row["name"], "component_code", f"belongs to asset {row['holder']}")
        for row in await fetch(_CODES_TAKEN, [a.name for a in coded], [a.component_code for a in coded])
    ]
    found += [
        Clash(row["name"], "aliases", f"{row['source']}={row['alias']} belongs to device {row['holder']}")
        for row in await fetch(_ALIASES_TAKEN, *_alias_columns(devices))
    ]
    named = {asset.name for asset in assets}
    fitted = [device for device in devices if device.asset is not None and device.asset not in named]
    found += [
        Clash(row["name"], "asset", f"there is no asset {row['asset']}")
        for row in await fetch(_ASSETS_MISSING, [d.name for d in fitted], [d.asset for d in fitted])
    ]
    return found


async def check(pool: Pool, assets: Sequence[AssetEntry], devices: Sequence[DeviceEntry]) -> list[Clash]:
    """What in the database stands against these entries; writes nothing."""
    async with pool.acquire() as connection:
        return await find_clashes(connection, assets, devices)


async def save(
    pool: Pool, assets: Sequence[AssetEntry], devices: Sequence[DeviceEntry], now: datetime
) -> Saved | list[Clash]:
    """Create or update all of these in one transaction, or say what stands against it and write nothing."""
    async with pool.acquire() as connection, connection.transaction():
        writing = Writing(connection, now)
        await writing.lock()
        clashes = await find_clashes(connection, assets, devices)
        if clashes:
            return clashes
        saved_assets = await writing.upsert_assets(assets)
        saved_devices = await writing.upsert_devices(devices)
        await writing.fit([(d.name, d.asset) for d in devices if d.asset is not None], now)
        return Saved(*saved_assets, *saved_devices)


def _created_and_updated(rows: Sequence[asyncpg.Record]) -> tuple[int, int]:
    created = sum(1 for row in rows if row["created"])
    return created, len(rows) - created


def _json(value: Mapping[str, object] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _alias_columns(devices: Sequence[DeviceEntry]) -> tuple[list[str], list[str], list[str]]:
    rows = [
        (device.name, source, alias)
        for device in devices
        for source, alias in {**device.aliases, NATIVE: device.name}.items()
    ]
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


_NAMES_OF_ASSETS: Final = "SELECT name FROM asset WHERE name = ANY($1::text[])"
_NAMES_OF_DEVICES: Final = "SELECT name FROM device WHERE name = ANY($1::text[])"

_ASSETS_OF_OTHER_KIND: Final = """
SELECT a.name, a.kind, 'asset' AS what
  FROM unnest($1::text[], $2::text[]) AS w (name, kind) JOIN asset a ON a.name = w.name WHERE a.kind <> w.kind
"""
_DEVICES_OF_OTHER_KIND: Final = """
SELECT d.name, d.kind, 'device' AS what
  FROM unnest($1::text[], $2::text[]) AS w (name, kind) JOIN device d ON d.name = w.name WHERE d.kind <> w.kind
"""
_CODES_TAKEN: Final = """
SELECT w.name, a.name AS holder
  FROM unnest($1::text[], $2::text[]) AS w (name, code) JOIN asset a ON a.component_code = w.code
 WHERE a.name <> w.name
"""
_ALIASES_TAKEN: Final = """
SELECT w.name, w.source, w.alias, d.name AS holder
  FROM unnest($1::text[], $2::text[], $3::text[]) AS w (name, source, alias)
  JOIN device_alias g ON (g.source, g.alias) = (w.source, w.alias)
  JOIN device d ON d.id = g.device_id
 WHERE d.name <> w.name
"""
_ASSETS_MISSING: Final = """
SELECT w.name, w.asset FROM unnest($1::text[], $2::text[]) AS w (name, asset)
 WHERE NOT EXISTS (SELECT FROM asset a WHERE a.name = w.asset)
"""

_UPSERT_ASSETS: Final = """
INSERT INTO asset AS a (name, kind, district, component_code, unit_grid, longitude, latitude, source_datum,
                        address, owner, keeper, attributes, site, circuit, created_at, updated_at)
SELECT w.name, w.kind, w.district, w.component_code, w.unit_grid, w.longitude, w.latitude,
       coalesce(w.source_datum, 'wgs84'), w.address, w.owner, w.keeper, coalesce(w.attributes, '{}')::jsonb,
       w.site, w.circuit, $15, $15
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::float8[], $8::text[],
              $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
    AS w (name, kind, district, component_code, unit_grid, longitude, latitude, source_datum,
          address, owner, keeper, attributes, site, circuit)
    ON CONFLICT (name) DO UPDATE
   SET district = excluded.district,
       component_code = coalesce(excluded.component_code, a.component_code),
       unit_grid = coalesce(excluded.unit_grid, a.unit_grid),
       longitude = coalesce(excluded.longitude, a.longitude),
       latitude = coalesce(excluded.latitude, a.latitude),
       source_datum = CASE WHEN excluded.longitude IS NULL THEN a.source_datum ELSE excluded.source_datum END,
       address = coalesce(excluded.address, a.address),
       owner = coalesce(excluded.owner, a.owner),
       keeper = coalesce(excluded.keeper, a.keeper),
       attributes = a.attributes || excluded.attributes,
       site = coalesce(excluded.site, a.site),
       circuit = coalesce(excluded.circuit, a.circuit),
       updated_at = excluded.updated_at
RETURNING (xmax = 0) AS created
"""
# xmax is 0 in a row that was inserted and the locker's number in one that was there.

_UPSERT_DEVICES: Final = """
WITH w AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[],
                         $8::text[], $9::boolean[])
      AS w (name, kind, district, life_cycle, model, interval_s, fields, overrides, simulated)
)
INSERT INTO device AS d (name, kind, district, life_cycle, model, interval_s, fields, overrides, simulated,
                         created_at, updated_at)
SELECT w.name, w.kind, w.district,
       coalesce(w.life_cycle, o.life_cycle, 'in_service'),
       coalesce(w.model, o.model),
       coalesce(w.interval_s, o.interval_s),
       coalesce(w.fields::jsonb, o.fields, '{}'),
       coalesce(o.overrides, '{}') || coalesce((
           SELECT jsonb_object_agg(told.key, coalesce(o.overrides -> told.key, '{}') || told.value)
             FROM jsonb_each(w.overrides::jsonb) AS told), '{}'),
       coalesce(w.simulated, o.simulated, false),
       $10, $10
  FROM w LEFT JOIN device o ON o.name = w.name
    ON CONFLICT (name) DO UPDATE
   SET district = excluded.district,
       life_cycle = excluded.life_cycle,
       model = excluded.model,
       interval_s = excluded.interval_s,
       fields = excluded.fields,
       overrides = excluded.overrides,
       simulated = excluded.simulated,
       updated_at = excluded.updated_at
RETURNING (xmax = 0) AS created
"""
# The old row is read beside the new one, which the writer's lock allows, so that nothing told means nothing changed.

_ADD_STATES: Final = """
INSERT INTO device_state (device_id) SELECT id FROM device WHERE name = ANY($1::text[]) ON CONFLICT DO NOTHING
"""
_ADD_TIMERS: Final = """
INSERT INTO device_timer (device_id) SELECT id FROM device WHERE name = ANY($1::text[]) ON CONFLICT DO NOTHING
"""
_DROP_ALIASES: Final = """
DELETE FROM device_alias g
 USING unnest($1::text[], $2::text[], $3::text[]) AS w (name, source, alias), device d
 WHERE d.name = w.name AND g.device_id = d.id AND g.source = w.source AND g.alias <> w.alias
"""
_ADD_ALIASES: Final = """
INSERT INTO device_alias (source, alias, device_id)
SELECT w.source, w.alias, d.id
  FROM unnest($1::text[], $2::text[], $3::text[]) AS w (name, source, alias) JOIN device d ON d.name = w.name
    ON CONFLICT (source, alias) DO NOTHING
"""

_END_OTHER_FITTINGS: Final = """
UPDATE fitting f SET fitted_until = greatest($3, f.fitted_from)
  FROM unnest($1::text[], $2::text[]) AS w (device, asset)
  JOIN device d ON d.name = w.device
  JOIN asset a ON a.name = w.asset
 WHERE f.device_id = d.id AND f.fitted_until IS NULL AND f.asset_id <> a.id
"""
_BEGIN_FITTINGS: Final = """
INSERT INTO fitting (device_id, asset_id, fitted_from)
SELECT d.id, a.id, $3
  FROM unnest($1::text[], $2::text[]) AS w (device, asset)
  JOIN device d ON d.name = w.device
  JOIN asset a ON a.name = w.asset
 WHERE NOT EXISTS (SELECT FROM fitting f WHERE f.device_id = d.id AND f.fitted_until IS NULL)
"""
