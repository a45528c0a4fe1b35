"""bin: it fills by hour, weekday and place, and is emptied by rounds (清运)."""

import random
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final

from domain.reading import MeasureValue
from simulators.physics.body import Body
from simulators.physics.calendar import HOUR_MS, day_begins, local_day, local_hour, weekday
from simulators.physics.model import Moment, Place

FULLEST_PCT: Final = 76.0
"""No crowd fills a healthy bin further before its round comes: what overflows is a fault, and stands in the truth."""
EMPTY_PCT: Final = 3.0

_HOURS: Final = {
    "compound": (1, 0, 0, 0, 0, 1, 4, 8, 7, 4, 3, 4, 5, 4, 3, 3, 4, 6, 9, 10, 8, 6, 4, 2),
    "market": (0, 0, 0, 1, 3, 7, 10, 10, 9, 8, 7, 6, 4, 3, 3, 4, 6, 7, 5, 2, 1, 0, 0, 0),
    "park": (0, 0, 0, 0, 0, 2, 4, 4, 3, 4, 5, 5, 4, 4, 6, 7, 8, 8, 8, 9, 8, 4, 1, 0),
    "school": (0, 0, 0, 0, 0, 0, 2, 8, 6, 6, 7, 9, 8, 5, 6, 7, 8, 6, 2, 1, 1, 0, 0, 0),
    "mall": (1, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6, 8, 9, 8, 7, 7, 8, 9, 10, 10, 10, 8, 4, 2),
    "office": (0, 0, 0, 0, 0, 0, 1, 4, 8, 7, 6, 9, 9, 6, 6, 6, 6, 5, 3, 1, 1, 0, 0, 0),
}
"""How much comes in an hour, as parts of the busiest one."""
_WEEKEND: Final = {"compound": 1.2, "market": 1.3, "park": 1.8, "school": 0.1, "mall": 1.6, "office": 0.2}
_ROUNDS: Final = {
    "compound": (5.5, 14.0),
    "market": (4.5, 11.0, 18.5),
    "park": (6.0, 17.0),
    "school": (6.0, 16.5),
    "mall": (5.0, 15.0, 22.5),
    "office": (6.5, 19.0),
}
_ANYWHERE: Final = "mall"
_FRIDAY: Final = 4
_ROUND_VARIES_MS: Final = 20 * 60_000
_DEPTH_MM: Final = 1000.0
_SUN_C: Final = 10.0
_HOTTEST_C: Final = 54.0


class Bin:
    """One litter bin."""

    __slots__ = ("_body", "_place", "_rate", "_rounds", "_tilt")

    def __init__(self, place: Place, dice: random.Random, key: bytes) -> None:
        """Draw how full it gets, and when its round comes by."""
        del key
        self._place = place.site if place.site in _HOURS else _ANYWHERE
        late = dice.randint(0, _ROUND_VARIES_MS)
        self._rounds = [round(hour * HOUR_MS) + late for hour in _ROUNDS[self._place]]
        # The busiest time between two rounds fills it to its own peak.
        self._rate = (dice.uniform(30.0, 68.0) - EMPTY_PCT) / _busiest(self._place)
        self._tilt = dice.uniform(0.5, 3.0)
        self._body = Body(dice)

    def values(self, moment: Moment) -> dict[str, MeasureValue]:
        """All measures of a bin."""
        noise = moment.noise
        since = max(self._last_round(moment.at_ms), moment.cleared_ms or 0)
        fill = EMPTY_PCT + self._rate * self._brought(since, moment)
        fill = min(FULLEST_PCT, fill) + 0.9 * noise[0]
        shine = max(0.0, 1.0 - abs(local_hour(moment.at_ms) - 13.5) / 6.0) * (1.0 - moment.rain)
        temp = min(_HOTTEST_C, moment.air_c + _SUN_C * shine)
        return {
            "fill_pct": round(max(0.0, fill)),
            "distance_mm": round(_DEPTH_MM - 9.4 * max(0.0, fill) + 4.0 * noise[1]),
            "tilt_deg": round(max(0.0, self._tilt + 0.2 * noise[2]), 1),
            "lid_open": False,
            "temp_c": round(temp + 0.3 * noise[3], 1),
            **self._body.measure(moment, temp, (noise[4], noise[5], noise[6])),
        }

    def changes(self, day: int) -> Sequence[int]:
        """The rounds of the day: a bin that watches its fill level reports that it was emptied."""
        return [day_begins(day) + at for at in self._rounds]

    def _last_round(self, at_ms: int) -> int:
        day = local_day(at_ms)
        passed = bisect_right(self._rounds, at_ms - day_begins(day))
        return day_begins(day) + self._rounds[passed - 1] if passed else day_begins(day - 1) + self._rounds[-1]

    def _brought(self, since: int, moment: Moment) -> float:
        """What came since it was emptied; crowds bring more while they are there."""
        brought = _sum(self._place, moment.at_ms) - _sum(self._place, since)
        for crowd in moment.crowds:
            begun, ended = max(since, crowd.from_ms), min(moment.at_ms, crowd.to_ms)
            if begun < ended:
                brought += (crowd.factor - 1.0) * (_sum(self._place, ended) - _sum(self._place, begun))
        return max(0.0, brought)


PHYSICS: Final = Bin
"""Found by ``simulators.physics.catalogue``."""


@lru_cache(maxsize=16)
def _week(place: str) -> list[float]:
    """What was brought by the end of each hour of a week, beginning with 0 on Monday at midnight."""
    hours = [
        float(amount) * (_WEEKEND[place] if day > _FRIDAY else 1.0) for day in range(7) for amount in _HOURS[place]
    ]
    return [0.0, *accumulate(hours)]


def _sum(place: str, at_ms: int) -> float:
    """What was brought to such a place since 1970."""
    week = _week(place)
    day = local_day(at_ms)
    hour, rest = divmod(at_ms - day_begins(day), HOUR_MS)
    at = 24 * weekday(day) + hour
    whole = (day - weekday(day)) // 7 * week[-1]
    return whole + week[at] + (week[at + 1] - week[at]) * rest / HOUR_MS


@lru_cache(maxsize=16)
def _busiest(place: str) -> float:
    """The most that is brought between two rounds, over a week."""
    monday = next(day for day in range(20_000, 20_007) if weekday(day) == 0)
    rounds = [day_begins(monday + day) + round(hour * HOUR_MS) for day in range(8) for hour in _ROUNDS[place]]
    return max(_sum(place, later) - _sum(place, earlier) for earlier, later in pairwise(rounds))
