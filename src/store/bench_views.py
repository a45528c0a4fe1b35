"""What the benchmark reads afterwards: who committed when, in how large batches, how long after publishing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from store.connection import Pool


class Outcomes(NamedTuple):
    """Deliveries by outcome, over everything in the ledger."""

    accepted: int
    quarantined: int
    ignored: int
    redelivered: int

    @property
    def settled(self) -> int:
        """Messages that have an outcome, each once."""
        return self.accepted + self.quarantined + self.ignored


class Batch(NamedTuple):
    """One transaction that stored readings."""

    messages: int
    committed_at: datetime


class StormOutcome(NamedTuple):
    """What an alert storm left behind."""

    alerts: int
    """That fire."""
    tickets: int
    """That are open, each for a subject of its own."""
    without_ticket: int
    """Alerts that fire and have none."""


_STORM: Final = """
SELECT (SELECT count(*) FROM alert WHERE state = 'firing'),
       (SELECT count(*) FROM ticket AS t WHERE t.state = 'open'
           AND EXISTS (SELECT FROM ticket_subject AS s WHERE s.ticket_id = t.id AND s.open)),
       (SELECT count(*) FROM alert WHERE state = 'firing' AND ticket_id IS NULL)
"""

_OUTCOMES: Final = """
SELECT coalesce(sum(accepted), 0)::bigint, coalesce(sum(quarantined), 0)::bigint, coalesce(sum(ignored), 0)::bigint,
       coalesce(sum(redelivered), 0)::bigint
  FROM ledger_minute
"""

_HEARD: Final = "SELECT min(until) FROM coverage WHERE worker = $1"

_SETTINGS: Final = "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY($1::text[]) ORDER BY name"

_BATCHES: Final = """
WITH batch AS MATERIALIZED (
    SELECT xmin AS transaction, count(*) AS messages FROM reading WHERE at >= $1 AND at < $2 GROUP BY xmin
)
SELECT messages, pg_xact_commit_timestamp(transaction) AS committed_at FROM batch ORDER BY committed_at
"""

_LATENCY: Final = """
WITH batch AS MATERIALIZED (
    SELECT transaction, pg_xact_commit_timestamp(transaction) AS committed_at
      FROM (SELECT DISTINCT xmin AS transaction FROM reading WHERE at >= $1 AND at < $2) AS t
)
SELECT percentile_cont($3::float8[]) WITHIN GROUP (ORDER BY extract(epoch FROM b.committed_at - r.at) * 1000)
  FROM reading AS r JOIN batch AS b ON b.transaction = r.xmin
 WHERE r.at >= $1 AND r.at < $2
"""


async def outcomes(pool: Pool) -> Outcomes:
    """What has been settled so far, heartbeats left out."""
    row = await pool.fetchrow(_OUTCOMES)
    assert row is not None  # an aggregate without GROUP BY always gives a row
    return Outcomes(*row)


async def storm_outcome(pool: Pool) -> StormOutcome:
    """Alerts and tickets that stand."""
    row = await pool.fetchrow(_STORM)
    assert row is not None  # a SELECT without FROM always gives a row
    return StormOutcome(*row)


async def heard_until(pool: Pool, worker: str) -> datetime | None:
    """The oldest of the worker's heartbeats that came back and were committed, over its sources."""
    row = await pool.fetchrow(_HEARD, worker)
    return None if row is None else row[0]


async def server_settings(pool: Pool, names: Sequence[str]) -> dict[str, str]:
    """What the server says of these settings."""
    return {row[0]: row[1] for row in await pool.fetch(_SETTINGS, list(names))}


async def batches(pool: Pool, since: datetime, until: datetime) -> list[Batch]:
    """The transactions that stored readings of that time, as they committed; needs ``track_commit_timestamp``."""
    return [Batch(row[0], row[1]) for row in await pool.fetch(_BATCHES, since, until)]


async def commit_latency_ms(pool: Pool, since: datetime, until: datetime, shares: Sequence[float]) -> list[float]:
    """Quantiles of (commit − reading's own time) in milliseconds; needs ``track_commit_timestamp``."""
    row = await pool.fetchrow(_LATENCY, since, until, list(shares))
    return [] if row is None or row[0] is None else [float(value) for value in row[0]]
