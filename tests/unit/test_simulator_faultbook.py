"""The fault book says what a fault does and which rules must fire, and both agree with the rules themselves."""

import pytest

from devices.catalogue import load_group_rules, load_kinds
from devices.kind import DeviceKind, Fault
from domain.errors import InvalidInputError
from ingest.catalogue import load_formats
from rules.rule import Verdict
from simulators.city import CIRCUIT, GATEWAY, build_city
from simulators.faultbook.catalogue import Listed, find_listed, load_faultbook
from simulators.faultbook.entry import CITY, DEVICE
from simulators.sensor import man_city
from simulators.trouble import Delivery, Trouble
from simulators.weather import FAIR

KINDS = load_kinds()
BOOK = load_faultbook(KINDS.values())
EXISTING = {rule.key for kind in KINDS.values() for rule in kind.rules}
START = 1_780_000_000_000
HOUR_MS = 3_600_000

SENSORS = man_city(build_city(120, list(KINDS.values()), seed=3), KINDS, load_formats()["native"], run_seed=1)

each_line = pytest.mark.parametrize("line", BOOK.values(), ids=lambda line: line.name)


def kinds_of(line: Listed) -> list[DeviceKind]:
    return list(KINDS.values()) if line.kind is None else [line.kind]


def test_everything_that_a_city_needs_to_fear_is_in_the_book() -> None:
    needed = {
        "manhole": "opened stolen tilted flooded gas shaken",
        "bin": "full fire tipped blinded",
        "streetlight": "lamp_failed dark on_by_day feeder_dark leaking undervoltage overvoltage",
        "gas_meter": "leak low_pressure no_gas tampered runs_back flat_battery",
        "network": "gateway_out broker_out duplicates reordered",
    }
    for kind, faults in needed.items():
        assert {f"{kind}.{fault}" for fault in faults.split()} <= BOOK.keys()
    for kind in KINDS:
        assert {f"{kind}.{fault}" for fault in ("offline", "stuck", "noisy", "clock_wrong", "babbling")} <= BOOK.keys()


def test_every_fault_of_a_kind_can_be_played_also_of_one_without_a_table() -> None:
    for kind in KINDS.values():
        assert {f"{kind.key}.{fault.key}" for fault in kind.faults} <= BOOK.keys()
    other = DeviceKind("x", "X", "X", (), 60.0, (), (Fault("gone", "Gone", "X", silent=True, raises=("x.offline",)),))
    assert load_faultbook([other])["x.gone"].entry.raises == ("x.offline",)


@each_line
def test_the_rules_that_must_fire_are_those_that_find_the_fault_bad(line: Listed) -> None:
    for sensor in SENSORS:
        if sensor.kind not in kinds_of(line):
            continue
        trouble = Trouble(line.entry.effect, START, START + 24 * HOUR_MS)
        sensor.suffer([trouble])
        full_ms = START + round(1000 * line.entry.effect.ramp_s)
        if line.entry.effect.pulse_s is None:
            full_ms += HOUR_MS
        values = sensor.measure(full_ms, FAIR)
        sensor.suffer([])
        bad = {
            rule.key
            for rule in sensor.kind.rules
            if (judged := rule.condition.overridden(sensor.overrides.get(rule.key, {})).judge(values)) is not None
            and Verdict.BAD in judged[1]
        }
        expected = {rule for rule in line.entry.raises if not rule.endswith(".offline")}
        wrongly = {*line.entry.forbids} - {"*"}
        assert bad == expected | wrongly or (
            line.entry.key == "fahrenheit" and bad <= {"bin.fire", "streetlight.overheat"}
        )


@each_line
def test_rules_that_are_named_exist_and_those_that_are_missed_do_not_yet(line: Listed) -> None:
    entry = line.entry
    assert (entry.needs is None) == (entry.wants is None)
    for kind in kinds_of(line):
        named = {*entry.raises, *entry.allows, *entry.scheduled, *entry.forbids} - {"*"}
        known = {rule.key for rule in kind.rules} | load_group_rules().keys()
        assert {rule.format(kind=kind.key) for rule in named} <= known
        if entry.wants is not None:
            assert entry.wants.format(kind=kind.key) not in EXISTING, "now it exists: the book must say what it raises"


