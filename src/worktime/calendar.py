"""The working calendar: which days of a district are worked, why, and in which hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import combinations
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from domain.errors import InvalidInputError
from worktime.state_council import STATE_COUNCIL, Notices
from worktime.wall_clock import first_shown

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_NOON: Final = 12 * _HOUR
_DUSK: Final = 18 * _HOUR
_DAWN: Final = 6 * _HOUR
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2200


class UnknownYearError(InvalidInputError):
    """A year is asked for whose holidays nobody has told yet."""

    code = "unknown_year"


class DayKind(StrEnum):
    """What a day is."""

    WORKING = "working"
    MAKE_UP = "make-up"
    """Worked for another one that is off (调休上班)."""
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


class Slot(NamedTuple):
    """Hours that are worked, in seconds after midnight by the wall clock."""

    begin: int
    end: int

    def __str__(self) -> str:
        """As a file says it."""
        return f"{_face(self.begin)}-{_face(self.end)}"

    @property
    def name(self) -> str:
        """The part of the day it begins in."""
        if self.begin < _DAWN:
            return "night slot"
        if self.begin < _NOON:
            return "morning slot"
        return "afternoon slot" if self.begin < _DUSK else "evening slot"


MORNING: Final = Slot(8 * _HOUR, 12 * _HOUR)
AFTERNOON: Final = Slot(14 * _HOUR, 18 * _HOUR)
WEEK: Final = frozenset(range(5))
"""Monday to Friday, as ``date.weekday`` counts."""


class Season(NamedTuple):
    """A part of every year with hours of its own (夏令时作息), as month and day of its first and its last day."""

    first: tuple[int, int]
    last: tuple[int, int]
    slots: tuple[Slot, ...]

    def holds(self, month_day: tuple[int, int]) -> bool:
        """Whether a day lies in it; one that begins after it ends goes over the new year."""
        if self.first <= self.last:
            return self.first <= month_day <= self.last
        return month_day >= self.first or month_day <= self.last

    def __str__(self) -> str:
        """From when to when."""
        (month, day), (last_month, last_day) = self.first, self.last
        return f"{month:02}-{day:02} to {last_month:02}-{last_day:02}"


class Override(NamedTuple):
    """What the district says of one day, whatever the State Council says."""

    working: bool
    why: str = ""
    slots: tuple[Slot, ...] | None = None
    """Hours of its own; ``None`` for the usual ones."""


class Day(NamedTuple):
    """A day as the calendar judges it."""

    date: date
    kind: DayKind
    why: str
    slots: tuple[Slot, ...]
    """Empty if it is not worked."""


class Year(NamedTuple):
    """The working time of a year, as sorted pieces: begin, end, and how much lies before each."""

    begins: list[int]
    ends: list[int]
    counted: list[int]
    """Working microseconds of the year up to each piece's end."""

    @property
    def total(self) -> int:
        """All of the year's."""
        return self.counted[-1] if self.counted else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """The working days and hours of a district. It remembers the years it has laid out."""

    zone: ZoneInfo
    slots: tuple[Slot, ...] = (MORNING, AFTERNOON)
    seasons: tuple[Season, ...] = ()
    """Parts of the year in which other slots than the usual ones hold."""
    week: frozenset[int] = WEEK
    """The weekdays that are worked, Monday 0."""
    overrides: Mapping[date, Override] = field(default_factory=dict[date, Override])
    complete_years: frozenset[int] = frozenset()
    """Years of which the overrides tell all that departs from the plain week, whatever the notices say."""
    notices: Notices | None = STATE_COUNCIL
    """The holidays that hold; ``None``: the plain week does in every year."""
    weekdays_if_unknown: bool = False
    """Whether the plain week stands in for a year that is not known yet; if not, that is an error."""
    _years: dict[int, Year] = field(default_factory=dict[int, Year], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse slots out of order and seasons that overlap.

        Raises:
            InvalidInputError: the message names the slot or the seasons.
        """
        check_slots(self.slots)
        for season in self.seasons:
            check_slots(season.slots)
        check_seasons(self.seasons)
        for override in self.overrides.values():
            check_slots(override.slots or ())

    def knows(self, year: int) -> bool:
        """Whether it is known which days of the year are worked, without a guess."""
        return self.notices is None or year in self.notices.years or year in self.complete_years

    def day(self, day: date) -> Day:
        """What a day is, and why.

        Raises:
            UnknownYearError: nobody has told yet.
        """
        override = self.overrides.get(day)
        if override is not None and not override.working:
            return Day(day, DayKind.HOLIDAY, override.why or "the district's own day off", ())
        if override is not None:
            slots = self._usual(day) if override.slots is None else override.slots
            kind = DayKind.WORKING if day.weekday() in self.week else DayKind.MAKE_UP
            return Day(day, kind, override.why or "the district's own working day", slots)
        self._require(day.year)
        if self.notices is not None and day.year not in self.complete_years:
            if day in self.notices.make_up_days:
                return Day(day, DayKind.MAKE_UP, f"make-up day 调休 for {self.notices.make_up_days[day]}", self.slots)
            if day in self.notices.days_off:
                return Day(day, DayKind.HOLIDAY, str(self.notices.days_off[day]), ())
        guess = "" if self.knows(day.year) else f", as the holidays of {day.year} are not known"
        if day.weekday() in self.week:
            return Day(day, DayKind.WORKING, f"working day{guess}", self._usual(day))
        return Day(day, DayKind.WEEKEND, f"weekend{guess}", ())

    def year(self, year: int) -> Year:
        """The year's working time.

        Raises:
            UnknownYearError: nobody has told yet which of its days are worked.
        """
        known = self._years.get(year)
        if known is None:
            known = self._years[year] = self._lay_out(year)
        return known

    def instant(self, day: date, second: int) -> int:
        """When the district's wall clocks first show that time, in microseconds."""
        return first_shown(day, second, self.zone)

    def _usual(self, day: date) -> tuple[Slot, ...]:
        for season in self.seasons:
            if season.holds((day.month, day.day)):
                return season.slots
        return self.slots

    def _lay_out(self, year: int) -> Year:
        self._require(year)
        laid_out, counted = Year([], [], []), 0
        for ordinal in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()):
            day = self.day(date.fromordinal(ordinal))
            for slot in day.slots:
                begin, end = self.instant(day.date, slot.begin), self.instant(day.date, slot.end)
                counted += end - begin
                laid_out.begins.append(begin)
                laid_out.ends.append(end)
                laid_out.counted.append(counted)
        return laid_out

    def _require(self, year: int) -> None:
        if not _FIRST_YEAR <= year < _LAST_YEAR:
            raise UnknownYearError(f"the clock runs from {_FIRST_YEAR} to {_LAST_YEAR - 1}, not in {year}")
        if self.notices is not None and not self.knows(year) and not self.weekdays_if_unknown:
            known = self.notices.years
            raise UnknownYearError(
                f"which days of {year} are worked is not known: the State Council's notices are at hand for "
                f"{min(known)} to {max(known)}. Bring the library chinesecalendar up to date; or give a calendar file "
                f"that lists the year's days and names it in complete_years, or says unknown_years: weekdays"
            )


def check_slots(slots: tuple[Slot, ...]) -> None:
    """Refuse slots that are no hours of a day, one after the other.

    Raises:
        InvalidInputError: the message names the slot.
    """
    last = 0
    for slot in slots:
        if not 0 <= slot.begin < slot.end <= _DAY:
            raise InvalidInputError(f"a slot must begin before it ends and lie within one day, not {slot}")
        if slot.begin < last:
            raise InvalidInputError(f"slots must follow one another without overlap: {slot} begins too early")
        last = slot.end


def check_seasons(seasons: Sequence[Season]) -> None:
    """Refuse seasons of which a day would have two.

    Raises:
        InvalidInputError: the message names both.
    """
    for one, other in combinations(seasons, 2):
        if one.holds(other.first) or other.holds(one.first):
            raise InvalidInputError(f"seasons must not overlap: {one} and {other} do")


def _face(second: int) -> str:
    face = f"{second // _HOUR:02}:{second // _MINUTE % _MINUTE:02}"
    return f"{face}:{second % _MINUTE:02}" if second % _MINUTE else face
