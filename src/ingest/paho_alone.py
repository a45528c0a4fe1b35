"""The limit to measure against: paho alone, which receives, acknowledges (QoS 1) and throws away; run by the bench.

``python -m ingest.paho_alone prepare`` makes a session that the broker keeps; whatever is published then waits in it.
``… receive --count N`` comes back, takes N messages as fast as paho can, and ends the session.
"""

import argparse
import os
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from domain.errors import StreetwardenError, UnavailableError
from ingest.broker import BrokerAddress, Protocol
from ingest.tls import files_from, make_context

URL_VARIABLE: Final = "STREETWARDEN_MQTT_URL"
"""The URL may hold a password, so it never stands in a command line."""
CLIENT_ID: Final = "streetwarden-paho-alone"
FILTER: Final = "city/v1/+/+/+/telemetry"
_RECEIVE_MAXIMUM: Final = 4000
"""As the service asks for by default, so that the broker treats both alike."""
_SESSION_NEVER_EXPIRES: Final = 0xFFFFFFFF
_PATIENCE_S: Final = 30.0
_KEEPALIVE_S: Final = 60
_READS_PER_WAKE: Final = 500


@dataclass(slots=True)
class Account:
    """What has arrived, and when."""

    received: int = 0
    subscribed: bool = False
    first: float = 0.0
    last: float = 0.0


class PahoAlone:
    """One session of the bare receiver."""

    def __init__(self, broker: BrokerAddress, protocol: Protocol) -> None:
        """Prepare; nothing is connected yet."""
        self._broker = broker
        self._v5 = protocol is Protocol.V5
        self.account = Account()

    def prepare(self) -> None:
        """Make the session and leave it to the broker."""
        client = self._connected(clean=False)
        client.subscribe(FILTER, 1)
        self._pump(client, lambda: self.account.subscribed)
        client.disconnect()

    def receive(self, count: int) -> float:
        """Take so many messages and end the session; return our CPU time from the first to the last."""
        client = self._connected(clean=False)
        self._pump(client, lambda: self.account.received > 0)
        cpu = time.process_time()
        self._pump(client, lambda: self.account.received >= count)
        self.account.last = time.monotonic()
        cpu = time.process_time() - cpu
        while client.want_write():
            client.loop_write()
        client.disconnect()
        self._connected(clean=True).disconnect()
        return cpu

    def _connected(self, *, clean: bool) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=CLIENT_ID,
            clean_session=None if self._v5 else clean,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
        )
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls is not None:
            client.tls_set_context(make_context(self._broker.tls))  # pyright: ignore[reportUnknownMemberType]  # paho leaves it open
        client.on_message = self._arrived
        client.on_subscribe = self._subscribed
        try:
            if self._v5:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
                properties.SessionExpiryInterval = 0 if clean else _SESSION_NEVER_EXPIRES
                properties.ReceiveMaximum = _RECEIVE_MAXIMUM
                address = self._broker.host, self._broker.port, _KEEPALIVE_S
                client.connect(*address, clean_start=clean, properties=properties)
            else:
                client.connect(self._broker.host, self._broker.port, _KEEPALIVE_S)
        except OSError as error:
            raise UnavailableError(f"the broker cannot be reached: {error}") from error
        self._pump(client, client.is_connected)
        return client

    def _pump(self, client: paho.Client, done: Any) -> None:
        """Read and write until ``done``; like the service, paho is called again while it still finds messages."""
        heard = time.monotonic()
        account = self.account
        while not done():
            sock = client.socket()
            if sock is None:
                raise UnavailableError("the broker closed the connection")
            readable, writable, _ = select.select([sock], [sock] if client.want_write() else [], [], 1.0)
            if writable:
                client.loop_write()
            if readable:
                heard = time.monotonic()
                for _ in range(_READS_PER_WAKE):
                    before = account.received
                    if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                        raise UnavailableError("the broker closed the connection")
                    if account.received == before and not getattr(sock, "pending", int)():
                        break
            elif time.monotonic() - heard > _PATIENCE_S:
                raise UnavailableError(f"the broker has said nothing for {_PATIENCE_S:.0f} s")

    def _arrived(self, _client: paho.Client, _data: Any, _message: paho.MQTTMessage) -> None:
        if self.account.received == 0:
            self.account.first = time.monotonic()
        self.account.received += 1

    def _subscribed(self, _client: paho.Client, _data: Any, _mid: int, _codes: Any, _properties: Any) -> None:
        self.account.subscribed = True


def main() -> None:
    """Do what the command line says; ``--json`` gets the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("prepare", "receive"))
    parser.add_argument("--protocol", choices=(Protocol.V5.value, Protocol.V311.value), default=Protocol.V311.value)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    try:
        alone = PahoAlone(
            BrokerAddress.from_url(os.environ[URL_VARIABLE], files_from(os.environ)), Protocol(asked.protocol)
        )
        if asked.what == "prepare":
            alone.prepare()
            return
        cpu_s = alone.receive(asked.count)
    except StreetwardenError as error:
        sys.stderr.write(f"paho alone: {error}\n")
        sys.exit(error.exit_code)
    account = alone.account
    seconds = max(account.last - account.first, 1e-9)
    figures = {
        "received": account.received,
        "seconds": round(seconds, 3),
        "messages_per_second": round(account.received / seconds, 1),
        "cpu_us_per_message": round(cpu_s / account.received * 1e6, 2),
    }
    text = orjson.dumps(figures, option=orjson.OPT_APPEND_NEWLINE)
    if asked.json is not None:
        asked.json.write_bytes(text)
    else:
        sys.stdout.write(text.decode())


if __name__ == "__main__":
    main()
