"""Backtests asked for over HTTP: asked, claimed by whoever works them off, followed and finished."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from domain.backtest import BacktestState
from domain.errors import ConflictError
from store.connection import Pool

MOST_OPEN: Final = 20
"""Backtests that wait or run; one more is refused."""

_KEPT: Final = timedelta(days=30)
"""How long what was found stays."""

_ABANDONED: Final = timedelta(seconds=60)
"""Whoever works at one says so every second."""


class BacktestRow(NamedTuple):
    """One backtest; the order of the fields is that of ``_COLUMNS``."""

    id: int
    asked_by: str
    asked_at: datetime
    body: Mapping[str, Any]
    state: BacktestState
    share: float
    readings: int
    started_at: datetime | None
    finished_at: datetime | None
    result: Mapping[str, Any] | None
    error: str | None


_COLUMNS: Final = "id, asked_by, asked_at, body, state, share, readings, started_at, finished_at, result, error"

_ASK: Final = f"""
INSERT INTO backtest (asked_by, asked_at, body)
SELECT $1, $2, $3 WHERE (SELECT count(*) FROM backtest WHERE state IN ('queued', 'running')) < $4
RETURNING {_COLUMNS}
"""

_WAITS: Final = """
SELECT EXISTS (SELECT FROM backtest WHERE state = 'queued' OR (state = 'running' AND beat_at < $1))
"""

_CLAIM: Final = f"""
UPDATE backtest SET state = 'running', started_at = $1, beat_at = $1, share = 0, readings = 0
WHERE id = (
    SELECT id FROM backtest WHERE state = 'queued' OR (state = 'running' AND beat_at < $2)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING {_COLUMNS}
"""

_BEAT: Final = """
UPDATE backtest SET beat_at = $2, share = $3, readings = $4 WHERE id = $1 AND state = 'running'
"""

_FINISH: Final = """
UPDATE backtest
SET state = $2, finished_at = $3, beat_at = $3, result = $4, error = $5,
    share = CASE WHEN $2 = 'done' THEN 1 ELSE share END
WHERE id = $1 AND state = 'running'
"""


async def ask_backtest(pool: Pool, body: Mapping[str, Any], *, by: str, now: datetime) -> BacktestRow:
    """Put one into the queue. Those that ended long ago are forgotten.

    Raises:
        ConflictError: too many wait already.
    """
    await pool.execute("DELETE FROM backtest WHERE finished_at < $1", now - _KEPT)
    row = await pool.fetchrow(_ASK, by, now, orjson.dumps(body), MOST_OPEN)
    if row is None:
        raise ConflictError(f"{MOST_OPEN} backtests wait or run already; ask again when one is done.")
    return _read(row)


async def find_backtest(pool: Pool, number: int) -> BacktestRow | None:
    """One as it stands."""
    row = await pool.fetchrow(f"SELECT {_COLUMNS} FROM backtest WHERE id = $1", number)
    return None if row is None else _read(row)


async def backtest_waits(pool: Pool, now: datetime) -> bool:
    """Whether one waits for somebody to begin, or was abandoned."""
    return bool(await pool.fetchval(_WAITS, now - _ABANDONED))


async def claim_backtest(pool: Pool, now: datetime) -> BacktestRow | None:
    """Take the oldest that waits or was abandoned."""
    row = await pool.fetchrow(_CLAIM, now, now - _ABANDONED)
    return None if row is None else _read(row)


async def beat(pool: Pool, number: int, now: datetime, share: float, readings: int) -> None:
    """Say that somebody is at it, and how far."""
    await pool.execute(_BEAT, number, now, share, readings)


async def finish_backtest(
    pool: Pool, number: int, now: datetime, *, result: Mapping[str, Any] | None = None, error: str | None = None
) -> None:
    """Write down what was found, or why nothing could be."""
    state = BacktestState.DONE if error is None else BacktestState.FAILED
    await pool.execute(_FINISH, number, state.value, now, None if result is None else orjson.dumps(result), error)


def _read(record: asyncpg.Record) -> BacktestRow:
    row = BacktestRow._make(record)
    result = None if record[9] is None else orjson.loads(record[9])
    return row._replace(body=orjson.loads(record[3]), state=BacktestState(record[4]), result=result)
