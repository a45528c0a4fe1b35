"""Quarantine and ledger: what became of every message, for engineers and auditors."""

from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter

from api.fields import From, Id, To, Word
from api.models.stream import Accounts, LedgerMinute, LedgerPage, Quarantined, QuarantinedDetail
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import PartsOf
from api.problems import documented
from api.security import Diagnostician
from domain.errors import InvalidInputError, NotFoundError
from domain.ledger import Reason
from domain.quarantine import HoldState
from store.ledger_views import MinutePlace, list_minutes, sum_minutes
from store.quarantine_views import find_quarantine, list_quarantine

router: Final = APIRouter(prefix="/v1", tags=["diagnosis"])

_LAST: Final = timedelta(hours=1)


@router.get("/quarantine", responses=documented(401, 403, 422))
async def quarantine(
    parts: PartsOf,
    _: Diagnostician,
    reason: Reason | None = None,
    source: Word | None = None,
    state: HoldState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Quarantined]:
    """List messages that were set aside, those that first came last first."""
    after = read_cursor(cursor, int, int)
    rows = await list_quarantine(parts.pool, reason=reason, source=source, state=state, after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.id,))
    return Page(items=[Quarantined.of(row) for row in shown], next=following)


@router.get("/quarantine/{number}", responses=documented(401, 403, 404, 422))
async def quarantined(number: Id, parts: PartsOf, _: Diagnostician) -> QuarantinedDetail:
    """Show one message that was set aside, with its bytes."""
    found = await find_quarantine(parts.pool, number)
    if found is None:
        raise NotFoundError(f"There is no message {number} in quarantine.")
    return QuarantinedDetail.whole(found)


@router.get("/ledger", responses=documented(401, 403, 422))
async def ledger(
    parts: PartsOf,
    _: Diagnostician,
    since: From = None,
    until: To = None,
    source: Word | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> LedgerPage:
    """List the minutes of the ledger, newest first, with the sums of the whole stretch (the last hour if not told).

    `redelivered` is counted beside `first`; a balance that does not hold is a fault of ours, never of a publisher.
    """
    last = until or parts.clock.now() + timedelta(minutes=1)
    first = since or last - _LAST
    if first > last:
        raise InvalidInputError("from: a time before `to`.")
    after = read_cursor(cursor, MinutePlace, datetime, str)
    rows = await list_minutes(parts.pool, since=first, until=last, source=source, after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.minute, row.source))
    total = await sum_minutes(parts.pool, since=first, until=last, source=source)
    return LedgerPage(
        items=[LedgerMinute.at(row) for row in shown],
        next=following,
        since=first,
        until=last,
        total=Accounts.of(total),
        balanced=total.balanced,
    )
