"""Swing: the physics of a kind that has none of its own: every measure about its typical value, once round a day."""

import math
import random
from collections.abc import Sequence
from typing import Final

from devices.kind import DeviceKind, Measure
from domain.reading import MeasureValue
from simulators.physics.calendar import DAY_MS, HOUR_MS
from simulators.physics.model import NOISES, Moment, Place

_COUNTERS: Final = {"energy_kwh": ("power_w", 0.001), "volume_m3": ("flow_m3h", 1.0)}
"""Measures that only grow: what they add up, and how much of it a unit for an hour makes."""


class Swing:
    """One device of any kind."""

    def __init__(self, kind: DeviceKind, place: Place, dice: random.Random, key: bytes) -> None:
        """Draw where in its day it stands."""
        del place, key
        self._phase_ms = dice.randrange(DAY_MS)
        self._varying = [(measure, digits_of(measure)) for measure in kind.measures if _varies(measure)]
        self._resting: dict[str, MeasureValue] = {measure.name: measure.rest for measure in kind.measures}
        self._high = {measure.name: measure.high for measure in kind.measures}

    def values(self, moment: Moment) -> dict[str, MeasureValue]:
        """All measures of the kind."""
        values = dict(self._resting)
        wave = math.sin(2.0 * math.pi * (moment.at_ms + self._phase_ms) / DAY_MS)
        for place, (measure, digits) in enumerate(self._varying):
            value = measure.rest + wave * measure.swing + moment.noise[place % NOISES] * measure.noise
            values[measure.name] = round(min(measure.high, max(measure.low, value)), digits)
        for name, (flow, per_hour) in _COUNTERS.items():
            if name in values and flow in values:
                hours = moment.at_ms / HOUR_MS
                grown = self._resting[name] + self._resting[flow] * per_hour * hours
                values[name] = round(grown % self._high[name], 3)
        return values

    def changes(self, day: int) -> Sequence[int]:
        """Nothing is known to happen."""
        del day
        return ()


def digits_of(measure: Measure) -> int:
    """Decimal places: the noise's size decides what a sensor would resolve."""
    finest = measure.noise or measure.swing / 100.0
    return max(0, 1 - math.floor(math.log10(finest))) if finest else 0


def _varies(measure: Measure) -> bool:
    return not measure.boolean and bool(measure.swing or measure.noise)
