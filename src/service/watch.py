"""Watch: looks at all workers of the service, and raises and clears the alerts about ourselves."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from devices.own_kind import OWN_KIND
from domain.clock import Clock
from domain.coverage import Coverage
from service.cases import Cases
from service.known import KnownDevices
from service.own_alarms import Sight, alarm
from store.connection import Executor, Pool
from store.health import CoverageRow, list_coverage
from store.own_alarms import lock_own_device, mark_reported, own_alerts, unreported_outages
from store.worker_sessions import WorkerSession, list_sessions

DEAF_S: Final = 15.0
"""A worker that is not connected for so long is an outage: as long as the gap between heartbeats that is one."""

_LOOKS_BELONG_TOGETHER_S: Final = 6.0
"""Between two looks further apart, others may have been kept from the database as we were."""

_REMEMBERED: Final = timedelta(days=1)
"""How long a cleared outage is known, so that a worker that comes back later than the others does not tell it again."""


class Watch:
    """Any number of workers may look at once: our own device's row is locked, so that they make one alert."""

    def __init__(self, pool: Pool, clock: Clock, cases: Cases, client_id: str, gap: timedelta) -> None:
        """``gap`` is how long a time without heartbeats is an outage, by the clock."""
        self._pool = pool
        self._clock = clock
        self._cases = cases
        self._client_id = client_id
        self._gap = gap
        self._known = KnownDevices({OWN_KIND.key: OWN_KIND})
        self._last_look = -DEAF_S
        self.looking_since = 0.0
        """Since when it has looked without a break, by the loop's clock."""

    async def look(self, *, deaf: bool) -> None:
        """Raise and clear what is due. ``deaf``: this worker itself is not connected, for longer than ``DEAF_S``."""
        elapsed = asyncio.get_running_loop().time()
        if elapsed - self._last_look > _LOOKS_BELONG_TOGETHER_S:
            self.looking_since = elapsed
        self._last_look = elapsed
        # The others are judged only after watching them: when the database comes back, nobody has been seen for long.
        of_others = elapsed - self.looking_since > DEAF_S
        async with self._pool.acquire() as connection:
            if not await self._anything(connection, deaf=deaf, of_others=of_others):
                return
            async with connection.transaction():
                now = self._clock.now()
                device = await lock_own_device(connection, OWN_KIND.key, now, simulated=self._clock.simulated)
                sight = await self._see(connection, device, now, deaf=deaf, of_others=of_others)
                transitions = alarm(sight)
                known = await self._known.load_by_id(connection, [device])
                await self._cases.settle(connection, transitions, known, now)
                if sight.outages:
                    await mark_reported(connection, sight.outages)

    async def _anything(self, connection: Executor, *, deaf: bool, of_others: bool) -> bool:
        """Whether there is anything to decide: nearly always not, and then nothing is locked."""
        if deaf or await unreported_outages(connection):
            return True
        if any(alert.cleared_at is None for alert in await own_alerts(connection, OWN_KIND.key, self._clock.now())):
            return True
        return of_others and bool(self._unseen(await list_sessions(connection)))

    async def _see(self, connection: Executor, device: int, now: datetime, *, deaf: bool, of_others: bool) -> Sight:
        sessions = [session for session in await list_sessions(connection) if not session.draining]
        coverage = await list_coverage(connection)
        gone = self._unseen(sessions) if of_others else set[str]()
        if deaf:
            gone.add(self._client_id)
        return Sight(
            device=device,
            now=now,
            gap=self._gap,
            deaf_since=_last_heard(gone, coverage, now - self._gap) if gone else None,
            heard=_heard_everywhere(sessions, coverage),
            outages=await unreported_outages(connection),
            alerts=await own_alerts(connection, OWN_KIND.key, now - _REMEMBERED),
        )

    def _unseen(self, sessions: Iterable[WorkerSession]) -> set[str]:
        """Other workers that have not said for long that they are connected."""
        return {
            session.client_id
            for session in sessions
            if session.client_id != self._client_id and not session.draining and session.unseen_s > DEAF_S
        }


def _last_heard(workers: set[str], coverage: Sequence[CoverageRow], otherwise: datetime) -> datetime:
    return min((row.until for row in coverage if row.worker in workers), default=otherwise)


def _heard_everywhere(sessions: Sequence[WorkerSession], coverage: Sequence[CoverageRow]) -> Coverage | None:
    """The stretch in which every session was heard, over every source; ``None`` where one was never heard."""
    workers = {session.client_id for session in sessions}
    rows = [row for row in coverage if row.worker in workers]
    if not rows or {row.worker for row in rows} != workers:
        return None
    return Coverage(max(row.since for row in rows), min(row.until for row in rows))
