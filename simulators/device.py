"""SimulatedDevice: one device's values from report to report, healthy or not, the same for the same seed."""

import math
import random
from collections.abc import Mapping
from typing import Final, NamedTuple

from devices.kind import DeviceKind, Measure
from domain.reading import MeasureValue
from simulators.faults import Part

REPORTS_A_SWING: Final = 24
"""The healthy swing comes round in so many reports: it follows the count of reports, not the wall clock, so that the
same seed gives the same values at any rate."""
NOISE_BOUND: Final = 3.0
"""Noise is cut at three standard deviations: a healthy device never trips a rule by chance."""

_HOUR_S: Final = 3600.0
_COUNTERS: Final[Mapping[str, tuple[str, float]]] = {
    "energy_kwh": ("power_w", 0.001),
    "volume_m3": ("flow_m3h", 1.0),
}
"""Measures that only grow: what they add up, and how much of it a unit for an hour makes."""
_COUNTER_DIGITS: Final = 3


class _Quantity(NamedTuple):
    """A measure that varies, with what is needed at each report."""

    measure: Measure
    digits: int
    """Decimal places: the noise's size decides what a sensor would resolve."""


class SimulatedDevice:
    """One device over its reports; it counts them itself, from 1 as its own counter does."""

    __slots__ = ("_constant", "_counters", "_dice", "_interval_s", "_part", "_phase", "_quantities", "seq")

    def __init__(
        self, name: str, kind: DeviceKind, *, seed: int, interval_s: float | None = None, part: Part | None = None
    ) -> None:
        """Draw what is the device's own; ``part`` is the fault it plays, if any."""
        self._dice = random.Random(f"{seed}/{name}")
        self._phase = self._dice.uniform(0.0, 2.0 * math.pi)
        self._interval_s = interval_s or kind.interval_s
        self._part = part
        self._constant: dict[str, MeasureValue] = {measure.name: measure.rest for measure in kind.measures}
        self._quantities = [
            _Quantity(measure, _digits(measure))
            for measure in kind.measures
            if not measure.boolean and (measure.swing or measure.noise)
        ]
        self._counters = [measure for measure in kind.measures if measure.name in _COUNTERS]
        for measure in self._counters:
            begun = measure.rest * self._dice.uniform(1.0, 2.0)
            self._constant[measure.name] = round(begun, _COUNTER_DIGITS)
        self.seq = 0

    def report(self, elapsed_s: float) -> dict[str, MeasureValue] | None:
        """Values of the next report, ``elapsed_s`` seconds into the play, or ``None`` where the device is silent.

        A silent device spends its turn all the same: what it says later does not depend on how long it was silent.
        """
        fault = self._part.acting(elapsed_s, self.seq) if self._part is not None else None
        values = dict(self._constant)
        wave = math.sin(self._phase + 2.0 * math.pi * self.seq / REPORTS_A_SWING)
        for measure, digits in self._quantities:
            noise = min(NOISE_BOUND, max(-NOISE_BOUND, self._dice.gauss(0.0, 1.0))) * measure.noise
            value = measure.rest + wave * measure.swing + noise
            values[measure.name] = round(min(measure.high, max(measure.low, value)), digits)
        if fault is not None:
            values.update(fault.values)
        self._count_up(values)
        self.seq += 1
        return None if fault is not None and fault.silent else values

    def _count_up(self, values: dict[str, MeasureValue]) -> None:
        """Let the counters grow by what this report says flows, over one expected interval."""
        for measure in self._counters:
            flow, per_hour = _COUNTERS[measure.name]
            grown = self._constant[measure.name] + values.get(flow, 0.0) * per_hour * self._interval_s / _HOUR_S
            values[measure.name] = self._constant[measure.name] = min(measure.high, round(grown, _COUNTER_DIGITS))


def _digits(measure: Measure) -> int:
    finest = measure.noise or measure.swing / 100.0
    return max(0, 1 - math.floor(math.log10(finest)))
