"""range as stories in time: beyond either edge, the way back inside, levels, overrides, and the quiet it promises."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alert import Severity, Step, Transition
from domain.reading import Reading
from rules.catalogue import load_rule_kinds
from rules.engine import Hearing, judge, uneventful
from rules.kinds.range import Range
from rules.plan import Plan, make_plan
from rules.rule import Level, Rule, RuleOverrideError
from rules.tracks import Tracks

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SUPPLY = Range(
    "volt_v", 198.0, 235.0, (Level(Severity.MINOR, 0.0, -3.0, hold_s=60.0), Level(Severity.MAJOR, 20.0, 0.0))
)


def plan(overrides: dict[str, object] | None = None) -> Plan:
    rule = Rule("lamp.supply", "Supply", "供电电压", SUPPLY)
    given_overrides = {} if overrides is None else {rule.key: overrides}
    return make_plan((rule,), interval_s=100.0, validity_factor=1.5, overrides=given_overrides)


def play(made: Plan, *inputs: tuple[float, float]) -> list[tuple[Step, float, Severity]]:
    tracks = Tracks()
    steps: list[Transition] = []
    for second, volts in inputs:
        steps += judge(made, tracks, reading(second, volts), Hearing(None, None))
    return [(step.step, (step.at - START).total_seconds(), step.severity) for step in steps]


def reading(second: float, volts: float) -> Reading:
    when = START + timedelta(seconds=second)
    return Reading(1, when, when, {"volt_v": volts}, {}, int(second), b"", None, None)


@pytest.mark.parametrize("outside", [190.0, 198.0, 235.0, 240.0])
def test_beyond_either_edge_it_fires_after_its_hold(outside: float) -> None:
    assert play(plan(), (0, 220), (10, outside), (80, outside)) == [(Step.OPENED, 70, Severity.MINOR)]


def test_inside_the_band_nothing_fires() -> None:
    assert play(plan(), (0, 198.1), (100, 234.9), (200, 220)) == []


def test_far_beyond_it_rises_at_once_and_falls_again() -> None:
    story = (0, 178.0), (10, 199.0), (20, 220.0)
    assert play(plan(), *story) == [(Step.OPENED, 0, Severity.MAJOR), (Step.CLEARED, 10, Severity.MAJOR)]
    story = (0, 190.0), (70, 260.0), (80, 220.0)
    assert play(plan(), *story) == [
        (Step.OPENED, 60, Severity.MINOR),
        (Step.ROSE, 70, Severity.MAJOR),
        (Step.CLEARED, 80, Severity.MAJOR),
    ]


def test_it_clears_only_so_far_inside_as_the_clear_level_asks() -> None:
    fired = (0, 190.0), (70, 190.0)
    assert len(play(plan(), *fired, (80, 200.9))) == 1
    assert play(plan(), *fired, (80, 201.1))[-1] == (Step.CLEARED, 80, Severity.MINOR)
    assert play(plan(), *fired, (80, 231.9))[-1] == (Step.CLEARED, 80, Severity.MINOR)


def test_a_gap_longer_than_the_validity_starts_the_hold_anew() -> None:
    slow = plan({"minor": {"hold_s": 200.0}})
    assert play(slow, (0, 190), (500, 190), (600, 190), (699, 190)) == []
    assert play(slow, (0, 190), (500, 190), (600, 190), (701, 190)) == [(Step.OPENED, 700, Severity.MINOR)]


def test_a_device_may_have_a_band_of_its_own() -> None:
    own = plan({"low": 100.0, "high": 120.0, "minor": {"hold_s": 0}})
    assert play(own, (0, 110.0), (1, 125.0)) == [(Step.OPENED, 1, Severity.MINOR)]


@pytest.mark.parametrize(
    "parameters",
    [{"low": 240.0}, {"high": "9"}, {"baseline": 1.0}, {"notice": {"limit": 1}}, {"minor": {"hold_s": -1}}],
)
def test_an_impossible_band_is_refused_with_a_sentence(parameters: dict[str, object]) -> None:
    with pytest.raises(RuleOverrideError, match=r"must|no parameter"):
        SUPPLY.overridden(parameters)


@given(st.floats(0.0, 500.0))
def test_what_it_calls_quiet_begins_nothing(volts: float) -> None:
    if uneventful(plan(), reading(0, volts), Hearing(None, None)):
        tracks = Tracks()
        assert judge(plan(), tracks, reading(0, volts), Hearing(None, None)) == []
        assert not tracks


def test_it_is_found_by_its_name_and_tells_all_that_makes_a_revision() -> None:
    assert load_rule_kinds()["range"] is Range
    assert SUPPLY.as_data() != SUPPLY.overridden({"high": 236.0}).as_data()
