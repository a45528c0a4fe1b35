"""Publisher: QoS 1 messages through paho, counted when acknowledged, sent again after a lost connection."""

import select
import ssl
import time
from collections.abc import Callable
from enum import Enum, StrEnum
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from domain.errors import UnauthenticatedError, UnavailableError
from ingest.tls import explain, make_context
from simulators.address import BrokerAddress

KEEPALIVE_S: Final = 30
SESSION_EXPIRY_S: Final = 3600
"""MQTT 5: how long the broker keeps our session while we are away."""
PATIENCE_S: Final = 5.0
"""How long the first connection may take; later ones are tried until somebody stops us."""
MAX_BACKOFF_S: Final = 5.0

MAX_WINDOW: Final = 100
"""In flight at most, unless the broker (MQTT 5 Receive Maximum) allows less. paho looks at every message in flight for
each acknowledgement, so a wide window costs more than it brings."""

_NO_MATCHING_SUBSCRIBERS: Final = 16
_UNSUPPORTED_PROTOCOL: Final = 132
_REFUSING: Final = frozenset((134, 135, 138))
"""CONNACK reasons that no second try mends: bad user name or password, not authorised, banned."""


class Protocol(StrEnum):
    """Which MQTT to speak."""

    AUTO = "auto"
    """5 if the broker speaks it, else 3.1.1."""
    V5 = "5"
    V3 = "3"


class Word(Enum):
    """What the broker said to one message."""

    TAKEN = "taken"
    UNHEARD = "unheard"
    """Nobody subscribes to it: thrown away."""
    REFUSED = "refused"


