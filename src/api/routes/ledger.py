"""The ledger per device and day, and whether the books balance, for engineers and auditors."""

from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.fields import Word
from api.ledger_report import check_ledger
from api.models.ledger import LedgerCheck, LedgerChecked, LedgerDeviceDay
from api.pages import Cursor, CursorError, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.security import Diagnostician
from domain.errors import InvalidInputError, NotFoundError
from store.device_ledger_views import DevicePlace, list_device_days
from store.ledger_check import Scope
from store.registry_views import device_id

router: Final = APIRouter(prefix="/v1/ledger", tags=["diagnosis"])

_LAST: Final = timedelta(days=7)
_LONGEST: Final = timedelta(days=31)


@router.get("/devices", responses=documented(401, 403, 404, 422))
async def devices(
    parts: PartsOf,
    _: Diagnostician,
    day: Annotated[date | None, Query(description="A day of the district; today if no device is named.")] = None,
    device: Word | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[LedgerDeviceDay]:
    """List both accounts per device and day, newest day first: of a day, of a device, or of a device on a day."""
    wanted = None
    if device is not None:
        wanted = await device_id(parts.pool, device)
        if wanted is None:
            raise NotFoundError(f"There is no device {device}.")
    elif day is None:
        day = _today(parts)
    after = read_cursor(cursor, DevicePlace, str, int)
    if after is not None and not _is_day(after.day):
        raise CursorError("The cursor is not one that this list gave; start again without it.")
    rows = await list_device_days(
        parts.pool, parts.settings.zone, day=day, device_id=wanted, after=after, limit=limit + 1
    )
    shown, following = cut(rows, limit, lambda row: (row.day.isoformat(), row.device_id))
    return Page(items=[LedgerDeviceDay.of(row) for row in shown], next=following)


@router.get("/check", responses=documented(401, 403, 422))
async def check(
    parts: PartsOf,
    _: Diagnostician,
    since: Annotated[date | None, Query(alias="from", description="First day of the district.")] = None,
    until: Annotated[date | None, Query(alias="to", description="Last day, inclusive.")] = None,
) -> LedgerCheck:
    """Check every identity of the ledger over at most 31 days (the last seven if not told).

    `streetwarden ledger check --deep` compares with the rows of readings, too.
    """
    last = until or _today(parts)
    first = since or max(last, date.min + _LAST) - _LAST
    if first > last or last - first > _LONGEST:
        raise InvalidInputError(f"from: a day before `to`, at most {_LONGEST.days} days.")
    checks = await check_ledger(parts.pool, Scope(parts.settings.zone, first, last), deep=False)
    return LedgerCheck(
        since=first,
        until=last,
        balanced=not any(each.deviating for each in checks),
        checks=[LedgerChecked.of(each) for each in checks],
    )


def _today(parts: Parts) -> date:
    return parts.clock.now().astimezone(parts.settings.zone).date()


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
