"""What was set aside, as people look at it."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions


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


class SetAside(NamedTuple):
    """One message that was set aside, whole."""

    row: QuarantineRow
    payload: bytes
    """The first 64 KiB."""
    properties: bytes | None


_COLUMNS: Final = "id, reason, source, topic, size, detail, first_seen, last_seen, count"
_LIST: Final = f"SELECT {_COLUMNS} FROM quarantine WHERE {{where}} ORDER BY id DESC LIMIT {{limit}}"


async def list_quarantine(
    pool: Pool, *, reason: str | None, source: str | None, after: int | None, limit: int
) -> list[QuarantineRow]:
    """Messages set aside, the last to appear first."""
    where = Conditions()
    where.add_given("reason = {}", reason)
    where.add_given("source = {}", source)
    where.add_given("id < {}", after)
    statement = _LIST.format(where=where.text, limit=where.parameter(limit))
    return [QuarantineRow._make(record) for record in await pool.fetch(statement, *where.values)]


_ONE: Final = f"SELECT {_COLUMNS}, payload, properties FROM quarantine WHERE id = $1"


async def find_quarantine(pool: Pool, quarantine_id: int) -> SetAside | None:
    """One message set aside, with its payload."""
    record = await pool.fetchrow(_ONE, quarantine_id)
    if record is None:
        return None
    *row, payload, properties = record
    return SetAside(QuarantineRow._make(row), payload, properties)
