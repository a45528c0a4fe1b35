"""What a device sent: its readings and events, newest first."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter

from api.fields import From, Name, To
from api.models.stream import Event, Reading
from api.pages import Cursor, Limit, Page, cut, read_cursor
from api.parts import Parts, PartsOf
from api.problems import documented
from api.security import Reader
from domain.errors import NotFoundError
from store.reading_views import Span, StreamPlace, list_events, list_readings
from store.registry_views import device_id

router: Final = APIRouter(prefix="/v1/devices/{name}", tags=["readings"])


@router.get("/readings", responses=documented(401, 404, 422))
async def readings(
    name: Name,
    parts: PartsOf,
    _: Reader,
    since: From = None,
    until: To = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Reading]:
    """List a device's readings by event time, newest first."""
    of_device = await _id_of(parts, name)
    after = read_cursor(cursor, StreamPlace, datetime, int)
    rows = await list_readings(parts.pool, of_device, Span(since, until), after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.at, row.digest))
    return Page(items=[Reading.of(row) for row in shown], next=following)


@router.get("/events", responses=documented(401, 404, 422))
async def events(
    name: Name,
    parts: PartsOf,
    _: Reader,
    since: From = None,
    until: To = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[Event]:
    """List what a device told that is not a measurement, newest first."""
    of_device = await _id_of(parts, name)
    after = read_cursor(cursor, StreamPlace, datetime, int)
    rows = await list_events(parts.pool, of_device, Span(since, until), after=after, limit=limit + 1)
    shown, following = cut(rows, limit, lambda row: (row.at, row.digest))
    return Page(items=[Event.of(row) for row in shown], next=following)


async def _id_of(parts: Parts, name: str) -> int:
    found = await device_id(parts.pool, name)
    if found is None:
        raise NotFoundError(f"There is no device {name}.")
    return found
