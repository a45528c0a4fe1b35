"""The engine as stories in time: hold, clear level, dead band, gap, levels that rise and fall, silence, overrides."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.reading import Flag, MeasureValue, Reading
from rules.engine import Hearing, judge, next_hold_due, next_silence_due, tick, uneventful
from rules.kinds.stale import Stale
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.plan import Plan, make_plan
from rules.rule import Level, Rule, RuleOverrideError
from rules.tracks import Tracks, decode_tracks, encode_tracks

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
INTERVAL_S = 100.0
"""Readings stay valid for 150 s."""

TILT = Rule(
    key="m.tilt",
    title="Tilt",
    title_zh="倾斜",
    condition=Threshold(
        measure="tilt_deg",
        levels=(
            Level(Severity.MAJOR, limit=15.0, clear=10.0, hold_s=30.0),
            Level(Severity.CRITICAL, limit=90.0, clear=10.0),
        ),
    ),
)
LOW = Rule("m.low", "Low", "低", Threshold("battery_v", (Level(Severity.NOTICE, 3.3, clear=3.4),), Side.BELOW))
OFFLINE = Rule("m.offline", "Offline", "离线", Stale(intervals=3.0))


def plan(*rules: Rule, overrides: dict[str, dict[str, object]] | None = None) -> Plan:
    return make_plan(rules, interval_s=INTERVAL_S, validity_factor=1.5, overrides=overrides or {})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reading(seconds: float, flags: dict[str, str] | None = None, **values: MeasureValue) -> Reading:
    when = at(seconds)
    return Reading(1, when, when, dict(values), flags or {}, hash((seconds, *values.items())) & 0xFFFF, b"", None, None)


def play(made: Plan, *readings: Reading, tracks: Tracks | None = None) -> list[tuple[Step, float, Severity]]:
    """Judge readings in order; tell each step, its second and severity. The state is stored and read back each time."""
    kept = tracks or Tracks()
    steps: list[Transition] = []
    heard: datetime | None = None
    for one in readings:
        kept = decode_tracks(encode_tracks(kept))
        steps += judge(made, kept, one, Hearing(heard, Coverage(START, one.received_at)))
        heard = one.received_at
    return told(steps)


def told(steps: Sequence[Transition]) -> list[tuple[Step, float, Severity]]:
    return [(step.step, (step.at - START).total_seconds(), step.severity) for step in steps]


def test_a_level_fires_when_the_condition_has_lasted_its_hold() -> None:
    assert play(plan(TILT), reading(0, tilt_deg=20), reading(29, tilt_deg=20)) == []
    assert play(plan(TILT), reading(0, tilt_deg=20), reading(31, tilt_deg=20)) == [(Step.OPENED, 30, Severity.MAJOR)]


def test_a_lorry_that_tilts_the_cover_for_a_moment_fires_nothing() -> None:
    assert play(plan(TILT), reading(0, tilt_deg=20), reading(2, tilt_deg=1), reading(60, tilt_deg=1)) == []


def test_the_clock_alone_fires_a_hold_while_the_reading_is_valid() -> None:
    tracks = Tracks()
    play(plan(TILT), reading(0, tilt_deg=20), tracks=None)
    judge(plan(TILT), tracks, reading(0, tilt_deg=20), Hearing(None, None))
    assert next_hold_due(plan(TILT), tracks) == at(30)
    assert tick(plan(TILT), tracks, 1, at(29), Hearing(at(0), None)) == []
    assert told(tick(plan(TILT), tracks, 1, at(45), Hearing(at(0), None))) == [(Step.OPENED, 30, Severity.MAJOR)]
    assert tick(plan(TILT), tracks, 1, at(99), Hearing(at(0), None)) == []


def test_a_hold_longer_than_the_validity_does_not_elapse_over_a_gap() -> None:
    slow = Rule("m.slow", "", "", Threshold("tilt_deg", (Level(Severity.MINOR, 15.0, hold_s=400.0),)))
    tracks = Tracks()
    judge(plan(slow), tracks, reading(0, tilt_deg=20), Hearing(None, None))
    assert next_hold_due(plan(slow), tracks) is None
    assert tick(plan(slow), tracks, 1, at(5000), Hearing(at(0), None)) == []
    # The state was unknown in between, so the hold starts anew with the first reading after the gap.
    again = [reading(5000 + 100 * turn, tilt_deg=20) for turn in range(6)]
    assert play(plan(slow), *again, tracks=tracks) == [(Step.OPENED, 5400, Severity.MINOR)]


def test_between_limit_and_clear_level_what_fires_goes_on_and_what_is_pending_starts_anew() -> None:
    fired = (reading(0, tilt_deg=20), reading(40, tilt_deg=20))
    assert play(plan(TILT), *fired, reading(60, tilt_deg=12)) == [(Step.OPENED, 30, Severity.MAJOR)]
    assert play(plan(TILT), *fired, reading(60, tilt_deg=9))[-1] == (Step.CLEARED, 60, Severity.MAJOR)
    assert play(plan(TILT), reading(0, tilt_deg=20), reading(20, tilt_deg=12), reading(40, tilt_deg=20)) == []


def test_warn_and_alarm_are_one_alert_that_rises_and_falls() -> None:
    fill = Rule(
        "b.full", "", "", Threshold("fill_pct", (Level(Severity.MINOR, 80, 30), Level(Severity.MAJOR, 90, clear=85)))
    )
    story = [reading(n * 10, fill_pct=value) for n, value in enumerate((50, 82, 95, 84, 70, 20))]
    assert play(plan(fill), *story) == [
        (Step.OPENED, 10, Severity.MINOR),
        (Step.ROSE, 20, Severity.MAJOR),
        (Step.FELL, 30, Severity.MINOR),
        (Step.CLEARED, 50, Severity.MINOR),
    ]


def test_below_is_the_mirror_of_above() -> None:
    story = [reading(n * 10, battery_v=value) for n, value in enumerate((3.6, 3.3, 3.35, 3.4, 3.41))]
    assert [step[:2] for step in play(plan(LOW), *story)] == [(Step.OPENED, 10), (Step.CLEARED, 40)]


def test_a_flagged_value_is_not_judged() -> None:
    wild = reading(0, flags={"battery_v": Flag.OUT_OF_RANGE.value}, battery_v=-5.0)
    assert play(plan(LOW), wild) == []


def test_a_baseline_is_a_devices_own_and_judges_the_distance() -> None:
    leaning = plan(TILT, overrides={"m.tilt": {"baseline": 14.0}})
    assert play(leaning, reading(0, tilt_deg=16), reading(40, tilt_deg=16)) == []
    assert play(leaning, reading(0, tilt_deg=30), reading(40, tilt_deg=30)) == [(Step.OPENED, 30, Severity.MAJOR)]


@pytest.mark.parametrize(
    "parameters",
    [{"base": 1.0}, {"baseline": "4"}, {"major": {"limt": 1}}, {"minor": {"limit": 1}}, {"major": {"limit": True}}],
)
def test_an_override_that_does_not_fit_is_named(parameters: dict[str, object]) -> None:
    with pytest.raises(RuleOverrideError):
        plan(TILT, overrides={"m.tilt": parameters})


def test_silence_is_told_at_its_own_time_and_ends_with_the_next_message() -> None:
    made, tracks = plan(OFFLINE), Tracks()
    judge(made, tracks, reading(0, tilt_deg=1), Hearing(None, Coverage(START, at(0))))
    hearing = Hearing(at(0), Coverage(START, at(310)))
    assert next_silence_due(made, tracks, hearing) == at(300)
    assert told(tick(made, tracks, 1, at(310), hearing)) == [(Step.OPENED, 300, Severity.MINOR)]
    back = judge(made, tracks, reading(500, tilt_deg=1), hearing)
    assert told(back) == [(Step.CLEARED, 500, Severity.MINOR)]
    assert not tracks


def test_silence_is_judged_only_as_far_as_the_source_was_heard() -> None:
    made = plan(OFFLINE)
    assert tick(made, Tracks(), 1, at(9999), Hearing(at(0), Coverage(START, at(299)))) == []
    assert tick(made, Tracks(), 1, at(9999), Hearing(at(0), None)) == []
    # After an outage everybody gets a fresh start.
    fresh = Hearing(at(0), Coverage(at(7200), at(7400)))
    assert tick(made, Tracks(), 1, at(7400), fresh) == []
    assert next_silence_due(made, Tracks(), fresh) == at(7500)


def test_a_silence_nobody_looked_at_in_time_is_told_when_it_ends() -> None:
    steps = play(plan(OFFLINE), reading(0, tilt_deg=1), reading(1000, tilt_deg=1))
    assert steps == [(Step.OPENED, 300, Severity.MINOR), (Step.CLEARED, 1000, Severity.MINOR)]


def test_a_rule_that_no_longer_exists_clears_what_it_raised() -> None:
    tracks = Tracks()
    judge(plan(LOW), tracks, reading(0, battery_v=3.0), Hearing(None, None))
    steps = judge(plan(TILT), tracks, reading(10, battery_v=3.0), Hearing(at(0), None))
    assert [(step.rule, step.step) for step in steps] == [("m.low", Step.CLEARED)]
    assert not tracks


@given(st.floats(-50, 200), st.sampled_from([None, 0.0, 14.0, 120.0]), st.booleans(), st.integers(1, 1000))
def test_what_is_called_uneventful_changes_nothing_when_looked_at_closely(
    value: float, baseline: float | None, below: bool, gap: int
) -> None:
    overrides: dict[str, dict[str, object]] = {} if baseline is None else {"m.tilt": {"baseline": baseline}}
    rules = [TILT, OFFLINE, *([LOW] if below else [])]
    made, tracks = plan(*rules, overrides=overrides), Tracks()
    one, hearing = reading(gap, tilt_deg=value, battery_v=value / 10), Hearing(at(0), Coverage(START, at(gap)))
    if uneventful(made, one, hearing):
        assert judge(made, tracks, one, hearing) == []
        assert not tracks


@given(
    st.lists(st.tuples(st.integers(1, 400), st.sampled_from([1.0, 12.0, 20.0, 95.0])), min_size=1, max_size=25),
    st.lists(st.integers(0, 6000), max_size=12),
)
def test_looks_of_the_clock_only_make_a_decision_timely(story: list[tuple[int, float]], looks: list[int]) -> None:
    """However often, and whenever, the ticker looks between two readings: the same steps at the same times."""
    made = plan(TILT, OFFLINE)
    seconds = 0
    readings: list[Reading] = []
    for gap, value in story:
        seconds += gap
        readings.append(reading(seconds, tilt_deg=value))
    end = readings[-1].at

    def run(ticks: list[datetime]) -> list[Transition]:
        tracks, heard, steps = Tracks(), None, list[Transition]()
        pending = [tick for tick in sorted(ticks) if tick <= end]
        for one in readings:
            while pending and pending[0] < one.at:
                now = pending.pop(0)
                if heard is not None:
                    steps += tick(made, tracks, 1, now, Hearing(heard, Coverage(START, now)))
            steps += judge(made, tracks, one, Hearing(heard, Coverage(START, one.at)))
            heard = one.at
        return steps

    plain = run([])
    looked = run([at(look) for look in looks])
    # A hold and a silence of one moment may be told in either order.
    assert sorted(map(repr, looked)) == sorted(map(repr, plain))


def test_a_graver_level_set_short_of_the_mildest_is_judged() -> None:
    early = plan(TILT, overrides={"m.tilt": {"critical": {"limit": 12.0}}})
    assert play(early, reading(0, tilt_deg=13)) == [(Step.OPENED, 0, Severity.CRITICAL)]


def test_a_rule_whose_levels_changed_starts_anew_and_clears_what_it_raised() -> None:
    tracks = Tracks()
    judge(plan(TILT), tracks, reading(0, tilt_deg=95), Hearing(None, None))
    one_level = Rule("m.tilt", "", "", Threshold("tilt_deg", (Level(Severity.MAJOR, 15.0),)))
    assert next_hold_due(plan(one_level), tracks) is None
    steps = judge(plan(one_level), tracks, reading(10, tilt_deg=95), Hearing(at(0), None))
    assert [step.step for step in steps] == [Step.CLEARED, Step.OPENED]


@pytest.mark.parametrize("parameters", [{"m.tilt": {"major": {"hold_s": 1e305}}}, {"m.offline": {"intervals": 1e300}}])
def test_an_override_beyond_all_time_is_refused(parameters: dict[str, dict[str, object]]) -> None:
    with pytest.raises(RuleOverrideError):
        plan(TILT, OFFLINE, overrides=parameters)
