"""A simulated device says the same for the same seed, trips no rule while healthy, and shows the fault it plays."""

import subprocess
import sys
from collections import Counter

import pytest

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Fault
from domain.errors import InvalidInputError
from domain.reading import MeasureValue
from rules.rule import Verdict
from simulators.device import REPORTS_A_SWING, SimulatedDevice
from simulators.faults import Part, cast_parts, every_fault, find_faults
from simulators.fleet import lay_out
from tests.support.quiet import is_quiet

KINDS = load_kinds()
FAULTS = [(kind, fault) for kind in KINDS.values() for fault in kind.faults]

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.key)
each_fault = pytest.mark.parametrize(
    ("kind", "fault"), FAULTS, ids=[f"{kind.key}.{fault.key}" for kind, fault in FAULTS]
)


def reports(device: SimulatedDevice, count: int, *, seconds_apart: float = 1.0) -> list[dict[str, MeasureValue] | None]:
    return [device.report(number * seconds_apart) for number in range(count)]


def bad_rules(kind: DeviceKind, values: dict[str, MeasureValue]) -> set[str]:
    judged = {rule.key: rule.condition.judge(values) for rule in kind.rules}
    return {key for key, result in judged.items() if result is not None and Verdict.BAD in result[1]}


@each_kind
def test_the_same_seed_and_name_give_the_same_values_and_others_other_values(kind: DeviceKind) -> None:
    first = reports(SimulatedDevice("a", kind, seed=1), 50)
    assert reports(SimulatedDevice("a", kind, seed=1), 50) == first
    assert reports(SimulatedDevice("b", kind, seed=1), 50) != first
    assert reports(SimulatedDevice("a", kind, seed=2), 50) != first


def test_the_values_are_the_same_in_another_process() -> None:
    program = (
        "from devices.catalogue import load_kinds; from simulators.device import SimulatedDevice;"
        "print([SimulatedDevice('a', kind, seed=1).report(0.0) for kind in load_kinds().values()])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src:."}
    )
    assert told.stdout.strip() == str([SimulatedDevice("a", kind, seed=1).report(0.0) for kind in KINDS.values()])


@each_kind
def test_the_values_do_not_depend_on_the_pace(kind: DeviceKind) -> None:
    slow = reports(SimulatedDevice("a", kind, seed=1), 50, seconds_apart=900.0)
    assert slow == reports(SimulatedDevice("a", kind, seed=1), 50)


@each_kind
def test_a_healthy_device_reports_every_measure_within_limits_and_trips_no_rule(kind: DeviceKind) -> None:
    for name in ("a", "b", "c"):
        for values in reports(SimulatedDevice(name, kind, seed=1), 20 * REPORTS_A_SWING):
            assert values is not None
            assert set(values) == {measure.name for measure in kind.measures}
            assert all(measure.low <= values[measure.name] <= measure.high for measure in kind.measures)
            assert all(isinstance(values[measure.name], bool) == measure.boolean for measure in kind.measures)
            assert all(is_quiet(rule.condition, values) for rule in kind.rules)
            assert not bad_rules(kind, values)


@each_kind
def test_what_varies_varies(kind: DeviceKind) -> None:
    told = reports(SimulatedDevice("a", kind, seed=1), REPORTS_A_SWING)
    for measure in kind.measures:
        if measure.noise or measure.swing:
            assert len({values[measure.name] for values in told if values is not None}) > REPORTS_A_SWING / 4


@pytest.mark.parametrize(("kind", "counter"), [("gas_meter", "volume_m3"), ("streetlight", "energy_kwh")])
def test_a_counter_only_grows(kind: str, counter: str) -> None:
    told = [values[counter] for values in reports(SimulatedDevice("a", KINDS[kind], seed=1), 100) if values is not None]
    assert told == sorted(told)
    assert told[-1] > told[0]


