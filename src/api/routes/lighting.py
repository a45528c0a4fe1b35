"""Lighting schedules: when streetlights are switched, by season, and whose; list, show, set, take away."""

from collections.abc import Iterator
from typing import Final

from fastapi import APIRouter

from api.fields import Name
from api.models.lighting import LightingGroup, LightingSchedule, LightingSchedules, NewSchedule, seasons_of
from api.parts import PartsOf
from api.problems import documented
from api.registration import UNIT_GRID, Objection, RegistrationError
from api.security import Reader, Registrar
from domain.device import DISTRICT_CODE
from rules.lighting import read_schedule
from rules.parameters import WrongParametersError
from store.lighting_schedules import (
    LitGroup,
    ScheduleRow,
    delete_schedule,
    find_schedule,
    load_schedules,
    put_schedule,
)

router: Final = APIRouter(prefix="/v1/lighting-schedules", tags=["catalogue"])


@router.get("", responses=documented(401))
async def lighting_schedules(parts: PartsOf, _: Reader) -> LightingSchedules:
    """List the lighting schedules with the groups they apply to."""
    return LightingSchedules(items=[LightingSchedule.of(row) for row in await load_schedules(parts.pool)])


@router.get("/{name}", responses=documented(401, 404, 422))
async def lighting_schedule(name: Name, parts: PartsOf, _: Reader) -> LightingSchedule:
    """Show a lighting schedule."""
    return LightingSchedule.of(await find_schedule(parts.pool, name))


@router.put("/{name}", responses=documented(401, 403, 422))
async def set_lighting_schedule(name: Name, parts: PartsOf, caller: Registrar, body: NewSchedule) -> LightingSchedule:
    """Set a lighting schedule and whose lamps it applies to: exactly this, in effect at once.

    From then on lamps are judged by it: dark at night, burning by day, dimmed otherwise than it says.
    """
    objections = list(_object_to_groups(body.applies_to))
    try:
        schedule = read_schedule(name, body.seasons)
    except WrongParametersError as error:
        objections += [Objection(".".join(map(str, one.path)), str(one)) for one in error.objections]
        raise RegistrationError(objections) from error
    if objections:
        raise RegistrationError(objections)
    groups = [LitGroup(group.scope, group.name) for group in body.applies_to]
    row = ScheduleRow(name, seasons_of(schedule), groups, caller.name, body.reason, parts.clock.now())
    taken = await put_schedule(parts.pool, row)
    if taken:
        raise RegistrationError(
            [
                Objection(f"applies_to.{groups.index(group)}", f"a group without a schedule; its own is {other}")
                for group, other in taken
            ]
        )
    return LightingSchedule.of(await find_schedule(parts.pool, name))


@router.delete("/{name}", status_code=204, responses=documented(401, 403, 404, 422))
async def take_away(name: Name, parts: PartsOf, _: Registrar) -> None:
    """Take a lighting schedule away: of its lamps nothing is expected any more."""
    await delete_schedule(parts.pool, name)


def _object_to_groups(groups: list[LightingGroup]) -> Iterator[Objection]:
    seen: set[tuple[str, str]] = set()
    for number, group in enumerate(groups):
        if (group.scope, group.name) in seen:
            yield Objection(f"applies_to.{number}", "each group once")
        seen.add((group.scope, group.name))
        if group.scope == "district" and not DISTRICT_CODE.fullmatch(group.name):
            yield Objection(f"applies_to.{number}.name", "six digits (行政区划代码)")
        if group.scope == "grid" and not UNIT_GRID.fullmatch(group.name):
            yield Objection(f"applies_to.{number}.name", "15 digits (单元网格标识码)")
