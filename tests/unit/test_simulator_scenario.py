"""Scenarios are read with file and line, keep their seeds apart, and draw the same faults for the same seed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import load_kinds
from domain.errors import InvalidInputError
from domain.instants import to_micros
from ingest.catalogue import load_formats
from simulators.casting import cast_incidents
from simulators.city import City, build_city
from simulators.faultbook.catalogue import load_faultbook
from simulators.moments import read_duration, read_moment, read_shared_clock
from simulators.scenario import Scenario, load_scenario, shipped_scenarios
from simulators.sensor import man_city
from simulators.truth import Purpose
from simulators.witness import Incident
from simulators.yaml_table import to_seconds

KINDS = load_kinds()
BOOK = load_faultbook(KINDS.values())
NATIVE = load_formats()["native"]
CITY = build_city(600, list(KINDS.values()), seed=7)

HEAD = """\
title: A test
title_zh: 测试
about: Nothing much.
start: 2026-07-14T18:00:00+08:00
duration: 14h
seeds: {tuning: [1], judging: [2]}
"""

each_scenario = pytest.mark.parametrize("name", shipped_scenarios())


def read(tmp_path: Path, body: str) -> Scenario:
    path = tmp_path / "own.yaml"
    path.write_text(body, encoding="utf-8")
    return load_scenario(str(path), BOOK)


def incidents(scenario: Scenario, seed: int, city: City = CITY, share: float = 1.0) -> list[Incident]:
    start_ms = to_micros(scenario.start) // 1000
    end_ms = start_ms + round(1000 * scenario.duration_s * share)
    sensors = man_city(city, KINDS, NATIVE, run_seed=seed)
    return cast_incidents(scenario, city, sensors, BOOK, seed=seed, start_ms=start_ms, end_ms=end_ms)


def shown(found: list[Incident]) -> list[tuple[str, str, int, int, tuple[str, ...]]]:
    told: list[tuple[str, str, int, int, tuple[str, ...]]] = []
    for each in found:
        names = tuple(sensor.entry.name for sensor in each.sensors)
        told.append((each.id, each.listed.name, each.trouble.begins_ms, each.trouble.ends_ms, names))
    return told


def test_the_scenarios_of_the_trade_come_along() -> None:
    needed = {"rainstorm-night", "festival", "cable-cut", "gateway-down", "firmware-bug", "midnight-burst"}
    assert needed <= set(shipped_scenarios())


@each_scenario
def test_a_shipped_scenario_can_be_read_and_draws_the_same_for_the_same_seed(name: str) -> None:
    scenario = load_scenario(name, BOOK)
    assert scenario.name == name
    first = shown(incidents(scenario, 1))
    assert first
    assert shown(incidents(scenario, 1)) == first
    assert shown(incidents(scenario, 2)) != first


def test_no_seed_is_for_tuning_and_for_judging_in_any_scenario() -> None:
    scenarios = [load_scenario(name, BOOK) for name in shipped_scenarios()]
    tuning = {seed for each in scenarios for seed in each.seeds[Purpose.TUNING]}
    judging = {seed for each in scenarios for seed in each.seeds[Purpose.JUDGING]}
    assert tuning.isdisjoint(judging)


def test_what_is_not_kept_for_judging_is_for_tuning() -> None:
    scenario = load_scenario("festival", BOOK)
    assert scenario.purpose_of(scenario.seeds[Purpose.JUDGING][0]) is Purpose.JUDGING
    assert scenario.purpose_of(4711) is Purpose.TUNING


def test_each_device_has_one_fault_of_its_own_at_most() -> None:
    own = [
        each.sensors[0].entry.name for each in incidents(load_scenario("mixed-week", BOOK), 1) if len(each.sensors) == 1
    ]
    assert len(own) == len(set(own))


def test_a_shorter_run_has_the_first_faults_of_a_longer_one() -> None:
    scenario = load_scenario("mixed-week", BOOK)
    short, long = shown(incidents(scenario, 1, share=0.3)), shown(incidents(scenario, 1))
    assert long[: len(short)] == short


def test_faults_of_one_place_stay_in_it_and_a_share_is_one_of_those_that_can() -> None:
    scenario = load_scenario("rainstorm-night", BOOK)
    flooded = [each for each in incidents(scenario, 1) if each.listed.name == "manhole.flooded"]
    of = {name: gateway for gateway, members in CITY.groups["gateway"].items() for name in members}
    assert 1 <= len({of[each.sensors[0].entry.name] for each in flooded}) <= 2
    assert len(flooded) >= 5


def test_a_dead_feeder_takes_all_lamps_of_its_circuit_and_no_other() -> None:
    for each in incidents(load_scenario("cable-cut", BOOK), 1):
        if each.listed.name == "streetlight.feeder_dark":
            circuit = (each.group or "").removeprefix("circuit:")
            assert [sensor.entry.name for sensor in each.sensors] == CITY.groups["circuit"][circuit]


def test_a_city_without_such_groups_is_told_so() -> None:
    with pytest.raises(InvalidInputError, match="no groups of the sort 'circuit'"):
        incidents(load_scenario("cable-cut", BOOK), 1, City(1, CITY.devices, {"gateway": {}}, {}))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("faults:\n  - {fault: manhole.melted, count: 1}", r"own\.yaml, line 8: there is no fault 'manhole\.melted'"),
        ("faults:\n  - {fault: bin.full}", "line 8: .* a count or a share"),
        ("faults:\n  - {fault: bin.full, count: 1, share: 0.5}", "line 8: .* not both"),
        ("faults:\n  - {fault: bin.full, count: none}", "line 8: count must be a whole number .* not 'none'"),
        ("faults:\n  - {fault: bin.full, share: 2}", "line 8: share must be a number from 0 to 1, not '2'"),
        ("faults:\n  - {fault: bin.full, count: 1, untill: 2h}", "line 8: .* knows no untill; it knows fault, count"),
        ("faults:\n  - {fault: bin.full, count: 1, from: 3h, until: 2h}", "line 8: .* until no earlier than from"),
        ("faults:\n  - {fault: bin.full, count: 1, from: soon}", "line 8: from must be a duration such as 90s"),
        ("faults:\n  - {fault: bin.full, count: 1, lasts: [4h, 1h]}", "line 8: lasts must be two durations"),
        ("faults:\n  - {fault: bin.full, count: 1, inside: {gateway: 1, grid: 1}}", "line 8: inside must be one sort"),
        ("faults: many", "line 7: faults must be a list"),
        ("rain:\n  - {from: 1h, lasts: 1h}", "line 8: .* needs strength"),
        ("rain:\n  - {from: 1h, lasts: 1h, strength: 3}", "line 8: strength must be a number from 0 to 1"),
        ("wind: strong", "line 7: the scenario knows no wind"),
        ("title: Again", "line 7: title stands twice"),
        ("faults: [", "line 8: .*"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        read(tmp_path, f"{HEAD}{line}\n")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("duration: 14h", "duration: 0h", "longer than nothing"),
        ("+08:00", "", "a time with its offset"),
        ("judging: [2]", "judging: [1]", "1 is in both lists"),
        ("judging: [2]", "judging: []", "at least one seed"),
        ("tuning: [1], ", "", "needs tuning"),
        ("about: Nothing much.\n", "", "needs about"),
    ],
)
def test_a_head_that_is_wrong_is_told_so(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidInputError, match=sentence):
        read(tmp_path, HEAD.replace(old, new))


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read"):
        load_scenario(str(tmp_path / "none.yaml"), BOOK)
    with pytest.raises(InvalidInputError, match="is empty"):
        read(tmp_path, "")
    with pytest.raises(InvalidInputError, match="mapping of names"):
        read(tmp_path, "- a\n- b\n")
    with pytest.raises(InvalidInputError, match="there are cable-cut"):
        load_scenario("flood", BOOK)


@given(st.integers(1, 10_000), st.sampled_from(["s", "m", "h", "d"]))
def test_a_duration_is_a_number_and_a_unit(number: int, unit: str) -> None:
    assert to_seconds(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]
    assert read_duration(f" {number} {unit}") == to_seconds(f"{number}{unit}")


@pytest.mark.parametrize("told", ["", "0s", "1 week", "-3h", "h"])
def test_what_is_no_duration_is_refused(told: str) -> None:
    with pytest.raises(InvalidInputError, match="no duration"):
        read_duration(told)


def test_a_moment_needs_its_offset_and_a_shared_clock_its_anchor() -> None:
    now = load_scenario("festival", BOOK).start
    assert read_moment("now", now) == now
    assert read_moment("2026-10-01T08:00:00+08:00", now) == now
    with pytest.raises(InvalidInputError, match="no time"):
        read_moment("2026-10-01T08:00:00", now)
    assert read_shared_clock("2026-01-01T00:00:00Z*60@2026-11-25T03:00:00Z").speed == 60.0
    with pytest.raises(InvalidInputError, match="nobody shares it"):
        read_shared_clock("2026-01-01T00:00:00Z*60")
    with pytest.raises(InvalidInputError, match="should be a time"):
        read_shared_clock("noon")
