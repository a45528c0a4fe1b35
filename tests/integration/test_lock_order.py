"""Batches of several workers that touch the same devices, tickets and poison take their locks in one order."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.delivery import Delivery
from store.pool import open_pool
from tests.support.flow import flow_on
from tests.support.publishing import body, topic
from tests.support.registered import register

WORKERS = 3
BATCHES = 30
ASSETS = 10  # no multiple of the workers, so that they share every one
DEVICES = 33
POISONS = 30
START = datetime.now(UTC) - timedelta(hours=2)


def batch(random_: random.Random, worker: int, turn: int) -> list[Delivery]:
    """Covers that open and close, and the same poison for everybody.

    Each worker has devices of its own, or it would wait for the others at the first lock and never meet them behind it.
    """
    at = START + timedelta(seconds=turn * WORKERS + worker)
    messages = [
        (topic(f"D-{number}"), body(at, tilt_deg=95.0 if random_.random() < 0.3 else 2.0))
        for number in random_.sample(range(worker, DEVICES, WORKERS), 10)
    ]
    messages += [(topic(f"P-{random_.randrange(POISONS)}"), b"poison") for _ in range(12)]
    random_.shuffle(messages)
    return [
        Delivery(name, payload, at, packet_id=turn * 100 + place + 1, redelivered=False, generation=1)
        for place, (name, payload) in enumerate(messages)
    ]


async def test_three_workers_in_each_others_way_never_wait_in_a_ring(pool: Any, database_url: str) -> None:
    for number in range(DEVICES):
        # Neighbours in number lie on different assets, so that the order of devices is not that of tickets.
        await register(pool, f"D-{number}", asset=f"asset-{(number * 7) % ASSETS}")
    wide = await open_pool(database_url, application_name="test", max_size=WORKERS + 1)

    async def work(worker: int) -> None:
        random_ = random.Random(worker)
        flow = await flow_on(wide, worker=f"worker-{worker}")
        for turn in range(BATCHES):
            # A ring would end in the database's error, which a worker survives and this test does not.
            await flow.settle(batch(random_, worker, turn), turn + 1)

    try:
        async with asyncio.TaskGroup() as group:
            for worker in range(WORKERS):
                group.create_task(work(worker))
    finally:
        await wide.close()
    assert await pool.fetchval("SELECT count(*) > $1 FROM ticket", ASSETS), (
        "tickets opened and resolved again and again"
    )
    assert await pool.fetchval("SELECT max(count) > 10 FROM quarantine"), "the same poison came to all"
    twice = "SELECT 1 FROM ticket_subject WHERE open GROUP BY asset_id, case_class HAVING count(*) > 1"
    assert await pool.fetch(twice) == []
    firing = """
    SELECT t.number FROM ticket t WHERE t.state = 'open' AND t.firing <>
        (SELECT count(*) FROM alert a WHERE a.ticket_id = t.id AND a.state = 'firing')
    """
    assert await pool.fetch(firing) == []
