"""Re-drive: jobs that settle again what lies in quarantine, and the receipts that they take from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson
from asyncpg import Record

from domain.quarantine import RedriveState
from store.connection import Executor, Pool
from store.quarantine import MOST_RECEIPTS
from store.quarantine_views import NOT_WHOLE


class Held(NamedTuple):
    """One first receipt of a message that lies in quarantine."""

    receipt: int
    quarantine_id: int
    received_at: datetime
    source: str
    """Under which the ledger counted it."""
    device_id: int
    contained: int
    rejected: Sequence[tuple[int, int]] | None
    """(entry, device) of the rejected readings; ``None``: the message was set aside whole."""
    reason: str
    topic: str
    payload: bytes
    properties: dict[str, str] | None


class Counts(NamedTuple):
    """What became of receipts; the order of the fields is that of ``_PROGRESS``."""

    taken: int = 0
    accepted: int = 0
    ignored: int = 0
    held_again: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0


class Redrive(NamedTuple):
    """One job; the order of the fields is that of ``_COLUMNS``."""

    id: int
    quarantine_id: int | None
    reason: str | None
    source: str | None
    asked_by: str
    asked_at: datetime
    state: RedriveState
    wanted: int
    """Receipts that lay there when it was asked for, and can be settled again."""
    not_whole: int
    """Receipts of messages of which only the first 64 KiB were kept: they cannot."""
    without_time: int
    """Receipts that were only counted: they cannot, since nobody knows when they came."""
    started_at: datetime | None
    finished_at: datetime | None
    counts: Counts


_COLUMNS: Final = f"""
id, quarantine_id, reason, source, asked_by, asked_at, state, wanted, not_whole, without_time, started_at, finished_at,
{", ".join(Counts._fields)}
"""

_MATCHES: Final = """
q.state = 'held' AND ($1::bigint IS NULL OR q.id = $1) AND ($2::text IS NULL OR q.reason = $2)
AND ($3::text IS NULL OR q.source = $3)
"""

_ASK: Final = f"""
WITH matching AS MATERIALIZED (SELECT q.id, q.unkept, {NOT_WHOLE} AS not_whole FROM quarantine AS q WHERE {_MATCHES}),
     receipts AS MATERIALIZED (
        SELECT count(*) FILTER (WHERE NOT m.not_whole) AS wanted, count(*) FILTER (WHERE m.not_whole) AS not_whole,
               coalesce(max(r.id), 0) AS last
          FROM matching AS m JOIN quarantine_receipt AS r ON r.quarantine_id = m.id
     )
INSERT INTO redrive (quarantine_id, reason, source, asked_by, asked_at, wanted, not_whole, without_time, last_receipt)
SELECT $1, $2, $3, $4, $5, receipts.wanted, receipts.not_whole, (SELECT coalesce(sum(unkept), 0) FROM matching),
       receipts.last
  FROM receipts
RETURNING {_COLUMNS}
"""


async def ask_redrive(
    pool: Pool, *, quarantine_id: int | None, reason: str | None, source: str | None, by: str, now: datetime
) -> Redrive:
    """Ask for a re-drive of exactly one of: a message, a reason, a source. An ingest worker will do it."""
    row = await pool.fetchrow(_ASK, quarantine_id, reason, source, by, now)
    assert row is not None  # an INSERT that refuses nothing
    return _read(tuple(row))


async def find_redrive(pool: Pool, redrive_id: int) -> Redrive | None:
    """One job as it stands."""
    row = await pool.fetchrow(f"SELECT {_COLUMNS} FROM redrive WHERE id = $1", redrive_id)
    return None if row is None else _read(tuple(row))


async def work_done(pool: Pool) -> tuple[int, int]:
    """Receipts taken and jobs done by all re-drives so far: as long as it grows, some worker is at it."""
    row = await pool.fetchrow(
        "SELECT coalesce(sum(taken), 0)::bigint, count(*) FILTER (WHERE state = 'done') FROM redrive"
    )
    assert row is not None  # an aggregate without GROUP BY always gives a row
    return int(row[0]), int(row[1])


def _read(row: tuple[object, ...]) -> Redrive:
    counts = len(Counts._fields)
    fields = [*row[:-counts], Counts._make(row[-counts:])]
    made = Redrive._make(fields)
    return made._replace(state=RedriveState(made.state))


class Job(NamedTuple):
    """A job to be worked at, and from where on."""

    id: int
    quarantine_id: int | None
    reason: str | None
    source: str | None
    after: int
    last: int


_OPEN: Final = """
SELECT id, quarantine_id, reason, source, after_receipt, last_receipt FROM redrive
 WHERE state <> 'done' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_CHUNK: Final = f"""
SELECT r.id, r.quarantine_id, r.received_at, r.source, r.device_id, r.contained, r.rejected, q.reason, q.topic,
       q.payload, q.properties
  FROM quarantine_receipt AS r JOIN quarantine AS q ON q.id = r.quarantine_id
 WHERE {_MATCHES} AND r.id > $4 AND r.id <= $5 AND NOT {NOT_WHOLE}
 ORDER BY r.id LIMIT $6
"""


