"""What a healthy lamp says is passed over with a look at the time, live and in a backtest, and nothing bad is."""

from array import array
from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from devices.catalogue import load_kinds
from domain.alert import Transition
from domain.instants import from_micros, to_micros
from domain.reading import MeasureValue, Reading
from rules.backtest import Columns, Course
from rules.engine import Hearing, elapse_holds, judge, uneventful
from rules.lighting import read_schedule
from rules.plan import make_plan
from rules.surroundings import Surroundings
from rules.tracks import Tracks

LAMP = load_kinds()["streetlight"]
SCHEDULE = read_schedule(
    "park", [{"from": "01-01", "on": "sunset", "off": "sunrise", "dim": [{"from": "23:30", "pct": 50}]}]
)
DAZHOU = Surroundings.near(107.5, 31.2, "Asia/Shanghai", SCHEDULE)
RULES = tuple(rule for rule in LAMP.rules if rule.condition.kind == "expected")
PLAN = make_plan(RULES, interval_s=900.0, validity_factor=1.5, overrides={}, surroundings=DAZHOU)
UNHEARD = Hearing(None, None)
NOON = 1_782_014_400_000_000  # 2026-06-21T12:00:00+08:00
QUARTER = 900_000_000

said = st.fixed_dictionaries(
    {},
    optional={
        "lamp_on": st.booleans(),
        "power_w": st.sampled_from([0.0, 4.9, 5.0, 118.0]),
        "dim_pct": st.sampled_from([0.0, 50.0, 100.0]),
    },
)


def reading(at: int, values: dict[str, MeasureValue]) -> Reading:
    moment = from_micros(at)
    return Reading(1, moment, moment, values, {}, 0, b"", None, None)


def test_the_rules_on_lamps_are_asked_with_the_time() -> None:
    assert len(PLAN.timely) == len(RULES) > 0
    nowhere = make_plan(RULES, interval_s=900.0, validity_factor=1.5, overrides={})
    assert nowhere.timely == ()


def test_a_lamp_that_does_what_it_should_is_passed_by_the_day_round() -> None:
    for quarter in range(96):
        at = NOON + quarter * QUARTER
        # On 21 June the sun sets in Dazhou at 19:57 and rises at 05:47.
        hour = (12 + quarter / 4) % 24
        lit = not 5.8 < hour < 19.95
        dim = 0.0 if not lit else 50.0 if hour >= 23.5 or hour < 12 else 100.0
        healthy = {"lamp_on": lit, "power_w": 118.0 if lit else 1.5, "dim_pct": dim}
        assert uneventful(PLAN, reading(at, healthy), UNHEARD), hour


@given(st.integers(0, 365 * 96), said)
@example(40, {"lamp_on": False})
@example(0, {"lamp_on": True})
@example(50, {"lamp_on": True, "dim_pct": 100.0})
def test_what_is_passed_by_begins_nothing_and_what_begins_something_is_not(
    quarter: int, values: dict[str, MeasureValue]
) -> None:
    tracks = Tracks()
    one = reading(NOON + quarter * QUARTER, values)
    steps = judge(PLAN, tracks, one, UNHEARD)
    assert uneventful(PLAN, one, UNHEARD) == (not tracks and not steps)


@given(st.lists(said, min_size=1, max_size=200), st.integers(0, 365 * 96))
def test_a_backtest_finds_what_the_stream_does(told: list[dict[str, MeasureValue]], first: int) -> None:
    stream = [reading(NOON + (first + number) * QUARTER, values) for number, values in enumerate(told)]
    tracks, steps = Tracks(), list[Transition]()
    for one in stream:
        steps += judge(PLAN, tracks, one, UNHEARD)
    end = stream[-1].at + timedelta(hours=1)
    elapse_holds(PLAN, tracks, 1, end, steps)
    times = array("q", [to_micros(one.at) for one in stream])
    columns = {
        name: array("d", [float(one.values.get(name, float("nan"))) for one in stream])
        for name in ("lamp_on", "power_w", "dim_pct")
    }
    course = Course(1, PLAN, frozenset({"lamp_on"}), [])
    course.take(Columns(1, times, times, columns, None))
    course.end(end)
    told_by = [
        [(step.rule, step.step, step.onset, step.at, step.value) for step in each] for each in (course.steps, steps)
    ]
    assert told_by[0] == told_by[1]