def test_a_counter_stands_still_while_nothing_flows() -> None:
    kind = KINDS["gas_meter"]
    leak = next(fault for fault in kind.faults if fault.key == "leak")
    told = reports(SimulatedDevice("a", kind, seed=1, part=Part(leak, 1000.0, 1.0)), 10)
    assert len({values["volume_m3"] for values in told if values is not None}) == 1


@each_fault
def test_a_fault_shows_in_the_values_and_trips_its_rules(kind: DeviceKind, fault: Fault) -> None:
    first, *later = reports(SimulatedDevice("a", kind, seed=1, part=Part(fault, 1000.0, 10.0)), 20)
    if fault.silent:
        assert first is not None, "who was never heard cannot fall silent"
        assert later == [None] * 19
        return
    for values in (first, *later):
        assert values is not None
        assert fault.values.items() <= values.items()
        assert bad_rules(kind, values) == set(fault.raises)


def test_a_fault_comes_and_goes_in_the_time_of_the_play() -> None:
    kind = KINDS["manhole"]
    tilted = next(fault for fault in kind.faults if fault.key == "tilted")
    device = SimulatedDevice("a", kind, seed=1, part=Part(tilted, lasts_s=100.0, pauses_s=50.0))
    told = reports(device, 30, seconds_apart=10.0)
    acting = [values is not None and values["tilt_deg"] == 24.0 for values in told]
    assert acting == ([True] * 10 + [False] * 5) * 2


def test_after_silence_a_device_counts_on() -> None:
    kind = KINDS["bin"]
    offline = next(fault for fault in kind.faults if fault.silent)
    device = SimulatedDevice("a", kind, seed=1, part=Part(offline, 1.0, 1.0))
    reports(device, 5)
    assert device.seq == 5


def test_a_fault_is_found_by_its_own_name_in_every_kind_and_by_its_full_name_in_one() -> None:
    assert set(find_faults(KINDS.values(), ["offline"])) == set(KINDS)
    assert set(find_faults(KINDS.values(), ["bin.offline"])) == {"bin"}
    assert find_faults(KINDS.values(), []) == {}


def test_an_unknown_fault_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(InvalidInputError, match=r"manhole\.tilted"):
        find_faults(KINDS.values(), ["titled"])
    with pytest.raises(InvalidInputError, match="tilted"):
        find_faults([KINDS["bin"]], ["tilted"])


def test_parts_are_cast_to_the_asked_share_the_same_for_the_same_seed() -> None:
    fleet = list(lay_out(1000, list(KINDS.values()), seed=1))
    faults = every_fault(KINDS.values())
    parts = cast_parts(fleet, faults, share=0.1, seed=1)
    assert len(parts) == 100
    assert parts == cast_parts(fleet, faults, share=0.1, seed=1)
    assert parts.keys() != cast_parts(fleet, faults, share=0.1, seed=2).keys()
    assert len(cast_parts(fleet, faults, share=1.0, seed=1)) == 1000


def test_every_fault_is_played_once_there_are_devices_enough() -> None:
    fleet = list(lay_out(1000, list(KINDS.values()), seed=1))
    kind_of = {device.name: device.kind for device in fleet}
    parts = cast_parts(fleet, every_fault(KINDS.values()), share=0.1, seed=1)
    played = Counter((kind_of[name], part.fault.key) for name, part in parts.items())
    assert set(played) == {(kind.key, fault.key) for kind, fault in FAULTS}


def test_only_devices_that_can_play_a_fault_get_one_and_at_least_one_does() -> None:
    fleet = list(lay_out(8, list(KINDS.values()), seed=1))
    parts = cast_parts(fleet, find_faults(KINDS.values(), ["leaking"]), share=0.05, seed=1)
    assert [name.rpartition("-")[0] for name in parts] == ["streetlight"]
    assert cast_parts(fleet, {}, share=1.0, seed=1) == {}
    assert cast_parts(fleet, every_fault(KINDS.values()), share=0.0, seed=1) == {}
