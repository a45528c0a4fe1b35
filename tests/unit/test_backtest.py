"""A backtest passes over what changes nothing; its alerts are those of judging every reading, on any stream."""

import math
from array import array
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.catalogue import load_kinds
from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.instants import EPOCH, from_micros, to_micros
from domain.reading import DEVICE, Reading
from rules.backtest import Columns, Course, Found, Silences, difference, found_in, parted, stretches
from rules.engine import Hearing, elapse_holds, judge, next_silence_due, tick
from rules.kinds.rate import Rate
from rules.kinds.stale import Stale
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.plan import Plan, make_plan
from rules.rule import Level, Rule
from rules.tracks import Tracks

START = EPOCH + timedelta(days=20_000)
BOOLEANS = frozenset({"lid_open"})


class Told(NamedTuple):
    """One reading; seconds since the start."""

    at: int
    delay: int
    tilt: float | None
    lid: bool | None
    flags: dict[str, str] | None


def rule(key: str, condition: object) -> Rule:
    return Rule(key, key, key, condition)  # type: ignore[arg-type]  # any rule kind


TILT = Threshold(
    "tilt_deg",
    levels=(
        Level(Severity.MAJOR, limit=15.0, clear=10.0, hold_s=30.0),
        Level(Severity.CRITICAL, limit=90.0, clear=10.0, keep_s=60.0),
    ),
)
LOW = Threshold("tilt_deg", side=Side.BELOW, levels=(Level(Severity.MINOR, limit=-5.0, hold_s=10.0),))
LID = Threshold("lid_open", levels=(Level(Severity.CRITICAL, limit=1.0, hold_s=2.0),))
STEEP = Rate(measure="tilt_deg", levels=(Level(Severity.MINOR, limit=900.0),), over_s=300.0)
SETS = {
    "simple": (rule("manhole.tilt", TILT), rule("manhole.low", LOW), rule("manhole.open", LID)),
    "one": (rule("manhole.tilt", TILT),),
    "remembering": (rule("manhole.tilt", TILT), rule("manhole.steep", STEEP)),
}

READINGS = st.lists(
    st.builds(
        Told,
        at=st.integers(0, 2000),
        delay=st.sampled_from([0, 1, 400]),
        tilt=st.sampled_from([None, 1.0, -5.0, 9.0, 12.0, 15.0, 40.0, 95.0]),
        lid=st.sampled_from([None, False, False, True]),
        flags=st.sampled_from([None, None, None, {"tilt_deg": "out_of_range"}, {DEVICE: "suspended"}]),
    ),
    max_size=60,
    unique_by=lambda told: told.at,
).map(sorted)


def plan_of(rules: Sequence[Rule], interval_s: float = 100.0) -> Plan:
    return make_plan(rules, interval_s=interval_s, validity_factor=1.5, overrides={})


def columns(told: Sequence[Told]) -> Columns:
    begin = to_micros(START)
    return Columns(
        7,
        array("q", [begin + one.at * 1_000_000 for one in told]),
        array("q", [begin + (one.at + one.delay) * 1_000_000 for one in told]),
        {
            "tilt_deg": array("d", [math.nan if one.tilt is None else one.tilt for one in told]),
            "lid_open": array("d", [math.nan if one.lid is None else float(one.lid) for one in told]),
        },
        [one.flags for one in told] if any(one.flags for one in told) else None,
    )


def readings(told: Sequence[Told]) -> list[Reading]:
    made: list[Reading] = []
    for one in told:
        at = START + timedelta(seconds=one.at)
        values = {"tilt_deg": one.tilt, "lid_open": one.lid}
        present = {name: value for name, value in values.items() if value is not None}
        received = at + timedelta(seconds=one.delay)
        made.append(Reading(7, at, received, present, one.flags or {}, 0, b"", None, None))
    return made


def judged_one_by_one(plan: Plan, told: Sequence[Told], until: int) -> list[Transition]:
    tracks, steps = Tracks(), list[Transition]()
    for reading in readings(told):
        if DEVICE not in reading.flags:
            steps += judge(plan, tracks, reading, Hearing(None, None))
    elapse_holds(plan, tracks, 7, START + timedelta(seconds=until), steps)
    return steps


@settings(max_examples=150, deadline=None)
@given(told=READINGS, rules=st.sampled_from(sorted(SETS)), cut=st.integers(0, 60), until=st.integers(2000, 3000))
def test_passing_over_changes_nothing(told: list[Told], rules: str, cut: int, until: int) -> None:
    plan = plan_of(SETS[rules])
    course = Course(7, plan, BOOLEANS, [])
    for chunk in (told[:cut], told[cut:]):
        if chunk:
            course.take(columns(chunk))
    course.end(START + timedelta(seconds=until))
    assert course.steps == judged_one_by_one(plan, told, until)


