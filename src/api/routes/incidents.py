"""Incidents: what the alerts of several devices have in common, one ticket for all of them."""

from typing import Final

from fastapi import APIRouter

from api.fields import Id, Word
from api.models.incidents import Incident, IncidentDetail, IncidentState
from api.pages import MOST, Cursor, Limit, Page, cut, read_cursor
from api.parts import PartsOf
from api.problems import documented
from api.security import Reader
from domain.errors import NotFoundError
from store.incident_views import IncidentFilter, IncidentPlace, find_incident, list_incidents, list_members

router: Final = APIRouter(prefix="/v1/incidents", tags=["incidents"])


@router.get("", responses=documented(401, 422))
async def incidents(
    parts: PartsOf,
    _: Reader,
    state: IncidentState | None = None,
    rule: Word | None = None,
    group: Word | None = None,
    simulated: bool | None = None,  # noqa: FBT001  # a query parameter
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Incident]:
    """List incidents: open ones first, then the newest. `group` is a circuit, site or grid."""
    wanted = IncidentFilter(None if state is None else state.value, rule, group, simulated)
    rows = await list_incidents(parts.pool, wanted, after=read_cursor(cursor, IncidentPlace, str, int), limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.state, row.id))
    return Page(items=[Incident.of(row) for row in shown], next=following)


@router.get("/{number}", responses=documented(401, 404, 422))
async def incident(number: Id, parts: PartsOf, _: Reader) -> IncidentDetail:
    """Show one incident with its alerts, and what became of their own tickets."""
    row = await find_incident(parts.pool, number)
    if row is None:
        raise NotFoundError(f"There is no incident {number}.")
    return IncidentDetail.whole(row, await list_members(parts.pool, number, MOST))
