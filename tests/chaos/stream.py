"""The stream that the kills disturb: a pure function of its plan, so that the same bytes can be sent again undisturbed.

Message number ``n`` belongs to device ``n % devices``. Its time is the one planned for it, not the one at which it
leaves: a device whose broker is away goes on measuring and sends later.
"""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Fault
from domain.reading import MeasureValue
from simulators.fleet import FleetDevice
from simulators.registry import write_registry

KINDS: Final = ("manhole", "bin", "streetlight", "gas_meter")
DISTRICT: Final = "511703"
PER_ASSET: Final = 3
"""Devices on one asset, so that their alerts meet in one ticket."""
CONNECTIONS: Final = 4
ROUND: Final = len(KINDS) * PER_ASSET
"""Devices come in multiples of this, so that every kind has whole assets and every connection as many devices."""
CYCLES_S: Final = (10.0, 20.0, 60.0)
"""How often a device begins a fault."""
LENGTHS_S: Final = (0.7, 1.2, 1.7, 2.5, 4.0, 8.0, 40.0)
"""How long a fault lasts: shorter and longer than the holds of the rules (2, 30 and 60 s)."""
QUIET_ROUNDS: Final = 3
"""At the end every device is healthy for so many readings, so that nothing stays pending for the clock to decide."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the stream follows from."""

    seed: int
    devices: int
    rate: float
    """Messages a second."""
    began_ms: int
    """Time of message 0, epoch milliseconds."""

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return asdict(self)


class Played(NamedTuple):
    """One fault of one device."""

    fault: Fault
    begins_s: float
    ends_s: float


class Stream:
    """Topics and payloads by number."""

    def __init__(self, plan: Plan, quiet_from: int | None = None) -> None:
        """Take the plan; from message ``quiet_from`` on every device is healthy."""
        if plan.devices % (ROUND * CONNECTIONS):
            raise ValueError(f"devices must be a multiple of {ROUND * CONNECTIONS}, not {plan.devices}")
        self.plan = plan
        self.quiet_from = quiet_from
        kinds = load_kinds()
        self._kinds = [kinds[kind_of(device)] for device in range(plan.devices)]
        self.topics = [
            f"city/v1/{DISTRICT}/{kind.key}/{name_of(device)}/telemetry" for device, kind in enumerate(self._kinds)
        ]
        self._faults = {key: [fault for fault in kinds[key].faults if not fault.silent] for key in KINDS}
        self._healthy = {key: _healthy(kinds[key], self._faults[key]) for key in KINDS}
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._played: list[tuple[int, Played | None]] = [(-1, None)] * plan.devices

    def at_ms(self, number: int) -> int:
        """The device's time in a message."""
        return self.plan.began_ms + int(number * 1000 / self.plan.rate)

    def seq(self, number: int) -> int:
        """The device's own counter in a message."""
        return number // self.plan.devices + 1

    def payload(self, number: int) -> bytes:
        """The bytes of a message."""
        device = number % self.plan.devices
        kind = self._kinds[device].key
        fault = None if self.quiet_from is not None and number >= self.quiet_from else self._fault(device, number)
        values = self._values(kind, fault)
        return b'{"ts":%d,"seq":%d,"values":%b}' % (self.at_ms(number), self.seq(number), values)

    def _values(self, kind: str, fault: Fault | None) -> bytes:
        key = (kind, "" if fault is None else fault.key)
        body = self._bodies.get(key)
        if body is None:
            values = dict(self._healthy[kind]) if fault is None else {**self._healthy[kind], **fault.values}
            body = self._bodies[key] = orjson.dumps(values)
        return body

    def _fault(self, device: int, number: int) -> Fault | None:
        """What the device plays at a message's time; a third of the devices stay healthy for good."""
        if device % PER_ASSET == PER_ASSET - 1:
            return None
        elapsed_s = number / self.plan.rate
        length_s = CYCLES_S[device // PER_ASSET % len(CYCLES_S)]
        cycle = int(elapsed_s / length_s)
        known, played = self._played[device]
        if known != cycle:
            played = self._draw(device, cycle, length_s)
            self._played[device] = (cycle, played)
        return played.fault if played is not None and played.begins_s <= elapsed_s < played.ends_s else None

    def _draw(self, device: int, cycle: int, length_s: float) -> Played:
        dice = random.Random(f"{self.plan.seed}/{device}/{cycle}")
        fault = dice.choice(self._faults[self._kinds[device].key])
        lasts_s = dice.choice([length for length in LENGTHS_S if length < 0.8 * length_s])
        begins_s = cycle * length_s + dice.uniform(0.05, 0.95 - lasts_s / length_s) * length_s
        return Played(fault, begins_s, begins_s + lasts_s)


def kind_of(device: int) -> str:
    """The kind of a device by its number."""
    return KINDS[device // PER_ASSET % len(KINDS)]


def name_of(device: int) -> str:
    """The name of a device by its number."""
    return f"chaos-{device:05d}"


def id_of(plan: Plan, number: int) -> str:
    """A message's id as people and the database write it: device and seq."""
    return f"{name_of(number % plan.devices)}/{number // plan.devices + 1}"


def write_fleet(path: Path, devices: int) -> None:
    """Write the registry file: three devices of a kind on each asset."""
    write_registry(
        path,
        (
            FleetDevice(
                name=name_of(device),
                kind=kind_of(device),
                district=DISTRICT,
                asset=f"chaos-asset-{device // PER_ASSET:05d}",
            )
            for device in range(devices)
        ),
    )


def _healthy(kind: DeviceKind, faults: list[Fault]) -> Mapping[str, MeasureValue]:
    """Resting values of every measure that some fault changes: what a fault raises, the next reading clears."""
    touched = {measure for fault in faults for measure in fault.values}
    return {measure.name: measure.rest for measure in kind.measures if measure.name in touched}
