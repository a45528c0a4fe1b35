"""Three real workers on one shared subscription give what one gives: through a kill, and from one to three and back."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.brokers import Broker
from tests.support.publishing import body, publish, topic, until
from tests.support.registered import register

RATE = 800
SECONDS = 26
DEVICES = 200
RACING = 60
CLIENT = "district"
MEMBERS = {f"{CLIENT}-{number}" for number in (1, 2, 3)}


class Ingest:
    """The real ``streetwarden ingest``."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, workers: int) -> None:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "service", "ingest", "--workers", str(workers)]
            self._process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)

    def kill_member(self, client_id: str) -> None:
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children(recursive=True):
            if child.cmdline()[-2:] == ["--client-id", client_id]:
                child.send_signal(signal.SIGKILL)

    def end(self) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(40)
        self._process = None
        return code


@pytest.fixture
def environment(database_url: str, mosquitto: Broker, tmp_path: Path) -> dict[str, str]:
    told = {"DATABASE_URL": database_url, "MQTT_URL": mosquitto.url, "CLIENT_ID": CLIENT, "LOG_FORMAT": "json"}
    told["DATA_DIR"] = str(tmp_path / "data")
    return {**os.environ, **{f"STREETWARDEN_{name}": value for name, value in told.items()}}


@pytest.fixture
def ingest(environment: dict[str, str], tmp_path: Path) -> Iterator[Ingest]:
    running = Ingest(environment, tmp_path / "ingest.log")
    yield running
    running.end()


def finish(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def start_load(broker: Broker, registry: Path, ids: Path, result: Path) -> "subprocess.Popen[bytes]":
    """The load generator in a process of its own; it writes each id as the broker acknowledges it."""
    command = [sys.executable, "-m", "simulators.load", "--mqtt-url", broker.url, "--registry", str(registry)]
    command += ["--rate", str(RATE), "--duration", str(SECONDS), "--ids", str(ids), "--json", str(result)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


async def at_work(pool: Any, *members: str) -> bool:
    """Whether these workers, and no other session, are connected and have been heard."""
    rows = await pool.fetch(
        "SELECT client_id FROM worker_session s WHERE seen_at > now() - interval '5 s' "
        "AND EXISTS (SELECT FROM coverage c WHERE c.worker = s.client_id AND c.until > now() - interval '5 s')"
    )
    known = await pool.fetch("SELECT client_id FROM worker_session")
    return {row[0] for row in rows} == {row[0] for row in known} == set(members)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_three_workers_settle_what_one_would(
    pool: Any, mosquitto: Broker, environment: dict[str, str], ingest: Ingest, tmp_path: Path
) -> None:
    registry, ids, result = tmp_path / "fleet.csv", tmp_path / "ids.txt", tmp_path / "load.json"
    finish(environment, "simulators", "fleet", "--devices", str(DEVICES), "--seed", "3", "--out", str(registry))
    finish(environment, "service", "import", str(registry))
    for number in range(RACING):
        await register(pool, f"RACE-{number}", asset="one-asset")
    ingest.start(1)
    await until(lambda: at_work(pool, CLIENT))
    load = start_load(mosquitto, registry, ids, result)

    await asyncio.sleep(1)
    assert ingest.end() == 0
    ingest.start(3)
    await until(lambda: at_work(pool, *MEMBERS), 90)
    ingest.kill_member(f"{CLIENT}-2")
    await asyncio.sleep(2)
    await publish(mosquitto, *((topic(f"RACE-{number}"), body(tilt_deg=95.0)) for number in range(RACING)))
    await until(lambda: pool.fetchval("SELECT count(*) = $1 FROM alert WHERE state = 'firing'", RACING))
    await until(lambda: at_work(pool, *MEMBERS), 90)
    assert ingest.end() == 0
    ingest.start(1)
    await until(lambda: at_work(pool, CLIENT), 120)

    assert await asyncio.to_thread(load.wait, 120) == 0
    acknowledged = {tuple(line.split()) for line in ids.read_text().splitlines()}
    assert len(acknowledged) == json.loads(result.read_text())["acknowledged"] > 0
    await until(lambda: pool.fetchval("SELECT count(*) >= $1 FROM reading", len(acknowledged) + RACING), 120)
    assert ingest.end() == 0

    rows = await pool.fetch("SELECT d.name, r.seq FROM reading r JOIN device d ON d.id = r.device_id WHERE seq >= 0")
    stored = [(row[0], str(row[1])) for row in rows]
    assert len(stored) == len(set(stored)), "a reading was stored twice"
    assert set(stored) == acknowledged
    ledger = await pool.fetchrow(
        "SELECT sum(contained)::int AS contained, sum(stored)::int AS stored, sum(duplicate)::int AS duplicate, "
        "sum(accepted)::int AS accepted, sum(quarantined)::int AS quarantined FROM ledger_minute"
    )
    shares = await pool.fetch("SELECT worker, sum(stored)::int FROM ledger_minute GROUP BY 1 ORDER BY 1")
    print(len(acknowledged), dict(ledger), [tuple(row) for row in shares])  # noqa: T201  # figures for whoever ran it with -s
    assert ledger["accepted"] == ledger["contained"] == ledger["stored"] + ledger["duplicate"]
    assert ledger["stored"] == len(stored) + RACING
    assert ledger["quarantined"] == 0
    assert {row[0] for row in shares if row[1] > 0} == {CLIENT, *MEMBERS}, "each worker had its share"

    ticket = await pool.fetchrow("SELECT count(*), min(firing), min(alerts) FROM ticket WHERE case_class = '0101-1'")
    assert tuple(ticket) == (1, RACING, RACING), "one asset, one case class, one ticket"
    assert await pool.fetch("SELECT FROM outage WHERE cause LIKE 'the broker%'") == []
    said = [json.loads(line) for line in ingest.log.read_text().splitlines() if line.startswith("{")]
    assert [line["how"] for line in said if line["event"] == "worker_died"] == ["killed by SIGKILL"]
    drained = [line["client_id"] for line in said if line["event"] == "session_drained"]
    assert drained == [CLIENT, *sorted(MEMBERS)]


def test_a_broker_whose_shared_subscription_delivers_nothing_gets_one_worker_only(
    environment: dict[str, str], embedded_broker: Broker
) -> None:
    told = {**environment, "STREETWARDEN_MQTT_URL": embedded_broker.url, "STREETWARDEN_WORKERS": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "service", "ingest"], env=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 78
    assert "STREETWARDEN_WORKERS=1" in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) == 1
