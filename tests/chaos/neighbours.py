"""What is killed: a real PostgreSQL with everything forced to disk, a real broker, the real ``streetwarden ingest``."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import psutil

from service.children import Child, start
from service.embedded.postgres import EmbeddedPostgres
from tests.support.brokers import Broker

_GONE_WITHIN_S: Final = 20.0
_LOG_TAIL: Final = 600


class Victim(Protocol):
    """Something that can be killed and is started again at once."""

    name: str

    def kill(self, dice: random.Random) -> str:
        """End it hard; say how."""
        ...

    def revive(self) -> None:
        """Start it again, and wait until it serves, where that can be seen from outside."""
        ...


class Database:
    """The embedded PostgreSQL with its settings as shipped: ``fsync`` on, ``full_page_writes`` on."""

    name = "database"

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        """Where its data goes, and what is set beside the defaults; ``revive`` starts it."""
        self._embedded = EmbeddedPostgres(folder / "postgres", folder / "postgres.log", settings)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """How to connect."""
        return self._embedded.url

    @property
    def pid(self) -> int:
        """The server's own process, not a launcher's."""
        if self._child is None:
            raise RuntimeError("the database does not run")
        return self._child.process.pid

    def kill(self, dice: random.Random) -> str:
        """SIGKILL to the server and every one of its processes: as if the power had failed, but for the disk's cache.

        Stopped first, so that it cannot start another process while we count them.
        """
        del dice
        server = psutil.Process(self.pid)
        server.send_signal(signal.SIGSTOP)
        family = [*server.children(recursive=True), server]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._child is not None:
            self._child.process.wait(_GONE_WITHIN_S)
        psutil.wait_procs(family, _GONE_WITHIN_S)
        return "-9"

    def revive(self) -> None:
        """Start it and wait until it has replayed its log and serves."""
        self._child = start(self._embedded.prepare())
        self._child.wait_ready()

    def stop(self) -> None:
        """End it in peace."""
        if self._child is not None:
            self._child.stop()


class BrokerVictim:
    """A broker, killed with -9 where its contract allows that, else asked to end."""

    name = "broker"

    def __init__(self, broker: Broker, *, hard: bool) -> None:
        """Take a running broker."""
        self._broker = broker
        self._hard = hard

    def kill(self, dice: random.Random) -> str:
        """SIGKILL, or SIGTERM and the time it needs."""
        del dice
        if self._hard:
            self._broker.kill()
            return "-9"
        self._broker.stop()
        return "-15"

    def revive(self) -> None:
        """Start it and wait until it listens."""
        self._broker.start()


@dataclass(frozen=True, slots=True)
class OwnEnd:
    """An ingest process that ended though nobody had killed it."""

    after_s: float
    """Seconds since its start."""
    code: int
    last_words: str
    was_up: bool
    """It had reached the broker before."""


@dataclass(slots=True)
class Ingest:
    """``streetwarden ingest``, with one worker in its own process or several below a parent."""

    environment: dict[str, str]
    log: Path
    workers: int = 1
    name: str = "ingest"
    own_ends: list[OwnEnd] = field(default_factory=list[OwnEnd])
    _process: "subprocess.Popen[bytes] | None" = None
    _started_at: float = 0.0
    _log_from: int = 0

    @property
    def pid(self) -> int:
        """The process that was started; the parent, where there are several workers."""
        if self._process is None:
            raise RuntimeError("ingest does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "service", "ingest"]
        if self.workers > 1:
            command += ["--workers", str(self.workers)]
        with self.log.open("ab") as output:
            self._log_from = output.tell()
            self._process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
        self._started_at = time.monotonic()

    def kill(self, dice: random.Random) -> str:
        """SIGKILL: to the one worker, or to a random one of several, whose parent starts it again."""
        if self.workers > 1:
            children = self.worker_processes()
            if children:
                with suppress(psutil.NoSuchProcess):
                    dice.choice(children).kill()
                return "-9 (one of them)"
            return "none was there"
        if self._process is not None:
            self._process.kill()
            self._process.wait(_GONE_WITHIN_S)
        return "-9"

    def revive(self) -> None:
        """Start it again; several workers are started again by their parent."""
        if self.workers == 1:
            self.start()

    def look_after(self) -> None:
        """Note an end that nobody asked for, and start it again."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        text = self._own_log()
        words = text.strip().splitlines()
        self.own_ends.append(
            OwnEnd(
                round(time.monotonic() - self._started_at, 1),
                code,
                words[-1][-_LOG_TAIL:] if words else "",
                "broker_connected" in text,
            )
        )
        self.start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """End it; the exit code."""
        if self._process is None:
            return None
        self._process.send_signal(how)
        code = self._process.wait(60)
        self._process = None
        return code

    def worker_processes(self) -> list[psutil.Process]:
        """The children that run Python: the workers themselves."""
        parent = psutil.Process(self.pid)
        found: list[psutil.Process] = []
        for child in parent.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                words = " ".join(child.cmdline())
                if "python" in words and "resource_tracker" not in words:
                    found.append(child)
        return found

    def resident_mib(self) -> float:
        """Memory of the process and its children."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.pid)
            for process in (own, *own.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
        return total / 2**20

    def is_linked_to(self, port: int) -> bool:
        """Whether the process or a child holds a connection to a port of this machine."""
        with suppress(psutil.Error):
            own = psutil.Process(self.pid)
            for process in (own, *own.children(recursive=True)):
                links = [link for link in process.net_connections(kind="tcp") if link.status == psutil.CONN_ESTABLISHED]
                # An established link has a far end: address and port.
                if any(link.raddr[1:] == (port,) for link in links):
                    return True
        return False

    def _own_log(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def told(self, event: str, since: int = 0) -> list[dict[str, Any]]:
        """The log lines of one event from byte ``since`` of the log on."""
        with self.log.open("rb") as log:
            log.seek(since)
            lines = log.read().decode(errors="replace").splitlines()
        found: list[dict[str, Any]] = []
        for line in lines:
            with suppress(ValueError):
                entry: Any = json.loads(line)
                found.append(entry)
        return [entry for entry in found if entry["event"] == event]


def ingest_environment(folder: Path, database_url: str, mqtt_url: str, **settings: str) -> dict[str, str]:
    """The environment of a ``streetwarden`` command: nothing of ours but what is named here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREETWARDEN_")}
    return {
        **kept,
        "STREETWARDEN_DATA_DIR": str(folder),
        "STREETWARDEN_DATABASE_URL": database_url,
        "STREETWARDEN_MQTT_URL": mqtt_url,
        "STREETWARDEN_LOG_FORMAT": "json",
        **{f"STREETWARDEN_{name.upper()}": value for name, value in settings.items()},
    }


def run_command(environment: dict[str, str], *words: str) -> None:
    """Run ``streetwarden …`` to its end.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "service", *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"streetwarden {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")


def wait_for(condition: Callable[[], object], within_s: float, what: str) -> None:
    """Look four times a second until it is true.

    Raises:
        TimeoutError: it did not become true; the sentence says what.
    """
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{what} within {within_s:.0f} s: no")
        time.sleep(0.25)
