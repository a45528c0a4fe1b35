"""streetlight: it follows the sun at its position, its schedule, and the voltage of its feeder."""

import random
from collections.abc import Sequence
from typing import Final

from domain.reading import MeasureValue
from simulators.physics.body import Body
from simulators.physics.calendar import (
    DAY_MS,
    HOUR_MS,
    day_begins,
    daylight,
    local_day,
    local_hour,
    season_sum,
)
from simulators.physics.model import Moment, Place

NOMINAL_V: Final = 220.0

_DIMS_AT_H: Final = 23.5
_BRIGHTENS_AT_H: Final = 5.0
_EVENING: Final = (18.0, 23.0)
_STANDBY_W: Final = 1.5
_POWER_FACTOR: Final = 0.95
_NIGHT_H: Final = 12.1
_NIGHT_VARIES_H: Final = 1.9
"""Nights at 31° north: so much longer in winter and shorter in summer."""


class Streetlight:
    """One lamp and its controller."""

    __slots__ = ("_body", "_dim", "_energy", "_feeder", "_latitude", "_longitude", "_offset_ms", "_position", "_power")

    def __init__(self, place: Place, dice: random.Random, key: bytes) -> None:
        """Draw lamp and schedule; what is the feeder's own is drawn from the feeder's name, alike for all its lamps."""
        del key
        feeder = random.Random(f"feeder/{place.circuit}")
        self._feeder = NOMINAL_V + feeder.uniform(-4.0, 4.0)
        self._offset_ms = feeder.randint(-8, 8) * 60_000 + dice.randint(0, 20_000)
        self._dim = feeder.choice((50.0, 60.0, 80.0))
        self._position = place.position
        self._power = dice.choice((60.0, 90.0, 120.0, 150.0)) * dice.uniform(0.97, 1.03)
        self._energy = dice.uniform(200.0, 4000.0)
        self._longitude, self._latitude = place.longitude, place.latitude
        self._body = Body(dice, mains=True)

    def values(self, moment: Moment) -> dict[str, MeasureValue]:
        """All measures of a lamp."""
        noise = moment.noise
        on = self._is_on(moment.at_ms)
        hour = local_hour(moment.at_ms)
        dim = 0.0
        if on:
            dim = self._dim if hour >= _DIMS_AT_H or hour < _BRIGHTENS_AT_H else 100.0
        evening = _EVENING[0] <= hour < _EVENING[1]
        volt = self._feeder - 3.0 * evening - 5.0 * self._position * dim / 100.0 + 0.8 * noise[0]
        power = self._power * dim / 100.0 * (1.0 + 0.004 * noise[1]) if on else _STANDBY_W
        temp = moment.air_c + 6.0 + 10.0 * dim / 100.0 + 0.4 * noise[2]
        return {
            "volt_v": round(volt, 1),
            "current_a": round(power / volt / _POWER_FACTOR, 3),
            "power_w": round(power, 1),
            "leak_ma": round(max(0.0, 2.0 + 5.0 * moment.rain + 0.3 * noise[3]), 1),
            "lamp_on": on,
            "lamp_failure": False,
            "dim_pct": dim,
            "energy_kwh": round(self._energy_at(moment.at_ms), 2),
            "temp_c": round(temp, 1),
            **self._body.measure(moment, temp, (noise[4], noise[5], 0.0)),
        }

    def changes(self, day: int) -> Sequence[int]:
        """When the lamp goes off in the morning, and on in the evening."""
        return self._switches(day)

    def _switches(self, day: int) -> tuple[int, int]:
        """Off and on: the feeder's photocell sees dusk a little earlier or later than the almanac."""
        rise, fall = daylight(self._longitude, self._latitude, day)
        return rise - self._offset_ms, fall + self._offset_ms

    def _is_on(self, at_ms: int) -> bool:
        off, on = self._switches(local_day(at_ms))
        return at_ms < off or at_ms >= on

    def _energy_at(self, at_ms: int) -> float:
        """The counter: it grows through the night, night after night by the length that nights have."""
        noons = (at_ms - day_begins(0)) / DAY_MS - 0.5
        night = int(noons // 1)
        begun, ended = self._switches(night)[1], self._switches(night + 1)[0]
        part = min(1.0, max(0.0, (at_ms - begun) / max(HOUR_MS, ended - begun)))
        before, after = self._by_noon(night), self._by_noon(night + 1)
        return self._energy + before + (after - before) * part

    def _by_noon(self, day: int) -> float:
        """Kilowatt-hours from 2020 to the noon of a day."""
        since = 18_262
        hours = _NIGHT_H * (day - since) + _NIGHT_VARIES_H * (season_sum(day) - season_sum(since))
        return 0.75 * self._power / 1000.0 * hours


PHYSICS: Final = Streetlight
"""Found by ``simulators.physics.catalogue``."""
