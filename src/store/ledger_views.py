"""The ledger, as auditors read it: minutes of all workers together, and their sums."""

from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool
from store.listing import Conditions


class Counts(NamedTuple):
    """The two accounts; the order of the fields is that of ``_SUMS``."""

    accepted: int
    quarantined: int
    ignored: int
    redelivered: int
    contained: int
    stored: int
    duplicate: int
    conflicting: int
    rejected: int
    unknown_values: int

    @property
    def first(self) -> int:
        """First deliveries: each message once."""
        return self.accepted + self.quarantined + self.ignored

    @property
    def delivered(self) -> int:
        """Deliveries, those of the same message again included."""
        return self.first + self.redelivered

    @property
    def balanced(self) -> bool:
        """Whether every reading inside an accepted message has its outcome."""
        return self.contained == self.stored + self.duplicate + self.conflicting + self.rejected


class MinuteRow(NamedTuple):
    """One minute of one source."""

    minute: datetime
    source: str
    counts: Counts


class MinutePlace(NamedTuple):
    """Where a page ended."""

    minute: datetime
    source: str


_SUMS: Final = ", ".join(f"coalesce(sum({field}), 0)::bigint AS {field}" for field in Counts._fields)

_MINUTES: Final = f"""
SELECT minute, source, {_SUMS} FROM ledger_minute
 WHERE {{where}} GROUP BY minute, source ORDER BY minute DESC, source DESC LIMIT {{limit}}
"""


async def list_minutes(
    pool: Pool, *, since: datetime, until: datetime, source: str | None, after: MinutePlace | None, limit: int
) -> list[MinuteRow]:
    """Minutes in [since, until), newest first."""
    where = _within(since, until, source)
    if after is not None:
        where.add("(minute, source) < ({}::timestamptz, {}::text)", after.minute, after.source)
    statement = _MINUTES.format(where=where.text, limit=where.parameter(limit))
    return [
        MinuteRow(minute, of_source, Counts._make(counts))
        for minute, of_source, *counts in await pool.fetch(statement, *where.values)
    ]


_TOTAL: Final = f"SELECT {_SUMS} FROM ledger_minute WHERE {{where}}"


async def sum_minutes(pool: Pool, *, since: datetime, until: datetime, source: str | None) -> Counts:
    """The whole of [since, until) in one line."""
    where = _within(since, until, source)
    record = await pool.fetchrow(_TOTAL.format(where=where.text), *where.values)
    assert record is not None  # an aggregate without GROUP BY always gives a row
    return Counts._make(record)


def _within(since: datetime, until: datetime, source: str | None) -> Conditions:
    where = Conditions()
    where.add("minute >= {}", since)
    where.add("minute < {}", until)
    where.add_given("source = {}", source)
    return where
