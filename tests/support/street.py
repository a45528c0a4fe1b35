"""A street told by hand: readings settled by a flow, chores done when the test says so, and what came of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.mute import MuteReason
from service.flow import Flow
from service.silencing import Silencing
from service.unmuting import Unmuting
from store.connection import Pool
from store.mutes import MuteEntry, mute
from tests.support.api import StillClock
from tests.support.flow import delivered, flow_on, unmuting_of
from tests.support.registered import register

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(minutes=5)


class Street:
    """Covers, told by hand, and the chores that matter to mutes."""

    def __init__(self, pool: Pool, flow: Flow, unmuting: Unmuting) -> None:
        self.pool, self.flow, self.unmuting = pool, flow, unmuting
        self._silencing = Silencing(pool)
        self._token = 0

    async def tell(self, at: datetime, device: str = "DC-1", **values: float) -> None:
        self._token += 1
        await self.flow.settle([delivered(device, at, self._token, **values)], self._token)

    async def tell_all(self, readings: list[tuple[datetime, float]], device: str = "DC-1") -> None:
        """Methane over time, in one batch."""
        self._token += 1
        batch = [delivered(device, at, number, ch4_pct_lel=value) for number, (at, value) in enumerate(readings, 1)]
        await self.flow.settle(batch, self._token)

    async def mute(self, reason: MuteReason, source: str, until: datetime | None) -> list[int]:
        alerts = [row[0] for row in await self.pool.fetch("SELECT id FROM alert ORDER BY id")]
        async with self.pool.acquire() as connection, connection.transaction():
            return await mute(connection, [MuteEntry(alert, reason, source, until) for alert in alerts], NOW)

    async def chores(self, now: datetime) -> None:
        """What a worker does between batches, until nothing is left to do."""
        while await self._silencing.look(now):
            pass
        while await self.unmuting.look(now):
            pass

    async def tickets(self) -> list[tuple[str, int, int]]:
        rows = await self.pool.fetch("SELECT state, severity, firing FROM ticket ORDER BY id")
        return [(row[0], row[1], row[2]) for row in rows]

    async def steps(self) -> list[tuple[str, bool]]:
        rows = await self.pool.fetch("SELECT body FROM outbox WHERE topic = 'alert' ORDER BY id")
        bodies = [json.loads(row[0]) for row in rows]
        return [(body["step"], body.get("muted", False)) for body in bodies]


async def street(pool: Any, *devices: str) -> Street:
    for device in devices or ("DC-1",):
        await register(pool, device)
    # A clock that stands: however long after the import a test comes, its moments are of the last hour.
    flow = await flow_on(pool, clock=StillClock(NOW))
    return Street(pool, flow, unmuting_of(flow))
