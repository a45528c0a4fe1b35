"""mosquitto as the benchmark runs it: our broker contract, and nothing tuned beyond."""

import os
import shutil
import socket
from pathlib import Path
from typing import Final

from domain.errors import RefusedError
from service.children import Program

_SYSTEM_PROGRAMS: Final = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
"""Where Debian and others put it: on no ordinary user's PATH."""

SETTINGS: Final = {
    "persistence": "true",
    "max_inflight_messages": "4000",  # as many as the ingest asks for with its Receive Maximum
    "max_queued_messages": "0",  # unbounded: a full queue would drop messages already acknowledged
}


def find_mosquitto() -> str:
    """The program.

    Raises:
        RefusedError: it is not installed.
    """
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=os.pathsep.join(_SYSTEM_PROGRAMS))
    if found is None:
        raise RefusedError("mosquitto is not installed (Debian: apt-get install mosquitto); or try --broker embedded.")
    return found


def mosquitto(folder: Path, log_file: Path, port: int) -> Program:
    """Write its configuration and say what to start."""
    program = find_mosquitto()
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", f"persistence_location {folder}/", "log_dest stderr"]
    if os.geteuid() == 0:
        lines.append("user root")  # else it would change to a user who may not write here
    lines += [f"{name} {value}" for name, value in SETTINGS.items()]
    configuration = folder / "mosquitto.conf"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Program(
        name="mosquitto",
        argv=(program, "-c", str(configuration)),
        log_file=log_file,
        env={"PATH": os.environ.get("PATH", os.defpath)},
        ready=lambda: _listens(port),
        hint="Read the last lines of its log.",
        stop_timeout_s=30,  # it writes its queues to disk first
    )


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True
