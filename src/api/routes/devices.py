"""Devices: list, show with their present, create, change, fit and take off."""

from dataclasses import replace
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Response

from api.fields import Name, Word
from api.models.registry import Device, DeviceDetail, DevicePatch, FittingEnd, NewAsset, NewDevice, NewFitting
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.registration import RegistrationError, object_to_asset, object_to_device, require_device, tidy_alias
from api.routes.assets import entry_of
from api.security import Reader, Registrar
from domain.device import LifeCycle
from domain.errors import InvalidInputError, NotFoundError
from store.alert_views import AlertFilter, list_alerts
from store.clocks import clock_days
from store.registry import NATIVE, DeviceEntry
from store.registry_changes import create, fit_device, replace_device, unfit_device
from store.registry_views import DeviceFilter, DeviceRow, GroupFilter, find_device, list_devices, list_fittings

router: Final = APIRouter(prefix="/v1/devices", tags=["registry"])


async def _of_groups(
    model: Word | None = None,
    owner: Word | None = None,
    unit_grid: Word | None = None,
    circuit: Word | None = None,
    site: Word | None = None,
) -> GroupFilter:
    return GroupFilter(model, owner, unit_grid, circuit, site)


_MOST_FIRING: Final = 100


@router.get("", responses=documented(401, 422))
async def devices(
    parts: PartsOf,
    _: Reader,
    kind: Word | None = None,
    district: Word | None = None,
    life_cycle: LifeCycle | None = None,
    asset: Word | None = None,
    simulated: bool | None = None,  # noqa: FBT001  # a query parameter
    *,
    groups: Annotated[GroupFilter, Depends(_of_groups)],
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Device]:
    """List devices by name."""
    wanted = DeviceFilter(kind, district, life_cycle, asset, simulated, groups)
    rows = await list_devices(parts.pool, wanted, after=read_cursor(cursor, str, str), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.name,))
    return Page(items=[Device.of(row) for row in shown], next=following)


@router.post("", status_code=201, responses=documented(401, 403, 409, 422))
async def create_device(parts: PartsOf, _: Registrar, body: NewDevice, response: Response) -> DeviceDetail:
    """Create a device, fitted to an asset named or brought along; its own name is always its native alias."""
    entry, asset = _entry_of(body), entry_of(body.asset) if isinstance(body.asset, NewAsset) else None
    objections = list(object_to_device(entry, await parts.vocabulary_now()))
    if asset is not None:
        objections += [each._replace(field=f"asset.{each.field}") for each in object_to_asset(asset, parts.vocabulary)]
    if objections:
        raise RegistrationError(objections)
    now = parts.clock.now()
    await create(parts.pool, asset=asset, device=entry, now=now, fitted_from=body.fitted_from or now)
    response.headers["Location"] = f"/v1/devices/{entry.name}"
    return await _detail(parts, entry.name)


@router.get("/{name}", responses=documented(401, 404))
async def device(name: Name, parts: PartsOf, _: Reader) -> DeviceDetail:
    """Show one device with its present, its firing alerts and what it sat on."""
    return await _detail(parts, name)


@router.patch("/{name}", responses=documented(401, 403, 404, 409, 422))
async def change_device(name: Name, parts: PartsOf, _: Registrar, body: DevicePatch) -> DeviceDetail:
    """Change what is told of a device; what is left out stays, null empties. Name and kind never change.

    `aliases` replaces all but the native one. Fittings change by `/fitting` and `/unfit`.
    """
    given = {field: getattr(body, field) for field in body.model_fields_set}
    if "aliases" in given:
        given["aliases"] = _tidy(given["aliases"])
    entry = replace(_entry_of_row(await _find(parts, name)), **given)
    # What it set earlier was right then, even if the rule is gone since.
    told = entry if "overrides" in given else replace(entry, overrides=None)
    require_device(told, await parts.vocabulary_now())
    await replace_device(parts.pool, entry, parts.clock.now())
    return await _detail(parts, name)


@router.post("/{name}/fitting", responses=documented(401, 403, 404, 409, 422))
async def fit(name: Name, parts: PartsOf, _: Registrar, body: NewFitting) -> DeviceDetail:
    """Fit a device to an asset from a time on; what it sat on until then ends at that time, and is kept.

    Fitting it to where it already sits changes nothing.
    """
    now = parts.clock.now()
    since = body.since or now
    if since > now:
        raise InvalidInputError("from: a time that has come; a fitting is recorded when it is done.")
    await fit_device(parts.pool, device=name, asset=body.asset, since=since, now=now)
    return await _detail(parts, name)


@router.post("/{name}/unfit", responses=documented(401, 403, 404, 409, 422))
async def unfit(name: Name, parts: PartsOf, _: Registrar, body: FittingEnd | None = None) -> DeviceDetail:
    """Take a device off what it sits on."""
    now = parts.clock.now()
    until = (body.until if body is not None else None) or now
    if until > now:
        raise InvalidInputError("until: a time that has come; a device is recorded as taken off when it is.")
    await unfit_device(parts.pool, device=name, until=until, now=now)
    return await _detail(parts, name)


def _entry_of(body: NewDevice) -> DeviceEntry:
    told = body.model_dump(exclude={"asset", "aliases", "fitted_from"})
    asset = body.asset.name if isinstance(body.asset, NewAsset) else body.asset
    return DeviceEntry(**told, asset=asset, aliases=_tidy(body.aliases))


def _entry_of_row(row: DeviceRow) -> DeviceEntry:
    pairs = (pair.partition("=") for pair in row.aliases)
    return DeviceEntry(
        name=row.name,
        kind=row.kind,
        district=row.district,
        life_cycle=row.life_cycle,
        model=row.model,
        interval_s=row.interval_s,
        fields=orjson.loads(row.fields),
        overrides=orjson.loads(row.overrides),
        simulated=row.simulated,
        aliases={source: alias for source, _, alias in pairs if source != NATIVE},
    )


def _tidy(aliases: dict[str, str] | None) -> dict[str, str]:
    return {source: tidy_alias(source, alias) for source, alias in (aliases or {}).items()}


async def _find(parts: Parts, name: str) -> DeviceRow:
    row = await find_device(parts.pool, name)
    if row is None:
        raise NotFoundError(f"There is no device {name}.")
    return row


async def _detail(parts: Parts, name: str) -> DeviceDetail:
    row = await _find(parts, name)
    firing = await list_alerts(parts.pool, AlertFilter(state="firing", device=name), after=None, limit=_MOST_FIRING)
    fittings = await list_fittings(parts.pool, row.id)
    return DeviceDetail.whole(row, firing, fittings, await clock_days(parts.pool, row.id, parts.clock.now()))
