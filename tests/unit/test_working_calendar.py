"""The working calendar: days and their reasons, unknown years, clocks put forward and back, and how limits are read."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from chinese_calendar import is_workday  # type: ignore[import-untyped]  # it comes without types

from domain.errors import InvalidInputError
from worktime.calendar import (
    AFTERNOON,
    MORNING,
    DayKind,
    Override,
    Season,
    Slot,
    UnknownYearError,
    WorkCalendar,
)
from worktime.deadline import deadline
from worktime.explain import explain
from worktime.limit import Limit, Unit, make_limit, parse_limit
from worktime.state_council import STATE_COUNCIL

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
NOTICES = STATE_COUNCIL._replace(years=frozenset(range(2004, 2027)))  # whatever newer libraries know
CHINA = WorkCalendar(zone=SHANGHAI, notices=NOTICES)
WHOLE_DAYS = (Slot(0, 86_400),)
EVERY_DAY = frozenset(range(7))

_MonthDay = tuple[int, int]


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=zone)


# -------------------------------------------------------------------------------- days, overrides, years


def test_days_are_told_with_their_reason() -> None:
    def told(text: str) -> tuple[DayKind, str, int]:
        day = CHINA.day(date.fromisoformat(text))
        return day.kind, day.why, len(day.slots)

    assert told("2026-11-25") == (DayKind.WORKING, "working day", 2)
    assert told("2026-11-28") == (DayKind.WEEKEND, "weekend", 0)
    assert told("2026-10-01") == (DayKind.HOLIDAY, "National Day 国庆节", 0)
    assert told("2026-10-10") == (DayKind.MAKE_UP, "make-up day 调休 for National Day 国庆节", 2)
    assert told("2026-02-14") == (DayKind.MAKE_UP, "make-up day 调休 for Spring Festival 春节", 2)


def test_every_day_of_the_notices_is_judged_as_the_library_does() -> None:
    first, last = date(min(NOTICES.years), 1, 1), date(max(NOTICES.years), 12, 31)
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        assert bool(CHINA.day(day).slots) is is_workday(day), day


def test_the_district_s_own_days_prevail() -> None:
    own = WorkCalendar(
        zone=SHANGHAI,
        overrides={
            date(2026, 11, 23): Override(working=False, why="区运动会"),
            date(2026, 11, 21): Override(working=True, why="补班", slots=(Slot(8 * 3600, 12 * 3600),)),
            date(2026, 10, 10): Override(working=False),
            date(2026, 10, 1): Override(working=True),
        },
    )
    assert own.day(date(2026, 11, 23)).why == "区运动会"
    assert own.day(date(2026, 11, 21)).kind is DayKind.MAKE_UP
    assert own.day(date(2026, 10, 10)).kind is DayKind.HOLIDAY
    assert own.day(date(2026, 10, 1)).kind is DayKind.WORKING
    # One hour on Friday, four on Saturday morning, none on Sunday and Monday.
    assert deadline(at("11-20T17:00"), parse_limit("6work_hour"), own) == at("11-24T09:00")


def test_a_year_whose_holidays_nobody_told_is_an_error_only_where_it_is_needed() -> None:
    last = datetime(2026, 12, 31, 16, tzinfo=SHANGHAI)
    assert deadline(last, parse_limit("2work_hour"), CHINA) == datetime(2026, 12, 31, 18, tzinfo=SHANGHAI)
    with pytest.raises(UnknownYearError, match=r"^which days of 2027 are worked is not known: .* 2004 to 2026\. Bring"):
        deadline(last, parse_limit("3work_hour"), CHINA)
    assert deadline(last, parse_limit("3urgent_hour"), CHINA) == datetime(2026, 12, 31, 19, tzinfo=SHANGHAI)


def test_the_leap_day_of_a_year_not_known() -> None:
    start = datetime(2028, 2, 28, 17, tzinfo=SHANGHAI)
    limit = parse_limit("2work_hour")
    with pytest.raises(UnknownYearError, match="which days of 2028 are worked is not known"):
        deadline(start, limit, CHINA)
    guessed = WorkCalendar(zone=SHANGHAI, notices=NOTICES, weekdays_if_unknown=True)
    assert deadline(start, limit, guessed) == datetime(2028, 2, 29, 9, tzinfo=SHANGHAI)
    assert guessed.day(date(2028, 2, 29)).why == "working day, as the holidays of 2028 are not known"
    told = WorkCalendar(
        zone=SHANGHAI,
        notices=NOTICES,
        overrides={date(2028, 2, 29): Override(working=False)},
        complete_years=frozenset({2028}),
    )
    assert deadline(start, limit, told) == datetime(2028, 3, 1, 9, tzinfo=SHANGHAI)
    assert told.day(date(2028, 2, 28)).why == "working day"


def test_a_year_that_the_district_tells_in_full_is_its_own() -> None:
    told = WorkCalendar(zone=SHANGHAI, complete_years=frozenset({2026}))
    assert told.day(date(2026, 10, 1)).kind is DayKind.WORKING
    assert told.day(date(2026, 10, 10)).kind is DayKind.WEEKEND
    assert told.day(date(2025, 10, 1)).kind is DayKind.HOLIDAY


def test_a_season_has_hours_of_its_own() -> None:
    def hours(begin: int, end: int) -> tuple[Slot, ...]:
        return (Slot(begin * 3600, end * 3600),)

    summer, winter = Season((5, 1), (9, 30), hours(9, 17)), Season((12, 15), (2, 29), hours(10, 16))
    calendar = WorkCalendar(zone=SHANGHAI, seasons=(summer, winter))
    days = (
        "2026-04-30",
        "2026-05-06",
        "2026-09-30",
        "2026-10-08",
        "2026-12-14",
        "2026-12-15",
        "2024-02-29",
        "2024-03-01",
    )
    assert [calendar.day(date.fromisoformat(day)).slots for day in days] == [
        *((MORNING, AFTERNOON), summer.slots, summer.slots, (MORNING, AFTERNOON)),
        *((MORNING, AFTERNOON), winter.slots, winter.slots, (MORNING, AFTERNOON)),
    ]
    # Seven hours on Wednesday the 30th of September from ten on, then an hour on Thursday the 8th of October.
    assert deadline(at("09-30T10:00"), parse_limit("1work_day"), calendar) == at("10-08T09:00")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (((5, 1), (9, 30)), ((9, 30), (10, 31))),
        (((11, 1), (3, 31)), ((1, 1), (1, 2))),
        (((5, 1), (5, 2)), ((4, 1), (6, 1))),
    ],
)
def test_a_day_lies_in_one_season_at_most(one: tuple[_MonthDay, _MonthDay], other: tuple[_MonthDay, _MonthDay]) -> None:
    for first, second in ((one, other), (other, one)):
        with pytest.raises(
            InvalidInputError, match=r"^seasons must not overlap: \d\d-\d\d to \d\d-\d\d and \d\d-\d\d to"
        ):
            WorkCalendar(zone=SHANGHAI, seasons=(Season(*first, (MORNING,)), Season(*second, (MORNING,))))


def test_a_calendar_without_working_time_is_an_error() -> None:
    idle = WorkCalendar(zone=SHANGHAI, week=frozenset(), notices=None)
    with pytest.raises(InvalidInputError, match="too little working time"):
        deadline(at("11-20T11:00"), parse_limit("1work_hour"), idle)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ((Slot(50, 50),), "must begin before it ends"),
        ((Slot(50_400, 28_800),), "must begin before it ends and lie within one day, not 14:00-08:00"),
        ((Slot(0, 86_401),), "lie within one day, not 00:00-24:00:01"),
        ((Slot(28_800, 43_200), Slot(39_600, 50_400)), "without overlap: 11:00-14:00 begins too early"),
    ],
)
def test_slots_that_are_no_hours_of_a_day_are_refused(slots: tuple[Slot, ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        WorkCalendar(zone=SHANGHAI, slots=slots)
    with pytest.raises(InvalidInputError, match=message):
        WorkCalendar(zone=SHANGHAI, overrides={date(2026, 1, 1): Override(working=True, slots=slots)})


# -------------------------------------------------------------------------------- clocks put forward and back


def worked(day: date, *slots: Slot, zone: ZoneInfo = NEW_YORK) -> timedelta:
    """How much a day's slots hold."""
    calendar = WorkCalendar(zone=zone, slots=slots, week=EVERY_DAY, notices=None)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    found = explain(noon - timedelta(days=1), noon + timedelta(days=1), Unit.WORK_HOUR, calendar)
    return sum(
        (each.length for each in found if each.counted and each.begin.astimezone(zone).date() == day), timedelta(0)
    )


