"""The benchmark's own connection: asked in between, in plain calls, from a program that is no event loop."""

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

from store import bench_views
from store.bench_views import Batch, Outcomes
from store.connection import Pool
from store.pool import open_pool

T = TypeVar("T")

_SHOWN: Final = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "track_commit_timestamp",
)


class Database:
    """Questions to the benchmark's database."""

    def __init__(self, runner: asyncio.Runner, pool: Pool) -> None:
        """Take both; ``connected`` opens and closes them."""
        self._runner = runner
        self._pool = pool

    def outcomes(self) -> Outcomes:
        """What has been settled so far."""
        return self._ask(bench_views.outcomes(self._pool))

    def heard_until(self, worker: str) -> datetime | None:
        """The worker's last heartbeat that came back."""
        return self._ask(bench_views.heard_until(self._pool, worker))

    def batches(self, since: datetime, until: datetime) -> list[Batch]:
        """Transactions that stored readings of that time."""
        return self._ask(bench_views.batches(self._pool, since, until))

    def commit_latency_ms(self, since: datetime, until: datetime, shares: Sequence[float]) -> list[float]:
        """Quantiles of publish-to-commit."""
        return self._ask(bench_views.commit_latency_ms(self._pool, since, until, shares))

    def settings(self) -> dict[str, str]:
        """Those that decide how fast and how safe it is."""
        return self._ask(bench_views.server_settings(self._pool, _SHOWN))

    def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(question)


@contextmanager
def connected(url: str) -> Generator[Database]:
    """A database that can be asked inside the block."""
    with asyncio.Runner() as runner:
        # Reading the figures of a long run takes a while.
        opening = open_pool(url, application_name="streetwarden bench", max_size=1, statement_timeout_s=300)
        pool = runner.run(opening)
        try:
            yield Database(runner, pool)
        finally:
            pool.terminate()
