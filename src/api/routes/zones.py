"""Zones: parts of a network between meters, whose balance shows what is lost (分区计量)."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path

from api.models.zones import NewZone, Zone, ZoneDetail
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.registration import Objection, RegistrationError
from api.rule_desk import several_in_force
from api.security import Reader, Registrar
from domain.errors import NotFoundError
from rules.balances import Role
from rules.kinds.balance import Balance
from store.zone_views import ZoneMember, find_zone, list_zones, put_zone, remove_zone, zone_members, zone_windows

router: Final = APIRouter(prefix="/v1/zones", tags=["registry"])

ZoneName = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f/\x7f]+$")]

_WINDOWS: Final = 100


@router.get("", responses=documented(401, 422))
async def zones(parts: PartsOf, _: Reader, cursor: Cursor = None, limit: Limit = 100) -> Page[Zone]:
    """List zones by name."""
    rows = await list_zones(parts.pool, after=read_cursor(cursor, str, str), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.name,))
    return Page(items=[Zone.of(row) for row in shown], next=following)


@router.get("/{name}", responses=documented(401, 404, 422))
async def zone(name: ZoneName, parts: PartsOf, _: Reader) -> ZoneDetail:
    """Show one zone with its meters, and what its last windows came to."""
    return await _detail(parts, name)


@router.put("/{name}", responses=documented(401, 403, 404, 409, 422))
async def set_zone(name: ZoneName, body: NewZone, parts: PartsOf, _: Registrar) -> ZoneDetail:
    """Register a zone, or change it to exactly this. Windows that began before its meters were these are not judged."""
    rules = await several_in_force(parts.pool, parts.kinds)
    balances = sorted(key for key, rule in rules.items() if isinstance(rule.condition, Balance))
    objections = list(_objections(body, balances))
    if objections:
        raise RegistrationError(objections)
    members = [ZoneMember(member.device, member.role.value) for member in body.members]
    await put_zone(parts.pool, name, rule=body.rule, note=body.note, members=members, now=parts.clock.now())
    return await _detail(parts, name)


@router.delete("/{name}", status_code=204, responses=documented(401, 403, 404, 422))
async def drop_zone(name: ZoneName, parts: PartsOf, _: Registrar) -> None:
    """Forget a zone and its balances; an alert that fires for it clears first."""
    if not await remove_zone(parts.pool, name, parts.clock.now()):
        raise NotFoundError(f"There is no zone {name}.")


def _objections(body: NewZone, balances: Sequence[str]) -> "list[Objection]":
    found: list[Objection] = []
    if body.rule not in balances:
        found.append(Objection("rule", f"one of {', '.join(balances)}"))
    if len({member.device for member in body.members}) < len(body.members):
        found.append(Objection("members", "each device once"))
    if all(member.role is not Role.IN for member in body.members):
        found.append(Objection("members", "at least one inlet (role in)"))
    return found


async def _detail(parts: Parts, name: str) -> ZoneDetail:
    row = await find_zone(parts.pool, name)
    if row is None:
        raise NotFoundError(f"There is no zone {name}.")
    return ZoneDetail.whole(row, await zone_members(parts.pool, name), await zone_windows(parts.pool, name, _WINDOWS))
