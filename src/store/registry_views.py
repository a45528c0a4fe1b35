"""The registry as people read it: assets, devices with their present state, fittings, rule revisions."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions


class AssetRow(NamedTuple):
    """One asset; the order of the fields is that of ``_ASSET``."""

    id: int
    name: str
    kind: str
    district: str
    component_code: str | None
    unit_grid: str | None
    longitude: float | None
    latitude: float | None
    source_datum: str
    address: str | None
    owner: str | None
    keeper: str | None
    site: str | None
    circuit: str | None
    attributes: bytes
    created_at: datetime
    updated_at: datetime
    devices: list[str]
    """Fitted to it now."""


_ASSET: Final = """
SELECT a.id, a.name, a.kind, a.district, a.component_code, a.unit_grid, a.longitude, a.latitude, a.source_datum,
       a.address, a.owner, a.keeper, a.site, a.circuit, a.attributes, a.created_at, a.updated_at,
       ARRAY(SELECT d.name FROM fitting f JOIN device d ON d.id = f.device_id
              WHERE f.asset_id = a.id AND f.fitted_until IS NULL ORDER BY d.name)
  FROM asset a
"""


class AssetFilter(NamedTuple):
    """Which assets a list shows; ``None`` does not care."""

    kind: str | None = None
    district: str | None = None
    owner: str | None = None
    site: str | None = None
    circuit: str | None = None


async def list_assets(pool: Pool, wanted: AssetFilter, *, after: str | None, limit: int) -> list[AssetRow]:
    """Assets by name."""
    where = Conditions()
    where.add_given("a.kind = {}", wanted.kind)
    where.add_given("a.district = {}", wanted.district)
    where.add_given("a.owner = {}", wanted.owner)
    where.add_given("a.site = {}", wanted.site)
    where.add_given("a.circuit = {}", wanted.circuit)
    where.add_given("a.name > {}", after)
    statement = f"{_ASSET} WHERE {where.text} ORDER BY a.name LIMIT {where.parameter(limit)}"
    return [AssetRow._make(record) for record in await pool.fetch(statement, *where.values)]


_ONE_ASSET: Final = f"{_ASSET} WHERE a.name = $1"


async def find_asset(pool: Pool, name: str) -> AssetRow | None:
    """One asset by its name."""
    record = await pool.fetchrow(_ONE_ASSET, name)
    return None if record is None else AssetRow._make(record)


class DeviceRow(NamedTuple):
    """One device with its present; the order of the fields is that of ``_DEVICE``."""

    id: int
    name: str
    kind: str
    district: str
    life_cycle: str
    model: str | None
    interval_s: float | None
    fields: bytes
    overrides: bytes
    simulated: bool
    created_at: datetime
    updated_at: datetime
    asset: str | None
    aliases: list[str]
    """``source=alias``; the two never hold an equals sign before the first one."""
    last_at: datetime | None
    heard_at: datetime | None
    source: str | None
    seq: int | None
    readings: int
    late: int
    missed: int
    online: bool | None
    online_at: datetime | None
    measures: bytes | None


_DEVICE: Final = """
SELECT d.id, d.name, d.kind, d.district, d.life_cycle, d.model, d.interval_s, d.fields, d.overrides, d.simulated,
       d.created_at, d.updated_at,
       (SELECT a.name FROM fitting f JOIN asset a ON a.id = f.asset_id
         WHERE f.device_id = d.id AND f.fitted_until IS NULL),
       ARRAY(SELECT g.source || '=' || g.alias FROM device_alias g WHERE g.device_id = d.id ORDER BY 1),
       s.last_at, s.heard_at, s.source, s.seq, coalesce(s.readings, 0), coalesce(s.late, 0), coalesce(s.missed, 0),
       s.online, s.online_at, s.measures
  FROM device d LEFT JOIN device_state s ON s.device_id = d.id
