"""A database that was in use before devices had a ledger: what came before is carried over, and the books balance."""

from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ingest.delivery import Delivery
from store.migrate import _configuration, migrate  # pyright: ignore[reportPrivateUsage]  # to stop half way
from store.pool import open_pool
from tests.support.books import deviations
from tests.support.flow import flow_on
from tests.support.publishing import body, topic
from tests.support.redriving import NOW, delivery, redrive
from tests.support.registered import register


async def upgrade(url: str, revision: str) -> None:
    async def connect() -> Any:
        return await asyncpg.connect(url, server_settings={"timezone": "UTC"})

    def run(connection: Connection) -> None:
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


async def test_what_came_before_is_carried_over(empty_database_url: str) -> None:
    await upgrade(empty_database_url, "0001")
    before = await open_pool(empty_database_url, application_name="test")
    device = await register(before, "DC-1")
    await before.execute("UPDATE device_state SET readings = 5, heard_at = $1", NOW)
    await before.execute(
        "INSERT INTO ledger_minute (minute, source, worker, accepted, quarantined, contained, stored) "
        "VALUES ($1, 'native', 'w', 5, 2, 5, 5)",
        NOW,
    )
    await before.execute(
        "INSERT INTO quarantine (identity, reason, source, topic, payload, size, detail, first_seen, last_seen, count) "
        "VALUES ('\\x01', 'unknown_device', 'native', 't', '{', 1, 'd', $1, $1, 2)",
        NOW,
    )
    await before.close()
    await migrate(empty_database_url)
    pool = await open_pool(empty_database_url, application_name="test")
    opening = await pool.fetchrow("SELECT day, device_id, worker, stored FROM ledger_device_day")
    assert opening is not None
    assert tuple(opening) == (NOW.date() + timedelta(days=1), device, "opening", 5)
    flow = await flow_on(pool)
    await flow.settle([delivery(body(NOW, 1, tilt_deg=1.0), 1)], 1)
    # Which of its readings came on which of the days so far cannot be told any more: those days are not compared.
    assert await deviations(pool) == []
    later = NOW + timedelta(days=3)
    one = Delivery(topic("DC-1"), body(later, 2, tilt_deg=1.0), later, 1, redelivered=False, generation=1)
    await flow.settle([one, one], 2)
    assert await deviations(pool) == []
    day = await pool.fetchval("SELECT max(day) FROM ledger_device_day WHERE worker <> 'opening'")
    assert isinstance(day, date)
    assert not isinstance(day, datetime)
    done = await redrive(pool, flow, source="native")
    assert (done.wanted, done.without_time) == (0, 2)
    await pool.close()
