"""OverSeveral: the rules over several devices that are in force, and what each asks of the alerts it looks at."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from devices.kind import DeviceKind
from domain.device import Device
from rules.kinds.group import By, Group
from rules.rule import Rule


class Wait(NamedTuple):
    """How long an alert waits for others that a rule may join it with."""

    rule: str
    by: By
    wait: timedelta


class OverSeveral:
    """As of one version of the rule book; never changes."""

    def __init__(self, rules: Mapping[str, Rule], kinds: Mapping[str, DeviceKind]) -> None:
        """Take the rules by key, and the device kinds with theirs."""
        self.rules = rules
        self._kind_of = {rule.key: kind.key for kind in kinds.values() for rule in kind.rules}
        self._waits: dict[str, list[Wait]] = {}
        for rule in rules.values():
            condition = rule.condition
            if isinstance(condition, Group) and condition.group_wait_s > 0:
                for member in condition.concerns:
                    wait = Wait(rule.key, condition.by, timedelta(seconds=condition.group_wait_s))
                    self._waits.setdefault(member, []).append(wait)

    def groups(self) -> list[Rule]:
        """Those that make incidents of alerts."""
        return [rule for rule in self.rules.values() if isinstance(rule.condition, Group)]

    def kinds_judged_by(self, members: Iterable[str]) -> set[str]:
        """The kinds of the devices that these rules judge; a rule that is gone judged those its key begins with."""
        return {self._kind_of.get(key, key.partition(".")[0]) for key in members}

    def waits(self, member: str, device: Device) -> list[Wait]:
        """Those of an alert of this rule on this device."""
        return [wait for wait in self._waits.get(member, ()) if _belongs(device, wait.by)]


def _belongs(device: Device, by: By) -> bool:
    if device.asset_id is None:
        return False
    match by:
        case By.CIRCUIT:
            return device.circuit is not None
        case By.SITE:
            return device.site is not None
        case By.GRID:
            return device.unit_grid is not None
        case By.NEAR:
            return True
