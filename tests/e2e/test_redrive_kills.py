"""Ingest killed with -9 in the middle of a re-drive: each receipt is settled once, and the books balance."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingest.delivery import Delivery
from store.redrive import ask_redrive
from tests.support.books import deviations
from tests.support.brokers import Broker
from tests.support.flow import flow_on
from tests.support.publishing import body, topic, until
from tests.support.redriving import NOW
from tests.support.registered import register

DEVICES, EACH = 20, 500
KILLS = 2


class Ingest:
    """The real program."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            command = [sys.executable, "-m", "service", "ingest"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None


@pytest.fixture
def ingest(database_url: str, embedded_broker: Broker, tmp_path: Path) -> Iterator[Ingest]:
    environment = {
        **os.environ,
        "STREETWARDEN_DATABASE_URL": database_url,
        "STREETWARDEN_MQTT_URL": embedded_broker.url,
    }
    running = Ingest(environment, tmp_path / "ingest.log")
    yield running
    running.kill()


async def _further(pool: Any, taken: int) -> int | None:
    """How many receipts were taken, once it is more than before."""
    now: int | None = await pool.fetchval("SELECT max(taken) FROM redrive WHERE taken > $1", taken)
    return now


@pytest.mark.slow
async def test_a_redrive_survives_kills(pool: Any, ingest: Ingest) -> None:
    flow = await flow_on(pool)
    for number in range(EACH // 50):
        batch: list[Delivery] = []
        for step in range(number * 50, number * 50 + 50):
            at = NOW - timedelta(seconds=2 * (EACH - step))
            payload = body(at, step, tilt_deg=float(step % 3))
            batch += [
                Delivery(topic(f"DC-{n}"), payload, at, 1, redelivered=False, generation=1) for n in range(DEVICES)
            ]
        await flow.settle(batch, number + 1)
    for n in range(DEVICES):
        await register(pool, f"DC-{n}")
    job = await ask_redrive(pool, quarantine_id=None, reason="unknown_device", source=None, by="test", now=NOW)
    assert job.wanted == DEVICES * EACH
    taken = 0
    for _ in range(KILLS):
        ingest.start()
        taken = await until(partial(_further, pool, taken), 60)
        ingest.kill()
        assert await deviations(pool) == []
    assert 0 < taken < job.wanted, "it was over before it was killed"
    ingest.start()
    await until(lambda: pool.fetchval("SELECT state = 'done' FROM redrive"), 120)
    ingest.kill()
    assert tuple(await pool.fetchrow("SELECT taken, stored, duplicate FROM redrive")) == (job.wanted, job.wanted, 0)
    assert await pool.fetchval("SELECT count(*) FROM reading") == job.wanted
    assert await deviations(pool) == []
