"""group: alerts of several devices of one circuit, site, grid or neighbourhood within a time are one incident."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import ClassVar, Final

from domain.alert import Severity
from rules.numbers import Bounds
from rules.rule import Level, RuleOverrideError
from rules.unasked import OverSeveral

_LONGEST_S: Final = 30 * 86_400.0
_MOST: Final = 100_000.0
_FARTHEST_M: Final = 10_000.0


class By(StrEnum):
    """What the devices of one group have in common."""

    CIRCUIT = "circuit"
    """The feeder their assets hang on (回路)."""
    SITE = "site"
    """The place their assets stand at (场所)."""
    GRID = "grid"
    """The unit grid their assets lie in (单元网格)."""
    NEAR = "near"
    """So many metres between their assets; without positions, the same site or grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(OverSeveral):
    """Holds while enough devices of a group fire the member rules, having begun within a time (群组规则).

    The engine never asks it: what spans devices is decided after their own alerts, by the coordinator.
    """

    kind: ClassVar[str] = "group"
    bounds: ClassVar[Mapping[str, Bounds]] = {
        "metres": Bounds(0.0, _FARTHEST_M),
        "at_least": Bounds(1.0, _MOST, whole=True),
        "share": Bounds(0.0, 1.0),
        "within_s": Bounds(1.0, _LONGEST_S),
        "within_intervals": Bounds(0.0, 1000.0),
        "group_wait_s": Bounds(0.0, 86_400.0),
        "clear_below": Bounds(1.0, _MOST, whole=True),
        "clear_share": Bounds(0.0, 1.0),
    }
    """The parameters that may be set apart, and what they may be."""

    members: tuple[str, ...]
    """Keys of the rules whose alerts count."""
    by: By
    severity: Severity
    within_s: float
    """Seconds from the first of them to the last that is counted."""
    within_intervals: float = 0.0
    """Or so many expected intervals of the device, where that is longer."""
    metres: float = 0.0
    """How far apart at most, for ``near``."""
    same_kind: bool = False
    """Whether each device kind of a place is a group of its own."""
    at_least: int = 2
    """So many devices."""
    share: float = 0.0
    """And this part of the group's devices, from 0 to 1."""
    every: tuple[tuple[str, ...], ...] = ()
    """Sets of member rules: of each at least one must fire. The incident hangs on a device of the first set."""
    group_wait_s: float = 0.0
    """So long a member's alert waits before it opens a ticket of its own."""
    clear_below: int = 1
    """It clears when fewer devices than this fire still."""
    clear_share: float = 0.0
    """Or when a smaller part of the group does."""
    inhibits: tuple[str, ...] = ()
    """Rules whose alerts are hidden while it fires, and do not count."""

    def __post_init__(self) -> None:
        """Refuse a parameter out of its bounds, and a group that would clear as soon as it fires.

        Raises:
            RuleOverrideError: the message names it.
        """
        super(Group, self).__post_init__()
        if self.clear_below > self.at_least or self.clear_share > self.share:
            message = "clear_below may not exceed at_least, nor clear_share the share: it would clear as it fires"
            raise RuleOverrideError(message)

    def devices_needed(self, size: int) -> int:
        """How many devices of a group of this size make an incident."""
        return max(self.at_least, ceil(self.share * size - 1e-9))

    def devices_kept(self, size: int) -> int:
        """How many devices must go on firing, or it clears."""
        return max(self.clear_below, ceil(self.clear_share * size - 1e-9))

    def window_s(self, interval_s: float) -> float:
        """Seconds between the first and the last, for devices that report at this interval."""
        return max(self.within_s, self.within_intervals * interval_s)

    @property
    def concerns(self) -> tuple[str, ...]:
        """Rules whose alerts it looks at."""
        return (*self.members, *self.inhibits)

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level, reached by so many devices."""
        return (Level(self.severity, limit=float(self.at_least), clear=float(self.clear_below)),)

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "members": list(self.members),
            "by": self.by.value,
            "same_kind": self.same_kind,
            **{name: getattr(self, name) for name in self.bounds},
            "every": [list(one) for one in self.every],
            "inhibits": list(self.inhibits),
            "severity": int(self.severity),
        }


RULE_KIND: Final = Group
"""Found by ``rules.catalogue``."""
