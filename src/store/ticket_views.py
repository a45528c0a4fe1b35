"""Tickets as people read them: the list, and one ticket with its moves and subjects."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions


class TicketRow(NamedTuple):
    """One ticket; the order of the fields is that of ``_COLUMNS``."""

    id: int
    number: str
    sort: str
    case_class: str
    asset: str
    district: str
    title: str
    title_zh: str
    severity: int
    state: str
    firing: int
    alerts: int
    opened_at: datetime
    touched_at: datetime
    resolved_at: datetime | None
    review: bool
    simulated: bool


class TicketFilter(NamedTuple):
    """Which tickets a list shows; ``None`` does not care."""

    state: str | None = None
    severity: tuple[int, ...] = ()
    sort: str | None = None
    case_class: str | None = None
    district: str | None = None
    asset: str | None = None
    review: bool | None = None
    simulated: bool | None = None
    changed_from: int | None = None
    """Transaction of the change or a later one."""


class TicketPlace(NamedTuple):
    """Where a page ended: the sort key of its last row."""

    state: str
    severity: int
    id: int


_COLUMNS: Final = """
       t.id, t.number, t.sort, t.case_class, s.name, t.district, t.title, t.title_zh, t.severity, t.state,
       t.firing, t.alerts, t.opened_at, t.touched_at, t.resolved_at, t.review,
       t.simulated
"""

_LIST: Final = f"""
SELECT {_COLUMNS}
  FROM (SELECT * FROM ticket t WHERE {{where}} ORDER BY t.state, t.severity, (-t.id) LIMIT {{limit}}) t
  JOIN asset s ON s.id = t.asset_id
 ORDER BY t.state, t.severity, (-t.id)
"""
# "open" comes before "resolved" in the alphabet too; -id and the inner cut as in alert_views.


async def list_tickets(pool: Pool, wanted: TicketFilter, *, after: TicketPlace | None, limit: int) -> list[TicketRow]:
    """Tickets: open ones first, then most severe, then newest."""
    where = Conditions()
    where.add_given("t.state = {}", wanted.state)
    if wanted.severity:
        where.add("t.severity = ANY({}::smallint[])", list(wanted.severity))
    where.add_given("t.sort = {}", wanted.sort)
    where.add_given("t.case_class = {}", wanted.case_class)
    where.add_given("t.district = {}", wanted.district)
    where.add_given("t.asset_id = (SELECT id FROM asset WHERE name = {})", wanted.asset)
    where.add_given("t.review = {}", wanted.review)
    where.add_given("t.simulated = {}", wanted.simulated)
    if wanted.changed_from is not None:
        where.add("t.changed >= {}::text::xid8", str(wanted.changed_from))
    if after is not None:
        where.add(
            "(t.state, t.severity, (-t.id)) > ({}::text, {}::smallint, {}::bigint)",
            after.state,
            after.severity,
            -after.id,
        )
    statement = _LIST.format(where=where.text, limit=where.parameter(limit))
    return [TicketRow._make(record) for record in await pool.fetch(statement, *where.values)]


_ONE: Final = f"SELECT {_COLUMNS} FROM ticket t JOIN asset s ON s.id = t.asset_id WHERE t.number = $1"


async def find_ticket(pool: Pool, number: str) -> TicketRow | None:
    """One ticket by its number."""
    record = await pool.fetchrow(_ONE, number)
    return None if record is None else TicketRow._make(record)


class MoveRow(NamedTuple):
    """One thing that was done to a ticket."""

    at: datetime
    move: str
    by: str
    detail: bytes


_MOVES: Final = "SELECT at, move, by, detail FROM ticket_move WHERE ticket_id = $1 ORDER BY id"


async def list_moves(pool: Pool, ticket_id: int) -> list[MoveRow]:
    """What was done to a ticket, in order."""
    return [MoveRow._make(record) for record in await pool.fetch(_MOVES, ticket_id)]


class SubjectRow(NamedTuple):
    """One asset and case class that a ticket is about."""

    asset: str
    case_class: str
    open: bool


_SUBJECTS: Final = """
SELECT s.name, j.case_class, j.open
  FROM ticket_subject j JOIN asset s ON s.id = j.asset_id
 WHERE j.ticket_id = $1
 ORDER BY s.name, j.case_class
"""


async def list_subjects(pool: Pool, ticket_id: int) -> list[SubjectRow]:
    """What a ticket is about."""
    return [SubjectRow._make(record) for record in await pool.fetch(_SUBJECTS, ticket_id)]
