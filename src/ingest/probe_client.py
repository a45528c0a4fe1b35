"""One short MQTT session that asks a broker what it can: driven by hand, and every wait has a limit."""

import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from domain.errors import UnavailableError
from ingest.broker import BrokerAddress, Protocol
from ingest.tls import explain, make_context

TOPICS: Final = "streetwarden/probe"
"""All probing happens below this: no source reads it, and an access list can grant it in one line."""

_KEEPALIVE_S: Final = 60
_WINDOW: Final = 20
"""Published and not yet acknowledged: the least that brokers allow by default."""
_SESSION_NEVER_EXPIRES: Final = 0xFFFFFFFF
_LARGEST_WINDOW: Final = 65_535
_TURN_S: Final = 0.05


class Heard(NamedTuple):
    """One message that came."""

    topic: str
    payload: bytes
    packet_id: int


@dataclass(slots=True)
class Connack:
    """What the broker answered to CONNECT."""

    accepted: bool
    reason: str
    session_present: bool
    properties: Mapping[str, Any]
    """MQTT 5 properties by paho's names; empty over 3.1.1."""


class ProbeSession:
    """One connection. A context manager: on leaving it is closed, and with it a session that was to be clean."""

    def __init__(self, broker: BrokerAddress, client_id: str, protocol: Protocol, *, clean: bool = True) -> None:
        """Prepare; nothing is connected yet. ``protocol`` is one of the two, not ``AUTO``."""
        self._broker = broker
        self._v5 = protocol is Protocol.V5
        self._clean = clean
        self.heard: list[Heard] = []
        self.acknowledged = 0
        self.connected = False
        self._published = 0
        self._answer: Connack | None = None
        self._granted: dict[int, bool] = {}
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._v5 else clean,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self, deadline: float) -> Connack:
        """Connect and return the broker's answer, also where it is a refusal.

        Raises:
            UnavailableError: no broker answers there in time.
        """
        broker, client = self._broker, self._client
        client.connect_timeout = max(0.1, deadline - time.monotonic())
        try:
            if broker.tls is not None:
                client.tls_set_context(make_context(broker.tls))  # pyright: ignore[reportUnknownMemberType]  # paho leaves it open
            if self._v5:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
                properties.SessionExpiryInterval = 0 if self._clean else _SESSION_NEVER_EXPIRES
                properties.ReceiveMaximum = _LARGEST_WINDOW
                client.connect(broker.host, broker.port, _KEEPALIVE_S, clean_start=self._clean, properties=properties)
            else:
                client.connect(broker.host, broker.port, _KEEPALIVE_S)
        except OSError as error:
            why = f"the broker at {broker} cannot be reached: {error.strerror or error}"
            raise UnavailableError(why if broker.tls is None else explain(error, str(broker), broker.tls)) from error
        self.pump(lambda: self._answer is not None, deadline)
        if self._answer is None:
            self.close()
            raise UnavailableError(f"the broker at {broker} accepted the connection but did not answer")
        return self._answer

    def subscribe(self, name: str, deadline: float) -> bool:
        """Subscribe with QoS 1; whether the broker granted it."""
        _, packet_id = self._client.subscribe(name, 1)
        if packet_id is None:
            return False
        self.pump(lambda: packet_id in self._granted, deadline)
        return self._granted.get(packet_id, False)

    def publish(self, topic: str, payloads: list[bytes], deadline: float, *, retain: bool = False) -> int:
        """Publish with QoS 1, a few at once; how many of them the broker acknowledged in time."""
        before = self.acknowledged
        for payload in payloads:
            if not self.pump(lambda: self._published - self.acknowledged < _WINDOW, deadline):
                break
            self._client.publish(topic, payload, qos=1, retain=retain)
            self._published += 1
        self.pump(lambda: self.acknowledged == self._published, deadline)
        return self.acknowledged - before

    def acknowledge(self, message: Heard) -> None:
        """Acknowledge one message; it goes out with the next turn."""
        self._client.ack(message.packet_id, 1)

    def pump(self, done: Callable[[], bool], deadline: float) -> bool:
        """Read and write until ``done``, the end of the connection, or the deadline; whether it is done."""
        client = self._client
        while not done():
            left = deadline - time.monotonic()
            sock: Any = client.socket()
            if left <= 0 or sock is None:
                return done()
            writers = [sock] if client.want_write() else []
            readable, writable, _ = select.select([sock], writers, [], min(left, _TURN_S))
            if writable:
                client.loop_write()
            if readable:
                result = client.loop_read()
                # Under TLS, decrypted bytes that were not yet read raise no event.
                pending = getattr(sock, "pending", int)
                while result is MQTTErrorCode.MQTT_ERR_SUCCESS and pending() and not done():
                    result = client.loop_read()
        return True

    def settle(self, quiet_s: float, deadline: float) -> int:
        """Listen until nothing has come for ``quiet_s`` seconds; how many messages were heard in all."""
        while time.monotonic() < deadline:
            before = len(self.heard)
            until = min(deadline, time.monotonic() + quiet_s)
            if not self.pump(lambda known=before: len(self.heard) > known, until):  # type: ignore[misc]  # binds the loop's value
                break
        return len(self.heard)

    def close(self) -> None:
        """Say goodbye, so that no last will and no half-open connection stays."""
        client, sock = self._client, self._client.socket()
        client.on_disconnect = None
        client.disconnect()
        self.connected = False
        if sock is not None:
            sock.close()

    def _on_connect(
        self, client: paho.Client, data: Any, flags: paho.ConnectFlags, reason: ReasonCode, props: Properties | None
    ) -> None:
        del client, data
        told = {} if props is None else {name: value for name, value in vars(props).items() if name[0].isupper()}
        self.connected = not reason.is_failure
        self._answer = Connack(self.connected, str(reason), flags.session_present, told)

    def _on_disconnect(self, client: paho.Client, data: Any, flags: Any, reason: ReasonCode, props: Any) -> None:
        del client, data, flags, props
        self.connected = False
        if self._answer is None:
            self._answer = Connack(accepted=False, reason=str(reason), session_present=False, properties={})

    def _on_subscribe(self, client: paho.Client, data: Any, mid: int, reasons: list[ReasonCode], props: Any) -> None:
        del client, data, props
        self._granted[mid] = not any(reason.is_failure for reason in reasons)

    def _on_publish(self, client: paho.Client, data: Any, mid: int, reason: ReasonCode, props: Any) -> None:
        del client, data, mid, props
        self.acknowledged += 0 if reason.is_failure else 1

    def _on_message(self, client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
        del client, data
        self.heard.append(Heard(message.topic, bytes(message.payload), message.mid))


def end_session(broker: BrokerAddress, client_id: str, protocol: Protocol, deadline: float) -> None:
    """End a session that the broker keeps, by beginning a clean one and leaving it."""
    with ProbeSession(broker, client_id, protocol) as last:
        last.connect(deadline)
