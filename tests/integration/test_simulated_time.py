"""Coverage under a simulated clock: what is an outage goes by real seconds, however fast the clock runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.instants import to_micros
from ingest.delivery import Delivery
from service.flow import HEARTBEAT_GAP
from tests.support.flow import flow_on

NOW = datetime(2026, 6, 8, tzinfo=UTC)


async def test_a_heartbeat_a_second_is_no_outage_however_fast_the_clock_runs(pool: Any) -> None:
    speed = 600.0
    flow = await flow_on(pool, heartbeats={"beat/native": "native"}, heartbeat_gap=HEARTBEAT_GAP * speed)

    async def beat(seconds: float, token: int) -> None:
        now = NOW + timedelta(seconds=seconds * speed)
        stamp = str(to_micros(now)).encode()
        await flow.settle([Delivery("beat/native", stamp, now, 0, redelivered=False, generation=1)], token)

    for second in range(5):
        await beat(second, second + 1)
    assert flow.coverage["native"].since == NOW
    assert await pool.fetchval("SELECT count(*) FROM outage") == 0
    await beat(40, 10)
    assert await pool.fetchval("SELECT count(*) FROM outage") == 1
