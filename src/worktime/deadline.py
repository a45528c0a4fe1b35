"""The working-time clock: deadlines, elapsed and remaining time, and the moment to warn before it is too late."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from domain.errors import InvalidInputError
from domain.instants import from_micros, to_micros
from worktime.calendar import WorkCalendar
from worktime.limit import Limit, Unit

_MOST_YEARS: Final = 40
"""A calendar that works a day a year would otherwise be searched for ever."""


class Pause(NamedTuple):
    """An interval in which the clock stands still (挂账). One that still goes on is closed by whoever asks, at now."""

    begin: datetime
    end: datetime
    why: str = ""


class Term(NamedTuple):
    """A limit that runs from a moment on, with what was approved beside it."""

    start: datetime
    limit: Limit
    pauses: Sequence[Pause] = ()
    extensions: Sequence[Limit] = ()
    """Approved extensions (延期); each in the limit's sort of time."""


class Due(NamedTuple):
    """Which of several terms ends first, and when."""

    name: str
    at: datetime


def deadline(
    start: datetime,
    limit: Limit,
    calendar: WorkCalendar,
    pauses: Iterable[Pause] = (),
    extensions: Iterable[Limit] = (),
) -> datetime:
    """The first moment, as aware UTC, at which the limit and its extensions have been counted.

    Raises:
        UnknownYearError: the clock would run through a year of which nobody has told the working days.
        InvalidInputError: an extension counts another sort of time, or a pause ends before it begins.
    """
    return _after(start, total(limit, extensions), limit.unit, calendar, pauses)


def elapsed(
    start: datetime, until: datetime, unit: Unit, calendar: WorkCalendar, pauses: Iterable[Pause] = ()
) -> timedelta:
    """How much time of the unit's sort was counted between the two; nothing if ``until`` is the earlier one.

    Raises:
        UnknownYearError: the clock would run through a year of which nobody has told the working days.
        InvalidInputError: a pause ends before it begins.
    """
    begin, end = to_micros(start), to_micros(until)
    if end <= begin:
        return timedelta(0)
    counted = count(begin, end, unit, calendar)
    for low, high in merged(pauses, begin):
        if low < end:
            counted -= count(low, min(high, end), unit, calendar)
    return timedelta(microseconds=counted)


def remaining(
    start: datetime,
    limit: Limit,
    until: datetime,
    calendar: WorkCalendar,
    pauses: Iterable[Pause] = (),
    extensions: Iterable[Limit] = (),
) -> timedelta:
    """What is left of the limit at a moment; negative once it is overdue (超期), by the time counted since.

    Raises:
        UnknownYearError: the clock would run through a year of which nobody has told the working days.
        InvalidInputError: an extension counts another sort of time, or a pause ends before it begins.
    """
    whole = timedelta(microseconds=total(limit, extensions))
    return whole - elapsed(start, until, limit.unit, calendar, pauses)


def warn_at(term: Term, early: Fraction | Limit, calendar: WorkCalendar) -> datetime:
    """When to warn (预警): once a share of the limit is used up, or so much of its time before the deadline.

    Not before the start: whoever wants to be warned earlier than that is warned at once.

    Raises:
        UnknownYearError: the clock would run through a year of which nobody has told the working days.
        InvalidInputError: the share is not between nothing and all, or the time is of another sort.
    """
    whole = total(term.limit, term.extensions)
    if isinstance(early, Limit):
        _require_same_sort(term.limit, early, "a warning")
        used = whole - early.micros
    elif 0 < early < 1:
        used = int(whole * early)
    else:
        raise InvalidInputError(f"a warning must come at a share between 0 and 1, not {early}")
    if used <= 0:
        return from_micros(to_micros(term.start))
    return _after(term.start, used, term.limit.unit, calendar, term.pauses)


