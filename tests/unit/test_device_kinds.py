"""Every device kind keeps its promises: at rest nothing fires, each fault fires what it names, names tell units."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Fault, Measure
from domain.alert import Step, Transition
from domain.coverage import Coverage
from domain.device import DEVICE_NAME
from domain.reading import MeasureValue, Reading
from rules.engine import Hearing, judge, tick
from rules.plan import Plan, make_plan
from rules.rule import Rule, Verdict
from rules.surroundings import Placeable
from rules.tracks import Tracks
from tests.support.quiet import is_quiet

UNIT_SUFFIXES = {
    "deg": "°",
    "pct": "%|%VOL",
    "lel": "%LEL",
    "c": "°C",
    "mm": "mm",
    "m": "m",
    "ppm": "ppm",
    "v": "V",
    "a": "A",
    "ma": "mA",
    "w": "W",
    "kwh": "kWh",
    "m3": "m³",
    "m3h": "m³/h",
    "kpa": "kPa",
    "dbm": "dBm",
    "db": "dB",
}
NOISE_BOUND = 4.0  # standard deviations; the simulator stays within three

KINDS = load_kinds()
RULES = [(kind, rule) for kind in KINDS.values() for rule in kind.rules]
FAULTS = [(kind, fault) for kind in KINDS.values() for fault in kind.faults]
MEASURES = [(kind, measure) for kind in KINDS.values() for measure in kind.measures]

EXPECTED = {rule.key for _, rule in RULES if isinstance(rule.condition, Placeable)}
"""Rules that judge nothing without place and schedule: ``tests/unit/test_simulated_lamps.py`` plays their faults."""

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.key)
each_rule = pytest.mark.parametrize(("kind", "rule"), RULES, ids=[rule.key for _, rule in RULES])
each_fault = pytest.mark.parametrize(
    ("kind", "fault"), FAULTS, ids=[f"{kind.key}.{fault.key}" for kind, fault in FAULTS]
)
each_measure = pytest.mark.parametrize(
    ("kind", "measure"), MEASURES, ids=[f"{kind.key}.{measure.name}" for kind, measure in MEASURES]
)


def healthy_bounds(measure: Measure) -> tuple[MeasureValue, MeasureValue]:
    if measure.boolean:
        return measure.rest, measure.rest
    reach = measure.swing + NOISE_BOUND * measure.noise
    return max(measure.low, measure.rest - reach), min(measure.high, measure.rest + reach)


def healthy_extremes(kind: DeviceKind) -> list[dict[str, MeasureValue]]:
    """All measures at their lowest, then all at their highest."""
    bounds = {measure.name: healthy_bounds(measure) for measure in kind.measures}
    return [{name: pair[side] for name, pair in bounds.items()} for side in (0, 1)]


START = datetime(2026, 3, 1, tzinfo=UTC)


class Street:
    """One device under the default rules of its kind, heard at every interval."""

    def __init__(self, kind: DeviceKind) -> None:
        self.interval = timedelta(seconds=kind.interval_s)
        self.plan: Plan = make_plan(
            kind.rules, interval_s=kind.interval_s, validity_factor=kind.validity_factor, overrides={}
        )
        self.tracks = Tracks()
        self.now = START
        self.heard_at: datetime | None = None

    def hears(self, values: dict[str, MeasureValue]) -> list[Transition]:
        """A reading now, then an interval in which the clock ticks once, before the next reading."""
        reading = Reading(1, self.now, self.now, values, {}, 0, b"", None, None)
        steps = judge(self.plan, self.tracks, reading, self._hearing())
        self.heard_at = self.now
        return steps + self.waits(1)

    def waits(self, intervals: int) -> list[Transition]:
        self.now += intervals * self.interval
        return tick(self.plan, self.tracks, 1, self.now, self._hearing())

    def _hearing(self) -> Hearing:
        return Hearing(self.heard_at, Coverage(START, self.now))


def verdicts(rule: Rule, values: dict[str, MeasureValue]) -> list[Verdict]:
    judged = rule.condition.judge(values)
    return [] if judged is None else list(judged[1])


def test_the_four_core_kinds_are_there() -> None:
    assert {"manhole", "bin", "streetlight", "gas_meter"} <= set(KINDS)


@each_kind
def test_a_kind_is_found_under_its_own_name_and_can_stand_in_a_topic(kind: DeviceKind) -> None:
    assert KINDS[kind.key] is kind
    assert DEVICE_NAME.fullmatch(kind.key)
    assert kind.title
    assert kind.title_zh
    assert kind.interval_s > 0
    assert kind.validity_factor > 1
    assert kind.component_class is None or re.fullmatch(r"\d{4}", kind.component_class)


@each_kind
def test_measures_rules_and_faults_are_named_once(kind: DeviceKind) -> None:
    for names in (
        [measure.name for measure in kind.measures],
        [rule.key for rule in kind.rules],
        [fault.key for fault in kind.faults],
    ):
        assert sorted(names) == sorted(set(names))


@each_measure
def test_a_measure_tells_its_unit_in_its_name(kind: DeviceKind, measure: Measure) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", measure.name)
    if measure.boolean:
        assert measure.unit == ""
    else:
        assert measure.unit in UNIT_SUFFIXES[measure.name.rpartition("_")[2]].split("|")


@each_measure
def test_a_measure_rests_well_inside_its_physical_limits(kind: DeviceKind, measure: Measure) -> None:
    if measure.boolean:
        assert isinstance(measure.rest, bool)
        assert measure.swing == measure.noise == 0
    else:
        assert measure.low < measure.high
        assert measure.low <= measure.rest - measure.swing
        assert measure.rest + measure.swing <= measure.high


@each_kind
def test_at_rest_every_rule_is_good_beyond_its_clear_level(kind: DeviceKind) -> None:
    for values in healthy_extremes(kind):
        for rule in kind.rules:
            assert is_quiet(rule.condition, values), rule.key
            assert set(verdicts(rule, values)) <= {Verdict.GOOD}, rule.key


@each_rule
def test_a_rule_belongs_to_its_kind_and_judges_measures_it_has(kind: DeviceKind, rule: Rule) -> None:
    assert rule.key.startswith(f"{kind.key}.")
    assert set(rule.condition.measures) <= {measure.name for measure in kind.measures}
    assert bool(rule.condition.measures) != (rule.condition.silence_intervals is not None)


@each_rule
def test_levels_rise_in_severity_and_one_of_them_opens_the_ticket(kind: DeviceKind, rule: Rule) -> None:
    severities = [level.severity for level in rule.condition.levels]
    assert severities == sorted(set(severities), reverse=True)
    assert min(severities) <= rule.ticket_from
    if rule.case_class is not None:
        assert re.fullmatch(r"\d{4}-\d{1,2}|E\d{2}-\d{2}|M-[a-z]+", rule.case_class)


@each_rule
def test_some_fault_makes_the_rule_fire(kind: DeviceKind, rule: Rule) -> None:
    if rule.key not in EXPECTED:
        assert rule.key in {key for fault in kind.faults for key in fault.raises}


@each_fault
def test_a_fault_fires_exactly_the_rules_it_names(kind: DeviceKind, fault: Fault) -> None:
    assert fault.raises
    limits = {measure.name: measure for measure in kind.measures}
    assert set(fault.values) <= set(limits)
    for name, value in fault.values.items():
        assert limits[name].low <= value <= limits[name].high
        assert isinstance(value, bool) == limits[name].boolean
    for rest in healthy_extremes(kind):
        fired = {
            rule.key
            for rule in kind.rules
            if (fault.silent and rule.condition.silence_intervals is not None)
            or Verdict.BAD in verdicts(rule, {**rest, **fault.values})
        }
        assert fired == set(fault.raises)


@each_kind
def test_every_kind_notices_silence_and_a_low_battery_if_it_has_one(kind: DeviceKind) -> None:
    keys = {rule.key for rule in kind.rules}
    assert f"{kind.key}.offline" in keys
    if "battery_v" in {measure.name for measure in kind.measures}:
        assert f"{kind.key}.battery" in keys


@each_kind
def test_a_healthy_device_never_takes_a_step(kind: DeviceKind) -> None:
    street = Street(kind)
    low, high = healthy_extremes(kind)
    assert [street.hears(values) for values in (low, high) * 5] == [[]] * 10
    assert not street.tracks


@each_fault
def test_under_the_engine_a_fault_opens_its_alerts_and_repair_clears_them(kind: DeviceKind, fault: Fault) -> None:
    street = Street(kind)
    rest, _ = healthy_extremes(kind)
    street.hears(rest)
    steps = street.waits(10) if fault.silent else street.hears({**rest, **fault.values})
    assert {step.rule for step in steps if step.step is Step.OPENED} == set(fault.raises)
    cleared = street.hears(rest)
    assert {step.rule for step in cleared if step.step is Step.CLEARED} == set(fault.raises)
    assert not street.tracks
