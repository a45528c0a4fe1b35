"""Batches, silences that begin and end, and the chores of several workers at once: no ring, no twin, nothing lost."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.silence import SilenceScope, SilenceSort
from ingest.delivery import Delivery
from service.calming import Calming
from service.flow import Flow
from service.silencing import Silencing
from store.connection import Pool
from store.pool import open_pool
from store.silence_views import NewSilence, check_in, check_out, end_silence, make_silence
from tests.support.flow import delivered, flow_on, unmuting_of
from tests.support.registered import register

WORKERS = 3
BATCHES = 12
DEVICES = 24
ASSETS = 8
"""No multiple of the workers, so that they meet at every one."""

WRONG = {
    "one that fires has no ticket": """
        SELECT a.id FROM alert a WHERE a.state = 'firing' AND a.standing = 'upheld' AND a.peak = 1
           AND NOT EXISTS (SELECT FROM ticket t WHERE t.id = a.ticket_id AND t.state = 'open')""",
    "a ticket counts wrong": """
        SELECT t.id FROM ticket t WHERE t.state = 'open' AND t.firing <>
               (SELECT count(*) FROM alert a WHERE a.ticket_id = t.id AND a.state = 'firing')""",
    "a ticket stands for nothing": """
        SELECT t.id FROM ticket t WHERE t.state = 'open'
           AND NOT EXISTS (SELECT FROM alert a WHERE a.ticket_id = t.id AND (a.state = 'firing' OR a.flapping))""",
    "twins": "SELECT asset_id FROM ticket_subject WHERE open GROUP BY asset_id, case_class HAVING count(*) > 1",
    "a mute stands": "SELECT alert_id FROM alert_mute WHERE ended_at IS NULL",
}


def batch(random_: random.Random, worker: int, turn: int) -> list[Delivery]:
    at = datetime.now(UTC)
    return [
        delivered(
            f"D-{number}",
            at,
            turn * 100 + place,
            tilt_deg=95.0 if random_.random() < 0.5 else 2.0,
            # A warning that asks for nothing, an alarm that does, and neither.
            ch4_pct_lel=random_.choice([30.0, 60.0, 1.0]),
        )
        for place, number in enumerate(random_.sample(range(worker, DEVICES, WORKERS), 6), 1)
    ]


async def chores(pool: Pool, flow: Flow) -> None:
    silencing, unmuting = Silencing(pool), unmuting_of(flow)
    calming = Calming(pool, flow._parts.cases)  # pyright: ignore[reportPrivateUsage]  # the parts it was made of
    while await silencing.look(datetime.now(UTC)):
        pass
    while await unmuting.look(datetime.now(UTC)):
        pass
    await calming.look(datetime.now(UTC))


async def people(pool: Pool, random_: random.Random, stop: asyncio.Event) -> None:
    """They silence for some milliseconds, end what they silenced, check in and out."""
    made: list[int] = []
    while not stop.is_set():
        now = datetime.now(UTC)
        asset = f"asset-{random_.randrange(ASSETS)}"
        until = now + timedelta(milliseconds=random_.randrange(20, 2000))
        match random_.randrange(4):
            case 0:
                scope = SilenceScope(asset=asset) if random_.random() < 0.5 else SilenceScope(kind="manhole")
                order = NewSilence(SilenceSort.SILENCE, scope, now, until, "test", "race")
                made.append(await make_silence(pool, order, now))
            case 1 if made:
                await end_silence(pool, made.pop(random_.randrange(len(made))), by="test", now=now)
            case 2:
                order = NewSilence(
                    SilenceSort.MAINTENANCE, SilenceScope(asset=asset), now, until, "test", "race", "crew"
                )
                await check_in(pool, order, now)
            case _:
                await check_out(pool, asset, None, by="test", now=now)
        await asyncio.sleep(0)


async def test_whatever_races_what_fires_in_the_end_has_its_ticket(pool: Any, database_url: str) -> None:
    for number in range(DEVICES):
        # Neighbours in number lie on different assets, so that the order of devices is not that of tickets.
        await register(pool, f"D-{number}", asset=f"asset-{(number * 7) % ASSETS}")
    wide = await open_pool(database_url, application_name="test", max_size=WORKERS + 3)
    stop = asyncio.Event()

    async def work(worker: int) -> None:
        random_ = random.Random(worker)
        flow = await flow_on(wide, worker=f"worker-{worker}")
        for turn in range(BATCHES):
            # A ring would end in the database's error, which a worker survives and this test does not.
            await flow.settle(batch(random_, worker, turn), turn + 1)
            await chores(wide, flow)

    try:
        async with asyncio.TaskGroup() as group:
            ordering = group.create_task(people(wide, random.Random(7), stop))
            async with asyncio.TaskGroup() as workers:
                for worker in range(WORKERS):
                    workers.create_task(work(worker))
            stop.set()
        await ordering
        assert await pool.fetchval("SELECT count(*) > 20 FROM alert_mute WHERE wanted"), "much was hidden meanwhile"
        await asyncio.sleep(2)  # the longest silence
        flow = await flow_on(wide, worker="worker-last")
        await chores(wide, flow)
        late = datetime.now(UTC) + timedelta(minutes=2)
        silencing, unmuting = Silencing(wide), unmuting_of(flow)
        while await silencing.look(late):
            pass
        await unmuting.look(late)
        assert {what: await pool.fetch(query) for what, query in WRONG.items()} == {what: [] for what in WRONG}
    finally:
        await wide.close()
