"""Habits: how a device reports. At an interval, on a change, once a day at midnight, or a history in one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from devices.kind import DeviceKind

SLOTS: Final = 20
"""The devices of a kind share its habits out by their number: the shares are exact in a city of any size."""

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_JITTER: Final = 0.02
"""The devices of a kind share its habits by their number, so that the shares are exact in a city of any size."""
_MOST_JITTER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Habit:
    """How one device reports."""

    interval_s: float
    """Between two messages; what the registry expects."""
    sample_s: float | None = None
    """Store and forward (存储转发): it measures so often, and sends what it measured in one message."""
    on_change: bool = False
    """It also reports at once when something that it watches changes."""
    midnight: bool = False
    """It reports in the first minute after local midnight, with all others of its habit: a burst."""

    @property
    def spread_s(self) -> float:
        """Its reports come by up to so many seconds later than planned, another number each time."""
        return _MINUTE if self.midnight else min(_MOST_JITTER_S, _JITTER * self.interval_s)


_HABITS: Final[Mapping[str, tuple[tuple[int, Habit], ...]]] = {
    "manhole": (
        (14, Habit(_DAY, on_change=True)),
        (4, Habit(_DAY / 2, on_change=True)),
        (2, Habit(_HOUR)),
    ),
    "bin": (
        (12, Habit(_HOUR)),
        (4, Habit(_HOUR, on_change=True)),
        (2, Habit(_HOUR / 2)),
        (2, Habit(4 * _HOUR, sample_s=_HOUR)),
    ),
    "streetlight": (
        (10, Habit(15 * _MINUTE)),
        (6, Habit(15 * _MINUTE, on_change=True)),
        (4, Habit(30 * _MINUTE)),
    ),
    # Four in five report once a day at midnight: of the 25,000 meters in a city of 100,000 devices 20,000 at once.
    "gas_meter": (
        (10, Habit(_DAY, on_change=True, midnight=True)),
        (6, Habit(_DAY, sample_s=_HOUR, on_change=True, midnight=True)),
        (4, Habit(6 * _HOUR, on_change=True)),
    ),
}


def habit_of(kind: DeviceKind, serial: int) -> Habit:
    """The habit of the device of a kind that has this number."""
    habits = _HABITS.get(kind.key)
    if habits is None:
        return Habit(kind.interval_s, on_change=serial % 2 == 0)
    slot = serial % SLOTS
    for share, habit in habits:
        slot -= share
        if slot < 0:
            return habit
    return habits[-1][1]
