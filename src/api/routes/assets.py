"""Assets (部件): list, show, create, change."""

from dataclasses import replace
from typing import Final

import orjson
from fastapi import APIRouter, Response

from api.fields import Name, Word
from api.models.registry import Asset, AssetPatch, NewAsset
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.registration import require_asset
from api.security import Reader, Registrar
from domain.errors import NotFoundError
from store.registry import AssetEntry
from store.registry_changes import create, replace_asset
from store.registry_views import AssetFilter, AssetRow, find_asset, list_assets

router: Final = APIRouter(prefix="/v1/assets", tags=["registry"])


@router.get("", responses=documented(401, 422))
async def assets(
    parts: PartsOf,
    _: Reader,
    kind: Word | None = None,
    district: Word | None = None,
    owner: Word | None = None,
    site: Word | None = None,
    circuit: Word | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Asset]:
    """List assets by name."""
    wanted = AssetFilter(kind, district, owner, site, circuit)
    rows = await list_assets(parts.pool, wanted, after=read_cursor(cursor, str, str), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.name,))
    return Page(items=[Asset.of(row) for row in shown], next=following)


@router.post("", status_code=201, responses=documented(401, 403, 409, 422))
async def create_asset(parts: PartsOf, _: Registrar, body: NewAsset, response: Response) -> Asset:
    """Create an asset."""
    entry = entry_of(body)
    require_asset(entry, parts.vocabulary)
    now = parts.clock.now()
    await create(parts.pool, asset=entry, device=None, now=now, fitted_from=now)
    response.headers["Location"] = f"/v1/assets/{entry.name}".encode().decode("latin-1")
    return Asset.of(await _find(parts, entry.name))


@router.get("/{name}", responses=documented(401, 404))
async def asset(name: Name, parts: PartsOf, _: Reader) -> Asset:
    """Show one asset."""
    return Asset.of(await _find(parts, name))


@router.patch("/{name}", responses=documented(401, 403, 404, 409, 422))
async def change_asset(name: Name, parts: PartsOf, _: Registrar, body: AssetPatch) -> Asset:
    """Change what is told of an asset; what is left out stays, null empties. Name and kind never change."""
    given = {field: getattr(body, field) for field in body.model_fields_set}
    entry = replace(_entry_of_row(await _find(parts, name)), **given)
    require_asset(entry, parts.vocabulary)
    await replace_asset(parts.pool, entry, parts.clock.now())
    return Asset.of(await _find(parts, name))


def entry_of(body: NewAsset) -> AssetEntry:
    """What the registry is asked to keep."""
    return AssetEntry(**body.model_dump())


async def _find(parts: Parts, name: str) -> AssetRow:
    row = await find_asset(parts.pool, name)
    if row is None:
        raise NotFoundError(f"There is no asset {name}.")
    return row


def _entry_of_row(row: AssetRow) -> AssetEntry:
    return AssetEntry(
        name=row.name,
        kind=row.kind,
        district=row.district,
        component_code=row.component_code,
        unit_grid=row.unit_grid,
        longitude=row.longitude,
        latitude=row.latitude,
        source_datum=row.source_datum,
        address=row.address,
        owner=row.owner,
        keeper=row.keeper,
        site=row.site,
        circuit=row.circuit,
        attributes=orjson.loads(row.attributes),
    )
