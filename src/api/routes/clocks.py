"""Clocks: which devices' own times are not to be trusted, and how far off they are."""

from typing import Final

from fastapi import APIRouter

from api.models.registry import DeviceClock, DoubtfulClock
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import PartsOf
from api.problems import documented
from api.security import Reader
from domain.clock_health import AHEAD_S, BEHIND_S
from store.clocks import doubtful_clocks

router: Final = APIRouter(prefix="/v1/clocks", tags=["registry"])


@router.get("", responses=documented(401, 422))
async def clocks(parts: PartsOf, _: Reader, cursor: Cursor = None, limit: Limit = 100) -> Page[DoubtfulClock]:
    """List devices, by name, whose clock looked wrong on one of the last fourteen days.

    Local time sent as UTC shows as `shifted_8h`: its readings are refused as `in_future`, or lie eight hours back.
    """
    after = read_cursor(cursor, str, str)
    rows = await doubtful_clocks(
        parts.pool, parts.clock.now(), ahead_s=AHEAD_S, behind_s=BEHIND_S, after=after or "", limit=limit + 1
    )
    shown, following = cut(rows, limit, lambda row: (row.device,))
    items = [DoubtfulClock(device=r.device, kind=r.kind, **DeviceClock.of(r.days).model_dump()) for r in shown]
    return Page(items=items, next=following)
