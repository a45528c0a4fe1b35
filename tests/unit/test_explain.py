"""A rule on a device is explained from what the engine keeps, whatever its kind: state, progress, a plain sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.alert import Severity
from domain.coverage import Coverage
from domain.reading import MeasureValue, Reading
from domain.scope import Scope
from rules.engine import Hearing, judge, tick
from rules.explain import (
    BOOK,
    KIND,
    Difference,
    Present,
    RuleNow,
    Seen,
    Setting,
    Standing,
    Written,
    differences,
    explain_rule,
    parameters_of,
)
from rules.kinds.combined import Combined, Match
from rules.kinds.range import Range
from rules.kinds.rate import Rate
from rules.kinds.reported import Reported
from rules.kinds.threshold import Threshold
from rules.layers import Layer, lay
from rules.levels import Side
from rules.plan import make_plan
from rules.rule import Condition, Level, Rule
from rules.tracks import Tracks, decode_tracks, encode_tracks
from rules.why import value_of, why

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
WARN = Level(Severity.MINOR, limit=80.0, hold_s=10.0)
ALARM = Level(Severity.MAJOR, limit=90.0, clear=70.0, hold_s=30.0, keep_s=60.0)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def told(condition: Condition, *readings: tuple[float, Mapping[str, MeasureValue]], now: float) -> tuple[RuleNow, str]:
    """Judge the readings, let the clock run, and explain the rule as it stands."""
    rule = Rule("bin.it", "It", "它", condition)
    plan = make_plan([rule], interval_s=60.0, validity_factor=1.5, overrides={})
    tracks, seen = Tracks(), dict[str, Seen]()
    hearing = Hearing(START, Coverage(START, at(now)))
    for number, (second, values) in enumerate(readings):
        judge(plan, tracks, Reading(1, at(second), at(second), dict(values), {}, number, b"", None, None), hearing)
        seen |= {
            name: Seen(name, value, at(second), at(second), None, at(second + 90)) for name, value in values.items()
        }
    tick(plan, tracks, 1, at(now), hearing)
    present = Present(
        now=at(now), tracks=decode_tracks(encode_tracks(tracks)), seen=seen, hearing=hearing, source="native"
    )
    explained = explain_rule(plan, lay(rule, []), [Written(KIND, "bin", rule)], present)
    return explained, why(explained, at(now)).replace("2026-03-01T08:", "").replace("Z", "")


FULL = Threshold("fill_pct", levels=(WARN, ALARM))


def levels(rule: RuleNow) -> Sequence[tuple[Standing, float | None]]:
    return [(level.state, level.held_s) for level in rule.levels]


def test_two_levels_are_told_each_by_itself() -> None:
    rule, said = told(FULL, (0, {"fill_pct": 95.0}), now=15)
    assert levels(rule) == [(Standing.FIRING, 10.0), (Standing.PENDING, 15.0)]
    assert (rule.state, rule.severity) == (Standing.FIRING, Severity.MINOR)
    assert said == (
        "fill_pct was 95 at 00:00 (minor: limit 80): it fires since 00:10 and clears with the first reading short of "
        "its limit. fill_pct was 95 at 00:00 (major: limit 90, held for 15 of 30 s): it fires at 00:30 if no reading "
        "short of the limit comes before."
    )


def test_what_must_be_good_for_a_time_says_since_when_it_is() -> None:
    rule, said = told(FULL, (0, {"fill_pct": 95.0}), (40, {"fill_pct": 20.0}), now=50)
    assert levels(rule) == [(Standing.CLEAR, None), (Standing.FIRING, 30.0)]
    assert rule.levels[1].good_since == at(40)
    assert said == (
        "fill_pct was 95 at 00:00 (major: limit 90): it fires since 00:30 and clears once readings were beyond its "
        "clear level 70 for 60 s, which they have been since 00:40. The newest fill_pct, 20 at 00:40, does not end it."
    )


@pytest.mark.parametrize(
    ("condition", "values", "said"),
    [
        (Threshold("lid_open", levels=(Level(Severity.MAJOR, 1.0),)), {"lid_open": False}, "lid_open was false at"),
        (Range("volt_v", low=198.0, high=235.0, levels=(WARN,)), {"volt_v": 229.5}, "volt_v was 229.5 at 00:00: no"),
        (Threshold("fill_pct", levels=(WARN,)), {"temp_c": 3.0}, "No reading of fill_pct has come yet."),
        (Reported(Severity.MAJOR), {"temp_c": 3.0}, "No reading decides it: the service itself reports it."),
    ],
)
def test_a_clear_rule_says_what_it_saw(condition: Condition, values: Mapping[str, MeasureValue], said: str) -> None:
    rule, sentence = told(condition, (0, values), now=1)
    assert rule.state is Standing.CLEAR
    assert sentence.startswith(said)


def test_a_rule_that_remembers_shows_what_and_says_so() -> None:
    rate = Rate(measure="level_m", levels=(Level(Severity.MAJOR, 2.0),), over_s=600.0)
    rule, said = told(rate, (0, {"level_m": 1.0}), (60, {"level_m": 1.01}), now=70)
    assert rule.memory == [[1772352000000000, 1.0], [1772352060000000, 1.01]]
    assert said == "level_m was 1.01 at 01:00; with the readings before it no level holds (major: limit 2)."
    assert not rule.overdue
    rule, said = told(rate, (0, {"level_m": 1.0}), (60, {"level_m": 1.5}), now=70)
    assert rule.state is Standing.FIRING
    assert said.startswith("level_m was 1.5 at 01:00 (major: limit 2): it fires since 01:00")


def test_of_several_measures_the_one_that_spoke_is_named() -> None:
    parts = (
        Threshold("temp_c", levels=(Level(Severity.MAJOR, 50.0),)),
        Threshold("co_ppm", levels=(Level(Severity.MAJOR, 24.0),)),
    )
    rule, said = told(Combined(match=Match.ALL, parts=parts, hold_s=30.0), (0, {"temp_c": 60.0, "co_ppm": 30.0}), now=5)
    assert [one.measure for one in rule.seen] == ["temp_c", "co_ppm"]
    assert said.startswith("temp_c was 60 at 00:00 (major, held for 5 of 30 s)")
    assert rule.parameters["parts"] == {
        "1": {"kind": "threshold", **parameters_of(parts[0].as_data())},
        "2": {"kind": "threshold", **parameters_of(parts[1].as_data())},
    }


def test_a_hold_that_has_ended_is_about_to_be_decided() -> None:
    rule = Rule("bin.it", "It", "它", Threshold("fill_pct", levels=(WARN,), side=Side.ABOVE))
    plan = make_plan([rule], interval_s=60.0, validity_factor=1.5, overrides={})
    tracks, hearing = Tracks(), Hearing(START, None)
    judge(plan, tracks, Reading(1, START, START, {"fill_pct": 85.0}, {}, 0, b"", None, None), hearing)
    present = Present(now=at(11), tracks=tracks, seen={}, hearing=hearing, source=None)
    said = why(explain_rule(plan, lay(rule, []), [Written(KIND, "bin", rule)], present), at(11))
    assert said.endswith("its hold ended at 2026-03-01T08:00:10Z, and the clock is about to decide it.")


def test_a_track_that_no_longer_fits_its_rule_is_as_good_as_gone() -> None:
    tracks = decode_tracks(b'{"r": {"bin.it": [null, 95.0, [0, 1], [[0, 0, null], null, null]]}, "s": {}}')
    rule = Rule("bin.it", "It", "它", FULL)
    plan = make_plan([rule], interval_s=60.0, validity_factor=1.5, overrides={})
    present = Present(now=at(1), tracks=tracks, seen={}, hearing=Hearing(None, None), source=None)
    assert explain_rule(plan, lay(rule, []), [Written(KIND, "bin", rule)], present).state is Standing.CLEAR


def test_what_the_book_writes_anew_stands_between_the_kind_and_the_overrides() -> None:
    default = Rule("bin.it", "It", "它", Threshold("fill_pct", levels=(WARN,)))
    written = Rule("bin.it", "It", "它", Threshold("fill_pct", levels=(replace(WARN, limit=85.0, hold_s=20.0),)))
    layered = lay(written, [Layer(Scope.SITE, "S-1", {"minor": {"limit": 70}, "baseline": None})])
    whole = [Written(KIND, "bin", default), Written(BOOK, "street.yaml", written)]
    assert list(differences(whole, lay(default, []))) == [
        Difference("minor.hold_s", 20.0, Setting("book", "street.yaml", 20.0), [Setting("kind", "bin", 10.0)]),
        Difference("minor.limit", 85.0, Setting("book", "street.yaml", 85.0), [Setting("kind", "bin", 80.0)]),
    ]
    assert layered.refused
    assert list(differences(whole, lay(written, [Layer(Scope.SITE, "S-1", {"minor": {"limit": 70}})])))[1] == (
        "minor.limit",
        70,
        ("site", "S-1", 70),
        [("kind", "bin", 80.0), ("book", "street.yaml", 85.0)],
    )
    another = Rule("bin.it", "It", "它", Range("fill_pct", low=1.0, high=2.0, levels=(WARN,)))
    assert list(differences([whole[0], Written(BOOK, "street.yaml", another)], lay(another, []))) == []


def test_values_are_written_for_people() -> None:
    assert [value_of(value) for value in (True, False, 3, 2.50, 1234567.89)] == [
        "true",
        "false",
        "3",
        "2.5",
        "1234567.89",
    ]
