"""Precomputed telemetry of a fleet in the native format: everything about a packet but its id, time and seq."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from ingest.format import Format, Sender
from simulators.device import SimulatedDevice
from simulators.fleet import FleetDevice
from simulators.wire import publish_template

VALUES: Final = 4
"""Values a message: the first so many measures of the kind."""
VARIANTS: Final = 4
"""Different messages of one device, in turn: a stream of equal values would flatter whoever compresses or compares."""

_BODY: Final = b'{"ts":%%13d,"seq":%%9d,"values":%b}'
"""Numbers of a fixed width (JSON allows the blanks before them), as ``publish_template`` demands."""


def prepare(fleet: Sequence[FleetDevice], kinds: Mapping[str, DeviceKind], native: Format, *, seed: int) -> "Packets":
    """Precompute ``VARIANTS`` packets of ``VALUES`` healthy values for each device.

    Raises:
        InvalidInputError: a device is of a kind that nobody knows.
    """
    templates: list[tuple[bytes, ...]] = []
    for entry in fleet:
        kind = kinds.get(entry.kind)
        if kind is None:
            raise InvalidInputError(f"device {entry.name} is a {entry.kind!r}; the kinds are {', '.join(kinds)}")
        device = SimulatedDevice(entry.name, kind, seed=seed)
        topic, _ = native.encode(Sender(entry.name, entry.kind, entry.district, entry.name), ())
        names = [measure.name for measure in kind.measures[:VALUES]]
        bodies: list[bytes] = []
        for _ in range(VARIANTS):
            values = device.report(0.0) or {}
            bodies.append(_BODY % orjson.dumps({name: values[name] for name in names}).replace(b"%", b"%%"))
        templates.append(tuple(publish_template(topic, body) for body in bodies))
    return Packets([entry.name for entry in fleet], templates)


class Packets:
    """The messages of some devices, in turn, without end."""

    def __init__(self, names: Sequence[str], templates: Sequence[tuple[bytes, ...]]) -> None:
        """Take the devices' names and, for each, the templates of its messages."""
        self.names = names
        self._templates = templates

    def dealt(self, hands: int) -> list["Packets"]:
        """Deal the devices out to so many connections; each stays with its own, and so do its messages' order."""
        return [Packets(self.names[hand::hands], self._templates[hand::hands]) for hand in range(hands)]

    def messages(self, first_seq: int) -> Iterator[tuple[bytes, int, int]]:
        """Template, device (its place in ``names``) and seq of one message after the other."""
        seq = first_seq
        while True:
            variant = seq % VARIANTS
            for device, templates in enumerate(self._templates):
                yield templates[variant], device, seq
            seq += 1
