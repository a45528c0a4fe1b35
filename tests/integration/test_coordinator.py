"""The coordinator: one leads, another takes over where it committed last, and commits are read in their order."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from devices.catalogue import load_kinds
from service.cases import Cases
from service.coordinator.balance_look import BalanceLook
from service.coordinator.coordinator import Coordinator
from service.coordinator.look import GroupLook
from service.known import KnownDevices
from store.coordinator import Cursor, lock_cursor, read_changed, try_to_lead
from store.pool import open_pool
from tests.support.api import StillClock
from tests.support.circuits import NOW, Coordinated, coordinated, register_street, told
from tests.support.flow import ZONE
from tests.support.publishing import until

LAMPS = [f"L-{number:02}" for number in range(12)]
STUCK = """SELECT pid, application_name FROM pg_stat_activity
    WHERE application_name LIKE 'candidate-%' AND wait_event_type = 'Lock' AND datname = current_database()"""


async def go_dark(street: Coordinated, names: list[str]) -> None:
    for minutes in (2, 1):
        at = street.clock.time - timedelta(minutes=minutes)
        await street.tell(*(told(name, at, lamp_failure=True) for name in names))


@asynccontextmanager
async def candidate(url: str, name: str, clock: StillClock) -> AsyncGenerator[Coordinator]:
    """A coordinator as a worker runs it, on connections of its own."""
    pool = await open_pool(url, application_name=name, max_size=2)
    known, cases = KnownDevices(load_kinds()), Cases(ZONE)
    balances = BalanceLook(ZONE, known, cases)
    coordinator = Coordinator(pool, clock, GroupLook(load_kinds(), known, cases), balances, name)
    running = asyncio.create_task(coordinator.run())
    try:
        yield coordinator
    finally:
        running.cancel()
        await asyncio.wait([running])
        await pool.close()


async def test_of_two_candidates_one_leads_and_the_other_follows_when_it_goes(pool: Any, database_url: str) -> None:
    clock = StillClock(NOW)
    async with candidate(database_url, "candidate-2", clock) as second:
        async with candidate(database_url, "candidate-1", clock) as first:

            async def led() -> bool:
                return first.leads or second.leads

            await until(led)
            await asyncio.sleep(2.5)
            assert first.leads != second.leads

        async def follows() -> bool:
            return second.leads

        await until(follows)
        assert await pool.fetchval("SELECT leader FROM coordinator") == "candidate-2"


async def test_a_leader_that_dies_in_the_middle_of_a_decision_decided_nothing(pool: Any, database_url: str) -> None:
    await register_street(pool, LAMPS, circuit="XH-01")
    street = await coordinated(pool)
    async with (
        candidate(database_url, "candidate-1", street.clock),
        candidate(database_url, "candidate-2", street.clock),
    ):
        await until(lambda: pool.fetchval("SELECT leader LIKE 'candidate-%' FROM coordinator"))
        async with pool.acquire() as holder, holder.transaction():
            # Incident, mutes and members are written already when the decision waits here to open its ticket.
            await holder.execute("LOCK TABLE ticket IN SHARE MODE")
            await go_dark(street, LAMPS)
            [stuck] = await until(lambda: pool.fetch(STUCK))
            await pool.execute("SELECT pg_terminate_backend($1)", stuck["pid"])
            gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $1"
            await until(lambda: pool.fetchval(gone, stuck["pid"]))
            assert await street.incidents() == []
        await until(lambda: pool.fetchval("SELECT alerts = 12 FROM incident"))
    assert await street.incidents() == [("streetlight.circuit_dark", "XH-01", "open", 12, 12)]
    assert len(await street.tickets()) == 1
    await street.wait(hours=1)
    assert len(await street.tickets()) == 1


async def test_an_alert_of_an_older_transaction_that_commits_later_is_not_missed(pool: Any) -> None:
    await register_street(pool, LAMPS[:3], circuit="XH-01")
    street = await coordinated(pool)
    await go_dark(street, LAMPS[:1])
    async with pool.acquire() as slow, pool.acquire() as reader:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("UPDATE alert SET note = 'slow', changed = pg_current_xact_id()")
        await go_dark(street, LAMPS[1:3])
        async with reader.transaction():
            before = await read_changed(reader, await lock_cursor(reader), 100)
        assert len(before) == 1, "what came after the slow one waits for it"
        await transaction.commit()
        async with reader.transaction():
            cursor = await lock_cursor(reader)
            rows = await read_changed(reader, cursor, 100)
            assert len(rows) == 3
            assert rows == sorted(rows, key=lambda row: (row.changed, row.id))
            assert rows[0].id == before[0].id
            assert rows[0].changed > before[0].changed, "it moved on to the transaction of its last change"
            for place, row in enumerate(rows, start=1):
                assert await read_changed(reader, Cursor(row.changed, row.id), 100) == rows[place:]
    await street.decide()
    assert [row[3] for row in await street.incidents()] == [3]


async def test_a_cursor_of_another_database_begins_anew(pool: Any) -> None:
    street = await coordinated(pool)
    await pool.execute("UPDATE coordinator SET changed = '999999999999'")
    street = await coordinated(pool)
    await register_street(pool, LAMPS[:4], circuit="XH-01")
    await go_dark(street, LAMPS[:4])
    await street.decide()
    assert len(await street.incidents()) == 1


async def test_only_one_connection_leads(database_url: str) -> None:
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    try:
        assert await try_to_lead(first)
        assert not await try_to_lead(second)
        await first.close()
        await until(lambda: try_to_lead(second))
    finally:
        await second.close()
