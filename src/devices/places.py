"""Places: the surroundings of a device, for rules that go by them: its position, the zone, its lighting schedule."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from devices.kind import DeviceKind
from domain.device import Device
from rules.lighting import Schedule, read_schedule
from rules.parameters import WrongParametersError
from rules.surroundings import Placeable, Surroundings


@dataclass(frozen=True, slots=True)
class Schedules:
    """Which lighting schedule applies to whom, as read at one moment."""

    by_group: Mapping[tuple[str, str], Schedule] = field(default_factory=dict[tuple[str, str], Schedule])
    """(scope, name) → schedule."""

    @classmethod
    def read(cls, rows: Iterable[tuple[str, Sequence[Any], Sequence[tuple[str, str]]]]) -> Self:
        """From (name, seasons, groups) as stored.

        They were checked when they were written; one that this version does not understand applies to nobody.
        """
        found: dict[tuple[str, str], Schedule] = {}
        for name, seasons, groups in rows:
            try:
                schedule = read_schedule(name, seasons)
            except WrongParametersError:
                continue
            found |= dict.fromkeys(groups, schedule)
        return cls(found)

    def of(self, device: Device) -> Schedule | None:
        """The one that applies to a device: its site's, else its circuit's, unit grid's, district's."""
        for group in (
            ("site", device.site),
            ("circuit", device.circuit),
            ("grid", device.unit_grid),
            ("district", device.district),
        ):
            if group[1] is not None and (schedule := self.by_group.get((group[0], group[1]))) is not None:
                return schedule
        return None


def goes_by_place(kind: DeviceKind) -> bool:
    """Whether a rule of the kind goes by its surroundings."""
    return any(isinstance(rule.condition, Placeable) for rule in kind.rules)


def surroundings_of(device: Device, schedules: Schedules, zone: str) -> Surroundings:
    """Those of a device; the same for all that stand near each other under one schedule."""
    return Surroundings.near(device.longitude, device.latitude, zone, schedules.of(device))
