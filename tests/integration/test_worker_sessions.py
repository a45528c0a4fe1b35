"""Sessions of several workers on a real broker: what each takes, gives up, holds back and leaves behind."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from domain.errors import NotFoundError, RefusedError
from ingest.catalogue import load_formats
from ingest.membership import alone, in_group
from service.cases import Cases
from service.clock import SystemClock
from service.drain import drain
from service.known import KnownDevices
from service.readiness import why_not_ready
from service.sessions import Session
from service.settings import Settings
from service.ticker import Ticker
from tests.support.brokers import Broker
from tests.support.flow import LATE_BOUND, ZONE, flow_on
from tests.support.ingest import ingesting
from tests.support.publishing import balance, body, publish, topic, until
from tests.support.registered import register

FORMATS = load_formats()
KNOW = "INSERT INTO worker_session (client_id, shared, filters, since) VALUES ($1, true, '{}', $2)"
HEARD = "SELECT count(*) = 3 FROM coverage WHERE worker = $1"
SUBSCRIBED = "SELECT every(filters <@ $1) FROM worker_session"
NOW = datetime.now(UTC)


def told(number: int) -> tuple[str, bytes]:
    return topic("D-1"), body(NOW + timedelta(milliseconds=number), seq=number, tilt_deg=1.0)


async def stored(pool: Any, readings: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) >= $1 FROM reading", readings))


def settings(client_id: str) -> Settings:
    return Settings(client_id=client_id)


async def end(pool: Any, client_id: str) -> None:
    """As a worker says when it ends in good order."""
    await pool.execute("UPDATE worker_session SET state = 'ended' WHERE client_id = $1", client_id)


async def test_from_alone_to_a_group_and_back_nothing_is_lost_or_comes_twice_for_ever(
    pool: Any, mosquitto: Broker
) -> None:
    await register(pool, "D-1")
    for turn, membership in enumerate((alone("w", FORMATS), in_group("w", FORMATS), alone("w", FORMATS))):
        # What comes while nobody is there waits under the former subscription.
        if turn:
            await publish(mosquitto, *(told(100 * turn + number) for number in range(10)))
        async with ingesting(pool, mosquitto.url, settings("w"), membership):
            await publish(mosquitto, *(told(100 * turn + number) for number in range(10, 20)))
            await until(partial(stored, pool, 20 * turn + 10))
            await until(partial(pool.fetchval, SUBSCRIBED, list(membership.filters)))
    counts = await balance(pool)
    assert (counts["accepted"], counts["stored"], counts["duplicate"]) == (50, 50, 0)


async def test_a_drained_session_leaves_its_messages_and_nothing_else(
    pool: Any, database_url: str, mosquitto: Broker, tmp_path: Path
) -> None:
    await register(pool, "D-1")
    for client_id in ("w-1", "w-2"):
        async with ingesting(pool, mosquitto.url, settings(client_id), in_group(client_id, FORMATS)):
            await until(partial(pool.fetchval, HEARD, client_id))
        await end(pool, client_id)
    # Both are away: the broker shares out among their sessions what comes meanwhile.
    await publish(mosquitto, *(told(number) for number in range(40)))
    published = datetime.now(UTC)
    here = Settings(data_dir=tmp_path)
    async with ingesting(pool, mosquitto.url, settings("w-1"), in_group("w-1", FORMATS)):
        await until(lambda: pool.fetchval("SELECT bool_and(until > $1) FROM coverage WHERE worker = 'w-1'", published))
        waiting = await pool.fetchval("SELECT 40 - count(*) FROM reading")
        assert waiting > 0, "the other session holds its share for itself alone"
        with pytest.raises(NotFoundError, match="those known are: w-1, w-2"):
            await drain(here, database_url, mosquitto.url, "w-9")
        assert await drain(here, database_url, mosquitto.url, "w-2") >= waiting
        await until(lambda: stored(pool, 40))
        # It takes nothing more: all goes to the one that is left.
        await publish(mosquitto, *(told(number) for number in range(40, 60)))
        await until(lambda: stored(pool, 60))
    assert [row[0] for row in await pool.fetch("SELECT client_id FROM worker_session")] == ["w-1"]
    assert [row[0] for row in await pool.fetch("SELECT DISTINCT worker FROM coverage")] == ["w-1"]
    assert (await balance(pool))["stored"] == 60
    async with ingesting(pool, mosquitto.url, settings("w-2"), in_group("w-2", FORMATS)) as back:
        await until(lambda: pool.fetchval(HEARD, "w-2"))
        assert back.worker.settled < 20, "its session began anew"
    assert await pool.fetch("SELECT FROM outage WHERE cause LIKE 'the broker%'") == [], "it was ended, not lost"


@pytest.mark.slow
async def test_a_worker_at_work_is_not_drained_away_under_its_feet(
    pool: Any, database_url: str, embedded_broker: Broker, tmp_path: Path
) -> None:
    async with ingesting(pool, embedded_broker.url):
        await until(lambda: pool.fetchval("SELECT seen_at IS NOT NULL FROM worker_session"))
        with pytest.raises(RefusedError, match="at work"):
            await drain(Settings(data_dir=tmp_path), database_url, embedded_broker.url, "streetwarden-ingest-1")


async def test_a_session_with_the_whole_stream_is_drained_on_the_embedded_broker_too(
    pool: Any, database_url: str, embedded_broker: Broker, tmp_path: Path
) -> None:
    await register(pool, "D-1")
    async with ingesting(pool, embedded_broker.url, settings("old")):
        await until(lambda: pool.fetchval("SELECT count(*) = 3 FROM coverage"))
    await end(pool, "old")
    await publish(embedded_broker, *(told(number) for number in range(30)))
    await drain(Settings(data_dir=tmp_path), database_url, embedded_broker.url, "old")
    assert (await balance(pool))["stored"] == 30
    assert await pool.fetch("SELECT FROM worker_session") == []


async def test_a_dead_worker_holds_silences_back_until_it_has_heard_as_well(pool: Any) -> None:
    device = await register(pool, "D-1", interval_s=60)
    for name, until_s in (("w-1", 0), ("w-2", 3000)):
        await pool.execute(KNOW, name, NOW)
        start = NOW - timedelta(hours=2)
        ended = NOW - timedelta(seconds=until_s)
        await pool.execute("INSERT INTO coverage VALUES ('native', $1, $2, $3)", name, start, ended)
    flow = await flow_on(pool, worker="w-1")
    heard = await flow.hear_of_others()
    assert heard["native"] == Coverage(NOW - timedelta(hours=2), NOW - timedelta(seconds=3000))
    last_heard = "UPDATE device_state SET heard_at = $2, source = 'native' WHERE device_id = $1"
    await pool.execute(last_heard, device, NOW - timedelta(minutes=40))
    await pool.execute("INSERT INTO device_timer (device_id, silence_due) VALUES ($1, '-infinity')", device)
    kinds = load_kinds()
    cases = Cases(ZONE)
    await cases.start(pool, kinds["manhole"].rules, NOW)
    ticker = Ticker(pool, KnownDevices(kinds), cases, LATE_BOUND)
    await ticker.look(NOW, heard)
    assert await pool.fetch("SELECT FROM alert") == []
    await pool.execute("UPDATE coverage SET until = $1", NOW)
    await pool.execute("UPDATE device_timer SET silence_due = '-infinity'")
    await ticker.look(NOW, await flow.hear_of_others())
    assert await pool.fetchval("SELECT rule FROM alert") == "manhole.offline"
    await pool.execute(KNOW, "w-3", NOW)
    assert await flow.hear_of_others() == {}, "the third was never heard"


async def test_a_forgotten_session_is_recorded_although_the_worker_died_before_the_database_was_back(
    pool: Any, tmp_path: Path
) -> None:
    membership, clock = alone("w", FORMATS), SystemClock()
    heard = {"native": Coverage(NOW - timedelta(minutes=9), NOW - timedelta(minutes=1))}
    session = Session(membership, pool, clock, tmp_path, draining=False)
    await session.register()
    session.stood({}, session_present=False)
    await session.record()
    assert await pool.fetch("SELECT FROM outage") == [], "the first session of all was never known"
    session.stood(heard, session_present=False)
    # Killed here; what it had seen is seen again by the next.
    again = Session(membership, pool, clock, tmp_path, draining=False)
    await again.register()
    again.stood(heard, session_present=True)
    await again.record()
    [outage] = await pool.fetch("SELECT source, worker, cause, began, reported FROM outage")
    assert tuple(outage) == ("native", "w", "the broker had forgotten our session", heard["native"].until, False)
    assert await asyncio.to_thread(os.listdir, tmp_path) == []
    await Session(membership, pool, clock, tmp_path, draining=False).record()
    assert await pool.fetchval("SELECT count(*) FROM outage") == 1


async def test_a_worker_tells_how_it_is_also_when_the_broker_is_away(pool: Any, mosquitto: Broker) -> None:
    async with ingesting(pool, mosquitto.url) as ingest:
        here = Settings(data_dir=ingest.pulse.status_file.parents[1])
        await until(lambda: ready(here))
        mosquitto.stop()
        await until(lambda: says(here, "the broker does not answer"))
        mosquitto.start()
        await until(lambda: ready(here))


async def ready(here: Settings) -> bool:
    return await asyncio.to_thread(why_not_ready, here) is None


async def says(here: Settings, sentence: str) -> bool:
    return sentence in (await asyncio.to_thread(why_not_ready, here) or "")
