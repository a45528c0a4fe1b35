"""Alerts: the list that operators poll, one alert with its life, and acknowledging it."""

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from api.changes import ChangedSince, IfNoneMatch, matches, read_since, tag_of, token_of
from api.fields import MAX_ID, Id, Severities, Word
from api.models.alerts import Acknowledgement, Alert, AlertDetail, AlertPage
from api.pages import Cursor, Limit, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.security import Acknowledger, Reader
from domain.alert import Standing
from domain.errors import NotFoundError
from store.alert_views import (
    AlertFilter,
    AlertPlace,
    AlertRow,
    acknowledge,
    evidence_received,
    find_alert,
    list_alerts,
    list_steps,
    revision_body,
)
from store.listing import read_stamp

router: Final = APIRouter(prefix="/v1/alerts", tags=["alerts"])


class States(StrEnum):
    """Which alerts to show."""

    FIRING = "firing"
    CLEARED = "cleared"
    ALL = "all"


@router.get(
    "",
    responses={
        304: {"description": "Nothing has changed since the answer with that ETag."},
        **documented(401, 409, 422),
    },
    response_model=AlertPage,
)
async def alerts(
    request: Request,
    response: Response,
    parts: PartsOf,
    caller: Reader,
    state: States | None = None,
    severity: Severities = None,
    kind: Word | None = None,
    device: Word | None = None,
    rule: Word | None = None,
    standing: Standing | None = None,
    acknowledged: bool | None = None,  # noqa: FBT001  # a query parameter
    simulated: bool | None = None,  # noqa: FBT001  # a query parameter
    flapping: bool | None = None,  # noqa: FBT001  # a query parameter
    muted: bool | None = None,  # noqa: FBT001  # a query parameter
    incident: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    changed_since: ChangedSince = None,
    if_none_match: IfNoneMatch = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AlertPage | Response:
    """List alerts: unacknowledged first, then most severe, then newest.

    `state` is `firing` unless told otherwise, and `all` with `changed_since`, so that a poller sees alerts clear.
    Muted ones are shown, and say why; `muted=false` leaves them out, `muted=true` shows only them.
    """
    # The stamp is read before the rows: what commits between the two is shown now and will be shown again.
    stamp = await read_stamp(parts.pool, "alert")
    tag = tag_of(stamp, request, caller)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    since = read_since(changed_since, stamp)
    shown_state = state or (States.ALL if changed_since else States.FIRING)
    wanted = AlertFilter(
        state=None if shown_state is States.ALL else shown_state.value,
        severity=tuple(severity or ()),
        kind=kind,
        device=device,
        rule=rule,
        standing=standing,
        acknowledged=acknowledged,
        simulated=simulated,
        flapping=flapping,
        muted=muted,
        incident=incident,
        changed_from=since.transaction,
        decided_since=since.time,
    )
    after = read_cursor(cursor, AlertPlace, bool, int, int)
    rows = await list_alerts(parts.pool, wanted, after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.acknowledged_at is not None, row.severity, row.id))
    response.headers.update(headers)
    return AlertPage(items=[Alert.of(row) for row in shown], next=following, changed=token_of(stamp))


@router.get("/{number}", responses=documented(401, 404, 422))
async def alert(number: Id, parts: PartsOf, _: Reader) -> AlertDetail:
    """Show one alert with its steps and the rule that raised it, in the form it then had."""
    row = await find_alert(parts.pool, number)
    return await _detail(parts, number, row)


@router.post("/{number}/ack", responses=documented(401, 403, 404, 422))
async def ack(number: Id, parts: PartsOf, caller: Acknowledger, body: Acknowledgement | None = None) -> AlertDetail:
    """Take an alert on: who looks after it, and a note.

    The first acknowledgement keeps its time and name. A later one hands the alert over or changes the note, and is
    recorded; the very same again changes nothing, so a request may safely be repeated.
    """
    given = body or Acknowledgement()
    row = await acknowledge(
        parts.pool,
        number,
        by=caller.name,
        owner=given.owner or caller.name,
        note=given.note,
        now=parts.clock.now(),
    )
    return await _detail(parts, number, row)


async def _detail(parts: Parts, number: int, row: AlertRow | None) -> AlertDetail:
    if row is None:
        raise NotFoundError(f"There is no alert {number}.")
    steps = await list_steps(parts.pool, number)
    received_at = await evidence_received(parts.pool, number)
    return AlertDetail.whole(row, steps, await revision_body(parts.pool, number), received_at)