@each_line
def test_a_fault_either_raises_forbids_needs_or_plays_with_the_way(line: Listed) -> None:
    entry = line.entry
    assert entry.raises or entry.scheduled or entry.forbids or entry.needs or entry.effect.delivery is not Delivery.ONCE
    assert entry.scope in {DEVICE, CITY, CIRCUIT, GATEWAY}
    assert 0 < entry.lasts_s[0] <= entry.lasts_s[1]
    assert entry.title
    assert entry.title_zh


def test_a_fault_is_found_by_its_own_name_where_the_kind_is_known() -> None:
    assert find_listed(BOOK, "opened", "manhole").name == "manhole.opened"
    assert find_listed(BOOK, "manhole.opened").name == "manhole.opened"
    assert find_listed(BOOK, "duplicates", "bin").name == "network.duplicates"


@pytest.mark.parametrize(("name", "kind"), [("opened", None), ("melted", "bin"), ("manhole.opened", "bin")])
def test_an_unknown_fault_is_refused_and_the_known_ones_are_named(name: str, kind: str | None) -> None:
    with pytest.raises(InvalidInputError, match=r"there are bin\.filling"):
        find_listed(BOOK, name, kind)


def test_a_pulse_ends_in_the_very_millisecond_in_which_it_is_told() -> None:
    trouble = Trouble(BOOK["manhole.shaken"].entry.effect, START, START + HOUR_MS)
    edges = trouble.edges()
    assert len(edges) == 80
    for begun, ended in zip(edges[::2], edges[1::2], strict=True):
        assert trouble.effect.acts(begun - START)
        assert trouble.effect.acts(ended - 1 - START)
        assert not trouble.effect.acts(ended - START)


def test_a_bin_that_was_emptied_is_empty_and_fills_on_from_there() -> None:
    sensor = next(sensor for sensor in SENSORS if sensor.kind.key == "bin")
    full = BOOK["bin.full"].entry
    sensor.suffer([Trouble(full.effect, START, START + 5 * HOUR_MS, clears=full.clears)])
    told = [sensor.measure(START + hours * HOUR_MS, FAIR)["fill_pct"] for hours in (0, 1, 2, 4)]
    after = sensor.measure(START + 5 * HOUR_MS, FAIR)["fill_pct"]
    sensor.suffer([])
    assert told[0] < told[1] < told[2] == told[3] == 97.0
    assert after < 10


def test_a_meter_that_runs_back_tells_less_from_day_to_day() -> None:
    sensor = next(sensor for sensor in SENSORS if sensor.kind.key == "gas_meter")
    sensor.suffer([Trouble(BOOK["gas_meter.runs_back"].entry.effect, START, START + 96 * HOUR_MS)])
    told = [sensor.measure(START + days * 24 * HOUR_MS, FAIR)["volume_m3"] for days in range(4)]
    sensor.suffer([])
    assert told == sorted(told, reverse=True)
    assert told[0] > told[-1]


def test_a_stuck_sensor_says_the_same_and_a_noisy_one_rattles_short_of_every_limit() -> None:
    for sensor in SENSORS:
        kind = sensor.kind.key
        sensor.suffer([Trouble(BOOK[f"{kind}.stuck"].entry.effect, START, START + 48 * HOUR_MS)])
        told = [sensor.measure(START + hours * HOUR_MS, FAIR) for hours in range(0, 40, 7)]
        assert all(values == told[0] for values in told)
        healthy = [sensor.healthy(START + hours * HOUR_MS, FAIR) for hours in range(40)]
        sensor.suffer([Trouble(BOOK[f"{kind}.noisy"].entry.effect, START, START + 48 * HOUR_MS)])
        noisy = [sensor.measure(START + hours * HOUR_MS, FAIR) for hours in range(40)]
        sensor.suffer([])
        measure = next(measure.name for measure in sensor.kind.measures if measure.noise)

        def spread(values: list[dict[str, float]], name: str = measure) -> float:
            return max(each[name] for each in values) - min(each[name] for each in values)

        assert spread(noisy) != spread(healthy)
