"""What a score must know besides truth and alerts: the devices of the run, and how long each default rule waits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from devices.catalogue import load_group_rules, load_kinds
from simulators.registry import read_registry

DEVICES_FILE: Final = "devices.csv"


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """One device of the run."""

    kind: str
    asset: str | None
    interval: timedelta
    """Expected between two reports."""
    place: tuple[float, float] | None = None
    """Longitude and latitude, degrees WGS-84."""


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """How long a default rule waits of its own accord."""

    hold: timedelta = timedelta(0)
    """The shortest of its levels."""
    silence_intervals: float | None = None
    """For a rule on silence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Devices by name and rules by key. Alerts of devices that are not listed are not scored; no list, no filter."""

    devices: Mapping[str, DeviceFacts] = field(default_factory=dict[str, DeviceFacts])
    rules: Mapping[str, RuleFacts] = field(default_factory=dict[str, RuleFacts])

    def asset_of(self, device: str) -> str | None:
        """What the device is fitted to, as far as known."""
        known = self.devices.get(device)
        return None if known is None else known.asset

    def wait_of(self, rule: str, device: str) -> timedelta:
        """How long the rule lets pass by itself before it can fire on this device."""
        known = self.rules.get(rule, RuleFacts())
        about = self.devices.get(device)
        if known.silence_intervals is None or about is None:
            return known.hold
        return about.interval * known.silence_intervals


def read_facts(folder: Path) -> Facts:
    """Read ``devices.csv`` from the folder of a run, and take the rules from the device kinds.

    Raises:
        InvalidInputError: the file cannot be read or is no registry.
    """
    kinds = load_kinds()
    devices: dict[str, DeviceFacts] = {}
    for entry in read_registry(folder / DEVICES_FILE):
        kind = kinds.get(entry.kind)
        interval_s = entry.interval_s or (kind.interval_s if kind else 0.0)
        place = None if entry.longitude is None or entry.latitude is None else (entry.longitude, entry.latitude)
        devices[entry.name] = DeviceFacts(entry.kind, entry.asset, timedelta(seconds=interval_s), place)
    of_kinds = [rule for kind in kinds.values() for rule in kind.rules]
    rules = {
        rule.key: RuleFacts(
            hold=timedelta(seconds=min(level.hold_s for level in rule.condition.levels)),
            silence_intervals=rule.condition.silence_intervals,
        )
        for rule in (*of_kinds, *load_group_rules().values())
    }
    return Facts(devices, rules)
