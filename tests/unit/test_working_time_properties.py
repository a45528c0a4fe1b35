"""What holds of every deadline: monotone, additive, exact, true to pauses, equal to counting minute by minute."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from worktime.calendar import Override, Slot, WorkCalendar
from worktime.deadline import Pause, Term, deadline, elapsed, remaining, warn_at
from worktime.explain import explain
from worktime.limit import Limit, Unit

MICRO: Final = timedelta(microseconds=1)
HOUR: Final = 3600


def _calendar(zone: str, *slots: tuple[float, float], week: int = 5, chinese: bool = False) -> WorkCalendar:
    hours = tuple(Slot(int(begin * HOUR), int(end * HOUR)) for begin, end in slots)
    plain = WorkCalendar(zone=ZoneInfo(zone), slots=hours, week=frozenset(range(week)), notices=None)
    if not chinese:
        return plain
    half = Override(working=True, slots=(Slot(0, 5 * HOUR),))
    own = {date(2026, 10, 3): half, date(2026, 11, 20): Override(working=False)}
    return WorkCalendar(zone=plain.zone, slots=hours, overrides=own, weekdays_if_unknown=True)


CALENDARS: Final = (
    _calendar("Asia/Shanghai", (8, 12), (14, 18), chinese=True),
    _calendar("Asia/Shanghai", (8.5, 12), (13, 17.25), (19, 24), week=6),
    _calendar("America/New_York", (8, 12), (14, 18)),
    _calendar("America/New_York", (0, 24), week=7),
    _calendar("Europe/London", (0, 1.5), (1.5, 6), (22, 24), week=7),
    _calendar("Australia/Lord_Howe", (1.75, 2.25), (2.25, 9), week=7),
)

each_calendar = st.sampled_from(CALENDARS)
units = st.sampled_from(list(Unit))
working_units = st.sampled_from([unit for unit in Unit if unit.working])
# Within a second, a week, a year: what is decided by one slot, by a weekend, by a holiday.
offsets = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=400)),
    st.integers(0, 400 * 24 * 4).map(lambda quarters: timedelta(minutes=15) * quarters),
)
moments = offsets.map(lambda offset: datetime(2026, 1, 1, tzinfo=UTC) + offset)
lengths = st.one_of(
    st.integers(1, 10**6),
    st.integers(1, 200).map(lambda quarters: quarters * 900 * 10**6),
    st.integers(1, 200 * HOUR * 10**6),
)


@st.composite
def pauses(draw: st.DrawFn) -> list[Pause]:
    begins = draw(st.lists(moments, max_size=4))
    spans = st.timedeltas(timedelta(0), timedelta(days=20))
    return [Pause(begin, begin + draw(spans)) for begin in begins]


@st.composite
def near(draw: st.DrawFn) -> tuple[datetime, list[Pause]]:
    """A start, and pauses that begin soon enough after it to matter."""
    start = draw(moments)
    leads = draw(st.lists(st.timedeltas(timedelta(days=-3), timedelta(days=20)), max_size=4))
    spans = st.timedeltas(timedelta(0), timedelta(days=8))
    return start, [Pause(start + lead, start + lead + draw(spans)) for lead in leads]


many = settings(max_examples=100, deadline=None)


@given(near(), lengths, units, each_calendar)
@many
def test_at_the_deadline_exactly_the_limit_has_elapsed_and_not_before(
    around: tuple[datetime, list[Pause]], length: int, unit: Unit, calendar: WorkCalendar
) -> None:
    start, paused = around
    limit = Limit(length, unit)
    end = deadline(start, limit, calendar, paused)
    assert end > start
    assert elapsed(start, end, unit, calendar, paused) == limit.length
    assert elapsed(start, end - MICRO, unit, calendar, paused) == limit.length - MICRO
    assert remaining(start, limit, end, calendar, paused) == timedelta(0)
    assert remaining(start, limit, end + timedelta(days=9), calendar, paused) <= timedelta(0)


@given(moments, moments, lengths, units, each_calendar, pauses())
@many
def test_who_starts_later_is_due_no_earlier(
    one: datetime, other: datetime, length: int, unit: Unit, calendar: WorkCalendar, paused: list[Pause]
) -> None:
    earlier, later = sorted((one, other))
    limit = Limit(length, unit)
    assert deadline(earlier, limit, calendar, paused) <= deadline(later, limit, calendar, paused)


@given(near(), lengths, lengths, units, each_calendar)
@many
def test_one_limit_after_another_is_their_sum(
    around: tuple[datetime, list[Pause]], first: int, second: int, unit: Unit, calendar: WorkCalendar
) -> None:
    start, paused = around
    between = deadline(start, Limit(first, unit), calendar, paused)
    together = deadline(start, Limit(first + second, unit), calendar, paused)
    assert deadline(between, Limit(second, unit), calendar, paused) == together
    assert deadline(start, Limit(first, unit), calendar, paused, [Limit(second, unit)]) == together


@given(near(), lengths, units, each_calendar, st.data())
@many
def test_a_pause_moves_the_deadline_by_the_time_that_it_takes(
    around: tuple[datetime, list[Pause]], length: int, unit: Unit, calendar: WorkCalendar, data: st.DataObject
) -> None:
    start, paused = around
    limit = Limit(length, unit)
    usual = deadline(start, limit, calendar, paused)
    lead = data.draw(st.timedeltas(timedelta(0), usual - start - MICRO))
    more = Pause(start + lead, start + lead + data.draw(st.timedeltas(timedelta(0), timedelta(days=9))))
    moved = deadline(start, limit, calendar, [*paused, more])
    taken = elapsed(more.begin, more.end, unit, calendar, paused)
    # Between the old deadline and the new one, as much is counted outside the pause as the pause took before the old.
    assert elapsed(usual, moved, unit, calendar, [*paused, more]) == elapsed(
        more.begin, min(more.end, usual), unit, calendar, paused
    )
    assert elapsed(usual, moved, unit, calendar, paused) == taken
    if not taken:
        assert moved == usual
    else:
        assert moved > usual


@given(near(), lengths, working_units, each_calendar)
@many
def test_pauses_where_nothing_counts_move_nothing(
    around: tuple[datetime, list[Pause]], length: int, unit: Unit, calendar: WorkCalendar
) -> None:
    start, paused = around
    limit = Limit(length, unit)
    usual = deadline(start, limit, calendar, paused)
    idle = [
        Pause(each.begin, each.end)
        for each in explain(start, usual + timedelta(days=3), unit, calendar, paused)
        if not each.counted
    ]
    assert deadline(start, limit, calendar, [*paused, *idle]) == usual


@given(near(), lengths, units, each_calendar, st.randoms(use_true_random=False))
@many
def test_neither_order_nor_overlap_of_pauses_matters(
    around: tuple[datetime, list[Pause]], length: int, unit: Unit, calendar: WorkCalendar, random: Random
) -> None:
    start, paused = around
    limit = Limit(length, unit)
    halves = [Pause(middle, pause.end) for pause in paused for middle in [pause.begin + (pause.end - pause.begin) / 2]]
    mixed = [*paused, *halves, *paused]
    random.shuffle(mixed)
    assert deadline(start, limit, calendar, mixed) == deadline(start, limit, calendar, paused)


@given(near(), lengths, units, each_calendar)
@many
def test_an_explanation_is_whole_and_adds_up(
    around: tuple[datetime, list[Pause]], length: int, unit: Unit, calendar: WorkCalendar
) -> None:
    start, paused = around
    limit = Limit(length, unit)
    end = deadline(start, limit, calendar, paused)
    told = explain(start, end, unit, calendar, paused)
    assert (told[0].begin, told[-1].end) == (start, end)
    assert all(before.end == after.begin for before, after in pairwise(told))
    assert all(each.begin < each.end for each in told)
    assert told[-1].counted
    assert sum((each.length for each in told if each.counted), timedelta(0)) == limit.length
    for each in told:
        alone = elapsed(each.begin, each.end, unit, calendar)
        assert alone == (each.length if each.counted else each.lost), each


@given(near(), lengths, units, each_calendar, st.fractions(Fraction(1, 1000), Fraction(999, 1000)))
@many
def test_a_warning_comes_when_that_share_has_elapsed(
    around: tuple[datetime, list[Pause]], length: int, unit: Unit, calendar: WorkCalendar, share: Fraction
) -> None:
    start, paused = around
    warning = warn_at(Term(start, Limit(length, unit), paused), share, calendar)
    assert start <= warning <= deadline(start, Limit(length, unit), calendar, paused)
    used = elapsed(start, warning, unit, calendar, paused) // MICRO
    assert used == int(length * share)


# ------------------------------------------------------------------------------------------------- minute by minute


@given(
    st.integers(0, 300 * 24 * 60),
    st.integers(0, 12 * 24 * 60),
    st.lists(st.tuples(st.integers(-500, 12 * 24 * 60), st.integers(0, 3000)), max_size=3),
    st.sampled_from(CALENDARS[:3]),
)
@settings(max_examples=40, deadline=None)
def test_it_is_what_counting_minute_by_minute_gives(
    first: int, minutes: int, stops: list[tuple[int, int]], calendar: WorkCalendar
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=first)
    paused = [Pause(start + timedelta(minutes=lead), start + timedelta(minutes=lead + span)) for lead, span in stops]
    counted = 0
    for minute in range(minutes):
        moment = start + timedelta(minutes=minute)
        local = moment.astimezone(calendar.zone)
        second = local.hour * HOUR + local.minute * 60
        counted += any(slot.begin <= second < slot.end for slot in calendar.day(local.date()).slots) and not any(
            pause.begin <= moment < pause.end for pause in paused
        )
    end = start + timedelta(minutes=minutes)
    assert elapsed(start, end, Unit.WORK_HOUR, calendar, paused) == timedelta(minutes=counted)
