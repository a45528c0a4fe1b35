"""Unmuting: ends mutes that are due; an alert that still fires then asks for its ticket as if it had just fired."""

from datetime import datetime
from typing import Final

from service.cases import Cases
from service.known import KnownDevices
from store.connection import Pool
from store.mutes import due_unmutes, end_due, lock_free_devices

_AT_ONCE: Final = 500
"""Alerts of one transaction: a storm that was muted must not hold up the messages when it is over."""


class Unmuting:
    """Any number of workers may look at once: whoever locks a device ends the mutes of its alerts."""

    def __init__(self, pool: Pool, known: KnownDevices, cases: Cases) -> None:
        """Take the parts; it keeps nothing."""
        self._pool = pool
        self._known = known
        self._cases = cases

    async def look(self, now: datetime) -> bool:
        """End what is due, some at a time; say whether there may be more.

        A device that is locked by a batch is left for the next look.
        """
        async with self._pool.acquire() as connection:
            due = await due_unmutes(connection, now, _AT_ONCE)
            if not due:
                return False
            async with connection.transaction():
                free = await lock_free_devices(connection, due.values())
                lifted = await end_due(connection, [alert for alert, device in due.items() if device in free], now)
                if lifted:
                    known = await self._known.load_by_id(connection, sorted({one.device_id for one in lifted}))
                    await self._cases.lift(connection, lifted, known, now)
            return len(due) == _AT_ONCE and bool(free)
