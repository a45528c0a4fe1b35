"""What devices sent, as people read it back: readings and events, newest first."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions


class Span(NamedTuple):
    """A stretch of event time: from, inclusive, to, exclusive; ``None`` is open."""

    since: datetime | None = None
    until: datetime | None = None


class StreamPlace(NamedTuple):
    """Where a page ended in one device's stream."""

    at: datetime
    digest: int


class ReadingRow(NamedTuple):
    """One stored reading."""

    at: datetime
    digest: int
    received_at: datetime
    measures: bytes
    flags: bytes | None
    extra: bytes | None
    seq: int | None


class EventRow(NamedTuple):
    """One stored event."""

    at: datetime
    digest: int
    received_at: datetime
    event_class: str
    body: bytes


_READINGS: Final = """
SELECT at, digest, received_at, measures, flags, extra, seq
  FROM reading WHERE {where} ORDER BY at DESC, digest DESC LIMIT {limit}
"""


async def list_readings(
    pool: Pool, device_id: int, span: Span, *, after: StreamPlace | None, limit: int
) -> list[ReadingRow]:
    """Readings of a device, newest first."""
    where = _within(device_id, span, after)
    statement = _READINGS.format(where=where.text, limit=where.parameter(limit))
    return [ReadingRow._make(record) for record in await pool.fetch(statement, *where.values)]


_EVENTS: Final = """
SELECT at, digest, received_at, class, body
  FROM device_event WHERE {where} ORDER BY at DESC, digest DESC LIMIT {limit}
"""


async def list_events(
    pool: Pool, device_id: int, span: Span, *, after: StreamPlace | None, limit: int
) -> list[EventRow]:
    """Events of a device, newest first."""
    where = _within(device_id, span, after)
    statement = _EVENTS.format(where=where.text, limit=where.parameter(limit))
    return [EventRow._make(record) for record in await pool.fetch(statement, *where.values)]


def _within(device_id: int, span: Span, after: StreamPlace | None) -> Conditions:
    where = Conditions()
    where.add("device_id = {}", device_id)
    where.add_given("at >= {}", span.since)
    where.add_given("at < {}", span.until)
    if after is not None:
        # The bound on `at` alone lets PostgreSQL leave out the partitions after it.
        where.add("at <= {}", after.at)
        where.add("(at, digest) < ({}::timestamptz, {}::bigint)", after.at, after.digest)
    return where
