"""The oracle and the rule engine, which know nothing of each other, agree on what a run must raise."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from devices.catalogue import load_kinds
from domain.instants import EPOCH, to_micros
from domain.ledger import Reason
from ingest.catalogue import load_formats
from simulators.city import build_city
from simulators.faultbook.catalogue import load_faultbook
from simulators.habits import Habit
from simulators.production import Production, produce
from simulators.scenario import Cast, Scenario, load_scenario
from simulators.sensor import Sensor, man_city
from simulators.trouble import Trouble
from simulators.truth import Expectation, FaultInstance, Purpose
from simulators.weather import FAIR
from simulators.witness import SLACK_S, Incident, Sight, write_down
from tests.support.judged import Raised, judge_traffic

KINDS = load_kinds()
BOOK = load_faultbook(KINDS.values())
NATIVE = load_formats()["native"]
RULES = {rule.key: rule for kind in KINDS.values() for rule in kind.rules}
TOLERANCE = timedelta(seconds=60)
START = datetime(2026, 6, 8, tzinfo=UTC)
DAYS = 3
START_MS = to_micros(START) // 1000
END_MS = START_MS + DAYS * 86_400_000
END = EPOCH + timedelta(milliseconds=END_MS)
CANNOT_BE_TOLD = {
    ("bin.blinded", "bin.full"),
    ("bin.fahrenheit", "bin.fire"),
    ("streetlight.fahrenheit", "streetlight.overheat"),
}
"""What a threshold takes for something else: each is forbidden by the truth, and named with the rule kind it needs."""


def scenario(*casts: Cast) -> Scenario:
    seeds: Mapping[Purpose, list[int]] = {Purpose.TUNING: [1], Purpose.JUDGING: [2]}
    return Scenario("test", "Test", "测试", "A test.", START, DAYS * 86_400.0, seeds, casts=casts)


@cache
def everything_once() -> tuple[Production, tuple[Raised, ...], tuple[Reason, ...]]:
    """Every fault of the book once or twice, on a small city, and what the engine made of it."""
    casts = [
        Cast(name, count=2 if line.entry.scope == "device" else 1, until_s=1.5 * 86_400.0)
        for name, line in BOOK.items()
        if name != "network.broker_out"
    ]
    city = build_city(700, list(KINDS.values()), seed=5)
    made = produce(city, scenario(*casts), BOOK, KINDS, NATIVE, seed=1, start_ms=START_MS, end_ms=END_MS)
    raised, aside = judge_traffic(made.sensors, made.traffic.messages(END_MS), START, END)
    return made, tuple(raised), tuple(aside)


def belongs(alert: Raised, fault: FaultInstance, device: str, rule: str) -> bool:
    last = (fault.ends or END) + TOLERANCE
    return (alert.device, alert.rule) == (device, rule) and fault.begins - TOLERANCE <= alert.onset <= last


def answers(fault: FaultInstance, expected: Expectation) -> list[Raised]:
    _, raised, _ = everything_once()
    found = [alert for alert in raised if belongs(alert, fault, expected.device, expected.rule)]
    return sorted(found, key=lambda alert: alert.stood)


def test_every_alert_that_must_follow_follows_in_time_and_with_its_ticket() -> None:
    made, _, _ = everything_once()
    met: Counter[str] = Counter()
    for fault in made.truth:
        for expected in fault.expect:
            if expected.rule not in RULES or expected.by > END:
                continue
            found = answers(fault, expected)
            assert found, (fault, expected)
            assert found[0].stood <= expected.by, (fault, expected, found)
            rule = RULES[expected.rule]
            assert expected.ticket == (rule.case_class is not None and found[0].severity <= rule.ticket_from)
            assert expected.case_class == (rule.case_class if expected.ticket else None)
            met[fault.fault] += 1
    must = {name for name, line in BOOK.items() if line.entry.raises}
    # Silence on a device that reports once a day takes longer than this run.
    assert must - met.keys() <= {"manhole.offline", "gas_meter.offline"}


def test_nothing_else_follows() -> None:
    made, raised, _ = everything_once()
    named = [(told.device, told.rule, fault) for fault in made.truth for told in fault.expect]
    named += [(told.device, told.rule, fault) for fault in made.truth for told in fault.allow]
    for alert in raised:
        if any(belongs(alert, fault, device, rule) for device, rule, fault in named):
            continue
        forbidden = {
            (fault.fault, told.rule)
            for fault in made.truth
            for told in fault.forbid
            if belongs(alert, fault, told.device, told.rule)
        }
        assert forbidden, alert
        assert forbidden & CANNOT_BE_TOLD, alert


def test_only_a_wrong_clock_is_set_aside() -> None:
    _, _, aside = everything_once()
    assert set(aside) == {Reason.IN_FUTURE}


def test_a_fault_lasts_until_it_could_be_seen() -> None:
    made, _, _ = everything_once()
    for fault in made.truth:
        line = BOOK[fault.fault]
        if line.entry.raises and line.entry.seen and line.entry.effect.silent_after_s is None and fault.ends:
            assert {told.rule for told in fault.expect} >= set(line.entry.raises), fault


@pytest.mark.parametrize("name", ["quiet-day", "midnight-burst"])
def test_a_run_in_which_nothing_is_to_be_seen_raises_nothing_that_is_not_expected(name: str) -> None:
    played = load_scenario(name, BOOK)
    start_ms = to_micros(played.start) // 1000
    end_ms = start_ms + round(1000 * played.duration_s)
    city = build_city(400, list(KINDS.values()), seed=6)
    made = produce(city, played, BOOK, KINDS, NATIVE, seed=1, start_ms=start_ms, end_ms=end_ms)
    end = EPOCH + timedelta(milliseconds=end_ms)
    raised, aside = judge_traffic(made.sensors, made.traffic.messages(end_ms), played.start, end)
    expected = {(told.device, told.rule) for fault in made.truth for told in fault.expect}
    assert {(alert.device, alert.rule) for alert in raised} <= expected
    assert not aside


# ------------------------------------------------------------------------------------------------- one device


def alone(kind: str, habit: Habit) -> Sensor:
    city = build_city(60, list(KINDS.values()), seed=2)
    sensors = man_city(city, KINDS, NATIVE, run_seed=1)
    sensor = next(each for each in sensors if each.kind.key == kind)
    interval_ms = round(1000 * habit.interval_s)
    return replace(
        sensor,
        habit=habit,
        phase_ms=0,
        interval_ms=interval_ms,
        sample_ms=round(1000 * (habit.sample_s or 0.0)),
        spread_ms=0,
        expected_ms=interval_ms,
        overrides={},
    )


def told_of(sensor: Sensor, fault: str, begins_ms: int, lasts_s: float) -> FaultInstance:
    line = BOOK[fault]
    trouble = Trouble(line.entry.effect, begins_ms, begins_ms + round(1000 * lasts_s), clears=line.entry.clears)
    sensor.suffer([trouble])
    return write_down(Incident("F000001", line, [sensor], trouble), Sight(FAIR, START_MS, END_MS))


BEGINS_MS = START_MS + 10 * 3_600_000 + 1_234_000


def by_ms(expected: Expectation) -> int:
    return to_micros(expected.by) // 1000


def test_a_device_that_reports_on_change_is_expected_at_once_after_the_hold() -> None:
    told = told_of(alone("manhole", Habit(86_400.0, on_change=True)), "manhole.tilted", BEGINS_MS, 3600.0)
    [expected] = told.expect
    hold_s = RULES["manhole.tilt"].condition.levels[0].hold_s
    assert by_ms(expected) == BEGINS_MS + round(1000 * (hold_s + SLACK_S))


def test_one_that_reports_by_its_interval_is_expected_after_its_next_report() -> None:
    sensor = alone("manhole", Habit(3600.0))
    [expected] = told_of(sensor, "manhole.tilted", BEGINS_MS, 7200.0).expect
    assert by_ms(expected) == sensor.next_planned(BEGINS_MS) + 90_000


def test_a_fault_that_no_report_shows_is_not_expected_and_may_follow_or_not() -> None:
    told = told_of(alone("manhole", Habit(86_400.0)), "manhole.tilted", BEGINS_MS, 600.0)
    assert told.expect == ()
    assert {each.rule for each in told.allow} == {"manhole.tilt"}


def test_what_a_device_stores_is_expected_when_it_forwards_it() -> None:
    sensor = alone("gas_meter", Habit(86_400.0, sample_s=3600.0))
    [expected] = told_of(sensor, "gas_meter.leak", BEGINS_MS, 4 * 3600.0).expect
    assert by_ms(expected) == sensor.next_planned(BEGINS_MS) + round(1000 * SLACK_S)


def test_a_silence_is_expected_only_once_the_rule_has_waited_and_forbidden_before() -> None:
    sensor = alone("streetlight", Habit(900.0))
    heard_ms = sensor.last_planned(BEGINS_MS)
    intervals = RULES["streetlight.offline"].condition.silence_intervals or 0.0
    wait_ms = round(intervals * 900_000)
    [expected] = told_of(sensor, "streetlight.offline", BEGINS_MS, 6 * 3600.0).expect
    assert by_ms(expected) == heard_ms + wait_ms + round(1000 * SLACK_S)
    short = told_of(sensor, "streetlight.offline", BEGINS_MS, 1000.0)
    assert short.expect == ()
    assert [each.rule for each in short.forbid] == ["streetlight.offline"]


def test_who_was_not_heard_since_the_run_began_cannot_fall_silent() -> None:
    sensor = alone("streetlight", Habit(900.0))
    told = told_of(sensor, "streetlight.offline", START_MS, 6 * 3600.0)
    assert told.expect == ()
    assert {each.rule for each in told.allow} == {"streetlight.offline"}


def test_a_silence_ends_with_the_first_word_after_it() -> None:
    sensor = alone("streetlight", Habit(900.0))
    told = told_of(sensor, "streetlight.offline", BEGINS_MS, 6 * 3600.0)
    assert told.ends == EPOCH + timedelta(milliseconds=sensor.next_planned(BEGINS_MS + 6 * 3_600_000))


def test_limits_are_the_devices_own_where_the_registry_departs_from_the_rule() -> None:
    sensor = replace(
        alone("manhole", Habit(86_400.0, on_change=True)),
        overrides={"manhole.tilt": {"major": {"limit": 30.0}}},
    )
    told = told_of(sensor, "manhole.tilted", BEGINS_MS, 3600.0)
    assert told.expect == ()


def test_two_levels_are_one_alert_and_the_graver_one_decides_on_the_ticket() -> None:
    habit = Habit(86_400.0, on_change=True)
    [warned] = told_of(alone("gas_meter", habit), "gas_meter.low_pressure", BEGINS_MS, 3600.0).expect
    [alarmed] = told_of(alone("gas_meter", habit), "gas_meter.no_gas", BEGINS_MS, 3600.0).expect
    assert (warned.ticket, warned.case_class) == (False, None)
    assert (alarmed.ticket, alarmed.case_class) == (True, "E05-02")
