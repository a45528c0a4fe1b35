"""The undisturbed run: the same bytes in order, through the service's own flow, into a fresh database, no kills."""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from ingest.delivery import Delivery
from service.flow import Flow
from store.pool import open_pool
from tests.chaos.neighbours import ingest_environment, run_command
from tests.chaos.stream import Stream
from tests.chaos.world import World
from tests.support.flow import flow_on
from tests.support.postgres import execute, with_database

_BATCH: Final = 1000
_UNDER_WAY: Final = timedelta(milliseconds=20)
"""How long a message takes in a world without disturbance."""

_ALERTS: Final = """
SELECT d.name, a.rule, a.onset, a.fired_at, a.cleared_at, a.ticket_id IS NOT NULL FROM alert AS a
JOIN device AS d ON d.id = a.device_id
WHERE a.standing = 'upheld' AND starts_with(d.name, 'chaos-')
"""


class AlertKey(NamedTuple):
    """What makes two alerts the same in two runs."""

    device: str
    rule: str
    onset: datetime

    def __str__(self) -> str:
        return f"{self.device} {self.rule} {self.onset.isoformat()}"


class AlertEnds(NamedTuple):
    """What else a run says of an alert; told apart, since the promise covers the key alone."""

    fired_at: datetime
    cleared_at: datetime | None
    has_ticket: bool


Upheld = dict[AlertKey, AlertEnds]


async def upheld(pool: "asyncpg.Pool[asyncpg.Record]") -> Upheld:
    """The upheld alerts of a database."""
    return {AlertKey(*row[:3]): AlertEnds(*row[3:]) for row in await pool.fetch(_ALERTS)}


def undisturbed(world: World, stream: Stream, total: int, name: str = "undisturbed") -> Upheld:
    """The upheld alerts that messages 0 to ``total`` raise when nothing comes between."""
    execute(world.database.url, f"DROP DATABASE IF EXISTS {name}")
    execute(world.database.url, f"CREATE DATABASE {name}")
    url = with_database(world.database.url, name)
    environment = ingest_environment(world.folder / name, url, world.broker.url)
    run_command(environment, "migrate")
    run_command(environment, "import", str(world.folder / "fleet.csv"))
    return world.run(_play(url, stream, total))


async def _play(url: str, stream: Stream, total: int) -> Upheld:
    pool = await open_pool(url, application_name="chaos undisturbed", max_size=2)
    try:
        flow = await flow_on(pool, worker="undisturbed")
        for token, first in enumerate(range(0, total, _BATCH), start=1):
            await _settle(flow, stream, range(first, min(total, first + _BATCH)), token)
        return await upheld(pool)
    finally:
        await pool.close()


async def _settle(flow: Flow, stream: Stream, numbers: range, token: int) -> None:
    topics = stream.topics
    batch = [
        Delivery(
            topics[number % len(topics)],
            stream.payload(number),
            datetime.fromtimestamp(stream.at_ms(number) / 1000, UTC) + _UNDER_WAY,
            packet_id=0,
            redelivered=False,
            generation=0,
        )
        for number in numbers
    ]
    await flow.settle(batch, token)
