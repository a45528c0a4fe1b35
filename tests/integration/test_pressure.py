"""Under pressure: a database that is blocked, a broker that is away; memory stays bounded and nothing is lost."""

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.mqtt import Subscriber
from service.ingest import Ingest
from service.settings import Settings
from tests.support.brokers import Broker
from tests.support.ingest import ingesting
from tests.support.publishing import balance, body, publish, topic, until
from tests.support.registered import register
from tests.support.secure import listening

MIB = 1024 * 1024
KEEPALIVE_S = int(os.environ.get("STREETWARDEN_TEST_KEEPALIVE_S", "3"))
"""The service's own is 30: with STREETWARDEN_TEST_KEEPALIVE_S=30 the database stays blocked for 48 s."""
NOW = datetime.now(UTC)


def generation_of(subscriber: Subscriber) -> int:
    return subscriber._generation  # pyright: ignore[reportPrivateUsage]  # which connection it is, told by nobody


def bytes_in_hand(subscriber: Subscriber) -> int:
    return subscriber._outstanding_bytes  # pyright: ignore[reportPrivateUsage]  # what the cap is about


def hang_up(subscriber: Subscriber) -> None:
    subscriber._end("for the test")  # pyright: ignore[reportPrivateUsage]  # as if the connection had broken


def change(subscriber: Subscriber, **options: Any) -> None:
    """For its next connection; the settings have no names for these."""
    changed = replace(subscriber._options, **options)  # pyright: ignore[reportPrivateUsage]  # none of the settings
    subscriber._options = changed  # pyright: ignore[reportPrivateUsage]  # none of the settings


@asynccontextmanager
async def blocked(pool: Any) -> AsyncGenerator[None, None]:
    """Nobody can store a reading until the test leaves."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE reading IN ACCESS EXCLUSIVE MODE")
        yield


def message(number: int, pad: int = 0) -> tuple[str, bytes]:
    reading = body(NOW - timedelta(hours=1) + timedelta(seconds=number), number, tilt_deg=1.0)
    return topic("PR-1"), reading[:-1] + b', "pad": "' + b"x" * pad + b'"}'


async def require_each_once(pool: Any, count: int) -> None:
    await until(lambda: pool.fetchval("SELECT count(*) >= $1 FROM reading", count), 90)
    rows = await pool.fetch("SELECT seq, count(*) AS times FROM reading GROUP BY seq")
    assert {row["seq"]: row["times"] for row in rows} == dict.fromkeys(range(1, count + 1), 1)


async def drained(ingest: Ingest) -> bool:
    return ingest.subscriber.outstanding == 0


async def stands(ingest: Ingest, generation: int) -> bool:
    return ingest.subscriber.connected and generation_of(ingest.subscriber) >= generation


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_blocked_database_does_not_end_the_connection(pool: Any, mosquitto: Broker) -> None:
    """The broker hangs up after one and a half keepalives without a word: the socket must be served all the time."""
    await register(pool, "PR-1")
    async with ingesting(pool, mosquitto.url) as ingest:
        subscriber = ingest.subscriber
        # Nothing but the keepalive itself may keep it up: no heartbeats. The next connection has both.
        change(subscriber, keepalive_s=KEEPALIVE_S, heartbeats={})
        hang_up(subscriber)
        generation = generation_of(subscriber)
        async with asyncio.timeout(45):
            while generation_of(subscriber) == generation or not subscriber.connected:  # noqa: ASYNC110  # told by nobody
                await asyncio.sleep(0.02)
        generation = generation_of(subscriber)
        async with blocked(pool):
            await publish(mosquitto, *(message(number) for number in range(1, 201)))
            await asyncio.sleep(1.6 * KEEPALIVE_S)
            assert subscriber.connected
            assert subscriber.outstanding >= 200
        await require_each_once(pool, 200)
        assert generation_of(subscriber) == generation


async def test_a_broker_that_is_away_is_asked_less_and_less_often(mosquitto: Broker) -> None:
    async with listening(mosquitto.url, client_id="patient") as there:
        await there.stands()
        await asyncio.to_thread(mosquitto.stop)
        times: list[float] = []
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while len(times) < 6:
                if len(there.lost) > len(times):
                    times.append(loop.time())
                await asyncio.sleep(0.005)
        await asyncio.to_thread(mosquitto.start)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        # Doubled each time, and each time by chance between half and one and a half of it.
        assert gaps[-1] > 2 * min(gaps[:2]), gaps
        async with asyncio.timeout(60):
            while len(there.connected) < 2:  # noqa: ASYNC110  # the subscriber tells by callback
                await asyncio.sleep(0.02)
        assert there.connected[-1].session_present


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("name", "protocol"), [("mosquitto", "3"), ("mosquitto", "5"), ("embedded_broker", "3")])
async def test_a_full_inbox_leaves_the_rest_with_the_broker_and_loses_nothing(
    pool: Any, request: pytest.FixtureRequest, name: str, protocol: Any
) -> None:
    broker: Broker = request.getfixturevalue(name)
    await register(pool, "PR-1")
    count, pad, largest = 200, 30_000, 0  # six times the cap
    settings = Settings(inbox_max_bytes=MIB, mqtt_protocol=protocol)
    async with ingesting(pool, broker.url, settings) as ingest:
        subscriber = ingest.subscriber
        change(subscriber, full_patience_s=1.5, heartbeats={})

        async def watch() -> None:
            nonlocal largest
            while True:
                largest = max(largest, bytes_in_hand(subscriber))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        async with blocked(pool):
            await publish(broker, *(message(number, pad) for number in range(1, count + 1)))
            async with asyncio.timeout(20):
                while subscriber.connected:  # noqa: ASYNC110  # the broker sends when it likes
                    await asyncio.sleep(0.02)
            generation = generation_of(subscriber)
            await asyncio.sleep(1.0)
            assert generation_of(subscriber) == generation, "it came back before there was room"
        await require_each_once(pool, count)
        watching.cancel()
        # One message above the cap, and what one read of the socket brings along with it.
        assert MIB < largest < MIB + 2 * (pad + 2_000)
        assert generation_of(subscriber) == generation + 1, "reading stops at the cap; what is settled makes room"
        # All was acknowledged to the connection that stands: the next one brings nothing again.
        await until(lambda: drained(ingest))
        before = (await balance(pool))["redelivered"]
        assert before >= 1
        hang_up(subscriber)
        await until(lambda: stands(ingest, generation + 2))
        await publish(broker, message(count + 1))
        await require_each_once(pool, count + 1)
        counts = await balance(pool)
        assert counts["redelivered"] == before
        assert counts["accepted"] == counts["stored"] == count + 1
        assert counts["quarantined"] == counts["duplicate"] == 0
