"""Silencing: mutes what fires already when a silence begins, and lets nothing be muted by one that was ended."""

from datetime import datetime
from typing import Final

from store.connection import Pool
from store.mutes import MuteEntry, end_source, mute
from store.silences import claim_sweep, mark_swept, unhushed

_AT_ONCE: Final = 500
"""Alerts of one transaction, whose devices are locked meanwhile."""


class Silencing:
    """Any number of workers may look at once: each silence is swept by whoever locks it first."""

    def __init__(self, pool: Pool) -> None:
        """Take the pool; it keeps nothing."""
        self._pool = pool

    async def look(self, now: datetime) -> bool:
        """Sweep the silence that is due longest, some alerts at a time; say whether there may be more."""
        async with self._pool.acquire() as connection, connection.transaction():
            sweep = await claim_sweep(connection, now)
            if sweep is None:
                return False
            source = str(sweep.id)
            more = False
            if sweep.over_at <= now:
                await end_source(connection, sweep.reason, source, now)
            else:
                alerts = await unhushed(connection, sweep.id, _AT_ONCE)
                if alerts:
                    await mute(connection, [MuteEntry(one, sweep.reason, source, sweep.over_at) for one in alerts], now)
                more = len(alerts) == _AT_ONCE
            if not more:
                await mark_swept(connection, sweep.id, now)
            return True
