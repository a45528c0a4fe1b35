"""Check-in (到场签到): a crew at work on an asset keeps quiet what it sets off there, and nothing else."""

from datetime import timedelta
from typing import Final

from fastapi import APIRouter

from api.fields import Name
from api.models.silences import CheckIn, CheckOut, Silence
from api.parts import PartsOf
from api.problems import documented
from api.registration import Objection, RegistrationError
from api.security import CrewDesk
from domain.errors import NotFoundError
from domain.silence import LONGEST_CHECK_IN, SilenceScope, SilenceSort
from store.registry_views import find_asset
from store.silence_views import NewSilence, check_in, check_out, find_silence

router: Final = APIRouter(prefix="/v1/assets", tags=["silences"])


@router.post("/{name}/check-in", status_code=201, responses=documented(401, 403, 404, 422))
async def check_crew_in(name: Name, parts: PartsOf, caller: CrewDesk, body: CheckIn) -> Silence:
    """Let a crew be at work on an asset until a time. It is maintenance of this asset alone.

    Alerts of rules that a crew sets off (`hushed_at_work`: a cover opened, a meter moved) ask for no ticket meanwhile.
    Gas, water and leakage are heard as ever: the crew wants to know. The same crew once more: until the new time.
    """
    now = parts.clock.now()
    if await find_asset(parts.pool, name) is None:
        raise NotFoundError(f"There is no asset {name}.")
    until = body.until or now + timedelta(minutes=body.minutes or 0)
    if not now < until <= now + LONGEST_CHECK_IN:
        hours = LONGEST_CHECK_IN.total_seconds() / 3600
        raise RegistrationError([Objection("until", f"later than now, by at most {hours:g} hours")])
    scope = SilenceScope(asset=name)
    wanted = NewSilence(SilenceSort.MAINTENANCE, scope, now, until, caller.name, body.work, crew=body.by)
    row = await find_silence(parts.pool, await check_in(parts.pool, wanted, now))
    assert row is not None  # nothing removes one
    return Silence.of(row, now)


@router.post("/{name}/check-out", responses=documented(401, 403, 404, 422))
async def check_crew_out(name: Name, parts: PartsOf, caller: CrewDesk, body: CheckOut | None = None) -> list[Silence]:
    """Let a crew be gone, or all that are there. What it left open has its ticket within a second."""
    now = parts.clock.now()
    if await find_asset(parts.pool, name) is None:
        raise NotFoundError(f"There is no asset {name}.")
    crew = None if body is None else body.by
    ended = await check_out(parts.pool, name, crew, by=caller.name, now=now)
    if not ended:
        raise NotFoundError(f"{crew or 'Nobody'} is {'not ' if crew else ''}checked in at {name}.")
    rows = [await find_silence(parts.pool, number) for number in ended]
    return [Silence.of(row, now) for row in rows if row is not None]