class Publisher:
    """One connection, driven by its owner: nothing happens between two calls of :meth:`turn`.

    It runs no thread, so that what a play does follows from its seed and clock alone, and ``settled`` is called from
    inside :meth:`turn` only.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        *,
        client_id: str,
        protocol: Protocol,
        settled: Callable[[int, Word], None],
    ) -> None:
        """Prepare; ``settled(message, word)`` hears of every message by the number :meth:`publish` gave it."""
        self._broker = broker
        self._client_id = client_id
        self._protocol = protocol
        self._settled = settled
        self._client: Client | None = None
        self._connected = False
        self._answer: ReasonCode | None = None
        self._retry_at = 0.0
        self._backoff_s = 0.0
        self._why = ""
        """Why TLS did not come about, the last time."""
        self._pending: dict[int, int] = {}
        """paho's packet id → number of the message."""
        self._count = 0
        self._window = MAX_WINDOW
        self.connections = 0

    @property
    def backlog(self) -> int:
        """Published and not yet acknowledged."""
        return len(self._pending)

    @property
    def ready(self) -> bool:
        """Whether another message may be published now."""
        return self._connected and len(self._pending) < self._window

    @property
    def protocol(self) -> Protocol:
        """What is spoken; ``AUTO`` before the connection stands."""
        return self._protocol

    def connect(self) -> None:
        """Connect, and learn which MQTT the broker speaks if that was left open.

        Raises:
            UnavailableError: no broker answers within ``PATIENCE_S`` seconds.
            UnauthenticatedError: the broker does not know us.
        """
        give_up_at = time.monotonic() + PATIENCE_S
        choices = [Protocol.V5, Protocol.V3] if self._protocol is Protocol.AUTO else [self._protocol]
        while True:
            for choice in choices:
                if self._try_protocol(choice, min(give_up_at, time.monotonic() + PATIENCE_S / 2)):
                    self._protocol = choice
                    return
            if time.monotonic() >= give_up_at:
                raise UnavailableError(self._why or f"no MQTT broker answers at {self._broker}")
            time.sleep(0.2)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
        """Publish and return the message's number (0, 1, 2 …); call it while :attr:`ready` only.

        With QoS 0 nobody acknowledges: it counts as taken once it is written.
        """
        assert self._client is not None
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        number = self._count
        self._count += 1
        if qos:
            self._pending[info.mid] = number
        else:
            self._settled(number, Word.TAKEN)  # paho may have called back already, while we did not know its number
        return number

    def turn(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` seconds for the broker; read, write, and reconnect when its time has come."""
        client = self._client
        assert client is not None
        sock = client.socket()
        if sock is None:
            self._reconnect(timeout_s)
            return
        writers = [sock] if client.want_write() else []
        readable, writable, _ = select.select([sock], writers, [], timeout_s)
        result = MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable:
            result = client.loop_read()
            # Under TLS, decrypted bytes that were not yet read raise no event.
            while result is MQTTErrorCode.MQTT_ERR_SUCCESS and getattr(client.socket(), "pending", int)():
                result = client.loop_read()
        if writable and result is MQTTErrorCode.MQTT_ERR_SUCCESS:
            client.loop_write()
        client.loop_misc()

    def close(self) -> None:
        """Say goodbye and leave no session behind."""
        client = self._client
        if client is None:
            return
        if self._protocol is Protocol.V5:
            client.disconnect(properties=_session_expiry(PacketTypes.DISCONNECT, 0))
            return
        client.disconnect()
        if self._connected:
            # MQTT 3.1.1 ends a session only by beginning a clean one.
            last = self._make_client(Protocol.V3, clean=True)
            self._await_answer(time.monotonic() + 1.0)
            last.disconnect()

    def _try_protocol(self, protocol: Protocol, until: float) -> bool:
        """Connect once; whether the broker accepted.

        Raises:
            UnauthenticatedError: the broker does not know us, whatever we speak.
        """
        self._make_client(protocol)
        answer = self._await_answer(until)
        if answer is not None and answer.value in _REFUSING:
            raise UnauthenticatedError(f"the broker at {self._broker} refuses us: {answer}")
        if answer is not None and answer.value == _UNSUPPORTED_PROTOCOL and self._protocol is not Protocol.AUTO:
            raise UnavailableError(f"the broker at {self._broker} does not speak MQTT {protocol.value}")
        return self._connected

    def _make_client(self, protocol: Protocol, *, clean: bool = False) -> Client:
        """Begin anew with a client of the given protocol; nothing is connected yet."""
        modern = protocol is Protocol.V5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if modern else clean,
            protocol=MQTTProtocolVersion.MQTTv5 if modern else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if self._broker.username is not None:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            context = make_context(self._broker.files)
            client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]  # paho leaves it open
        client.max_inflight_messages_set(MAX_WINDOW)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        self._client, self._connected, self._answer = client, False, None
        return client

    def _await_answer(self, until: float) -> ReasonCode | None:
        """Connect and turn until the broker has answered, the connection is lost or the time is up."""
        client = self._client
        assert client is not None
        properties = None
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = _session_expiry(PacketTypes.CONNECT, SESSION_EXPIRY_S)
        try:
            client.connect(self._broker.host, self._broker.port, KEEPALIVE_S, properties=properties)
        except OSError as error:
            self._why = explain(error, str(self._broker), self._broker.files) if self._broker.tls else ""
            if isinstance(error, ssl.SSLCertVerificationError):
                raise UnavailableError(self._why) from error  # no second try mends it
            return None
        while self._answer is None and client.socket() is not None and time.monotonic() < until:
            self.turn(0.05)
        return self._answer

    def _reconnect(self, timeout_s: float) -> None:
        """Try again once the backoff has passed; it doubles from 0.1 s to ``MAX_BACKOFF_S``."""
        assert self._client is not None
        now = time.monotonic()
        if now < self._retry_at:
            time.sleep(min(timeout_s, self._retry_at - now))
            return
        self._backoff_s = min(MAX_BACKOFF_S, max(0.1, self._backoff_s * 2.0))
        self._retry_at = now + self._backoff_s
        try:
            self._client.reconnect()
        except OSError:
            return

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, answer: ReasonCode, properties: Properties | None
    ) -> None:
        del client, userdata, flags
        self._answer = answer
        if answer.is_failure:
            return
        # paho does not heed the broker's Receive Maximum by itself, and a broker may disconnect who exceeds it.
        self._window = min(MAX_WINDOW, getattr(properties, "ReceiveMaximum", MAX_WINDOW))
        self._connected = True
        self._backoff_s = 0.0
        self.connections += 1

    def _on_disconnect(
        self,
        client: Client,
        userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        del client, userdata, flags, reason, properties
        self._connected = False

    def _on_publish(
        self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None
    ) -> None:
        del client, userdata, properties
        number = self._pending.pop(mid, None)
        if number is None:
            return  # acknowledged twice: a broker's answer to a resent message
        if reason.is_failure:
            self._settled(number, Word.REFUSED)
        elif reason.value == _NO_MATCHING_SUBSCRIBERS:
            self._settled(number, Word.UNHEARD)
        else:
            self._settled(number, Word.TAKEN)


def _session_expiry(packet: int, seconds: int) -> Properties:
    """Write the one property we send."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped
    properties.SessionExpiryInterval = seconds
    return properties
