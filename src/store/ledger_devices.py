"""The ledger per device and day, and the receipts of duplicates: what a batch writes of what is not usual in it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from store.connection import Executor
from store.ledger import Tally

_ADD: Final = """
INSERT INTO ledger_device_day AS l (day, device_id, worker, accepted, quarantined, ignored, redelivered, contained,
                                    stored, duplicate, conflicting, rejected)
SELECT n.day, n.device_id, $3, n.c1, n.c2, n.c3, n.c4, n.c5, n.c6, n.c7, n.c8, n.c9
FROM unnest($1::date[], $2::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
    AS n(day, device_id, c1, c2, c3, c4, c5, c6, c7, c8, c9)
ON CONFLICT (day, device_id, worker) DO UPDATE SET
    accepted = l.accepted + excluded.accepted, quarantined = l.quarantined + excluded.quarantined,
    ignored = l.ignored + excluded.ignored, redelivered = l.redelivered + excluded.redelivered,
    contained = l.contained + excluded.contained, stored = l.stored + excluded.stored,
    duplicate = l.duplicate + excluded.duplicate, conflicting = l.conflicting + excluded.conflicting,
    rejected = l.rejected + excluded.rejected
"""


async def add_device_days(connection: Executor, worker: str, tallies: Mapping[tuple[date, int], Tally]) -> None:
    """Add to the accounts of (day, device); each worker has rows of its own, so none waits for another."""
    keys = sorted(tallies)
    rows = [tallies[key] for key in keys]
    await connection.execute(
        _ADD,
        [key[0] for key in keys],
        [key[1] for key in keys],
        worker,
        [row.accepted for row in rows],
        [row.quarantined for row in rows],
        [row.ignored for row in rows],
        [row.redelivered for row in rows],
        [row.contained for row in rows],
        [row.stored for row in rows],
        [row.duplicate for row in rows],
        [row.conflicting for row in rows],
        [row.rejected for row in rows],
    )


class Double(NamedTuple):
    """A reading came again that is stored already."""

    device_id: int
    at: datetime
    digest: int
    received_at: datetime
    redelivered: bool
    """The broker had marked the message as sent before."""


async def record_doubles(connection: Executor, doubles: Sequence[Double]) -> None:
    """Keep which reading came again, and when."""
    await connection.copy_records_to_table("duplicate_receipt", records=doubles, columns=Double._fields)