async def open_job(connection: Executor) -> Job | None:
    """The oldest job that is not done and that no other worker is at; locked until the transaction ends."""
    row = await connection.fetchrow(_OPEN)
    return None if row is None else Job._make(row)


async def next_receipts(connection: Executor, job: Job, most: int) -> list[Held]:
    """The job's next receipts, in the order in which they came."""
    rows = await connection.fetch(
        _CHUNK, job.quarantine_id, job.reason, job.source, job.after, job.last, min(most, MOST_RECEIPTS)
    )
    return [_held(row) for row in rows]


def _held(row: Record) -> Held:
    rejected, properties = row[6], row[10]
    return Held(
        receipt=row[0],
        quarantine_id=row[1],
        received_at=row[2],
        source=row[3],
        device_id=row[4],
        contained=row[5],
        rejected=None if rejected is None else [(entry, device) for entry, device in orjson.loads(rejected)],
        reason=row[7],
        topic=row[8],
        payload=bytes(row[9]),
        properties=None if properties is None else orjson.loads(properties),
    )


async def claim_receipts(connection: Executor, job: Job, receipts: Sequence[int]) -> bool:
    """Take the job and these receipts for this transaction; say whether all of them were still there for us."""
    locked = await connection.fetchrow(
        "SELECT id FROM redrive WHERE id = $1 AND state <> 'done' AND after_receipt = $2 FOR UPDATE SKIP LOCKED",
        job.id,
        job.after,
    )
    if locked is None:
        return False
    gone = await connection.fetch("DELETE FROM quarantine_receipt WHERE id = ANY($1::bigint[]) RETURNING id", receipts)
    return len(gone) == len(receipts)


_RELEASE: Final = """
UPDATE quarantine AS q SET held = q.held - n.taken
FROM unnest($1::bigint[], $2::bigint[]) AS n(id, taken) WHERE q.id = n.id
"""

_EMPTIED: Final = """
UPDATE quarantine SET state = 'redriven', redriven_at = $2 WHERE id = ANY($1::bigint[]) AND held = 0
"""


async def release(connection: Executor, taken: Mapping[int, int]) -> None:
    """Say that so many receipts of each row lie there no longer; before what fails again goes back."""
    order = sorted(taken)
    await connection.execute(_RELEASE, order, [taken[key] for key in order])


async def mark_redriven(connection: Executor, rows: Sequence[int], now: datetime) -> None:
    """Mark those of the rows of which nothing lies there any more."""
    await connection.execute(_EMPTIED, sorted(rows), now)


_PROGRESS: Final = f"""
UPDATE redrive SET state = 'running', started_at = coalesce(started_at, $2), after_receipt = $3,
    {", ".join(f"{field} = {field} + ${index}" for index, field in enumerate(Counts._fields, start=4))}
 WHERE id = $1
"""


async def progress(connection: Executor, job: Job, after: int, counts: Counts, now: datetime) -> None:
    """Count what a chunk brought, and from where the next goes on."""
    await connection.execute(_PROGRESS, job.id, now, after, *counts)


async def finish(connection: Executor, job: Job, now: datetime) -> None:
    """Nothing of the job is left to be done."""
    await connection.execute(
        "UPDATE redrive SET state = 'done', started_at = coalesce(started_at, $2), finished_at = $2 "
        "WHERE id = $1 AND state <> 'done'",
        job.id,
        now,
    )
