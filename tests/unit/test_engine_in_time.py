"""The engine over the calendar's edges and over gaps: leap day, year's end, daylight time, sparse reporters."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.reading import Reading
from rules.engine import Hearing, judge, next_hold_due, next_silence_due, tick
from rules.kinds.stale import Stale
from rules.kinds.threshold import Threshold
from rules.plan import Plan, make_plan
from rules.rule import Level, Rule
from rules.tracks import Tracks, decode_tracks, encode_tracks

DAY_S = 86_400.0
OFFLINE = Rule("m.offline", "Offline", "离线", Stale(intervals=3.0))

Told = list[tuple[str, Step, datetime]]


def tilt(hold_s: float) -> Rule:
    level = Level(Severity.MAJOR, limit=15.0, clear=10.0, hold_s=hold_s)
    return Rule("m.tilt", "Tilt", "倾斜", Threshold("tilt_deg", (level,)))


def plan(*rules: Rule, interval_s: float) -> Plan:
    """A plan under which a reading stays valid for one and a half intervals."""
    return make_plan(rules, interval_s=interval_s, validity_factor=1.5, overrides={})


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def berlin(month: int, day: int, hour: int, minute: int, second: int, fold: int = 0) -> datetime:
    """A local time of 2026; ``fold`` 1 is the second time that the clocks show it."""
    return datetime(2026, month, day, hour, minute, second, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)


def reading(at: datetime, degrees: float) -> Reading:
    at = at.astimezone(UTC)
    return Reading(1, at, at, {"tilt_deg": degrees}, {}, hash((at, degrees)) & 0xFFFF, b"", None, None)


def told(steps: Sequence[Transition]) -> Told:
    return [(step.rule, step.step, step.at) for step in steps]


class Story:
    """One device, heard without a break since its first reading; its state is stored and read back at every step."""

    def __init__(self, made: Plan) -> None:
        self.made = made
        self.tracks = Tracks()
        self.since: datetime | None = None
        self.heard: datetime | None = None

    def hearing(self, until: datetime) -> Hearing:
        return Hearing(self.heard, Coverage(self.since or until, until))

    def says(self, at: datetime, degrees: float) -> Told:
        one = reading(at, degrees)
        self.tracks = decode_tracks(encode_tracks(self.tracks))
        steps = judge(self.made, self.tracks, one, self.hearing(one.received_at))
        self.heard = one.received_at
        self.since = self.since or self.heard
        return told(steps)

    def look(self, now: datetime) -> Told:
        self.tracks = decode_tracks(encode_tracks(self.tracks))
        return told(tick(self.made, self.tracks, 1, now, self.hearing(now)))


def test_a_hold_over_the_leap_day_counts_that_day() -> None:
    story = Story(plan(tilt(2 * DAY_S), interval_s=DAY_S))
    assert story.says(utc(2028, 2, 28, 6, 30, 15), 20) == []
    assert story.says(utc(2028, 2, 29, 6, 30, 15), 20) == []
    due = utc(2028, 3, 1, 6, 30, 15)
    assert next_hold_due(story.made, story.tracks) == due
    assert story.look(due - timedelta(seconds=1)) == []
    assert story.look(due) == [("m.tilt", Step.OPENED, due)]
    assert story.says(utc(2028, 3, 1, 7), 1) == [("m.tilt", Step.CLEARED, utc(2028, 3, 1, 7))]


def test_the_same_hold_in_a_year_without_the_day_ends_a_date_later() -> None:
    story = Story(plan(tilt(2 * DAY_S), interval_s=DAY_S))
    story.says(utc(2027, 2, 28, 6, 30, 15), 20)
    story.says(utc(2027, 3, 1, 6, 30, 15), 20)
    assert next_hold_due(story.made, story.tracks) == utc(2027, 3, 2, 6, 30, 15)


def test_a_silence_over_the_leap_day_counts_that_day() -> None:
    story = Story(plan(OFFLINE, interval_s=DAY_S))
    story.says(utc(2028, 2, 28, 23, 59, 59), 1)
    due = utc(2028, 3, 2, 23, 59, 59)
    assert next_silence_due(story.made, story.tracks, story.hearing(due)) == due
    assert story.look(due - timedelta(seconds=1)) == []
    assert story.look(due + timedelta(hours=5)) == [("m.offline", Step.OPENED, due)]
    assert story.says(utc(2028, 3, 3, 8), 1) == [("m.offline", Step.CLEARED, utc(2028, 3, 3, 8))]


def test_a_years_end_interrupts_neither_hold_nor_silence() -> None:
    story = Story(plan(tilt(30), OFFLINE, interval_s=100))
    assert story.says(utc(2026, 12, 31, 23, 59, 45), 20) == []
    assert story.says(utc(2027, 1, 1, 0, 0, 14), 20) == []
    assert story.says(utc(2027, 1, 1, 0, 0, 20), 20) == [("m.tilt", Step.OPENED, utc(2027, 1, 1, 0, 0, 15))]
    # Three intervals after the last message, and not after midnight.
    assert story.look(utc(2027, 1, 1, 0, 5, 19)) == []
    assert story.look(utc(2027, 1, 1, 0, 6)) == [("m.offline", Step.OPENED, utc(2027, 1, 1, 0, 5, 20))]


@pytest.mark.parametrize(
    ("bad", "still_bad", "due"),
    [
        # Forward: 01:59:50 is followed by 03:00:00, so the hold of 30 s ends at 03:00:20.
        (berlin(3, 29, 1, 59, 50), berlin(3, 29, 3, 0, 15), utc(2026, 3, 29, 1, 0, 20)),
        # Back: 02:59:50 in summer time is followed by 02:00:00, so the hold ends at the second 02:00:20.
        (berlin(10, 25, 2, 59, 50), berlin(10, 25, 2, 0, 15, fold=1), utc(2026, 10, 25, 1, 0, 20)),
    ],
    ids=["forward", "back"],
)
def test_a_hold_across_a_change_of_daylight_time_is_elapsed_seconds(
    bad: datetime, still_bad: datetime, due: datetime
) -> None:
    began, went_on = bad.astimezone(UTC), still_bad.astimezone(UTC)
    assert (went_on - began).total_seconds() == 25
    story = Story(plan(tilt(30), OFFLINE, interval_s=100))
    assert story.says(began, 20) == []
    assert story.says(went_on, 20) == []
    assert next_hold_due(story.made, story.tracks) == due
    assert story.look(due - timedelta(seconds=1)) == []
    assert story.look(due + timedelta(seconds=7)) == [("m.tilt", Step.OPENED, due)]
    # Nor is the hour that was skipped a silence, nor the hour that came twice a way out of one.
    silent = went_on + timedelta(seconds=300)
    assert story.look(silent - timedelta(seconds=1)) == []
    assert story.look(silent + timedelta(hours=1)) == [("m.offline", Step.OPENED, silent)]


def test_a_gap_longer_than_the_validity_is_not_time_in_which_it_was_bad() -> None:
    """Valid for 150 s, a hold of 200 s: what was bad before the gap and after it was not bad in between."""
    start = utc(2026, 3, 1, 8)
    story = Story(plan(tilt(200), interval_s=100))
    assert story.says(start, 20) == []
    assert next_hold_due(story.made, story.tracks) is None, "the clock alone cannot know"
    for seconds in (150, 151, 200, 201, 3599):
        assert story.look(start + timedelta(seconds=seconds)) == []
    back = start + timedelta(hours=1)
    assert story.says(back, 20) == []
    assert story.look(back + timedelta(seconds=199)) == []
    # Only readings that go on being bad fire it, and from the end of the gap on.
    assert story.says(back + timedelta(seconds=100), 20) == []
    due = back + timedelta(seconds=200)
    assert story.look(due - timedelta(seconds=1)) == []
    assert story.look(due) == [("m.tilt", Step.OPENED, due)]


def test_a_gap_that_ends_well_leaves_no_alert_behind() -> None:
    start = utc(2026, 3, 1, 8)
    story = Story(plan(tilt(200), interval_s=100))
    assert story.says(start, 20) == []
    assert story.look(start + timedelta(hours=1)) == []
    assert story.says(start + timedelta(hours=1), 1) == []
    assert story.look(start + timedelta(hours=1, seconds=250)) == []
    assert not story.tracks


def test_the_last_second_of_the_validity_still_bridges_two_readings_and_the_next_does_not() -> None:
    start = utc(2026, 3, 1, 8)
    bridged, broken = (Story(plan(tilt(200), interval_s=100)) for _ in range(2))
    for story, gap in ((bridged, 150), (broken, 151)):
        assert story.says(start, 20) == []
        assert story.says(start + timedelta(seconds=gap), 20) == []
    assert bridged.look(start + timedelta(seconds=260)) == [("m.tilt", Step.OPENED, start + timedelta(seconds=200))]
    assert broken.look(start + timedelta(seconds=260)) == []
    assert next_hold_due(broken.made, broken.tracks) is None


def test_a_sparse_reporter_fires_by_the_clock_within_the_validity() -> None:
    """It reports once a day: nobody waits a day for the second bad reading of a hold of ten minutes."""
    start = utc(2026, 3, 1, 8, 0, 7)
    story = Story(plan(tilt(600), OFFLINE, interval_s=DAY_S))
    assert story.says(start, 20) == []
    due = utc(2026, 3, 1, 8, 10, 7)
    assert next_hold_due(story.made, story.tracks) == due
    assert story.look(due - timedelta(seconds=1)) == []
    assert story.look(due + timedelta(minutes=3)) == [("m.tilt", Step.OPENED, due)]
    assert story.look(due + timedelta(minutes=4)) == [], "told once"
    assert story.says(start + timedelta(days=1), 20) == [], "the next day's reading goes on with it"
    good = start + timedelta(days=2)
    assert story.says(good, 1) == [("m.tilt", Step.CLEARED, good)]
