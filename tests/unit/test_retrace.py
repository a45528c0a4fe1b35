"""Retracing a rule tells what the engine did, on any stream, and says in a sentence what ended a hold."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.alert import Severity, Transition
from domain.instants import EPOCH
from domain.reading import DEVICE, Reading
from rules.engine import Hearing, elapse_holds, judge
from rules.kinds.rate import Rate
from rules.kinds.threshold import Threshold
from rules.plan import Plan, make_plan
from rules.retrace import Outcome, retrace
from rules.rule import Condition, Level, Rule, Verdict
from rules.tracks import Tracks

START = EPOCH + timedelta(days=20_000)
TILT = Threshold(
    "tilt_deg",
    levels=(
        Level(Severity.MAJOR, limit=15.0, clear=10.0, hold_s=30.0),
        Level(Severity.CRITICAL, limit=90.0, clear=10.0, keep_s=60.0),
    ),
)
STEEP = Rate(measure="tilt_deg", levels=(Level(Severity.MINOR, limit=900.0, hold_s=20.0),), over_s=300.0)


def plan_of(condition: Condition) -> Plan:
    rule = Rule("manhole.tilt", "Tilt", "倾斜", condition)
    return make_plan([rule], interval_s=60.0, validity_factor=1.5, overrides={})


def reading(second: float, tilt: float, flags: dict[str, str] | None = None) -> Reading:
    at = START + timedelta(seconds=second)
    return Reading(7, at, at, {"tilt_deg": tilt}, flags or {}, 0, b"", None, None)


def traced(readings: Sequence[Reading], until: float, condition: Condition = TILT) -> list[tuple[Outcome, str]]:
    plan = plan_of(condition)
    found = retrace(plan, plan.watches[0], readings, None, START + timedelta(seconds=until))
    return [(one.what, one.sentence) for one in found.happened]


READINGS = st.lists(
    st.builds(
        reading,
        st.integers(0, 900),
        st.sampled_from([1.0, 9.0, 12.0, 15.0, 40.0, 95.0]),
        st.sampled_from([None, None, None, {"tilt_deg": "out_of_range"}, {DEVICE: "suspended"}]),
    ),
    max_size=30,
    unique_by=lambda one: one.at,
).map(lambda readings: sorted(readings, key=lambda one: one.at))


@settings(max_examples=150, deadline=None)
@given(readings=READINGS, condition=st.sampled_from([TILT, STEEP]), until=st.integers(0, 1200))
def test_it_makes_the_steps_and_tracks_that_the_engine_makes(
    readings: list[Reading], condition: Condition, until: int
) -> None:
    plan = plan_of(condition)
    end = START + timedelta(seconds=until)
    found = retrace(plan, plan.watches[0], readings, None, end)
    tracks, steps = Tracks(), list[Transition]()
    for one in readings:
        if one.at <= end and DEVICE not in one.flags:
            steps += judge(plan, tracks, one, Hearing(None, None))
    elapse_holds(plan, tracks, 7, end, steps)
    told = [
        (one.at, one.what.value) for one in found.happened if one.what.value in {"opened", "rose", "fell", "cleared"}
    ]
    assert sorted(told) == sorted((step.at, step.step.value) for step in steps)
    assert found.tracks == tracks
    assert [look.at for look in found.looks] == [one.at for one in readings if one.at <= end]


def test_a_gap_begins_the_hold_anew() -> None:
    long = Threshold("tilt_deg", levels=(Level(Severity.MAJOR, limit=15.0, hold_s=600.0),))
    [began, anew] = traced([reading(0, 20), reading(200, 21)], 300, long)
    assert began[0] is Outcome.BEGAN
    assert anew[0] is Outcome.BEGAN_ANEW
    assert "no reading spoke after 2024-10-04T00:01:30Z" in anew[1]


def test_a_good_reading_breaks_it_and_one_between_does_too() -> None:
    told = traced([reading(0, 20), reading(10, 2), reading(20, 20), reading(45, 12)], 100)
    assert [what for what, _ in told] == [Outcome.BEGAN, Outcome.BROKE, Outcome.BEGAN, Outcome.BROKE]
    assert "bad for 10 s of the 30 s hold" in told[1][1]
    assert "good, ended it" in told[1][1]
    assert "bad for 25 s of the 30 s hold" in told[3][1]
    assert "between limit and clear level" in told[3][1]


def test_what_was_not_judged_says_why() -> None:
    plan = plan_of(TILT)
    readings = [reading(0, 20, {"tilt_deg": "out_of_range"}), reading(5, 20, {DEVICE: "suspended"}), reading(9, 20)]
    looks = retrace(plan, plan.watches[0], readings, None, START + timedelta(seconds=10)).looks
    assert [look.not_judged for look in looks] == ["tilt_deg is out_of_range", "the device was suspended", None]
    assert dict(looks[2].verdicts) == {Severity.MAJOR: Verdict.BAD, Severity.CRITICAL: Verdict.KEEP}