def first_due(terms: Mapping[str, Term], calendar: WorkCalendar) -> Due:
    """Of the terms of a stage, of the whole and others: the one that ends first, the first named if several do.

    Raises:
        UnknownYearError: the clock would run through a year of which nobody has told the working days.
        InvalidInputError: there is no term, or one is none.
    """
    if not terms:
        raise InvalidInputError("of no terms, none ends first")
    ends = [Due(name, deadline(*term[:2], calendar, *term[2:])) for name, term in terms.items()]
    return min(ends, key=lambda due: due.at)


def total(limit: Limit, extensions: Iterable[Limit]) -> int:
    """Limit and extensions together, in microseconds of the limit's sort of time.

    Raises:
        InvalidInputError: an extension counts another sort.
    """
    whole = limit.micros
    for extension in extensions:
        _require_same_sort(limit, extension, "an extension")
        whole += extension.micros
    return whole


def merged(pauses: Iterable[Pause], begin: int) -> list[tuple[int, int]]:
    """The pauses after a moment, in order, those that overlap as one.

    Raises:
        InvalidInputError: one ends before it begins.
    """
    found: list[tuple[int, int]] = []
    for low, high in sorted(_span(pause) for pause in pauses):
        if high <= begin:
            continue
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((max(low, begin), high))
    return found


def count(begin: int, end: int, unit: Unit, calendar: WorkCalendar) -> int:
    """Microseconds that count between two instants, pauses left aside; ``begin`` is the earlier one."""
    if not unit.working:
        return end - begin
    first, last = _year(begin, calendar), _year(end, calendar)
    before = _counted(begin, first, calendar)
    return sum(calendar.year(year).total for year in range(first, last)) + _counted(end, last, calendar) - before


def _after(start: datetime, amount: int, unit: Unit, calendar: WorkCalendar, pauses: Iterable[Pause]) -> datetime:
    """When so much has been counted: the amount grows by what lies in the pauses that begin before it is."""
    begin = to_micros(start)
    end = _advance(begin, amount, unit, calendar)
    for low, high in merged(pauses, begin):
        if low >= end:
            break
        amount += count(low, high, unit, calendar)
        end = _advance(begin, amount, unit, calendar)
    return from_micros(end)


def _advance(begin: int, amount: int, unit: Unit, calendar: WorkCalendar) -> int:
    """The first instant at which so much has been counted since ``begin``."""
    if not unit.working:
        return begin + amount
    first = year = _year(begin, calendar)
    amount += _counted(begin, year, calendar)
    while amount > (whole := calendar.year(year).total):
        amount -= whole
        year += 1
        if year - first > _MOST_YEARS:
            raise InvalidInputError(f"the calendar has too little working time: {_MOST_YEARS} years are not enough")
    laid_out = calendar.year(year)
    piece = bisect_left(laid_out.counted, amount)
    return laid_out.ends[piece] - (laid_out.counted[piece] - amount)


def _counted(instant: int, year: int, calendar: WorkCalendar) -> int:
    """Working microseconds of the year up to an instant in it."""
    laid_out = calendar.year(year)
    piece = bisect_right(laid_out.begins, instant) - 1
    if piece < 0:
        return 0
    return laid_out.counted[piece] - max(0, laid_out.ends[piece] - instant)


def _year(instant: int, calendar: WorkCalendar) -> int:
    return from_micros(instant).astimezone(calendar.zone).year


def _span(pause: Pause) -> tuple[int, int]:
    low, high = to_micros(pause.begin), to_micros(pause.end)
    if high < low:
        raise InvalidInputError(
            f"a pause must begin before it ends, not {pause.begin.isoformat()}/{pause.end.isoformat()}"
        )
    return low, high


def _require_same_sort(limit: Limit, other: Limit, what: str) -> None:
    if other.unit.working is not limit.unit.working:
        known = " or ".join(unit.key for unit in Unit if unit.working is limit.unit.working)
        raise InvalidInputError(f"{what} of {limit} must be in {known}, not {other}")
