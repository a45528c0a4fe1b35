"""The town's days: local time, weekdays, seasons, the sun, the air's temperature."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from astral import Observer
from astral.sun import sunrise, sunset

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LOCAL_MS: Final = 8 * HOUR_MS
"""All of China keeps one time, eight hours ahead of UTC, the year round."""
YEAR_DAYS: Final = 365.2425

_LOCAL: Final = timezone(timedelta(milliseconds=LOCAL_MS))
_EPOCH: Final = date(1970, 1, 1)
_THURSDAY: Final = 3
"""1970 began on one; Monday is 0."""
_COLDEST_DAY: Final = 15.0
_MEAN_C: Final = 17.0
_SEASON_C: Final = 10.5
"""达州: 6 °C in January, 28 °C in July."""
_DAILY_C: Final = 4.0
_WEATHER_C: Final = 2.5
_WARMEST_HOUR: Final = 15.0
_AIR_STEP_MS: Final = 600_000
_SUN_STEP: Final = 20.0
"""The sun is computed for every twentieth of a degree: 5 km, twelve seconds."""


def local_day(at_ms: int) -> int:
    """Days since 1970, by the town's own midnight."""
    return (at_ms + LOCAL_MS) // DAY_MS


def day_begins(day: int) -> int:
    """Epoch milliseconds of a local midnight."""
    return day * DAY_MS - LOCAL_MS


def local_hour(at_ms: int) -> float:
    """Hours since local midnight."""
    return (at_ms + LOCAL_MS) % DAY_MS / HOUR_MS


def weekday(day: int) -> int:
    """Monday is 0."""
    return (day + _THURSDAY) % 7


def season(day: float) -> float:
    """1 in the coldest days of the year, -1 in the warmest."""
    return math.cos(2.0 * math.pi * (day - _COLDEST_DAY) / YEAR_DAYS)


def season_sum(day: float) -> float:
    """The integral of :func:`season` from 1970 on, in days."""
    return YEAR_DAYS / (2.0 * math.pi) * math.sin(2.0 * math.pi * (day - _COLDEST_DAY) / YEAR_DAYS)


def air_c(at_ms: int) -> float:
    """Temperature of the air, °C, in steps of ten minutes; every town of every seed has the same weather."""
    return _air_c(at_ms // _AIR_STEP_MS)


@lru_cache(maxsize=4096)
def _air_c(step: int) -> float:
    at_ms = step * _AIR_STEP_MS
    day = local_day(at_ms)
    part = (at_ms - day_begins(day)) / DAY_MS
    spell = (1.0 - part) * _spell(day) + part * _spell(day + 1)
    daily = _DAILY_C * math.cos(2.0 * math.pi * (24.0 * part - _WARMEST_HOUR) / 24.0)
    return _MEAN_C - _SEASON_C * season(day + part) + daily + _WEATHER_C * spell


def _spell(day: int) -> float:
    """Warm or cold for the time of the year, -1 to 1."""
    return int.from_bytes(blake2b(day.to_bytes(8, "big", signed=True), digest_size=4).digest(), "big") / 2**31 - 1.0


def daylight(longitude: float, latitude: float, day: int) -> tuple[int, int]:
    """Sunrise and sunset of a local day, epoch milliseconds."""
    return _daylight(round(longitude * _SUN_STEP), round(latitude * _SUN_STEP), day)


@lru_cache(maxsize=16_384)
def _daylight(longitude: int, latitude: int, day: int) -> tuple[int, int]:
    observer = Observer(latitude / _SUN_STEP, longitude / _SUN_STEP)
    on = _EPOCH + timedelta(days=day)
    return _millis(sunrise(observer, on, tzinfo=_LOCAL)), _millis(sunset(observer, on, tzinfo=_LOCAL))


def _millis(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
