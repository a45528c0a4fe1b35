"""One world of its own for each run: database, broker, registered fleet, ingest, publisher; all real, all local."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import orjson

from store.pool import open_pool
from tests.chaos.neighbours import BrokerVictim, Database, Ingest, ingest_environment, run_command, wait_for
from tests.chaos.publisher import ACKNOWLEDGED, STATUS, Order
from tests.chaos.stream import Plan, write_fleet
from tests.support.brokers import Broker, find_mosquitto, mosquitto_broker, nats_broker

T = TypeVar("T")

HEARD_WITHIN_S: Final = 120.0
"""A start on a busy machine takes its time; nothing is measured by this."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who stands beside ingest, how many workers it has, and how the broker dies."""

    name: str
    broker: str
    """``embedded`` or ``mosquitto``."""
    workers: int = 1
    broker_dies_hard: bool = True
    """By -9; else by SIGTERM."""
    loss_is_told: bool = False
    """Loss is measured and reported, not a violation: the broker's contract is broken on purpose."""


CONFIGURATIONS: Final = {
    one.name: one
    for one in (
        Configuration("embedded", "embedded"),
        Configuration("mosquitto", "mosquitto", broker_dies_hard=False),
        Configuration("mosquitto-3", "mosquitto", workers=3, broker_dies_hard=False),
        Configuration("mosquitto-9", "mosquitto", loss_is_told=True),
    )
}


class Publishing:
    """The publisher's process, seen from outside."""

    def __init__(self, folder: Path, order: Order) -> None:
        """Start it."""
        folder.mkdir(parents=True, exist_ok=True)
        order.write(folder)
        self._folder = folder
        self._log = (folder / "publisher.log").open("wb")
        command = [sys.executable, "-m", "tests.chaos.publisher", str(folder)]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(command, cwd=root, stdout=self._log, stderr=self._log)

    def status(self) -> dict[str, Any]:
        """What it last told; empty before its first word."""
        try:
            told: dict[str, Any] = orjson.loads((self._folder / STATUS).read_bytes())
        except FileNotFoundError:
            return {}
        return told

    def require_alive(self) -> None:
        """Raise what it said if it has ended though nobody asked it to."""
        code = self._process.poll()
        if code:
            raise RuntimeError(f"the publisher ended with {code}: {(self._folder / 'publisher.log').read_text()}")

    def finish(self, within_s: float = 600.0) -> dict[str, Any]:
        """Let every device report in good health, wait for the last acknowledgement, and tell what was done."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(within_s)
        self.require_alive()
        return self.status()

    def abandon(self) -> None:
        """Kill it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def acknowledged(self) -> set[int]:
        """The numbers of the messages for which the broker has spoken."""
        return {int(line) for line in (self._folder / ACKNOWLEDGED).read_bytes().split()}


@dataclass(slots=True)
class World:
    """Everything of one run, and a way to ask its database from plain code."""

    folder: Path
    configuration: Configuration
    database: Database
    broker: Broker
    ingest: Ingest
    environment: dict[str, str]
    runner: asyncio.Runner
    devices: int
    began_ms: int = 0
    """When publishing began, epoch milliseconds."""

    def broker_victim(self) -> BrokerVictim:
        """The broker as this configuration kills it."""
        return BrokerVictim(self.broker, hard=self.configuration.broker_dies_hard)

    def publish(self, rate: float, seed: int, folder: str = "publisher") -> tuple[Publishing, Plan]:
        """Begin to publish the stream."""
        self.began_ms = int(time.time() * 1000)
        plan = Plan(seed=seed, devices=self.devices, rate=rate, began_ms=self.began_ms)
        order = Order(self.broker.url, plan, v5=self.configuration.broker == "mosquitto")
        return Publishing(self.folder / folder, order), plan

    def ask(self, sql: str, *arguments: object) -> "list[asyncpg.Record]":
        """One query on a connection of its own: between two questions the database may have been killed."""

        async def run() -> "list[asyncpg.Record]":
            pool = await open_pool(
                self.database.url, application_name="chaos", max_size=1, statement_timeout_s=600, connect_timeout_s=60
            )
            try:
                return list(await pool.fetch(sql, *arguments))
            finally:
                await pool.close()

        return self.run(run())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.runner.run(work)


@contextmanager
def world(
    folder: Path,
    configuration: Configuration,
    *,
    devices: int,
    database_settings: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Generator[World]:
    """Everything started and heard; stopped again when the block is left."""
    folder.mkdir(parents=True, exist_ok=True)
    database = Database(folder, database_settings or {})
    database.revive()
    try:
        with asyncio.Runner() as runner, _broker(folder, configuration.broker) as broker:
            environment = ingest_environment(folder, database.url, broker.url, **(settings or {}))
            run_command(environment, "migrate")
            write_fleet(folder / "fleet.csv", devices)
            run_command(environment, "import", str(folder / "fleet.csv"))
            ingest = Ingest(environment, folder / "ingest.log", configuration.workers)
            made = World(folder, configuration, database, broker, ingest, environment, runner, devices)
            ingest.start()
            try:
                # The session must stand before anything is published into it.
                wait_for(
                    lambda: made.ask("SELECT FROM coverage WHERE source = 'native'"), HEARD_WITHIN_S, "ingest is heard"
                )
                yield made
            finally:
                ingest.stop()
    finally:
        database.stop()


@contextmanager
def _broker(folder: Path, name: str) -> Generator[Broker]:
    if name == "embedded":
        with nats_broker(folder) as running:
            yield running
        return
    program = find_mosquitto()
    if program is None:
        raise RuntimeError("mosquitto is not installed (Debian: apt-get install mosquitto)")
    with mosquitto_broker(folder / "mosquitto", program) as running:
        yield running