"""

_FITTED_TO: Final = """d.id IN (
    SELECT f.device_id FROM fitting f JOIN asset a ON a.id = f.asset_id
     WHERE a.{column} = {{}} AND f.fitted_until IS NULL)"""


class GroupFilter(NamedTuple):
    """The groups of which the devices of a list are; ``None`` does not care."""

    model: str | None = None
    owner: str | None = None
    """Of its asset, as the next three."""
    unit_grid: str | None = None
    circuit: str | None = None
    site: str | None = None


class DeviceFilter(NamedTuple):
    """Which devices a list shows; ``None`` does not care."""

    kind: str | None = None
    district: str | None = None
    life_cycle: str | None = None
    asset: str | None = None
    simulated: bool | None = None
    groups: GroupFilter = GroupFilter()


async def list_devices(pool: Pool, wanted: DeviceFilter, *, after: str | None, limit: int) -> list[DeviceRow]:
    """Devices by name."""
    where = Conditions()
    where.add_given("d.kind = {}", wanted.kind)
    where.add_given("d.district = {}", wanted.district)
    where.add_given("d.life_cycle = {}", wanted.life_cycle)
    where.add_given("d.simulated = {}", wanted.simulated)
    groups = wanted.groups
    where.add_given("d.model = {}", groups.model)
    where.add_given(_FITTED_TO.format(column="name"), wanted.asset)
    where.add_given(_FITTED_TO.format(column="owner"), groups.owner)
    where.add_given(_FITTED_TO.format(column="unit_grid"), groups.unit_grid)
    where.add_given(_FITTED_TO.format(column="circuit"), groups.circuit)
    where.add_given(_FITTED_TO.format(column="site"), groups.site)
    where.add_given("d.name > {}", after)
    statement = f"{_DEVICE} WHERE {where.text} ORDER BY d.name LIMIT {where.parameter(limit)}"
    return [DeviceRow._make(record) for record in await pool.fetch(statement, *where.values)]


_ONE_DEVICE: Final = f"{_DEVICE} WHERE d.name = $1"


async def find_device(pool: Pool, name: str) -> DeviceRow | None:
    """One device by its name."""
    record = await pool.fetchrow(_ONE_DEVICE, name)
    return None if record is None else DeviceRow._make(record)


_ID: Final = "SELECT id FROM device WHERE name = $1"


async def device_id(pool: Pool, name: str) -> int | None:
    """The key of a device."""
    record = await pool.fetchrow(_ID, name)
    return None if record is None else int(record["id"])


class FittingRow(NamedTuple):
    """From when to when a device sat on an asset."""

    asset: str
    fitted_from: datetime
    fitted_until: datetime | None


_FITTINGS: Final = """
SELECT a.name, f.fitted_from, f.fitted_until FROM fitting f JOIN asset a ON a.id = f.asset_id
 WHERE f.device_id = $1 ORDER BY f.fitted_from DESC, f.id DESC LIMIT 100
"""


async def list_fittings(pool: Pool, of_device: int) -> list[FittingRow]:
    """What a device sat on, the latest first."""
    return [FittingRow._make(record) for record in await pool.fetch(_FITTINGS, of_device)]


class RevisionRow(NamedTuple):
    """One form that a rule has had."""

    id: int
    key: str
    digest: str
    created_at: datetime


_REVISIONS: Final = "SELECT id, key, digest, created_at FROM rule_revision ORDER BY key, id"


async def list_revisions(pool: Pool) -> list[RevisionRow]:
    """Every form every rule has had."""
    return [RevisionRow._make(record) for record in await pool.fetch(_REVISIONS)]


_ONE_REVISION: Final = "SELECT id, key, digest, created_at, body FROM rule_revision WHERE key = $1 AND digest = $2"


async def find_revision(pool: Pool, key: str, digest: str) -> tuple[RevisionRow, bytes] | None:
    """One form of a rule, with its body in JSON."""
    record = await pool.fetchrow(_ONE_REVISION, key, digest)
    return None if record is None else (RevisionRow._make(tuple(record)[:4]), bytes(record["body"]))
