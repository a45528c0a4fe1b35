"""Tickets in: one open ticket for an asset and a case class, however many batches ask for it at once.

Everything here is ordered (subjects, then serials, then tickets by id), so that concurrent batches never wait for
each other in a ring. What keeps the promise is the unique index ``ticket_subject_open``, not this code.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import orjson

from domain.alert import Severity
from domain.errors import UnavailableError
from domain.ticket import Move, Subject
from store.connection import Executor

_ATTEMPTS: Final = 20
"""A subject's ticket may resolve between being found and being joined; then it is looked for anew."""

SYSTEM: Final = "streetwarden"
"""Who moved a ticket, where no person did."""


@dataclass(frozen=True, slots=True)
class TicketWish:
    """One subject for which a ticket is wanted in this batch, however many alerts want it."""

    subject: Subject
    sort: str
    title: str
    title_zh: str
    district: str
    simulated: bool
    severity: Severity
    alerts: int
    """How many alerts of this batch join it."""


@dataclass(slots=True)
class TicketChange:
    """What a batch does to a ticket that exists: alerts that join, rise, clear."""

    joined: int = 0
    released: int = 0
    severity: Severity | None = None
    """The gravest of what joined or rose."""
    amended: bool = False
    """Late readings changed an alert behind it."""


@dataclass(frozen=True, slots=True)
class TicketNews:
    """A ticket after its change."""

    id: int
    number: str
    state: str
    move: Move


_RESERVE: Final = """
INSERT INTO ticket_subject (asset_id, case_class, ticket_id)
SELECT n.asset_id, n.case_class, nextval('ticket_id')
FROM unnest($1::bigint[], $2::text[]) AS n(asset_id, case_class)
ON CONFLICT (asset_id, case_class) WHERE open DO NOTHING
RETURNING asset_id, case_class, ticket_id
"""

_SERIALS: Final = """
INSERT INTO ticket_serial AS s (district, day, serial) SELECT n.district, $2, n.count
FROM unnest($1::text[], $3::integer[]) AS n(district, count)
ON CONFLICT (district, day) DO UPDATE SET serial = s.serial + excluded.serial
RETURNING district, serial
"""

_OPEN: Final = """
INSERT INTO ticket (id, number, sort, case_class, asset_id, district, title, title_zh, severity, state, firing, alerts,
                    opened_at, touched_at, simulated)
SELECT n.id, n.number, n.sort, n.case_class, n.asset_id, n.district, n.title, n.title_zh, n.severity, 'open', n.alerts,
       n.alerts, $12, $12, n.simulated
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[],
            $9::smallint[], $10::integer[], $11::boolean[])
    AS n(id, number, sort, case_class, asset_id, district, title, title_zh, severity, alerts, simulated)
"""

_FIND_OPEN: Final = """
SELECT s.asset_id, s.case_class, s.ticket_id FROM ticket_subject AS s
JOIN unnest($1::bigint[], $2::text[]) AS n(asset_id, case_class)
    ON n.asset_id = s.asset_id AND n.case_class = s.case_class
WHERE s.open
"""

_LOCK: Final = "SELECT id, state FROM ticket WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"

_CHANGE: Final = """
UPDATE ticket AS t
SET firing = c.firing, alerts = c.alerts, review = c.review,
    severity = least(t.severity, n.severity), touched_at = $3, changed = pg_current_xact_id(),
    -- One that waits for a person does not resolve by itself, nor one whose alerts will open again at any moment.
    state = CASE WHEN c.firing = 0 AND NOT c.review AND NOT c.flaps THEN 'resolved' ELSE t.state END,
    resolved_at = CASE WHEN c.firing = 0 AND NOT c.review AND NOT c.flaps THEN $3 ELSE t.resolved_at END
FROM unnest($1::bigint[], $2::smallint[]) AS n(id, severity)
CROSS JOIN LATERAL (
    -- Counted anew, under the ticket's lock: what joined, cleared, or was contradicted needs no sum to be kept right.
    SELECT count(*) AS alerts, count(*) FILTER (WHERE a.state = 'firing') AS firing,
           count(*) > 0 AND bool_and(a.standing = 'contradicted') AS review,
           coalesce(bool_or(a.flapping), false) AS flaps
    FROM alert AS a WHERE a.ticket_id = n.id
) AS c
WHERE t.id = n.id AND t.state = 'open'
RETURNING t.id, t.number, t.state
"""

_CLOSE_SUBJECTS: Final = "UPDATE ticket_subject SET open = false WHERE ticket_id = ANY($1::bigint[]) AND open"

_MOVES: Final = """
INSERT INTO ticket_move (ticket_id, at, move, by, detail)
SELECT n.ticket_id, $5, n.move, $4, n.detail
FROM unnest($1::bigint[], $2::text[], $3::jsonb[]) AS n(ticket_id, move, detail)
"""


