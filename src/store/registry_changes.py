"""Single changes of the registry, as the API makes them: create, replace, fit, take off."""

from datetime import datetime
from typing import Final

import orjson

from domain.errors import ConflictError, NotFoundError
from store.connection import Pool
from store.registry import AssetEntry, Clash, DeviceEntry, Writing, find_clashes


async def create(
    pool: Pool, *, asset: AssetEntry | None, device: DeviceEntry | None, now: datetime, fitted_from: datetime
) -> None:
    """Create an asset, a device, or a device fitted to an asset, in one transaction.

    Raises:
        ConflictError: a name is taken, or something else in the registry stands against it.
    """
    assets = [] if asset is None else [asset]
    devices = [] if device is None else [device]
    async with pool.acquire() as connection, connection.transaction():
        writing = Writing(connection, now)
        await writing.lock()
        known_assets, known_devices = await writing.existing(assets, devices)
        for what, names in (("asset", known_assets), ("device", known_devices)):
            for name in names:
                raise ConflictError(f"There is already a {what} named {name}; change it with PATCH.")
        _refuse(await find_clashes(connection, assets, devices))
        await writing.upsert_assets(assets)
        await writing.upsert_devices(devices)
        await writing.fit([(d.name, d.asset) for d in devices if d.asset is not None], fitted_from)


_REPLACE_ASSET: Final = """
UPDATE asset
   SET district = $2, component_code = $3, unit_grid = $4, longitude = $5, latitude = $6,
       source_datum = coalesce($7, 'wgs84'), address = $8, owner = $9, keeper = $10, attributes = $11,
       site = $12, circuit = $13, updated_at = $14
 WHERE name = $1
RETURNING id
"""


async def replace_asset(pool: Pool, asset: AssetEntry, now: datetime) -> None:
    """Let an asset be exactly as told, its name and kind apart, which never change.

    Raises:
        NotFoundError: there is no such asset.
        ConflictError: its component code belongs to another one.
    """
    async with pool.acquire() as connection, connection.transaction():
        writing = Writing(connection, now)
        await writing.lock()
        _refuse(await find_clashes(connection, [asset], []))
        row = await connection.fetchrow(
            _REPLACE_ASSET,
            asset.name,
            asset.district,
            asset.component_code,
            asset.unit_grid,
            asset.longitude,
            asset.latitude,
            asset.source_datum,
            asset.address,
            asset.owner,
            asset.keeper,
            orjson.dumps(asset.attributes or {}),
            asset.site,
            asset.circuit,
            now,
        )
        if row is None:
            raise NotFoundError(f"There is no asset {asset.name}.")


_REPLACE_DEVICE: Final = """
UPDATE device
   SET district = $2, life_cycle = coalesce($3, life_cycle), model = $4, interval_s = $5, fields = $6, overrides = $7,
       simulated = coalesce($8, simulated), updated_at = $9
 WHERE name = $1
RETURNING id
"""
_DROP_OTHER_ALIASES: Final = """
DELETE FROM device_alias WHERE device_id = $1 AND source <> 'native' AND (source, alias) NOT IN (
    SELECT * FROM unnest($2::text[], $3::text[]))
"""
_ADD_ALIASES: Final = """
INSERT INTO device_alias (source, alias, device_id)
SELECT source, alias, $1 FROM unnest($2::text[], $3::text[]) AS w (source, alias)
    ON CONFLICT (source, alias) DO NOTHING
"""


async def replace_device(pool: Pool, device: DeviceEntry, now: datetime) -> None:
    """Let a device be exactly as told, aliases included; its name, kind and fitting stay.

    Raises:
        NotFoundError: there is no such device.
        ConflictError: an alias belongs to another one.
    """
    async with pool.acquire() as connection, connection.transaction():
        writing = Writing(connection, now)
        await writing.lock()
        _refuse(await find_clashes(connection, [], [device]))
        row = await connection.fetchrow(
            _REPLACE_DEVICE,
            device.name,
            device.district,
            device.life_cycle,
            device.model,
            device.interval_s,
            orjson.dumps(device.fields or {}),
            orjson.dumps(device.overrides or {}),
            device.simulated,
            now,
        )
        if row is None:
            raise NotFoundError(f"There is no device {device.name}.")
        aliases = row["id"], list(device.aliases.keys()), list(device.aliases.values())
        await connection.execute(_DROP_OTHER_ALIASES, *aliases)
        await connection.execute(_ADD_ALIASES, *aliases)


_LAST_FITTING: Final = """
SELECT f.id, a.name AS asset, f.fitted_from, f.fitted_until
  FROM fitting f JOIN asset a ON a.id = f.asset_id JOIN device d ON d.id = f.device_id
 WHERE d.name = $1 ORDER BY f.fitted_from DESC, f.id DESC LIMIT 1
"""


async def fit_device(pool: Pool, *, device: str, asset: str, since: datetime, now: datetime) -> None:
    """Fit a device to an asset from ``since`` on; what it sat on until then ends at that time.

    Raises:
        NotFoundError: there is no such device or asset.
        ConflictError: it was fitted, or taken off, later than ``since``.
    """
    async with pool.acquire() as connection, connection.transaction():
        writing = Writing(connection, now)
        await writing.lock()
        for query, name, what in ((_DEVICE_ID, device, "device"), (_ASSET_ID, asset, "asset")):
            if await connection.fetchrow(query, name) is None:
                raise NotFoundError(f"There is no {what} {name}.")
        last = await connection.fetchrow(_LAST_FITTING, device)
        if last is not None and last["fitted_until"] is None and last["asset"] == asset:
            return
        if last is not None and since < (last["fitted_until"] or last["fitted_from"]):
            raise ConflictError(
                f"{device} has a fitting to {last['asset']} that is later than {since.isoformat()}: "
                "history is added to, not rewritten."
            )
        await writing.fit([(device, asset)], since)


_DEVICE_ID: Final = "SELECT id FROM device WHERE name = $1"
_ASSET_ID: Final = "SELECT id FROM asset WHERE name = $1"
_END_FITTING: Final = "UPDATE fitting SET fitted_until = $2 WHERE id = $1"


async def unfit_device(pool: Pool, *, device: str, until: datetime, now: datetime) -> None:
    """Take a device off what it sits on.

    Raises:
        NotFoundError: there is no such device.
        ConflictError: it sits on nothing, or was fitted later than ``until``.
    """
    async with pool.acquire() as connection, connection.transaction():
        writing = Writing(connection, now)
        await writing.lock()
        if await connection.fetchrow(_DEVICE_ID, device) is None:
            raise NotFoundError(f"There is no device {device}.")
        last = await connection.fetchrow(_LAST_FITTING, device)
        if last is None or last["fitted_until"] is not None:
            raise ConflictError(f"{device} is fitted to nothing.")
        if until < last["fitted_from"]:
            raise ConflictError(f"{device} was fitted to {last['asset']} only at {last['fitted_from'].isoformat()}.")
        await connection.execute(_END_FITTING, last["id"], until)


def _refuse(clashes: list[Clash]) -> None:
    if clashes:
        raise ConflictError(" ".join(f"{clash.name}: {clash.field}: {clash.sentence}." for clash in clashes))
