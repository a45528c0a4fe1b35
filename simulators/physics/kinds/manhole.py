"""manhole: a cover that drifts with the temperature and shakes under lorries, and a well that breathes and fills."""

import math
import random
from collections.abc import Sequence
from typing import Final

from domain.reading import MeasureValue
from simulators.physics.body import Body
from simulators.physics.calendar import DAY_MS, day_begins, local_day, local_hour
from simulators.physics.model import Moment, Place, even

SHAKES_FOR_MS: Final = 1_600
"""A lorry's axles tilt a loose cover for less than two seconds."""

_DRIFT_DEG: Final = 0.015
"""A degree of temperature bends sensor and seat by so much."""
_ROOM_C: Final = 20.0
_GROUND_C: Final = 17.0
_LEAST_FREE_M: Final = 0.8
"""The heaviest rain leaves a healthy sewer so much room."""
_LOOSE_SHARE: Final = 0.07
_SHAKEN_BY_DEG: Final = (16.0, 28.0)


class Manhole:
    """One cover and the well below it."""

    __slots__ = ("_angle", "_body", "_depth", "_gas", "_key", "_level", "_loose", "_shaken", "_wave")

    def __init__(self, place: Place, dice: random.Random, key: bytes) -> None:
        """Draw how it was fitted, how deep its well is, and whether its seat is worn."""
        fitted = place.baseline_deg
        self._angle = dice.uniform(0.3, 4.0) if fitted is None else fitted
        self._depth = dice.uniform(2.2, 5.0)
        self._level = dice.uniform(0.15, 0.5)
        self._gas = dice.uniform(0.2, 2.0)
        self._wave = dice.uniform(0.0, 2.0 * math.pi)
        self._loose = place.habit.on_change and dice.random() < _LOOSE_SHARE
        self._body = Body(dice)
        self._key = key
        self._shaken: tuple[int, tuple[int, ...]] = (-1, ())

    def values(self, moment: Moment) -> dict[str, MeasureValue]:
        """All measures of a cover."""
        noise = moment.noise
        temp = 0.6 * moment.air_c + 0.4 * _GROUND_C
        tilt = self._angle + _DRIFT_DEG * (temp - _ROOM_C) + 0.12 * noise[0]
        if self._loose and self._is_shaken(moment.at_ms):
            low, high = _SHAKEN_BY_DEG
            tilt += low + (high - low) * even(self._key, b"shake", moment.at_ms)
        # Sewers run highest in the morning and in the evening.
        hours = local_hour(moment.at_ms)
        dry = self._level + 0.08 * math.sin(2.0 * math.pi * (hours - 5.0) / 12.0) + 0.01 * noise[1]
        level = max(0.02, dry + moment.rain * 0.9 * max(0.0, self._depth - _LEAST_FREE_M - 0.1 - dry))
        warm = max(0.0, temp - 10.0) / 20.0
        return {
            "tilt_deg": round(max(0.0, tilt), 1),
            "lid_open": False,
            "level_m": round(level, 2),
            "free_height_m": round(max(_LEAST_FREE_M, self._depth - level + 0.01 * noise[2]), 2),
            "ch4_pct_lel": round(max(0.0, self._gas * (0.5 + warm) + 0.2 * noise[3]), 1),
            "h2s_ppm": round(max(0.0, 0.3 * self._gas * warm + 0.1 * noise[4]), 1),
            "co_ppm": round(max(0.0, 1.0 + 0.3 * noise[5]), 1),
            "o2_pct": round(min(20.9, 20.8 - 0.1 * self._gas + 0.04 * noise[6]), 1),
            "temp_c": round(temp + 0.3 * noise[7], 1),
            **self._body.measure(moment, temp, (noise[8], noise[9], noise[10])),
        }

    def changes(self, day: int) -> Sequence[int]:
        """Each shake: when it begins and when the cover lies still again."""
        return [at for begun in self._shakes(day) for at in (begun, begun + SHAKES_FOR_MS)]

    def _is_shaken(self, at_ms: int) -> bool:
        return any(begun <= at_ms < begun + SHAKES_FOR_MS for begun in self._shakes(local_day(at_ms)))

    def _shakes(self, day: int) -> tuple[int, ...]:
        """When lorries pass over a loose cover: up to three times a day, at least a minute apart."""
        if not self._loose:
            return ()
        if self._shaken[0] != day:
            times = int(even(self._key, b"lorries", day) * 4.0)
            part = DAY_MS // 3
            begun = tuple(
                day_begins(day) + number * part + int(even(self._key, b"lorry", 3 * day + number) * (part - 60_000))
                for number in range(times)
            )
            self._shaken = (day, begun)
        return self._shaken[1]


PHYSICS: Final = Manhole
"""Found by ``simulators.physics.catalogue``."""
