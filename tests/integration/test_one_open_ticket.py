"""One open ticket for an asset and a case class, however many batches ask for it at the same moment."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from ingest.delivery import Delivery
from store.pool import open_pool
from tests.support.flow import flow_on
from tests.support.registered import DISTRICT, register

RACERS = 50


@pytest.fixture
async def wide_pool(database_url: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    opened = await open_pool(database_url, application_name="race", min_size=RACERS, max_size=RACERS)
    yield opened
    await opened.close()


def opened(device: str, at: datetime, *, lid_open: bool, packet: int = 1) -> Delivery:
    # The tilt fires at once from 90°, and both rules lead to the same case class.
    values = {"lid_open": lid_open, "tilt_deg": 120.0 if lid_open else 1.0}
    payload = json.dumps({"ts": at.isoformat(), "values": values}).encode()
    topic = f"city/v1/{DISTRICT}/manhole/{device}/telemetry"
    return Delivery(topic, payload, at, packet, redelivered=False, generation=1)


async def test_fifty_concurrent_batches_open_one_ticket_and_the_last_clear_resolves_it(wide_pool: Any) -> None:
    names = [f"DC-{number}" for number in range(RACERS)]
    for name in names:
        await register(wide_pool, name, asset="JG-000001")
    flows = [await flow_on(wide_pool, f"racer-{number}") for number in range(RACERS)]
    now = datetime.now(UTC) - timedelta(seconds=30)
    await asyncio.gather(
        *(flow.settle([opened(name, now, lid_open=True)], 1) for flow, name in zip(flows, names, strict=True))
    )
    tickets = await wide_pool.fetch("SELECT * FROM ticket")
    assert len(tickets) == 1
    assert (tickets[0]["firing"], tickets[0]["alerts"], tickets[0]["severity"]) == (RACERS, RACERS, 1)
    assert await wide_pool.fetchval("SELECT count(*) FROM alert WHERE ticket_id = $1", tickets[0]["id"]) == RACERS
    moves = [row[0] for row in await wide_pool.fetch("SELECT move FROM ticket_move ORDER BY id")]
    assert moves.count("opened") == 1
    assert moves.count("touched") == RACERS - 1

    later = now + timedelta(seconds=10)
    await asyncio.gather(
        *(flow.settle([opened(name, later, lid_open=False)], 2) for flow, name in zip(flows, names, strict=True))
    )
    ticket = await wide_pool.fetchrow("SELECT * FROM ticket")
    assert (ticket["firing"], ticket["state"]) == (0, "resolved")
    assert await wide_pool.fetchval("SELECT count(*) FROM ticket_subject WHERE open") == 0


async def test_tickets_that_open_and_resolve_at_random_never_stand_twice(wide_pool: Any) -> None:
    """Ten covers with five sensors each; openings and closings of all of them race for five rounds."""
    names = [f"DC-{number}" for number in range(RACERS)]
    for number, name in enumerate(names):
        await register(wide_pool, name, asset=f"JG-{number % 10:06d}")
    flows = [await flow_on(wide_pool, f"racer-{number}") for number in range(RACERS)]
    start = datetime.now(UTC) - timedelta(seconds=100)
    for turn in range(5):
        at = start + timedelta(seconds=turn * 10)
        await asyncio.gather(
            *(
                flow.settle([opened(name, at, lid_open=(number + turn) % 2 == 0)], turn + 1)
                for number, (flow, name) in enumerate(zip(flows, names, strict=True))
            )
        )
        doubles = await wide_pool.fetch(
            "SELECT asset_id FROM ticket_subject WHERE open GROUP BY asset_id, case_class HAVING count(*) > 1"
        )
        assert doubles == []
        wrong = await wide_pool.fetch(
            "SELECT t.id, t.firing, count(a.id) FROM ticket t LEFT JOIN alert a ON a.ticket_id = t.id "
            "AND a.state = 'firing' GROUP BY t.id HAVING t.firing <> count(a.id) "
            "OR (t.state = 'open') <> (count(a.id) > 0)"
        )
        assert wrong == []
