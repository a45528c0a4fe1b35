"""What was set aside, as people look at it."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions

NOT_WHOLE: Final = "(q.size > 65536)"
"""Of a larger message only the beginning was kept, so nothing can be made of it again."""


class QuarantineRow(NamedTuple):
    """One message that was set aside, without its payload."""

    id: int
    reason: str
    source: str
    topic: str
    size: int
    detail: str
    first_seen: datetime
    last_seen: datetime
    seen: int
    """How often."""
    state: str
    held: int
    """Receipts that lie there now."""
    unkept: int
    """Of those, how many were only counted."""
    not_whole: bool
    redriven_at: datetime | None
    expired_at: datetime | None


class SetAside(NamedTuple):
    """One message that was set aside, whole."""

    row: QuarantineRow
    payload: bytes
    """The first 64 KiB."""
    properties: bytes | None
    receipts: list[datetime]
    """When it came, the last of those that lie there first."""


_COLUMNS: Final = f"""
q.id, q.reason, q.source, q.topic, q.size, q.detail, q.first_seen, q.last_seen, q.count, q.state, q.held, q.unkept,
{NOT_WHOLE}, q.redriven_at, q.expired_at
"""
_LIST: Final = f"SELECT {_COLUMNS} FROM quarantine AS q WHERE {{where}} ORDER BY q.id DESC LIMIT {{limit}}"


async def list_quarantine(
    pool: Pool,
    *,
    reason: str | None = None,
    source: str | None = None,
    state: str | None = None,
    after: int | None = None,
    limit: int,
) -> list[QuarantineRow]:
    """Messages set aside, the last to appear first."""
    where = Conditions()
    where.add_given("q.reason = {}", reason)
    where.add_given("q.source = {}", source)
    where.add_given("q.state = {}", state)
    where.add_given("q.id < {}", after)
    statement = _LIST.format(where=where.text, limit=where.parameter(limit))
    return [QuarantineRow._make(record) for record in await pool.fetch(statement, *where.values)]


_ONE: Final = f"SELECT {_COLUMNS}, q.payload, q.properties FROM quarantine AS q WHERE q.id = $1"

_RECEIPTS: Final = """
SELECT received_at FROM quarantine_receipt WHERE quarantine_id = $1 ORDER BY id DESC LIMIT 100
"""


async def find_quarantine(pool: Pool, quarantine_id: int) -> SetAside | None:
    """One message set aside, with its payload and the last hundred of its receipts."""
    record = await pool.fetchrow(_ONE, quarantine_id)
    if record is None:
        return None
    *row, payload, properties = record
    receipts = [one[0] for one in await pool.fetch(_RECEIPTS, quarantine_id)]
    return SetAside(QuarantineRow._make(row), payload, properties, receipts)
