"""When a wall clock first shows a time, exact also on the days on which the clock is put forward or back."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.instants import from_micros, to_micros


def first_shown(day: date, second: int, zone: ZoneInfo) -> int:
    """The instant, in microseconds, at which the clock shows so many seconds after that day's midnight, or skips them.

    An hour that comes twice is meant the first time. An hour that never comes is meant when the clock leaps over it.
    So hours that adjoin on paper adjoin in time, and a day put forward has 23 of them.
    """
    shown = datetime(day.year, day.month, day.day) + timedelta(seconds=second)  # noqa: DTZ001  # a wall clock's face has no zone
    instant = to_micros(shown.replace(tzinfo=zone).astimezone(UTC))
    if from_micros(instant).astimezone(zone).replace(tzinfo=None) == shown:
        return instant
    # Python reads a skipped time with the offset of before (a time after the leap) or, as the second fold, of after.
    before = to_micros(shown.replace(tzinfo=zone, fold=1).astimezone(UTC))
    return _leap(before, instant, zone)


def _leap(low: int, high: int, zone: ZoneInfo) -> int:
    """The instant between the two at which the offset changes."""
    offset = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(instant: int, zone: ZoneInfo) -> timedelta | None:
    return from_micros(instant).astimezone(zone).utcoffset()
