"""Listener: subscribes to a broker and hands over what comes, until its owner has heard enough."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from domain.errors import RefusedError, UnauthenticatedError, UnavailableError
from ingest.tls import explain, make_context
from simulators.address import BrokerAddress
from simulators.recording import Recorded

KEEPALIVE_S: Final = 30
PATIENCE_S: Final = 10.0
"""How long connecting and subscribing may take."""

_UNAUTHORISED: Final = frozenset((134, 135, 138))


class Listener:
    """One connection, MQTT 3.1.1, which every broker speaks; nothing happens between two calls of :meth:`turn`."""

    def __init__(
        self, broker: BrokerAddress, filters: Sequence[str], *, client_id: str, heard: Callable[[Recorded], None]
    ) -> None:
        """Prepare; ``heard`` is called with each message, from inside :meth:`turn`."""
        self._broker = broker
        self._filters = tuple(filters)
        self._heard = heard
        self._refused: ReasonCode | None = None
        self._granted: list[ReasonCode] | None = None
        self._lost: ReasonCode | None = None
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            context = make_context(broker.files)
            client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType]  # paho leaves it open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        self._client = client

    def connect(self) -> None:
        """Connect and subscribe; when this returns, nothing that is published from now on is missed.

        Raises:
            UnavailableError: no broker answers there.
            UnauthenticatedError: the broker does not know us.
            RefusedError: the broker refuses a subscription.
        """
        until = time.monotonic() + PATIENCE_S
        try:
            self._client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        except OSError as error:
            why = explain(error, str(self._broker), self._broker.files) if self._broker.tls else str(error)
            raise UnavailableError(f"no MQTT broker answers at {self._broker}: {why}") from error
        while self._granted is None:
            if self._refused is not None:
                refusal = UnauthenticatedError if self._refused.value in _UNAUTHORISED else UnavailableError
                raise refusal(f"the broker at {self._broker} refuses us: {self._refused}")
            if time.monotonic() > until:
                raise UnavailableError(f"no MQTT broker answers at {self._broker}")
            self.turn(0.05)
        refused = [name for name, code in zip(self._filters, self._granted, strict=True) if code.is_failure]
        if refused:
            raise RefusedError(f"the broker at {self._broker} does not let us subscribe to {refused[0]}")

    def turn(self, timeout_s: float) -> None:
        """Wait at most so many seconds for messages and hand them over.

        Raises:
            UnavailableError: the connection is lost. A gap in a recording would look like silence, so it ends here.
        """
        result = self._client.loop(timeout_s)
        if self._refused is None and (self._lost is not None or result is not MQTTErrorCode.MQTT_ERR_SUCCESS):
            raise UnavailableError(f"the broker at {self._broker} has closed the connection")

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, answer: ReasonCode, properties: Properties | None
    ) -> None:
        del userdata, flags, properties
        if answer.is_failure:
            self._refused = answer
        else:
            client.subscribe([(name, 2) for name in self._filters])

    def _on_subscribe(
        self, client: Client, userdata: Any, mid: int, granted: list[ReasonCode], properties: Properties | None
    ) -> None:
        del client, userdata, mid, properties
        self._granted = granted

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        del client, userdata
        now = datetime.now(UTC)
        self._heard(Recorded(now, message.topic, bytes(message.payload), message.qos, retain=message.retain))

    def _on_disconnect(
        self,
        client: Client,
        userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        del client, userdata, flags, properties
        self._lost = reason
