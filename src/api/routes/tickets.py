"""Tickets: the list, and one ticket with its moves, subjects and alerts."""

from enum import StrEnum
from typing import Final

from fastapi import APIRouter, Request, Response

from api.changes import ChangedSince, IfNoneMatch, matches, read_since, tag_of, token_of
from api.fields import Name, Severities, Word
from api.models.tickets import Ticket, TicketDetail, TicketPage, TicketReview
from api.pages import MOST, Cursor, Limit, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.security import Reader, Reviewer
from domain.errors import ConflictError, InvalidInputError, NotFoundError
from domain.ticket import TicketSort
from store.alert_views import AlertFilter, list_alerts
from store.listing import read_stamp
from store.standings import settle_review
from store.ticket_views import TicketFilter, TicketPlace, find_ticket, list_moves, list_subjects, list_tickets

router: Final = APIRouter(prefix="/v1/tickets", tags=["tickets"])


class States(StrEnum):
    """Which tickets to show."""

    OPEN = "open"
    RESOLVED = "resolved"
    ALL = "all"


@router.get(
    "",
    responses={
        304: {"description": "Nothing has changed since the answer with that ETag."},
        **documented(401, 409, 422),
    },
    response_model=TicketPage,
)
async def tickets(
    request: Request,
    response: Response,
    parts: PartsOf,
    caller: Reader,
    state: States | None = None,
    severity: Severities = None,
    sort: TicketSort | None = None,
    case_class: Word | None = None,
    district: Word | None = None,
    asset: Word | None = None,
    review: bool | None = None,  # noqa: FBT001  # a query parameter
    simulated: bool | None = None,  # noqa: FBT001  # a query parameter
    changed_since: ChangedSince = None,
    if_none_match: IfNoneMatch = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TicketPage | Response:
    """List tickets: open ones first, then most severe, then newest.

    `state` is `open` unless told otherwise, and `all` with `changed_since`, which takes a token here, not a time.
    """
    stamp = await read_stamp(parts.pool, "ticket")
    tag = tag_of(stamp, request, caller)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    since = read_since(changed_since, stamp)
    if since.time is not None:
        raise InvalidInputError("changed_since: the `changed` of an earlier answer; tickets take no time here.")
    shown_state = state or (States.ALL if changed_since else States.OPEN)
    wanted = TicketFilter(
        state=None if shown_state is States.ALL else shown_state.value,
        severity=tuple(severity or ()),
        sort=sort,
        case_class=case_class,
        district=district,
        asset=asset,
        review=review,
        simulated=simulated,
        changed_from=since.transaction,
    )
    after = read_cursor(cursor, TicketPlace, str, int, int)
    rows = await list_tickets(parts.pool, wanted, after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.state, row.severity, row.id))
    response.headers.update(headers)
    return TicketPage(items=[Ticket.of(row) for row in shown], next=following, changed=token_of(stamp))


@router.get("/{number}", responses=documented(401, 404))
async def ticket(number: Name, parts: PartsOf, _: Reader) -> TicketDetail:
    """Show one ticket with its moves, subjects and alerts."""
    return await _detail(parts, number)


@router.post("/{number}/review", responses=documented(401, 403, 404, 409, 422))
async def review_ticket(number: Name, parts: PartsOf, caller: Reviewer, body: TicketReview) -> TicketDetail:
    """Say what a look at a ticket showed whose alerts late readings contradict (复核).

    With nothing firing behind it any more the ticket resolves; else it goes on like any other.
    """
    row = await find_ticket(parts.pool, number)
    if row is None:
        raise NotFoundError(f"There is no ticket {number}.")
    if not await settle_review(parts.pool, row.id, by=caller.name, note=body.note, now=parts.clock.now()):
        raise ConflictError(f"The ticket {number} does not wait for a review.")
    return await _detail(parts, number)


async def _detail(parts: Parts, number: str) -> TicketDetail:
    row = await find_ticket(parts.pool, number)
    if row is None:
        raise NotFoundError(f"There is no ticket {number}.")
    moves = await list_moves(parts.pool, row.id)
    subjects = await list_subjects(parts.pool, row.id)
    alerts = await list_alerts(parts.pool, AlertFilter(ticket=number), after=None, limit=MOST)
    return TicketDetail.whole(row, moves, subjects, alerts)
