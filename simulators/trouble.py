"""Trouble: a fault that plays on some devices for a time, and what it does to their values, clocks and messages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from devices.kind import DeviceKind
from domain.reading import MeasureValue


class Delivery(Enum):
    """What happens to a device's messages on their way."""

    ONCE = "once"
    TWICE = "twice"
    """Each is delivered twice, as QoS 1 allows."""
    SWAPPED = "swapped"
    """Two and two change places."""
    HELD = "held"
    """They wait, and all come at the end: the device, or its gateway, keeps them while the broker is away."""
    LOST = "lost"
    """They are sent, counted, and never arrive."""


class Scene(NamedTuple):
    """What an effect that is not a plain value is told."""

    kind: DeviceKind
    at_ms: int
    begins_ms: int
    noise: Sequence[float]
    healthy_then: Callable[[], dict[str, MeasureValue]]
    """What the device measured when the fault began."""


Alter = Callable[[dict[str, MeasureValue], Scene], None]
"""Changes a healthy reading in place."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does to one device."""

    values: Mapping[str, MeasureValue] = field(default_factory=dict[str, MeasureValue])
    """Measures that take these values."""
    ramp_s: float = 0.0
    """Numbers among them are reached only after so many seconds, in a straight line from the healthy value."""
    alter: Alter | None = None
    silent_after_s: float | None = None
    """The device says nothing from so many seconds after the beginning on."""
    every_s: float | None = None
    """It reports so often, whatever its habit."""
    pulse_s: tuple[float, float] | None = None
    """It acts again and again: how often, and for how long each time; a device that reports on change tells both."""
    clock_s: float = 0.0
    """Its clock is ahead by so many seconds."""
    delivery: Delivery = Delivery.ONCE
    noticed: bool = True
    """A device that reports on change tells at once that it began, and that it ended."""

    def acts(self, since_ms: int) -> bool:
        """Whether the values are those of the fault, so many milliseconds after its beginning."""
        if self.pulse_s is None:
            return True
        # Whole numbers: the report that says "still again" comes in the very millisecond in which the pulse ends.
        period, width = (round(1000 * seconds) for seconds in self.pulse_s)
        return since_ms % period < width


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault on one device, for a time."""

    effect: Effect
    begins_ms: int
    ends_ms: int
    clears: bool = False
    """Putting it right also empties the bin, and so on: the device starts anew afterwards."""

    def active(self, at_ms: int) -> bool:
        """Whether it plays at a time."""
        return self.begins_ms <= at_ms < self.ends_ms

    def silent(self, at_ms: int) -> bool:
        """Whether the device says nothing at a time."""
        after = self.effect.silent_after_s
        return after is not None and self.begins_ms + round(after * 1000) <= at_ms < self.ends_ms

    def edges(self) -> list[int]:
        """When a device that reports on change has something to tell."""
        if not self.effect.noticed:
            return []
        if self.effect.pulse_s is None:
            full_ms = min(self.ends_ms, self.begins_ms + round(1000 * self.effect.ramp_s))
            return sorted({self.begins_ms, full_ms, self.ends_ms})
        period, width = (round(1000 * seconds) for seconds in self.effect.pulse_s)
        begun = range(self.begins_ms, self.ends_ms, period)
        return [at for begin in begun for at in (begin, min(begin + width, self.ends_ms))]

    def change(self, values: dict[str, MeasureValue], scene: Scene) -> None:
        """Make a healthy reading the one that is sent."""
        if not self.effect.acts(scene.at_ms - self.begins_ms):
            return
        since_s = (scene.at_ms - self.begins_ms) / 1000.0
        share = 1.0 if since_s >= self.effect.ramp_s else since_s / self.effect.ramp_s
        for name, value in self.effect.values.items():
            before = values.get(name)
            if share < 1.0 and not isinstance(value, bool) and before is not None:
                values[name] = round(before + (value - before) * share, 2)
            else:
                values[name] = value
        if self.effect.alter is not None:
            self.effect.alter(values, scene)