@settings(max_examples=150, deadline=None)
@given(
    told=READINGS,
    day=st.integers(100, 2500),
    outage=st.tuples(st.integers(0, 2500), st.integers(0, 600)),
    intervals=st.sampled_from([1.0, 2.5, 7.0]),
)
def test_silences_are_those_of_a_clock_that_looks_all_the_time(
    told: list[Told], day: int, outage: tuple[int, int], intervals: float
) -> None:
    plan = plan_of([rule("manhole.offline", Stale(intervals=intervals))])
    end = START + timedelta(seconds=4000)
    # Between two seconds: a message and a silence due at one microsecond have no order, live or here.
    began = START + timedelta(seconds=outage[0] + 0.5)
    heard = list(stretches([(began, began + timedelta(seconds=outage[1]))], end, START))
    silences = Silences(7, plan, heard, [])
    for first in range(0, 4000, day):
        chunk = columns([one for one in told if first <= one.at < first + day])
        silences.take(chunk.received, START + timedelta(seconds=first + day))
    silences.end(end)
    assert silences.steps == silent_second_by_second(plan, told, heard)


def silent_second_by_second(plan: Plan, told: Sequence[Told], heard: Sequence[Coverage]) -> list[Transition]:
    """As the ticker does it: it looks every second, up to the watermark of the stretch that lasts then."""
    tracks, steps = Tracks(), list[Transition]()
    received = sorted(one.at + one.delay for one in told)
    last = None
    for second in range(4001):
        now = START + timedelta(seconds=second)
        present = next((one for one in heard if one.since <= now <= one.until), None)
        if second in received:
            reading = Reading(7, now, now, {}, {}, 0, b"", None, None)
            steps += judge(plan, tracks, reading, Hearing(last, present))
            last = now
        due = next_silence_due(plan, tracks, Hearing(last, present))
        if due is not None and due <= now:
            steps += tick(plan, tracks, 7, now, Hearing(last, present))
    return steps


def test_outages_part_the_time_into_stretches() -> None:
    def at(second: int) -> object:
        return START + timedelta(seconds=second)

    outages = [(at(50), at(60)), (at(10), at(20)), (at(55), at(70))]
    found = [
        ((one.since - START).seconds, (one.until - START).seconds)
        for one in stretches(outages, at(100), START)  # type: ignore[arg-type]  # times
    ]
    assert found == [(0, 10), (20, 50), (70, 100)]
    assert all(one.until <= other.since for one, other in pairwise(stretches([], from_micros(9), EPOCH)))


def alert(onset: int, cleared: int | None, key: str = "manhole.tilt") -> list[Transition]:
    def step(at: int, what: Step) -> Transition:
        times = START + timedelta(seconds=onset), START + timedelta(seconds=at)
        return Transition(7, key, *times, what, Severity.MAJOR, "tilt_deg", 20.0, None)

    return [step(onset, Step.OPENED), *([] if cleared is None else [step(cleared, Step.CLEARED)])]


def test_alerts_are_those_that_fire_inside_the_time() -> None:
    steps = [*alert(0, 50), *alert(100, None), *alert(60, 70)]
    found = found_in(steps, START + timedelta(seconds=10), START + timedelta(seconds=100))
    assert [(one.onset - START).seconds for one in found] == [60]
    assert found[0].lasts_s(START) == 10


def test_alerts_of_two_rule_sets_meet_where_they_overlap() -> None:
    far = START + timedelta(seconds=9000)

    def found(*steps: list[Transition]) -> list[Found]:
        return found_in([step for one in steps for step in one], START, far)

    told = difference(
        found(alert(0, 50), alert(100, 200), alert(500, 510, "manhole.open")),
        found(alert(40, 60), alert(300, None), alert(500, 510)),
        far,
    )
    assert [((one.onset - START).seconds, (other.onset - START).seconds) for one, other in told.both] == [(0, 40)]
    assert [(one.onset - START).seconds for one in told.only_first] == [100, 500]
    assert [(one.onset - START).seconds for one in told.only_second] == [300, 500]


def test_a_plan_falls_into_what_is_measured_and_what_is_silent() -> None:
    kind = load_kinds()["manhole"]
    measured, silent = parted(plan_of(kind.rules))
    assert measured is not None
    assert silent is not None
    assert (measured.silences, silent.watches) == ((), ())
    assert {*measured.by_key, *silent.rules} == {rule.key for rule in kind.rules}
    assert parted(plan_of([rule("manhole.tilt", TILT)]))[1] is None
    assert parted(plan_of([]))[0] is None
