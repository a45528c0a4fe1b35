"""Real MQTT brokers for tests: NATS as the service starts it, and mosquitto as a city would run it."""

import os
import shutil
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.children import Child, Program, start
from service.embedded.nats import EmbeddedNats
from service.ports import free_port

DEBIAN_SYSTEM_PROGRAMS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")  # on no ordinary user's PATH

MOSQUITTO_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_inflight_messages 2000
max_queued_messages 0
log_dest stderr
{user}
"""


MOSQUITTO_DEFAULTS = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence_location {folder}/
log_dest stderr
{user}
"""


@dataclass(slots=True)
class Broker:
    """A running broker; a test may stop it, kill it and start it again with the data it had."""

    url: str
    port: int
    program: Program
    child: Child

    @property
    def pid(self) -> int:
        return self.child.process.pid

    def stop(self) -> None:
        self.child.stop()

    def kill(self) -> None:
        self.child.process.send_signal(signal.SIGKILL)
        self.child.process.wait(10)

    def start(self) -> None:
        self.child = start(self.program)
        self.child.wait_ready()


def find_mosquitto() -> str | None:
    """The program, also where Debian puts it."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(DEBIAN_SYSTEM_PROGRAMS))


@contextmanager
def nats_broker(folder: Path) -> Generator[Broker]:
    """The embedded broker on a free port."""
    nats = EmbeddedNats(folder / "nats", folder / "nats.log", port=free_port())
    with _started(nats.url, nats.port, nats.prepare()) as broker:
        yield broker


@contextmanager
def mosquitto_broker(folder: Path, program: str, text: str = MOSQUITTO_CONFIGURATION) -> Generator[Broker]:
    """mosquitto on a free port, by default with windows wide enough for batches and its queue unbounded."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "mosquitto.conf"
    user = "user root" if os.geteuid() == 0 else ""  # else it would change to a user who may not write here
    configuration.write_text(text.format(port=port, folder=folder, user=user))
    started = Program(
        name="mosquitto",
        argv=(program, "-c", str(configuration)),
        log_file=folder / "mosquitto.log",
        env={"PATH": os.environ.get("PATH", os.defpath)},
        ready=lambda: listens(port),
        hint="",
    )
    with _started(f"mqtt://127.0.0.1:{port}", port, started) as broker:
        yield broker


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


@contextmanager
def _started(url: str, port: int, program: Program) -> Generator[Broker]:
    child = start(program)
    broker = Broker(url, port, program, child)
    try:
        child.wait_ready()
        yield broker
    finally:
        broker.stop()
