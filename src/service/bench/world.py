"""A world of the benchmark's own: database, broker, registered fleet, and the real ingest, all in one folder."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson

from ingest.broker import Protocol
from service.bench import mosquitto
from service.bench.database import Database, connected
from service.children import Child, Program, read_tail, running, start
from service.embedded import nats
from service.embedded.nats import EmbeddedNats
from service.embedded.postgres import EmbeddedPostgres
from service.failures import ChildDiedError, NotReadyError
from service.ports import free_port
from service.settings import PREFIX, load_settings
from store.migrate import migrate

_FLEET_SEED: Final = 1
_READY_S: Final = 60.0
_POLL_S: Final = 0.02
_QUIET_S: Final = 1.0
_STANDSTILL_S: Final = 60.0
"""Nothing settled for so long although something waits: it will not come any more."""


class Broker(StrEnum):
    """Which broker stands between."""

    EMBEDDED = "embedded"
    MOSQUITTO = "mosquitto"


@dataclass(slots=True)
class World:
    """Everything that runs, and how to start and stop what the phases need."""

    broker: Broker
    folder: Path
    environment: Mapping[str, str] = field(repr=False)
    database: Database
    pids: dict[str, int]
    """Of what runs now, by the names that the figures have."""
    worker: str
    """Client id of the ingest."""
    neighbours: tuple[Child, ...]
    ingest: Child | None = None

    @property
    def registry(self) -> Path:
        """The fleet."""
        return self.folder / "fleet.csv"

    @property
    def protocol(self) -> Protocol:
        """What ingest speaks with this broker, so that paho alone speaks the same."""
        newer = self.broker is not Broker.EMBEDDED and load_settings().mqtt_protocol == Protocol.V5.value
        return Protocol.V5 if newer else Protocol.V311

    def check(self) -> None:
        """Raise one sentence if something has died."""
        for child in (*self.neighbours, *([self.ingest] if self.ingest else [])):
            child.require_alive()

    def start_ingest(self) -> None:
        """Start it; it works when this returns or a little later: see ``wait_subscribed``."""
        self.ingest = start(self.program("ingest", "service", "ingest"))
        self.pids["ingest"] = self.ingest.process.pid

    def wait_subscribed(self, since: datetime) -> None:
        """Wait until a heartbeat sent after that moment has come back through the broker and was committed."""
        deadline = time.monotonic() + _READY_S
        while (heard := self.database.heard_until(self.worker)) is None or heard < since:
            self.check()
            if time.monotonic() > deadline:
                raise NotReadyError(f"ingest was started but heard nothing within {_READY_S:.0f} s.")
            time.sleep(_POLL_S)

    def stop_ingest(self) -> None:
        """Ask it to end; the broker keeps its session."""
        if self.ingest is not None:
            self.ingest.stop()
            self.ingest = None
            del self.pids["ingest"]

    def wait_settled(self, messages: int) -> None:
        """Wait until so many messages are settled in all."""
        seen, moved = -1, time.monotonic()
        while (settled := self.database.outcomes().settled) < messages:
            self.check()
            if settled != seen:
                seen, moved = settled, time.monotonic()
            elif time.monotonic() - moved > _STANDSTILL_S:
                raise NotReadyError(f"ingest stands still: {settled} of {messages} messages are settled.")
            time.sleep(_POLL_S)

    def wait_quiet(self) -> None:
        """Wait until nothing more is settled: a load that was cut short has sent what it never saw acknowledged."""
        seen = -1
        while (settled := self.database.outcomes().settled) != seen:
            self.check()
            seen = settled
            time.sleep(_QUIET_S)

    def finish(self, name: str, *command: str) -> None:
        """Run one of our own modules to its end."""
        with self.beside(name, *command) as child:
            self.await_end(child)

    @contextmanager
    def beside(self, name: str, *command: str) -> Generator[Child]:
        """Run one of our own modules beside the block; after it the process is gone."""
        child = start(self.program(name, *command))
        self.pids[name] = child.process.pid
        try:
            yield child
        finally:
            child.stop()
            del self.pids[name]

    def await_end(self, child: Child) -> None:
        """Wait for a program that ends by itself.

        Raises:
            ChildDiedError: it, or another one meanwhile, failed.
        """
        while child.alive:
            self.check()
            time.sleep(_POLL_S)
        if child.process.returncode != 0:
            said = read_tail(child.program.log_file, child.log_start).strip().splitlines()
            why = said[-1] if said else f"exit code {child.process.returncode}"
            raise ChildDiedError(f"{child.program.name} failed: {why}")

    def program(self, name: str, *command: str) -> Program:
        """One of our own modules as a program."""
        return Program(
            name=name,
            argv=(sys.executable, "-m", *command),
            log_file=self.folder / "logs" / f"{name}.log",
            env=self.environment,
            ready=lambda: True,
            hint="Read the last lines of its log.",
            stop_signal=signal.SIGTERM if name == "ingest" else signal.SIGINT,  # the load then writes its summary
            stop_timeout_s=30,
        )

    def settings(self) -> dict[str, Any]:
        """What must be known to judge the figures."""
        chosen = load_settings()
        told = (
            {"max_ack_pending": nats.MAX_ACK_PENDING, "ack_wait": nats.ACK_WAIT, "store": "file"}
            if self.broker is Broker.EMBEDDED
            else dict(mosquitto.SETTINGS)
        )
        return {
            "broker": {"mqtt": "5" if self.protocol is Protocol.V5 else "3.1.1", **told},
            "database": self.database.settings(),
            "ingest": {
                "batch_max_messages": chosen.batch_max_messages,
                "batch_max_bytes": chosen.batch_max_bytes,
                "workers": 1,
            },
            "machine": {"processors": os.cpu_count(), "load_average": [round(load, 2) for load in os.getloadavg()]},
        }


@contextmanager
def world(broker: Broker, devices: int, folder: Path) -> Generator[World]:
    """A world with its fleet registered and ingest not yet started; gone after the block."""
    logs = folder / "logs"
    # The commit times of all transactions are what publish-to-commit is read from; else as `streetwarden run` has it.
    postgres = EmbeddedPostgres(folder / "postgres", logs / "postgres.log", {"track_commit_timestamp": "on"})
    port = free_port()
    embedded = EmbeddedNats(folder / "nats", logs / "nats-server.log", port=port)
    with ExitStack() as stack:
        database = stack.enter_context(running(postgres.prepare()))
        program = (
            embedded.prepare()
            if broker is Broker.EMBEDDED
            else mosquitto.mosquitto(folder / "mosquitto", logs / "mosquitto.log", port)
        )
        server = stack.enter_context(running(program))
        asyncio.run(migrate(postgres.url))
        settings = load_settings()
        made = World(
            broker,
            folder,
            environment=_environment(folder, postgres.url, f"mqtt://127.0.0.1:{port}"),
            database=stack.enter_context(connected(postgres.url)),
            pids={"postgres": database.process.pid, "broker": server.process.pid},
            worker=settings.client_id,
            neighbours=(database, server),
        )
        stack.callback(made.stop_ingest)
        fleet = ("--devices", str(devices), "--seed", str(_FLEET_SEED), "--out", str(made.registry))
        made.finish("fleet", "simulators", "fleet", *fleet)
        made.finish("import", "service", "import", str(made.registry))
        yield made


def _environment(folder: Path, database_url: str, mqtt_url: str) -> dict[str, str]:
    """The caller's, so that settings can be tried out, but with this world's places and the real clock."""
    told = {
        f"{PREFIX}DATA_DIR": str(folder / "data"),
        f"{PREFIX}DATABASE_URL": database_url,
        f"{PREFIX}MQTT_URL": mqtt_url,
        "PYTHONUNBUFFERED": "1",
    }
    inherited = {name: value for name, value in os.environ.items() if name != f"{PREFIX}SIM_CLOCK"}
    return {**inherited, **told}


def now() -> datetime:
    """The moment, on the one clock of this machine that broker, database and load all read."""
    return datetime.now(UTC)


def read_figures(path: Path) -> dict[str, Any]:
    """What a program wrote about itself."""
    figures: dict[str, Any] = orjson.loads(path.read_bytes())
    return figures
