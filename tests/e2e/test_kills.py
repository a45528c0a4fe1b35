"""Ingest killed with -9 again and again under load: what was acknowledged is settled once; the ledger balances."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.books import deviations
from tests.support.brokers import Broker
from tests.support.publishing import until

KILLS = int(os.environ.get("STREETWARDEN_TEST_KILLS", "4"))
"""A full proof kills twenty times: STREETWARDEN_TEST_KILLS=20."""
RATE = 2000
DEVICES = 500


class Ingest:
    """The real ``streetwarden ingest``, started, killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            command = [sys.executable, "-m", "service", "ingest"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None


@pytest.fixture(params=["mosquitto", "embedded_broker"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def environment(database_url: str, broker: Broker) -> dict[str, str]:
    return {**os.environ, "STREETWARDEN_DATABASE_URL": database_url, "STREETWARDEN_MQTT_URL": broker.url}


@pytest.fixture
def ingest(environment: dict[str, str], tmp_path: Path) -> Iterator[Ingest]:
    running = Ingest(environment, tmp_path / "ingest.log")
    yield running
    running.end(signal.SIGKILL)


def finish(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def start_load(broker: Broker, registry: Path, ids: Path, result: Path, seconds: float) -> "subprocess.Popen[bytes]":
    """The load generator in a process of its own; it writes each id as the broker acknowledges it."""
    command = [sys.executable, "-m", "simulators.load", "--mqtt-url", broker.url, "--registry", str(registry)]
    command += ["--rate", str(RATE), "--duration", str(seconds), "--ids", str(ids), "--json", str(result)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_or_settled_twice(
    pool: Any, broker: Broker, environment: dict[str, str], ingest: Ingest, tmp_path: Path
) -> None:
    registry, ids, result = tmp_path / "fleet.csv", tmp_path / "ids.txt", tmp_path / "load.json"
    finish(environment, "simulators", "fleet", "--devices", str(DEVICES), "--seed", "3", "--out", str(registry))
    finish(environment, "service", "import", str(registry))
    ingest.start()
    # The session must stand before anything is published into it.
    await until(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM coverage)"), 60)

    seconds = KILLS * 1.5 + 3
    load = start_load(broker, registry, ids, result, seconds)
    for turn in range(KILLS):
        # Another moment each time: the steps are no multiple of anything in the service.
        await asyncio.sleep(0.6 + (turn * 0.37) % 0.7)
        ingest.end(signal.SIGKILL)
        ingest.start()
    assert await asyncio.to_thread(load.wait, 120) == 0
    sent = json.loads(result.read_text())
    acknowledged = {tuple(line.split()) for line in ids.read_text().splitlines()}
    assert len(acknowledged) == sent["acknowledged"] > 0
    await until(lambda: _all_stored(pool, len(acknowledged)), 180)
    await _no_more_arrives(pool)
    ingest.end(signal.SIGTERM)

    rows = await pool.fetch("SELECT d.name, r.seq FROM reading AS r JOIN device AS d ON d.id = r.device_id")
    stored = [(row[0], str(row[1])) for row in rows]
    assert len(stored) == len(set(stored)), "a reading was stored twice"
    assert acknowledged <= set(stored), f"{len(acknowledged - set(stored))} acknowledged messages are lost"
    ledger = await pool.fetchrow(
        "SELECT sum(contained)::int AS contained, sum(stored)::int AS stored, sum(duplicate)::int AS duplicate, "
        "sum(accepted)::int AS accepted, sum(quarantined)::int AS quarantined, sum(redelivered)::int AS redelivered "
        "FROM ledger_minute"
    )
    print(f"{KILLS} kills, {len(acknowledged)} acknowledged, {len(stored)} stored, ledger {dict(ledger)}")  # noqa: T201  # figures for whoever ran it with -s
    assert ledger["quarantined"] == 0
    assert ledger["accepted"] == ledger["contained"] == ledger["stored"] + ledger["duplicate"]
    assert ledger["stored"] == len(stored)
    counted = await pool.fetchval("SELECT sum(readings)::int FROM device_state")
    assert counted == len(stored), "the devices' own counts differ from what is stored"
    assert await deviations(pool) == []


async def _all_stored(pool: Any, messages: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) >= $1 FROM reading", messages))


async def _no_more_arrives(pool: Any) -> None:
    """Wait until two looks a second apart agree, so that late redeliveries are counted too."""
    before, started = -1, time.monotonic()
    while time.monotonic() - started < 20:
        now = await pool.fetchval("SELECT sum(accepted + redelivered)::int FROM ledger_minute")
        if now == before:
            return
        before = now
        await asyncio.sleep(1.0)
