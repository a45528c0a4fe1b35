"""gas_meter: a household that cooks, washes and perhaps heats: use by season, day and hour, and the pressure."""

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from domain.reading import MeasureValue
from simulators.physics.body import Body
from simulators.physics.calendar import HOUR_MS, day_begins, local_day, season_sum
from simulators.physics.model import Moment, Place, even

_HOURS: Final = (1, 1, 0, 0, 1, 3, 10, 12, 6, 3, 3, 9, 14, 7, 3, 2, 4, 12, 20, 16, 10, 8, 6, 3)
_SUMS: Final = (0, *accumulate(_HOURS))
_SINCE: Final = 18_262
"""2020-01-01: meters began to count then."""
_FITFUL: Final = 0.3
"""No two days are alike: so much of a mean day may move to the next one."""
_HEATING_SHARE: Final = 0.15
_NOMINAL_KPA: Final = 2.0


class GasMeter:
    """One household and its meter."""

    __slots__ = ("_begun", "_body", "_daily", "_key", "_pressure", "_season")

    def __init__(self, place: Place, dice: random.Random, key: bytes) -> None:
        """Draw the household."""
        del place
        heats = dice.random() < _HEATING_SHARE
        self._daily = dice.uniform(0.25, 1.1) * (2.5 if heats else 1.0)
        self._season = 0.65 if heats else 0.25
        self._begun = dice.uniform(0.0, 60.0)
        self._pressure = _NOMINAL_KPA + dice.uniform(-0.12, 0.12)
        self._body = Body(dice)
        self._key = key

    def values(self, moment: Moment) -> dict[str, MeasureValue]:
        """All measures of a meter."""
        noise = moment.noise
        day = local_day(moment.at_ms)
        hour, rest = divmod(moment.at_ms - day_begins(day), HOUR_MS)
        before, after = self._by_midnight(day), self._by_midnight(day + 1)
        part = (_SUMS[hour] + _HOURS[hour] * rest / HOUR_MS) / _SUMS[-1]
        busy = _HOURS[hour] / max(_HOURS)
        flow = (after - before) * _HOURS[hour] / _SUMS[-1]
        temp = 0.5 * moment.air_c + 9.0 + 0.3 * noise[1]
        return {
            "volume_m3": round(before + (after - before) * part, 3),
            "flow_m3h": round(flow, 3),
            "pressure_kpa": round(self._pressure - 0.15 * busy + 0.02 * noise[0], 2),
            "valve_open": True,
            "leak_alarm": False,
            "tamper": False,
            "temp_c": round(temp, 1),
            **self._body.measure(moment, temp, (noise[2], noise[3], noise[4])),
        }

    def changes(self, day: int) -> Sequence[int]:
        """A healthy meter has nothing to tell at once."""
        del day
        return ()

    def _by_midnight(self, day: int) -> float:
        """Cubic metres on the dial when a day begins; it never runs back: a mean day is more than what may move."""
        mean = (day - _SINCE) + self._season * (season_sum(day) - season_sum(_SINCE))
        return self._begun + self._daily * (mean + _FITFUL * even(self._key, b"household", day))


PHYSICS: Final = GasMeter
"""Found by ``simulators.physics.catalogue``."""
