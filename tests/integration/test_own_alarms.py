"""Alarms about ourselves: one alert for an outage and one for lost sessions, however many workers there are."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from devices.own_kind import OWN_KIND
from domain.role import Role
from ingest.catalogue import load_formats
from ingest.membership import in_group
from service.cases import Cases
from service.clock import SystemClock
from service.settings import Settings
from service.watch import Watch
from tests.support.api import StillClock, client
from tests.support.brokers import Broker
from tests.support.flow import ZONE
from tests.support.ingest import ingesting
from tests.support.publishing import until

ALERTS = """
SELECT a.id, a.rule, a.severity, a.state, a.onset, a.fired_at, a.cleared_at, a.ticket_id, d.kind
  FROM alert a JOIN device d ON d.id = a.device_id ORDER BY a.id
"""


async def alerts(pool: Any, rule: str, state: str) -> list[Any]:
    return [row for row in await pool.fetch(ALERTS) if (row["rule"], row["state"]) == (rule, state)]


async def all_heard(pool: Any, workers: int) -> bool:
    return bool(
        await pool.fetchval("SELECT count(DISTINCT worker) = $1 FROM coverage WHERE until > since", workers)
        and await pool.fetchval("SELECT count(*) = $1 FROM worker_session WHERE subscribed_at IS NOT NULL", workers)
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_three_workers_make_one_alert_of_an_outage_and_one_of_their_lost_sessions(
    pool: Any, mosquitto: Broker, tmp_path: Path
) -> None:
    formats = load_formats()
    async with AsyncExitStack() as stack:
        for number in (1, 2, 3):
            await stack.enter_async_context(
                ingesting(pool, mosquitto.url, membership=in_group(f"worker-{number}", formats))
            )
        await until(lambda: all_heard(pool, 3))
        assert await pool.fetch(ALERTS) == []
        last = await pool.fetchval("SELECT max(until) FROM coverage")
        mosquitto.stop()
        [outage] = await until(lambda: alerts(pool, "ingest.outage", "firing"), 90)
        assert (outage["severity"], outage["kind"], outage["ticket_id"]) == (1, "ingest", None)
        assert abs((outage["onset"] - last).total_seconds()) < 5
        # Whoever deletes its file makes the broker forget every session, and what it kept for them.
        (tmp_path / "mosquitto" / "mosquitto.db").unlink()
        mosquitto.start()
        [again] = await until(lambda: alerts(pool, "ingest.outage", "cleared"), 120)
        assert again["id"] == outage["id"]
        await until(lambda: pool.fetchval("SELECT count(*) = 9 FROM outage WHERE cause LIKE 'the broker%'"))
        await until(lambda: pool.fetchval("SELECT count(*) = 18 AND bool_and(reported) FROM outage"))
        [lost] = await alerts(pool, "ingest.session_lost", "firing")
        assert lost["severity"] == 2
        async with client(pool, Role.OPERATOR, StillClock(datetime.now(UTC))) as http:
            [shown] = (await http.get("/v1/alerts")).raise_for_status().json()["items"]
            assert (shown["id"], shown["rule"]) == (lost["id"], "ingest.session_lost")
            (await http.post(f"/v1/alerts/{lost['id']}/ack", json={"note": "asked the gateways"})).raise_for_status()
            await until(lambda: alerts(pool, "ingest.session_lost", "cleared"))
            steps = (await http.get(f"/v1/alerts/{lost['id']}")).json()["steps"]
            (await http.get("/v1/devices/streetwarden")).raise_for_status()
            rules = {item["key"]: item for item in (await http.get("/v1/rules")).json()["items"]}
            assert rules["ingest.session_lost"]["revision"] is not None
        assert [step["step"] for step in steps] == ["opened", "acknowledged", "cleared"]
    assert len(await pool.fetch(ALERTS)) == 2
    assert await pool.fetchval("SELECT count(*) FROM ticket") == 0


async def test_an_outage_is_recorded_when_the_process_itself_was_dead(pool: Any, mosquitto: Broker) -> None:
    async with ingesting(pool, mosquitto.url):
        await until(lambda: all_heard(pool, 1))
    # As if it had ended a minute ago.
    await pool.execute("UPDATE coverage SET since = since - interval '2 min', until = until - interval '1 min'")
    last = await pool.fetchval("SELECT min(until) FROM coverage")
    async with ingesting(pool, mosquitto.url):
        [outage] = await until(lambda: alerts(pool, "ingest.outage", "cleared"))
    assert outage["onset"] == last
    assert (outage["fired_at"] - outage["onset"]).total_seconds() == 15
    assert (outage["cleared_at"] - outage["onset"]).total_seconds() > 55
    steps = await pool.fetch("SELECT step FROM alert_event ORDER BY at")
    assert [row["step"] for row in steps] == ["opened", "cleared"]
    assert len(await pool.fetch(ALERTS)) == 1, "three sources are one outage"


async def test_workers_that_look_at_once_make_one_alert_of_one_that_is_gone(pool: Any) -> None:
    known = """INSERT INTO worker_session (client_id, shared, filters, since, registered_at)
        VALUES ($1, true, '{}', $2, $2)"""
    await pool.execute(known, "w-dead", datetime.now(UTC) - timedelta(minutes=1))
    clock, cases = SystemClock(), Cases(ZONE)
    await cases.start(pool, OWN_KIND.rules, clock.now())
    watches = [Watch(pool, clock, cases, f"w-{number}", timedelta(seconds=15)) for number in range(4)]
    for watch in watches:
        await watch.look(deaf=False)
    assert await pool.fetch(ALERTS) == [], "after the database was away, nobody has been seen for long"
    for watch in watches:
        watch.looking_since -= 60
    await asyncio.gather(*(watch.look(deaf=False) for watch in watches))
    assert len(await alerts(pool, "ingest.outage", "firing")) == 1
    beats = "INSERT INTO coverage VALUES ('native', 'w-dead', now(), now() + interval '1 min')"
    await pool.execute(beats)
    await pool.execute("UPDATE worker_session SET seen_at = now()")
    await asyncio.gather(*(watch.look(deaf=False) for watch in watches))
    assert len(await alerts(pool, "ingest.outage", "cleared")) == len(await pool.fetch(ALERTS)) == 1


async def test_nobody_registers_a_device_of_our_own_kind(pool: Any) -> None:
    async with client(pool, Role.ADMIN) as http:
        wished = {"name": "streetwarden", "kind": "ingest", "district": "000000"}
        assert (await http.post("/v1/devices", json=wished)).status_code == 422


async def test_a_first_start_is_no_loss_and_no_outage(pool: Any, mosquitto: Broker) -> None:
    async with ingesting(pool, mosquitto.url):
        await until(lambda: all_heard(pool, 1))
        await asyncio.sleep(3)
    assert await pool.fetch("SELECT * FROM outage") == []
    assert await pool.fetch("SELECT FROM device") == [], "our own device is made when it is needed"


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_database_that_was_away_is_no_outage(
    pool: Any, server_url: str, database_url: str, mosquitto: Broker
) -> None:
    name = urlsplit(database_url).path[1:]
    async with ingesting(pool, mosquitto.url):
        await until(lambda: all_heard(pool, 1))
        server = await asyncpg.connect(server_url)
        try:
            await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
            await server.fetch(ended, name)
            # Longer than what would be an outage if nothing had reached the broker.
            await asyncio.sleep(18)
            await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            back = await server.fetchval("SELECT now()")
        finally:
            await server.close()
        await until(lambda: pool.fetchval("SELECT bool_and(until > $1) FROM coverage", back), 90)
        await asyncio.sleep(3)
    assert await pool.fetch("SELECT * FROM outage") == []
    assert await pool.fetch(ALERTS) == []


async def test_a_scenario_in_which_a_minute_is_a_second_is_no_outage(pool: Any, mosquitto: Broker) -> None:
    async with ingesting(pool, mosquitto.url, Settings(sim_clock="2026-01-01T00:00:00Z*60")):
        await until(lambda: pool.fetchval("SELECT max(until - since) > interval '3 min' FROM coverage"))
    assert await pool.fetch("SELECT * FROM outage") == []
