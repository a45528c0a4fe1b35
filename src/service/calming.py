"""Calming: ends what has not flapped for long, and lets the tickets resolve that only flapping kept open."""

from datetime import datetime
from typing import Final

from service.cases import Cases
from store.connection import Pool
from store.flapping import due_calm, end_flapping
from store.mutes import lock_free_devices

_AT_ONCE: Final = 500


class Calming:
    """Any number of workers may look at once: whoever locks a device decides."""

    def __init__(self, pool: Pool, cases: Cases) -> None:
        """Take the parts; it keeps nothing."""
        self._pool = pool
        self._cases = cases

    async def look(self, now: datetime) -> None:
        """End what is calm by now. A device that is locked by a batch is left for the next look."""
        async with self._pool.acquire() as connection:
            due = await due_calm(connection, now, _AT_ONCE)
            if not due:
                return
            async with connection.transaction():
                free = await lock_free_devices(connection, due.values())
                calmed = await end_flapping(connection, [one for one, device in due.items() if device in free], now)
                await self._cases.calm(connection, calmed, now)