def test_a_day_on_which_the_clock_changes_has_23_or_25_hours() -> None:
    assert worked(date(2026, 3, 7), *WHOLE_DAYS) == timedelta(hours=24)
    assert worked(date(2026, 3, 8), *WHOLE_DAYS) == timedelta(hours=23)
    assert worked(date(2026, 11, 1), *WHOLE_DAYS) == timedelta(hours=25)
    assert worked(date(2026, 10, 4), *WHOLE_DAYS, zone=ZoneInfo("Australia/Lord_Howe")) == timedelta(hours=23.5)


def test_slots_at_the_hour_that_is_skipped_or_comes_twice() -> None:
    def slot(begin: float, end: float) -> Slot:
        return Slot(int(begin * 3600), int(end * 3600))

    skipped, twice = date(2026, 3, 8), date(2026, 11, 1)
    assert worked(skipped, slot(1.5, 3.5)) == timedelta(hours=1)
    assert worked(skipped, slot(2.25, 2.75)) == timedelta(0)
    assert worked(skipped, slot(2.5, 4)) == timedelta(hours=1)
    assert worked(twice, slot(1.5, 2.5)) == timedelta(hours=2)
    assert worked(twice, slot(0, 1.5), slot(1.5, 3)) == timedelta(hours=4)


def test_office_hours_keep_their_place_on_the_wall_clock() -> None:
    office = WorkCalendar(zone=NEW_YORK, notices=None)
    end = deadline(at("03-06T17:00", NEW_YORK), parse_limit("2work_hour"), office)
    assert end == datetime(2026, 3, 9, 13, tzinfo=UTC)
    # A natural day is 24 hours, so its wall clock shows another hour after the change.
    end = deadline(at("03-07T12:00", NEW_YORK), parse_limit("1natural_day"), office)
    assert end.astimezone(NEW_YORK) == at("03-08T13:00", NEW_YORK)


