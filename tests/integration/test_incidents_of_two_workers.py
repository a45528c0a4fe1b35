"""Incidents of real workers: two of them share a broker's stream, one coordinates, and forty lamps are one ticket."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest.catalogue import load_formats
from ingest.membership import in_group
from tests.support.brokers import Broker
from tests.support.circuits import register_street
from tests.support.ingest import ingesting
from tests.support.publishing import body, publish, topic, until

LAMPS = [f"L-{number:02}" for number in range(40)]
HOLDER = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_forty_lamps_at_two_workers_are_one_incident_which_survives_its_coordinator(
    pool: Any, mosquitto: Broker
) -> None:
    await register_street(pool, LAMPS, circuit="XH-01")
    await register_street(pool, ["L-99"], circuit="XH-02")
    begun = datetime.now(UTC)

    def told(name: str, minutes: int, *, dark: bool) -> tuple[str, bytes]:
        at = begun - timedelta(minutes=minutes)
        return topic(name, "streetlight"), body(at, None, lamp_failure=dark)

    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                ingesting(pool, mosquitto.url, membership=in_group(f"worker-{number}", load_formats()))
            )
            for number in (1, 2)
        ]
        await until(lambda: pool.fetchval("SELECT leader FROM coordinator"))
        for minutes in (5, 4):
            await publish(mosquitto, *(told(name, minutes, dark=True) for name in [*LAMPS, "L-99"]))
        await until(lambda: pool.fetchval("SELECT alerts = 40 FROM incident"))
        assert await pool.fetchval("SELECT count(*) FROM ticket") == 1
        waiting = "SELECT count(*) FROM alert_mute WHERE reason = 'group_wait' AND ended_at IS NULL"
        assert await pool.fetchval(waiting) == 41
        assert [worker.coordinator.leads for worker in workers].count(True) == 1
        # Its connection is cut: whoever leads next goes on where it committed last.
        before = await pool.fetchval(HOLDER)
        await pool.execute("SELECT pg_terminate_backend($1)", before)
        await until(lambda: pool.fetchval(f"SELECT ({HOLDER}) <> $1", before))
        await publish(mosquitto, *(told(name, 3, dark=False) for name in LAMPS[1:]))
        await until(lambda: pool.fetchval("SELECT state = 'closed' FROM incident"))
        assert await pool.fetchval("SELECT count(*) FROM ticket WHERE state = 'open'") == 0
        released = "SELECT count(*) FROM alert_mute WHERE reason = 'incident' AND ended_at IS NULL"
        await until(lambda: pool.fetchval(f"SELECT ({released}) = 0"))
        assert await pool.fetchval("SELECT count(*) FROM alert WHERE rule = 'streetlight.circuit_dark'") == 1
