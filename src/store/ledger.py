"""The ledger's accounts, the commit token and how far each source was heard: what a batch writes about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from domain.coverage import Coverage
from store.connection import Executor


@dataclass(slots=True)
class Tally:
    """The two accounts of one source and minute."""

    accepted: int = 0
    quarantined: int = 0
    ignored: int = 0
    redelivered: int = 0
    contained: int = 0
    stored: int = 0
    duplicate: int = 0
    conflicting: int = 0
    rejected: int = 0
    unknown_values: int = 0


Tallies = dict[tuple[datetime, str], Tally]
"""(minute, source) → accounts."""

_ADD: Final = """
INSERT INTO ledger_minute AS l (minute, source, worker, accepted, quarantined, ignored, redelivered, contained, stored,
                                duplicate, conflicting, rejected, unknown_values)
SELECT n.minute, n.source, $3, n.c1, n.c2, n.c3, n.c4, n.c5, n.c6, n.c7, n.c8, n.c9, n.c10
FROM unnest($1::timestamptz[], $2::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
    AS n(minute, source, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10)
ON CONFLICT (minute, source, worker) DO UPDATE SET
    accepted = l.accepted + excluded.accepted, quarantined = l.quarantined + excluded.quarantined,
    ignored = l.ignored + excluded.ignored, redelivered = l.redelivered + excluded.redelivered,
    contained = l.contained + excluded.contained, stored = l.stored + excluded.stored,
    duplicate = l.duplicate + excluded.duplicate, conflicting = l.conflicting + excluded.conflicting,
    rejected = l.rejected + excluded.rejected, unknown_values = l.unknown_values + excluded.unknown_values
"""

_MARK: Final = """
INSERT INTO worker_commit (worker, token, at) VALUES ($1, $2, $3)
ON CONFLICT (worker) DO UPDATE SET token = excluded.token, at = excluded.at
"""

_COVERAGE: Final = """
INSERT INTO coverage (source, worker, since, until)
SELECT n.source, $2, n.since, n.until
FROM unnest($1::text[], $3::timestamptz[], $4::timestamptz[]) AS n(source, since, until)
ON CONFLICT (source, worker) DO UPDATE SET since = excluded.since, until = excluded.until
"""

_OUTAGE: Final = "INSERT INTO outage (source, worker, cause, began, ended) VALUES ($1, $2, $3, $4, $5)"


async def add_tallies(connection: Executor, worker: str, tallies: Mapping[tuple[datetime, str], Tally]) -> None:
    """Add to the accounts of (minute, source); each worker has rows of its own, so none waits for another."""
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
        [row.unknown_values for row in rows],
    )


async def write_token(connection: Executor, worker: str, token: int, at: datetime) -> None:
    """Mark the transaction as this worker's batch ``token``."""
    await connection.execute(_MARK, worker, token, at)


async def last_token(connection: Executor, worker: str) -> int | None:
    """Token of the worker's last committed batch: whether a COMMIT without an answer happened."""
    row = await connection.fetchrow("SELECT token FROM worker_commit WHERE worker = $1", worker)
    return None if row is None else int(row[0])


async def token_under_lock(connection: Executor, worker: str) -> int | None:
    """The same, but waits for a transaction of the worker's that is still committing."""
    row = await connection.fetchrow("SELECT token FROM worker_commit WHERE worker = $1 FOR UPDATE", worker)
    return None if row is None else int(row[0])


async def save_coverage(connection: Executor, worker: str, stretches: Mapping[str, Coverage]) -> None:
    """Write the present stretch of each source."""
    sources = sorted(stretches)
    since, until = [stretches[name].since for name in sources], [stretches[name].until for name in sources]
    await connection.execute(_COVERAGE, sources, worker, since, until)


async def load_coverage(connection: Executor, worker: str) -> dict[str, Coverage]:
    """The stretches as this worker last wrote them."""
    rows = await connection.fetch("SELECT source, since, until FROM coverage WHERE worker = $1", worker)
    return {row[0]: Coverage(row[1], row[2]) for row in rows}


async def record_outages(
    connection: Executor, worker: str, cause: str, outages: Sequence[tuple[str, datetime, datetime]]
) -> None:
    """Record (source, began, ended): a time in which nothing could reach us."""
    await connection.executemany(_OUTAGE, [(source, worker, cause, began, ended) for source, began, ended in outages])