async def open_or_join(
    connection: Executor, wishes: Sequence[TicketWish], day: date, now: datetime, beside: Iterable[int] = ()
) -> tuple[dict[Subject, int], list[TicketNews]]:
    """Give each subject its one open ticket: a new one, or the one that stands.

    Tickets that stand are locked until the transaction ends, but not yet changed: :func:`change_tickets` counts the
    alerts that join them. It will also change those ``beside``; locking all at once, in the order of their ids, keeps
    two batches from waiting for each other in a ring. ``day`` is the district's date, for the case number.
    """
    wanted = {wish.subject: wish for wish in wishes}
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(_ResolvedMeanwhileError):
            # An attempt that fails gives back what it had locked: the next asks for the first lock again.
            async with connection.transaction():
                return await _open_or_join(connection, wanted, day, now, beside)
    message = f"no ticket could be opened or joined for {min(wanted)} in {_ATTEMPTS} attempts"
    raise UnavailableError(message)


class _ResolvedMeanwhileError(Exception):
    """A ticket that stood was resolved before we could lock it."""


async def _open_or_join(
    connection: Executor, wanted: Mapping[Subject, TicketWish], day: date, now: datetime, beside: Iterable[int]
) -> tuple[dict[Subject, int], list[TicketNews]]:
    order = sorted(wanted)
    columns = [subject.asset_id for subject in order], [subject.case_class for subject in order]
    rows = await connection.fetch(_RESERVE, *columns)
    tickets = {Subject(row[0], row[1]): int(row[2]) for row in rows}
    news: list[TicketNews] = []
    if tickets:
        news = await _open(connection, {ticket: wanted[subject] for subject, ticket in tickets.items()}, day, now)
    if len(tickets) < len(order):
        rows = await connection.fetch(_FIND_OPEN, *columns)
        tickets = {Subject(row[0], row[1]): int(row[2]) for row in rows}
    locked = await lock_tickets(connection, {*tickets.values(), *beside})
    if len(tickets) < len(order) or not locked.issuperset(tickets.values()):
        raise _ResolvedMeanwhileError
    return tickets, news


async def lock_tickets(connection: Executor, tickets: Iterable[int]) -> set[int]:
    """Lock tickets in whatever state, in the order of their ids; return those that are open."""
    ids = sorted(set(tickets))
    rows = await connection.fetch(_LOCK, ids) if ids else []
    return {int(row[0]) for row in rows if row[1] == "open"}


async def _open(connection: Executor, wishes: Mapping[int, TicketWish], day: date, now: datetime) -> list[TicketNews]:
    numbers = await _numbers(connection, wishes, day)
    ids = sorted(wishes)
    order = [wishes[ticket] for ticket in ids]
    await connection.execute(
        _OPEN,
        ids,
        [numbers[ticket] for ticket in ids],
        [wish.sort for wish in order],
        [wish.subject.case_class for wish in order],
        [wish.subject.asset_id for wish in order],
        [wish.district for wish in order],
        [wish.title for wish in order],
        [wish.title_zh for wish in order],
        [int(wish.severity) for wish in order],
        [wish.alerts for wish in order],
        [wish.simulated for wish in order],
        now,
    )
    return [TicketNews(ticket, numbers[ticket], "open", Move.OPENED) for ticket in ids]


async def _numbers(connection: Executor, wishes: Mapping[int, TicketWish], day: date) -> dict[int, str]:
    """Case numbers (案件编号): district, date, daily serial of five digits; 19 digits in all."""
    by_district: dict[str, list[int]] = {}
    for ticket in sorted(wishes):
        by_district.setdefault(wishes[ticket].district, []).append(ticket)
    districts = sorted(by_district)
    counts = [len(by_district[district]) for district in districts]
    rows = await connection.fetch(_SERIALS, districts, day, counts)
    numbers: dict[int, str] = {}
    for district, last in rows:
        group = by_district[district]
        for place, ticket in enumerate(group, start=last - len(group) + 1):
            numbers[ticket] = f"{district}{day:%Y%m%d}{place:05d}"
    return numbers


async def change_tickets(connection: Executor, changes: Mapping[int, TicketChange], now: datetime) -> list[TicketNews]:
    """Count what joined, rose and cleared; a ticket behind which nothing fires any more resolves and is freed.

    The tickets were locked by :func:`open_or_join` or :func:`lock_tickets`, by a statement before: this one then sees
    what whoever held them did to their alerts.
    """
    ids = sorted(changes)
    rows = await connection.fetch(
        _CHANGE,
        ids,
        [
            int(severity) if (severity := changes[ticket].severity) is not None else int(Severity.NOTICE)
            for ticket in ids
        ],
        now,
    )
    resolved = [row[0] for row in rows if row[2] == "resolved"]
    if resolved:
        await connection.execute(_CLOSE_SUBJECTS, resolved)
    return [TicketNews(row[0], row[1], row[2], _move(changes[row[0]], str(row[2]))) for row in rows]


def _move(change: TicketChange, state: str) -> Move:
    if state == "resolved":
        return Move.RESOLVED
    return Move.TOUCHED if change.joined or change.released or change.amended else Move.ROSE


async def append_moves(
    connection: Executor, moves: Sequence[tuple[int, Move, dict[str, object]]], now: datetime, by: str = SYSTEM
) -> None:
    """Append (ticket, move, detail); rows are never changed."""
    await connection.execute(
        _MOVES,
        [ticket for ticket, _, _ in moves],
        [move.value for _, move, _ in moves],
        [orjson.dumps(detail) for _, _, detail in moves],
        by,
        now,
    )
