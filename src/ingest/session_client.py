"""The paho client of one session that the broker keeps for ever: how it is made and how it connects."""

import asyncio
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.broker import Protocol, SubscriberOptions
from ingest.tls import make_context

_SESSION_NEVER_EXPIRES: Final = 0xFFFFFFFF
"""MQTT 5 §3.1.2.11.2: with the largest value the session does not expire."""


def make_client(options: SubscriberOptions, protocol: Protocol) -> paho.Client:
    """Make it; nothing is connected yet. ``protocol`` is one of the two, not ``AUTO``."""
    v5 = protocol is Protocol.V5
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=options.client_id,
        clean_session=None if v5 else False,
        protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        manual_ack=True,
    )
    if options.broker.user is not None:
        client.username_pw_set(options.broker.user, options.broker.password)
    return client


def connect(client: paho.Client, options: SubscriberOptions, protocol: Protocol) -> None:
    """Send CONNECT. Name resolution and connecting block, so this runs beside the event loop.

    Raises:
        OSError: the broker cannot be reached, or TLS failed.
        RefusedError: a file that TLS needs is missing or holds something else.
    """
    broker = options.broker
    if broker.tls is not None:
        # Read anew for each connection, so that a renewed certificate needs no restart.
        client.tls_set_context(make_context(broker.tls))  # pyright: ignore[reportUnknownMemberType]  # paho leaves it open
    if protocol is Protocol.V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.SessionExpiryInterval = _SESSION_NEVER_EXPIRES
        properties.ReceiveMaximum = options.receive_maximum
        client.connect(broker.host, broker.port, options.keepalive_s, clean_start=False, properties=properties)
    else:
        client.connect(broker.host, broker.port, options.keepalive_s)


def properties_as_text(properties: Properties) -> dict[str, str] | None:
    """MQTT 5 properties as text; ``None`` where there are none."""
    told: dict[str, Any] = properties.json()  # type: ignore[no-untyped-call]  # paho leaves it untyped
    return {name: str(value) for name, value in told.items()} or None


def unwatch(loop: asyncio.AbstractEventLoop, sock: Any) -> None:
    """Let the loop forget a socket, also one that is closed already."""
    descriptor = sock.fileno()
    if descriptor >= 0:
        loop.remove_reader(descriptor)
        loop.remove_writer(descriptor)
