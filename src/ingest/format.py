"""Format: what every payload format promises, and what it makes of a message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple, Protocol, runtime_checkable

from domain.ledger import Reason
from domain.reading import Reading


class DecodeError(Exception):
    """The message cannot be understood: a reason code for the ledger and a sentence for its maker."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """Keep the stable code and the sentence."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Address(NamedTuple):
    """What a topic alone tells; read once per topic and remembered."""

    source: str
    """Name of the source (= of its format)."""
    alias: str | None
    """The device's identity in the source's namespace; ``None`` where only the payload names it."""
    leaf: str
    """What sort of message travels here: ``telemetry``, ``event``, ``status``, ``up`` …"""
    kind: str | None = None
    """Device kind the topic claims; checked against the registry."""
    district: str | None = None
    """Division code the topic claims; checked against the registry."""


class Sample(NamedTuple):
    """One device's values at one moment, in the publisher's own words."""

    alias: str
    """The device's identity in the source's namespace."""
    at: datetime | None
    """Aware UTC; ``None`` where the message carried no time of its own (the received time then stands in)."""
    values: dict[str, object]
    """Field → JSON scalar, not yet checked."""
    seq: int | None = None
    """The device's own counter (``seq``, ``fCnt``)."""


class EventReport(NamedTuple):
    """Something a device or camera tells that is not a measurement (事件)."""

    alias: str
    at: datetime | None
    event_class: str
    """What happened, in the publisher's vocabulary, for example ``door_opened``."""
    body: bytes
    """The whole report as canonical JSON."""

    @property
    def digest(self) -> int:
        """64 signed bits over the body: with device and time, the event's identity."""
        return int.from_bytes(blake2b(self.body, digest_size=8).digest(), "big", signed=True)


class StatusReport(NamedTuple):
    """A device's connection came up or went down (last will)."""

    alias: str
    online: bool


class Decoded(NamedTuple):
    """All that one message holds; all empty means understood and of no interest (a join, a log line)."""

    samples: Sequence[Sample] = ()
    events: Sequence[EventReport] = ()
    status: StatusReport | None = None
    relative: bool = False
    """Whether a time of it was reckoned from the received time, so that a redelivery must keep the first."""


IGNORED = Decoded()
"""Understood, of no interest: counted as ``ignored``."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The device on whose behalf the simulator encodes."""

    name: str
    kind: str
    district: str
    alias: str
    """Identity in the source's namespace (a devEUI, a URN; for the native format the name itself)."""


@runtime_checkable
class Format(Protocol):
    """A payload format and the topics on which it travels: one source.

    Pure: no clock, no I/O. ``decode`` raises :class:`DecodeError` and never another exception, whatever the bytes.
    """

    name: str
    """Stable short name: source name in the ledger, ``alias`` namespace in the registry."""
    title: str
    """One line for people."""
    filters: tuple[str, ...]
    """MQTT subscription filters. The heartbeat must travel under the first, so that it queues behind its messages."""

    def heartbeat_topic(self, client_id: str) -> str:
        """Topic, under ``filters[0]``, on which our own heartbeat is sent and read back."""
        ...

    def read_topic(self, topic: str) -> Address | None:
        """Read the topic, or ``None`` if it is not one of this format's (pure and cacheable)."""
        ...

    def decode(self, address: Address, payload: bytes, received_at: datetime) -> Decoded:
        """Read the payload.

        ``received_at`` serves formats whose times are relative to it; a sample without any time of its own has
        ``at=None`` all the same.

        Raises:
            DecodeError: the payload cannot be understood.
        """
        ...

    def encode(self, sender: Sender, readings: Sequence[Reading]) -> tuple[str, bytes]:
        """Topic and payload as the device would send these readings (for the simulator and round-trip tests)."""
        ...
