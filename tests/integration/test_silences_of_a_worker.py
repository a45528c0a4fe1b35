"""A running worker between batches: it silences what fires, ends what is over, and calms what flapped."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.role import Role
from service.settings import Settings
from tests.support.api import StillClock, client
from tests.support.brokers import Broker
from tests.support.ingest import ingesting
from tests.support.publishing import body, publish, topic, until
from tests.support.registered import register


async def test_a_worker_silences_and_lets_speak_by_itself(pool: Any, embedded_broker: Broker) -> None:
    await register(pool, "DC-1")
    now = datetime.now(UTC)
    async with ingesting(pool, embedded_broker.url), client(pool, Role.OPERATOR, StillClock(now)) as http:
        await publish(embedded_broker, (topic("DC-1"), body(now - timedelta(seconds=9), ch4_pct_lel=30.0)))
        await until(lambda: pool.fetchrow("SELECT 1 FROM alert"))
        ends_at = (now + timedelta(hours=1)).isoformat()
        order = {"scope": {"device": "DC-1"}, "ends_at": ends_at, "reason": "gas works"}
        made = (await http.post("/v1/silences", json=order)).raise_for_status().json()
        await until(lambda: pool.fetchrow("SELECT 1 FROM alert_mute"))
        await publish(embedded_broker, (topic("DC-1"), body(now, ch4_pct_lel=60.0)))
        await until(lambda: pool.fetchrow("SELECT 1 FROM alert_mute WHERE wanted"))
        assert await pool.fetchval("SELECT count(*) FROM ticket") == 0
        (await http.post(f"/v1/silences/{made['id']}/end")).raise_for_status()
        ticket = await until(lambda: pool.fetchrow("SELECT state, severity FROM ticket"))
        assert tuple(ticket) == ("open", 1)


async def test_the_two_numbers_of_flapping_are_settings(pool: Any, embedded_broker: Broker) -> None:
    await register(pool, "DC-1")
    settings = Settings(flapping_openings=2, flapping_look_back_s=60.0)
    start = datetime.now(UTC) - timedelta(seconds=50)
    async with ingesting(pool, embedded_broker.url, settings):
        swings = [
            (topic("DC-1"), body(start + timedelta(seconds=number), ch4_pct_lel=60.0 if number % 2 == 0 else 1.0))
            for number in range(4)
        ]
        await publish(embedded_broker, *swings)
        ended = await until(lambda: pool.fetchrow("SELECT since, ended_at FROM flapping WHERE ended_at IS NOT NULL"))
        assert ended["ended_at"] >= start + timedelta(seconds=62)
        await until(lambda: pool.fetchrow("SELECT 1 FROM ticket WHERE state = 'resolved'"))
    assert await pool.fetchval("SELECT count(*) FROM ticket WHERE state = 'open'") == 0
