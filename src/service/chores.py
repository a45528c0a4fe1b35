"""Chores: what an ingest worker does between batches: mutes that end, re-drives, letting old things go."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from domain.clock import Clock
from service.calming import Calming
from service.redrive import Redriver
from service.silencing import Silencing
from service.unmuting import Unmuting
from store.clocks import forget_old_clocks
from store.connection import Pool
from store.quarantine_expiry import expire

_EXPIRE_EVERY: Final = timedelta(minutes=10)

log = structlog.get_logger()


class Chores:
    """Done a piece at a time, so that messages never wait for them longer than for a batch."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        redriver: Redriver,
        silencing: Silencing,
        unmuting: Unmuting,
        calming: Calming,
        keep: timedelta,
    ) -> None:
        """``keep``: how long the quarantine keeps what nobody asked for."""
        self._pool = pool
        self._clock = clock
        self._redriver = redriver
        self._silencing = silencing
        self._unmuting = unmuting
        self._calming = calming
        self._keep = keep
        self._next_expiry: datetime | None = None

    async def look(self, messages_wait: Callable[[], bool]) -> None:
        """Do one piece of each; go on with re-drives while no message waits."""
        while await self._silencing.look(self._clock.now()):
            if messages_wait():
                break
        # At every look: who was silenced until now has waited long enough.
        while await self._unmuting.look(self._clock.now()):
            if messages_wait():
                break
        await self._calming.look(self._clock.now())
        while await self._redriver.look():
            if messages_wait():
                break
        now = self._clock.now()
        if self._next_expiry is not None and now < self._next_expiry:
            return
        async with self._pool.acquire() as connection:
            gone = await expire(connection, now, self._keep)
            await forget_old_clocks(connection, now)
        if gone.any:
            log.info("quarantine_expired", emptied=gone.emptied, removed=gone.removed, duplicates=gone.doubles)
        else:
            # Only once there is nothing left: a large backlog goes piece by piece, tick by tick.
            self._next_expiry = now + _EXPIRE_EVERY
