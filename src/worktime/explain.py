"""Why a deadline falls where it falls: every interval that was counted, and every one that was not."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from domain.instants import from_micros, to_micros
from worktime.calendar import Day, DayKind, Slot, WorkCalendar
from worktime.deadline import Pause, count, merged
from worktime.limit import Unit

_HOUR: Final = 3600
_A_DAY: Final = 24 * _HOUR
_LATE: Final = 17 * _HOUR
"""From here on nobody asks why work is over; a day that ends earlier is said to be a short one."""


class Sort(StrEnum):
    """What the clock does in an interval."""

    COUNTED = "counted"
    SKIPPED = "skipped"
    """Nothing is worked then."""
    PAUSED = "paused"
    """The clock is held, whether anything is worked or not."""


class Interval(NamedTuple):
    """A stretch of time, and why it counts or does not."""

    begin: datetime
    end: datetime
    sort: Sort
    why: str
    lost: timedelta = timedelta(0)
    """What a pause kept from being counted."""

    @property
    def counted(self) -> bool:
        """Whether the clock runs."""
        return self.sort is Sort.COUNTED

    @property
    def length(self) -> timedelta:
        """From end to end."""
        return self.end - self.begin


class _Span(NamedTuple):
    begin: int
    end: int
    sort: Sort
    why: str


def explain(
    start: datetime, until: datetime, unit: Unit, calendar: WorkCalendar, pauses: Iterable[Pause] = ()
) -> list[Interval]:
    """The intervals between two moments, one after the other without a gap; none if ``until`` is the earlier one.

    Raises:
        UnknownYearError: the clock would run through a year of which nobody has told the working days.
        InvalidInputError: a pause ends before it begins.
    """
    begin, end, pauses = to_micros(start), to_micros(until), list(pauses)
    found: list[Interval] = []
    still = [(low, min(high, end)) for low, high in merged(pauses, begin) if low < min(high, end)]
    for low, high in still:
        found += _running(begin, low, unit, calendar)
        lost = timedelta(microseconds=count(low, high, unit, calendar))
        found.append(Interval(from_micros(low), from_micros(high), Sort.PAUSED, _why_paused(pauses, low, high), lost))
        begin = high
    return found + _running(begin, end, unit, calendar)


def _running(begin: int, end: int, unit: Unit, calendar: WorkCalendar) -> list[Interval]:
    """What lies between two pauses."""
    if begin >= end:
        return []
    if not unit.working:
        return [Interval(from_micros(begin), from_micros(end), Sort.COUNTED, f"{unit.name_zh} runs on day and night")]
    clipped = (
        span._replace(begin=max(span.begin, begin), end=min(span.end, end)) for span in _days(begin, end, calendar)
    )
    return [
        Interval(from_micros(span.begin), from_micros(span.end), span.sort, span.why)
        for span in _joined(span for span in clipped if span.begin < span.end)
    ]


def _days(begin: int, end: int, calendar: WorkCalendar) -> Iterator[_Span]:
    first, last = (from_micros(instant).astimezone(calendar.zone).date() for instant in (begin, end))
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        yield from _parts(calendar.day(date.fromordinal(ordinal)), calendar)


def _parts(day: Day, calendar: WorkCalendar) -> Iterator[_Span]:
    """The day from midnight to midnight."""
    if not day.slots:
        why = f"holiday: {day.why}" if day.kind is DayKind.HOLIDAY else day.why
        yield _Span(calendar.instant(day.date, 0), calendar.instant(day.date, _A_DAY), Sort.SKIPPED, why)
        return
    over = calendar.instant(day.date, 0)
    last: Slot | None = None
    for slot in day.slots:
        begin, end = calendar.instant(day.date, slot.begin), calendar.instant(day.date, slot.end)
        yield _Span(over, begin, Sort.SKIPPED, _why_not(last, slot))
        why = slot.name if day.why == "working day" else f"{slot.name}, {day.why}"
        yield _Span(begin, end, Sort.COUNTED, why)
        over, last = end, slot
    yield _Span(over, calendar.instant(day.date, _A_DAY), Sort.SKIPPED, _why_not(last, None))


def _why_not(before: Slot | None, after: Slot | None) -> str:
    """What the time between two slots is called, or that before the first or after the last one."""
    if before is None or after is None:
        return "night" if before is None or before.end >= _LATE else "work is over for the day"
    return "lunch break" if before.end <= 13 * _HOUR and after.begin >= 12 * _HOUR else "break"


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    """Nights over midnight, weekends and holidays as one span."""
    found: list[_Span] = []
    for span in spans:
        if found and span.sort is Sort.SKIPPED and found[-1].why == span.why:
            found[-1] = found[-1]._replace(end=span.end)
        else:
            found.append(span)
    return found


def _why_paused(pauses: Sequence[Pause], low: int, high: int) -> str:
    reasons = (pause.why for pause in pauses if to_micros(pause.begin) < high and to_micros(pause.end) > low)
    return ": ".join(("pause", *filter(None, ["; ".join(filter(None, dict.fromkeys(reasons)))])))
