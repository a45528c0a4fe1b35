"""Clock health: what the lags of a device's messages, day by day, say of its clock (时钟健康)."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from itertools import combinations
from statistics import median
from typing import Final, NamedTuple

_HOUR_S: Final = 3600.0
ZONE_SHIFT_H: Final = 8
"""China's hours from UTC: local time sent as UTC lies this far ahead, UTC sent as local time this far behind."""
_SHIFT_EARLY_S: Final = 120.0
_SHIFT_LATE_S: Final = 600.0
"""A clock that is else right shows whole hours, less its own small error, more the way to us."""
AHEAD_S: Final = 5.0
"""Time servers keep a clock within a second; five are no way through any network."""
BEHIND_S: Final = 300.0
"""Even a slow radio network delivers the quickest message of a day faster than this."""
_DRIFT_S_A_DAY: Final = 2.0
"""A common crystal of 20 ppm loses or gains 1.7 s a day; more is a fault, or a clock that is never set."""
_DRIFT_DAYS: Final = 4
"""Days needed to tell a drift from a slow day."""


class ClockVerdict(StrEnum):
    """What is to be said of a device's clock."""

    UNKNOWN = "unknown"
    """It never sent a time of its own, or too little is known."""
    GOOD = "good"
    AHEAD = "ahead"
    BEHIND = "behind"
    """Its quickest message of the day came this late: a slow clock, or a network that holds everything back."""
    SHIFTED = "shifted_8h"
    """A steady 8 hours off: a time zone lost or applied twice (时区错误)."""
    DRIFTING = "drifting"


class ClockDay(NamedTuple):
    """What was seen of a device's clock in one UTC day."""

    day: date
    samples: int
    low_s: float
    """Least lag, received time less the device's own; negative: the device was ahead."""
    high_s: float
    """Greatest lag."""
    refused: int
    """Readings whose time lay too far ahead to be believed."""


class ClockHealth(NamedTuple):
    """A device's clock."""

    verdict: ClockVerdict
    offset_s: float | None
    """How far ahead of ours it is, at least, in seconds; negative: behind (its lag's least, transport included)."""
    drift_s_per_day: float | None
    """Seconds that it gains a day; ``None`` with less than four days."""
    refused: int
    """Readings refused over the days looked at, because their time lay too far ahead."""
    samples: int


def clock_health(days: Sequence[ClockDay]) -> ClockHealth:
    """Judge a clock by its days, in order; the newest day tells the offset, all of them the drift.

    The drift is the median of the slopes between all pairs of days (Theil–Sen): one day of held back messages does not
    bend it.
    """
    if not days:
        return ClockHealth(ClockVerdict.UNKNOWN, None, None, 0, 0)
    refused, samples = sum(day.refused for day in days), sum(day.samples for day in days)
    offset_s = -days[-1].low_s
    drift = _drift(days)
    return ClockHealth(_verdict(days[-1], drift), offset_s, drift, refused, samples)


def _verdict(newest: ClockDay, drift: float | None) -> ClockVerdict:
    for shift_s in (-ZONE_SHIFT_H * _HOUR_S, ZONE_SHIFT_H * _HOUR_S):
        # Both ends of the day show it: a device that hands in an old history shows it at one end only.
        if all(-_SHIFT_EARLY_S <= lag - shift_s <= _SHIFT_LATE_S for lag in (newest.low_s, newest.high_s)):
            return ClockVerdict.SHIFTED
    if newest.low_s < -AHEAD_S:
        return ClockVerdict.AHEAD
    if newest.low_s > BEHIND_S:
        return ClockVerdict.BEHIND
    if drift is not None and abs(drift) > _DRIFT_S_A_DAY:
        return ClockVerdict.DRIFTING
    return ClockVerdict.GOOD


def _drift(days: Sequence[ClockDay]) -> float | None:
    if len(days) < _DRIFT_DAYS:
        return None
    slopes = [
        -(late.low_s - early.low_s) / (late.day - early.day).days
        for early, late in combinations(days, 2)
        if late.day != early.day
    ]
    return median(slopes) if slopes else None
