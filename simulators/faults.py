"""What plays when: which devices of a fleet are faulty, with which fault, and when it acts."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devices.kind import DeviceKind, Fault
from domain.errors import InvalidInputError
from simulators.fleet import FleetDevice

LASTS_S: Final = (120.0, 600.0)
"""A fault lasts between these, in seconds of play: longer than any hold of the default rules (60 s)."""
PAUSES_S: Final = (60.0, 300.0)
"""Then the device is healthy between these, in seconds: its alert clears, and comes again."""


@dataclass(frozen=True, slots=True)
class Part:
    """The fault one device plays: from the start, again and again."""

    fault: Fault
    lasts_s: float
    pauses_s: float

    def acting(self, elapsed_s: float, reports: int) -> Fault | None:
        """Return the fault if it acts ``elapsed_s`` seconds into the play, after so many reports.

        Silence begins after the first report (who was never heard cannot fall silent) and never ends: offline rules
        wait for hours.
        """
        if self.fault.silent:
            return self.fault if reports else None
        return self.fault if elapsed_s % (self.lasts_s + self.pauses_s) < self.lasts_s else None


def find_faults(kinds: Iterable[DeviceKind], keys: Sequence[str]) -> dict[str, tuple[Fault, ...]]:
    """Return the faults called ``keys`` of each kind that has any; a key is ``tilted`` or ``manhole.tilted``.

    Raises:
        InvalidInputError: a key fits no fault of these kinds; the message lists those there are.
    """
    found: dict[str, tuple[Fault, ...]] = {}
    known: set[str] = set()
    for kind in kinds:
        chosen = tuple(fault for fault in kind.faults if {fault.key, f"{kind.key}.{fault.key}"} & set(keys))
        known |= {name for fault in kind.faults for name in (fault.key, f"{kind.key}.{fault.key}")}
        if chosen:
            found[kind.key] = chosen
    unknown = [key for key in keys if key not in known]
    if unknown:
        there = ", ".join(sorted(name for name in known if "." in name))
        raise InvalidInputError(f"no kind that plays has the fault {unknown[0]!r}; there are {there}")
    return found


def every_fault(kinds: Iterable[DeviceKind]) -> dict[str, tuple[Fault, ...]]:
    """Return all faults of each kind."""
    return {kind.key: kind.faults for kind in kinds if kind.faults}


def cast_parts(
    fleet: Sequence[FleetDevice], faults: Mapping[str, Sequence[Fault]], *, share: float, seed: int
) -> dict[str, Part]:
    """Choose ``share`` (0 to 1) of the devices that can play one of ``faults``, and give each its part, by name.

    At least one plays where a fault was asked for, and the faults of a kind take turns, so that each is played once
    there are devices enough. The same seed and fleet give the same parts.
    """
    able = [device for device in fleet if device.kind in faults]
    if not able or share <= 0:
        return {}
    dice = random.Random(f"{seed}/faults")
    turns: Counter[str] = Counter()
    parts: dict[str, Part] = {}
    for device in dice.sample(able, min(len(able), max(1, round(share * len(able))))):
        of_kind = faults[device.kind]
        fault = of_kind[turns[device.kind] % len(of_kind)]
        turns[device.kind] += 1
        parts[device.name] = Part(fault, lasts_s=dice.uniform(*LASTS_S), pauses_s=dice.uniform(*PAUSES_S))
    return parts
