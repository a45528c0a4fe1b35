"""The working-time clock against cases that were worked out by hand from the State Council's notice for 2026."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from domain.errors import InvalidInputError
from worktime.calendar import Override, Slot, WorkCalendar
from worktime.deadline import Due, Pause, Term, deadline, elapsed, first_due, remaining, warn_at
from worktime.explain import Interval, Sort, explain
from worktime.limit import Unit, parse_limit
from worktime.state_council import STATE_COUNCIL

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHINA = WorkCalendar(zone=SHANGHAI)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=SHANGHAI)


def due(start: str, limit: str, pauses: str = "", extend: tuple[str, ...] = ()) -> datetime:
    intervals = [Pause(at(begin), at(end)) for begin, end in (pause.split("/") for pause in pauses.split())]
    return deadline(at(start), parse_limit(limit), CHINA, intervals, map(parse_limit, extend))


HAND_COMPUTED = [
    # slots, lunch and night; 2026-11-20 is a Friday
    ("11-20T11:00", "4work_hour", "11-20T17:00", "an hour before lunch and three after"),
    ("11-25T08:00", "4work_hour", "11-25T12:00", "ends with the slot, not where the next one begins"),
    ("11-25T08:00", "1work_day", "11-25T18:00", "a whole day"),
    ("11-25T12:00", "1work_hour", "11-25T15:00", "starts at the end of a slot"),
    ("11-25T12:30", "1work_hour", "11-25T15:00", "starts in the lunch break"),
    ("11-25T14:00", "1work_hour", "11-25T15:00", "starts as a slot does"),
    ("11-25T18:00", "1work_hour", "11-26T09:00", "starts as work ends"),
    ("11-25T03:00", "1work_hour", "11-25T09:00", "starts at night"),
    ("11-20T17:59:59", "1work_hour", "11-23T08:59:59", "a second on Friday, the rest on Monday"),
    ("11-21T10:00", "1work_hour", "11-23T09:00", "starts on a Saturday"),
    ("11-20T11:00:00.123456", "4work_hour", "11-20T17:00:00.123456", "microseconds are kept"),
    ("11-20T16:00", "5work_day", "11-27T16:00", "five working days are a week"),
    # National Day: off from Thursday 1 to Wednesday 7 October; Sunday 20 September and Saturday 10 October are worked
    ("09-30T17:00", "2work_hour", "10-08T09:00", "over the week off"),
    ("10-03T12:00", "1work_day", "10-08T18:00", "starts within it"),
    ("10-09T17:00", "2work_hour", "10-10T09:00", "into the make-up Saturday"),
    ("10-10T17:59:59", "1work_hour", "10-12T08:59:59", "from it over the Sunday"),
    ("09-18T17:00", "1work_day", "09-20T17:00", "from Friday into the make-up Sunday"),
    ("09-24T17:30", "1work_hour", "09-28T08:30", "over Mid-Autumn, Friday to Sunday"),
    ("09-29T18:00", "3work_day", "10-09T18:00", "one day before, two after"),
    # Spring Festival: off from Sunday 15 to Monday 23 February; Saturdays 14 and 28 February are worked
    ("02-13T17:00", "2work_hour", "02-14T09:00", "into the make-up Saturday before"),
    ("02-14T17:30", "1work_hour", "02-24T08:30", "over the nine days"),
    ("02-27T17:00", "1work_day", "02-28T17:00", "into the make-up Saturday after"),
    ("02-13T08:00", "5work_day", "02-26T18:00", "13, 14, 24, 25, 26"),
    # the clock that runs on
    ("11-20T23:00", "6urgent_hour", "11-21T05:00", "through a night and into a Saturday"),
    ("09-30T10:00", "3natural_day", "10-03T10:00", "into National Day"),
    ("02-16T23:59:59", "1紧急工作时", "02-17T00:59:59", "over the New Year of the moon"),
]


@pytest.mark.parametrize(("start", "limit", "end", "why"), HAND_COMPUTED, ids=[row[3] for row in HAND_COMPUTED])
def test_deadlines_worked_out_by_hand(start: str, limit: str, end: str, why: str) -> None:
    del why
    found = due(start, limit)
    assert found == at(end)
    assert found.tzinfo is UTC
    assert elapsed(at(start), found, parse_limit(limit).unit, CHINA) == parse_limit(limit).length


def test_the_first_days_of_a_year_follow_the_last_of_the_one_before() -> None:
    start = datetime(2025, 12, 31, 17, tzinfo=SHANGHAI)
    # Thursday 1 to Saturday 3 January are off, Sunday the 4th is worked.
    assert deadline(start, parse_limit("2work_hour"), CHINA) == at("01-04T09:00")


SUSPENDED = [
    ("11-20T11:00", "4work_hour", "11-20T11:30/11-23T09:00", "11-23T14:30", "half an hour on Friday, then Monday"),
    ("11-20T11:00", "4work_hour", "11-20T12:00/11-20T14:00", "11-20T17:00", "the lunch break moves nothing"),
    ("11-25T16:00", "1work_day", "11-25T18:00/11-26T08:00", "11-26T16:00", "a night moves nothing"),
    ("11-20T16:00", "1work_day", "11-21T00:00/11-22T12:00", "11-23T16:00", "a weekend moves nothing"),
    ("11-20T11:00", "4work_hour", "11-20T17:00/11-20T18:00", "11-20T17:00", "one at the deadline comes too late"),
    ("11-20T11:00", "4work_hour", "11-20T16:59:59/11-20T17:59:59", "11-20T18:00", "a second earlier it counts"),
    ("11-20T11:00", "4work_hour", "11-20T08:00/11-20T11:30", "11-20T17:30", "it counts from the start on"),
    ("11-20T11:00", "4work_hour", "11-19T08:00/11-20T11:00", "11-20T17:00", "one that has ended"),
    (
        "11-20T08:00",
        "4work_hour",
        "11-20T09:00/11-20T10:00 11-20T14:00/11-20T15:00",
        "11-20T16:00",
        "one, and one after lunch",
    ),
    ("11-20T08:00", "4work_hour", "11-20T09:00/11-20T10:00 11-20T14:00/11-20T14:30", "11-20T15:30", "two"),
    ("11-20T08:00", "4work_hour", "11-20T09:00/11-20T10:30 11-20T10:00/11-20T11:00", "11-20T16:00", "two overlap"),
    ("09-30T17:00", "2work_hour", "10-01T00:00/10-08T10:00", "10-08T11:00", "over National Day"),
    ("11-21T22:00", "6urgent_hour", "11-22T00:00/11-22T01:30", "11-22T05:30", "the clock that runs on"),
]


@pytest.mark.parametrize(("start", "limit", "pauses", "end", "why"), SUSPENDED, ids=[row[4] for row in SUSPENDED])
def test_suspensions_worked_out_by_hand(start: str, limit: str, pauses: str, end: str, why: str) -> None:
    del why
    assert due(start, limit, pauses) == at(end)


def test_an_extension_is_counted_after_the_limit() -> None:
    assert due("11-20T11:00", "4work_hour", extend=("2work_hour",)) == at("11-23T09:00")
    assert due("11-20T11:00", "4work_hour", extend=("1work_day", "0.5work_hour")) == at("11-23T17:30")
    assert due("11-20T23:00", "6urgent_hour", extend=("1natural_day",)) == at("11-22T05:00")


def test_an_extension_counts_the_same_sort_of_time() -> None:
    with pytest.raises(
        InvalidInputError, match=r"^an extension of 4work_hour must be in work_hour or work_day, not 1natu"
    ):
        due("11-20T11:00", "4work_hour", extend=("1natural_day",))
    with pytest.raises(InvalidInputError, match=r"^an extension of 2natural_day must be in urgent_hour or natural_day"):
        due("11-20T11:00", "2natural_day", extend=("1work_hour",))


def test_a_pause_ends_after_it_begins() -> None:
    with pytest.raises(
        InvalidInputError, match=r"^a pause must begin before it ends, not 2026-11-20T12:00:00\+08:00/20"
    ):
        due("11-20T11:00", "4work_hour", "11-20T12:00/11-20T11:00")


def test_what_remains_turns_negative_by_the_time_counted_since() -> None:
    def left(until: str) -> timedelta:
        return remaining(at("11-20T11:00"), parse_limit("4work_hour"), at(until), CHINA)

    assert left("11-20T10:00") == timedelta(hours=4)
    assert left("11-20T13:00") == timedelta(hours=3)
    assert left("11-20T17:00") == timedelta(0)
    assert left("11-22T12:00") == timedelta(hours=-1)
    assert left("11-23T08:00:01") == timedelta(hours=-1, seconds=-1)


# -------------------------------------------------------------------------------- warning, several terms


def test_a_warning_comes_at_a_share_or_a_time_before() -> None:
    term = Term(at("11-20T11:00"), parse_limit("4work_hour"))
    assert warn_at(term, Fraction(1, 4), CHINA) == at("11-20T12:00")
    assert warn_at(term, Fraction(1, 2), CHINA) == at("11-20T15:00")
    assert warn_at(term, parse_limit("1work_hour"), CHINA) == at("11-20T16:00")
    assert warn_at(term, parse_limit("4work_hour"), CHINA) == at("11-20T11:00")
    assert warn_at(term, parse_limit("1work_day"), CHINA) == at("11-20T11:00")


def test_a_warning_regards_pauses_and_extensions() -> None:
    paused = Pause(at("11-20T11:30"), at("11-23T09:00"))
    term = Term(at("11-20T11:00"), parse_limit("4work_hour"), [paused], [parse_limit("4work_hour")])
    assert warn_at(term, Fraction(1, 2), CHINA) == at("11-23T14:30")


@pytest.mark.parametrize("early", [Fraction(0), Fraction(1), Fraction(3, 2), Fraction(-1, 2)])
def test_a_warning_at_no_share_is_refused(early: Fraction) -> None:
    with pytest.raises(InvalidInputError, match="a warning must come at a share between 0 and 1"):
        warn_at(Term(at("11-20T11:00"), parse_limit("4work_hour")), early, CHINA)


def test_of_a_stage_and_the_whole_the_first_to_end_is_named() -> None:
    whole = Term(at("11-20T11:00"), parse_limit("1work_day"))
    stage = Term(at("11-20T15:00"), parse_limit("4work_hour"))
    assert first_due({"whole": whole, "stage": stage}, CHINA) == Due("stage", at("11-23T09:00"))
    later = stage._replace(start=at("11-20T17:30"))
    assert first_due({"whole": whole, "stage": later}, CHINA) == Due("whole", at("11-23T11:00"))
    longer = whole._replace(extensions=[parse_limit("1work_day")])
    assert first_due({"whole": longer, "stage": later}, CHINA) == Due("stage", at("11-23T11:30"))
    with pytest.raises(InvalidInputError, match="of no terms"):
        first_due({}, CHINA)


# -------------------------------------------------------------------------------- explanations


def test_an_explanation_lists_what_counts_and_what_does_not() -> None:
    paused = Pause(at("10-09T09:00"), at("10-09T15:00"), "等待审批")
    assert explain(at("09-30T17:00"), at("10-10T09:00"), Unit.WORK_HOUR, CHINA, [paused]) == [
        Interval(at("09-30T17:00"), at("09-30T18:00"), Sort.COUNTED, "afternoon slot"),
        Interval(at("09-30T18:00"), at("10-01T00:00"), Sort.SKIPPED, "night"),
        Interval(at("10-01T00:00"), at("10-08T00:00"), Sort.SKIPPED, "holiday: National Day 国庆节"),
        Interval(at("10-08T00:00"), at("10-08T08:00"), Sort.SKIPPED, "night"),
        Interval(at("10-08T08:00"), at("10-08T12:00"), Sort.COUNTED, "morning slot"),
        Interval(at("10-08T12:00"), at("10-08T14:00"), Sort.SKIPPED, "lunch break"),
        Interval(at("10-08T14:00"), at("10-08T18:00"), Sort.COUNTED, "afternoon slot"),
        Interval(at("10-08T18:00"), at("10-09T08:00"), Sort.SKIPPED, "night"),
        Interval(at("10-09T08:00"), at("10-09T09:00"), Sort.COUNTED, "morning slot"),
        Interval(at("10-09T09:00"), at("10-09T15:00"), Sort.PAUSED, "pause: 等待审批", timedelta(hours=4)),
        Interval(at("10-09T15:00"), at("10-09T18:00"), Sort.COUNTED, "afternoon slot"),
        Interval(at("10-09T18:00"), at("10-10T08:00"), Sort.SKIPPED, "night"),
        Interval(
            at("10-10T08:00"), at("10-10T09:00"), Sort.COUNTED, "morning slot, make-up day 调休 for National Day 国庆节"
        ),
    ]


def test_an_explanation_of_the_clock_that_runs_on() -> None:
    paused = Pause(at("11-22T00:00"), at("11-22T01:30"))
    assert explain(at("11-21T22:00"), at("11-22T05:30"), Unit.URGENT_HOUR, CHINA, [paused]) == [
        Interval(at("11-21T22:00"), at("11-22T00:00"), Sort.COUNTED, "紧急工作时 runs on day and night"),
        Interval(at("11-22T00:00"), at("11-22T01:30"), Sort.PAUSED, "pause", timedelta(hours=1.5)),
        Interval(at("11-22T01:30"), at("11-22T05:30"), Sort.COUNTED, "紧急工作时 runs on day and night"),
    ]


def test_an_explanation_names_short_days_and_guesses() -> None:
    short = WorkCalendar(
        zone=SHANGHAI,
        notices=STATE_COUNCIL._replace(years=frozenset({2026})),
        weekdays_if_unknown=True,
        overrides={date(2027, 1, 6): Override(True, "半天", (Slot(28_800, 43_200),))},
    )
    start, end = (datetime(2027, 1, day, 10, tzinfo=SHANGHAI) for day in (6, 7))
    assert [each.why for each in explain(start, end, Unit.WORK_HOUR, short)] == [
        "morning slot, 半天",
        "work is over for the day",
        "night",
        "morning slot, working day, as the holidays of 2027 are not known",
    ]