def test_a_date_that_never_came_has_no_hours() -> None:
    apia = ZoneInfo("Pacific/Apia")  # there, the 29th of December 2011 was followed by the 31st
    calendar = WorkCalendar(zone=apia, notices=None)
    start = datetime(2011, 12, 29, 17, tzinfo=apia)
    assert deadline(start, parse_limit("2work_hour"), calendar) == datetime(2012, 1, 2, 9, tzinfo=apia)


# -------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("text", "limit", "written"),
    [
        ("4work_hour", Limit(4 * 3_600_000_000, Unit.WORK_HOUR), "4work_hour"),
        ("2 work_day", Limit(16 * 3_600_000_000, Unit.WORK_DAY), "2work_day"),
        (" 6urgent_hour ", Limit(6 * 3_600_000_000, Unit.URGENT_HOUR), "6urgent_hour"),
        ("3natural_day", Limit(72 * 3_600_000_000, Unit.NATURAL_DAY), "3natural_day"),
        ("0.25 紧急工作时", Limit(900_000_000, Unit.URGENT_HOUR), "0.25urgent_hour"),
        ("10工作日", Limit(80 * 3_600_000_000, Unit.WORK_DAY), "10work_day"),
        ("2自然日", Limit(48 * 3_600_000_000, Unit.NATURAL_DAY), "2natural_day"),
        ("0.000001work_hour", Limit(3600, Unit.WORK_HOUR), "0.000001work_hour"),
    ],
)
def test_limits_are_read_and_written(text: str, limit: Limit, written: str) -> None:
    assert parse_limit(text) == limit
    assert str(limit) == written
    assert parse_limit(written) == limit


@pytest.mark.parametrize(
    "text", ["", "4", "work_hour", "4 hours", "-1work_hour", "1e3work_hour", "4work_hours", "٤work_hour"]
)
def test_what_is_no_limit_is_told(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_limit(text)
    assert str(caught.value) == (
        f"{text!r} is no limit: it must be a number and one of urgent_hour, natural_day, work_hour, work_day, "
        "such as 4work_hour"
    )


def test_a_limit_is_more_than_nothing_and_at_most_ten_years() -> None:
    with pytest.raises(InvalidInputError, match=r"^a limit must be more than nothing, not 0work_hour$"):
        parse_limit("0work_hour")
    with pytest.raises(InvalidInputError, match=r"^a limit must be at most 3660natural_day, not 3661natural_day$"):
        parse_limit("3661natural_day")
    assert make_limit(3660, Unit.WORK_DAY).micros == 3660 * 8 * 3_600_000_000
