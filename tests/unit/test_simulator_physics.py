"""Physics are pure: what a device measures and when it reports follows from city, device, seed and time alone."""

import random
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Measure
from ingest.catalogue import load_formats
from simulators.city import build_city
from simulators.physics.calendar import DAY_MS, HOUR_MS, day_begins, daylight, local_day, weekday
from simulators.physics.catalogue import load_physics, make_model
from simulators.physics.kinds.manhole import SHAKES_FOR_MS, Manhole
from simulators.physics.model import NOISE_BOUND, Crowd, Model, Moment, Place, noise_at
from simulators.physics.swing import Swing
from simulators.sensor import Sensor, man_city
from simulators.weather import FAIR, Rain, Weather
from tests.support.quiet import is_quiet

KINDS = load_kinds()
NATIVE = load_formats()["native"]
YEAR_MS = 365 * DAY_MS
START: Final = 1_767_225_600_000  # 2026-01-01
CITY = build_city(200, list(KINDS.values()), seed=7)
STORM = Weather([Rain(START, START + YEAR_MS, 1.0)], [Crowd(START, START + YEAR_MS, 5.0)])

times = st.integers(START, START + YEAR_MS)
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.key)


def sensors(run_seed: int = 1) -> list[Sensor]:
    return man_city(CITY, KINDS, NATIVE, run_seed=run_seed)


SENSORS = sensors()
places = st.integers(0, len(SENSORS) - 1)


def of_kind(key: str) -> list[Sensor]:
    return [sensor for sensor in SENSORS if sensor.kind.key == key]


def test_every_core_kind_has_physics_of_its_own_and_another_one_swings() -> None:
    assert load_physics().keys() == KINDS.keys()
    other = DeviceKind(
        "x", "X", "X", (Measure("dust_ug", "Dust", "扬尘", "µg/m³", 0, 900, rest=40.0, swing=9.0),), 60.0, (), ()
    )
    model = make_model(other, load_physics(), Place(107.5, 31.2, SENSORS[0].habit), random.Random(1), b"k")
    assert isinstance(model, Swing)
    assert isinstance(model, Model)


@given(places, times, times)
def test_what_is_measured_does_not_depend_on_what_was_measured_before(place: int, at_ms: int, other_ms: int) -> None:
    sensor = SENSORS[place]
    first = sensor.measure(at_ms, FAIR)
    sensor.measure(other_ms, FAIR)
    assert sensor.measure(at_ms, FAIR) == first


@given(places, times)
@settings(max_examples=20)
def test_another_process_of_the_same_seed_measures_the_same_and_another_seed_something_else(
    place: int, at_ms: int
) -> None:
    [anew] = man_city(CITY, KINDS, NATIVE, run_seed=1)[place : place + 1]
    assert anew.measure(at_ms, FAIR) == SENSORS[place].measure(at_ms, FAIR)
    assert noise_at(SENSORS[place].key, at_ms) != noise_at(sensors(2)[place].key, at_ms)


@given(places, times, st.sampled_from([FAIR, STORM]))
@settings(max_examples=300)
def test_a_healthy_device_measures_everything_within_limits_and_trips_no_rule(
    place: int, at_ms: int, weather: Weather
) -> None:
    sensor = SENSORS[place]
    values = sensor.measure(at_ms, weather)
    assert values.keys() == {measure.name for measure in sensor.kind.measures}
    for measure in sensor.kind.measures:
        assert measure.low <= values[measure.name] <= measure.high
        assert isinstance(values[measure.name], bool) == measure.boolean
    for rule in sensor.kind.rules if not shaken(sensor, at_ms) else ():
        assert is_quiet(rule.condition.overridden(sensor.overrides.get(rule.key, {})), values), rule.key


def shaken(sensor: Sensor, at_ms: int) -> bool:
    changes = sensor.model.changes(local_day(at_ms)) if sensor.kind.key == "manhole" else ()
    return any(begun <= at_ms < begun + SHAKES_FOR_MS for begun in changes[::2])


@given(places, st.lists(times, min_size=2, max_size=10))
def test_counters_never_run_back(place: int, moments: list[int]) -> None:
    sensor = SENSORS[place]
    for counter in ("volume_m3", "energy_kwh"):
        told = [sensor.measure(at_ms, FAIR).get(counter, 0.0) for at_ms in sorted(moments)]
        assert told == sorted(told)


@given(st.binary(min_size=1, max_size=16), times)
def test_noise_is_bounded(key: bytes, at_ms: int) -> None:
    assert all(abs(noise) <= NOISE_BOUND for noise in noise_at(key, at_ms))


def test_noise_is_about_as_large_as_it_says() -> None:
    told = [noise for at_ms in range(1000) for noise in noise_at(b"k", at_ms)]
    assert sum(told) / len(told) == pytest.approx(0.0, abs=0.05)
    assert sum(noise * noise for noise in told) / len(told) == pytest.approx(1.0, abs=0.05)


@given(places, times)
def test_the_next_report_is_the_next_and_the_last_one_the_last(place: int, at_ms: int) -> None:
    sensor = SENSORS[place]
    after, before = sensor.next_planned(at_ms), sensor.last_planned(at_ms)
    assert before < at_ms <= after
    assert after - before <= sensor.interval_ms + sensor.spread_ms
    assert sensor.next_planned(before + 1) == after
    assert at_ms < sensor.next_report(at_ms) <= sensor.next_planned(at_ms + 1)


@given(places, times)
def test_a_clock_is_off_by_seconds(place: int, at_ms: int) -> None:
    assert abs(SENSORS[place].told_ms(at_ms) - at_ms) <= 3000


def test_some_clocks_run_ahead_and_most_behind() -> None:
    ahead = sum(sensor.drift > 0 for sensor in SENSORS)
    assert 0 < ahead < len(SENSORS) / 2


def test_meters_of_the_burst_report_in_the_first_minute_after_midnight() -> None:
    midnight = day_begins(local_day(START) + 3)
    told = [sensor.next_planned(midnight) - midnight for sensor in of_kind("gas_meter") if sensor.habit.midnight]
    assert len(told) == 42  # 50 meters: the first fifty numbers
    assert all(0 <= at < 60_000 for at in told)
    assert len(set(told)) > 30


def test_a_history_holds_what_was_measured_since_the_last_message() -> None:
    meter = next(sensor for sensor in of_kind("gas_meter") if sensor.sample_ms)
    midnight = meter.next_planned(START)
    measured = list(meter.samples(midnight, meter.next_planned(midnight + 1)))
    assert len(measured) in {24, 25}
    assert {later - earlier for earlier, later in pairwise(measured[1:-1])} == {HOUR_MS}


@pytest.mark.parametrize("day", [local_day(START) + number for number in (10, 100, 190, 280)])
def test_lamps_follow_the_sun(day: int) -> None:
    for lamp in of_kind("streetlight"):
        assert lamp.entry.longitude is not None
        assert lamp.entry.latitude is not None
        rise, fall = daylight(lamp.entry.longitude, lamp.entry.latitude, day)
        assert 9 * HOUR_MS < fall - rise < 15 * HOUR_MS
        assert lamp.measure(rise - HOUR_MS, FAIR)["lamp_on"] is True
        assert lamp.measure((rise + fall) // 2, FAIR)["lamp_on"] is False
        assert lamp.measure(fall + HOUR_MS, FAIR)["lamp_on"] is True
        off, on = lamp.model.changes(day)
        assert lamp.measure(off, FAIR)["lamp_on"] is False
        assert lamp.measure(on, FAIR)["lamp_on"] is True
        assert lamp.measure(on - 1, FAIR)["lamp_on"] is False


def test_lamps_at_the_end_of_a_feeder_have_less_voltage_than_those_at_its_head() -> None:
    evening = day_begins(local_day(START)) + 20 * HOUR_MS
    by_circuit = [members for members in CITY.groups["circuit"].values() if len(members) > 20]
    volts = {sensor.entry.name: sensor.measure(evening, FAIR)["volt_v"] for sensor in of_kind("streetlight")}
    for members in by_circuit:
        assert volts[members[0]] > volts[members[-1]] + 1.0


def test_bins_fill_between_two_rounds_and_are_nearly_empty_after_one() -> None:
    day = local_day(START) + 5
    for each in of_kind("bin"):
        rounds = each.model.changes(day)
        assert each.measure(rounds[0] + 1, FAIR)["fill_pct"] <= 8
        assert each.measure(rounds[1] - 1, FAIR)["fill_pct"] > each.measure(rounds[1] + 1, FAIR)["fill_pct"]


def test_bins_fill_faster_in_a_crowd_and_keep_what_it_brought() -> None:
    day = local_day(START) + 5
    each = of_kind("bin")[0]
    begun, ended = each.model.changes(day)[:2]
    third = (ended - begun) // 3
    crowd = Weather(crowds=[Crowd(begun, begun + third, 4.0)])
    for at_ms in (begun + third, begun + 2 * third, ended - 1):
        assert each.measure(at_ms, crowd)["fill_pct"] > each.measure(at_ms, FAIR)["fill_pct"]


def test_offices_are_quiet_at_the_weekend_and_parks_are_not() -> None:
    monday = next(day for day in range(local_day(START), local_day(START) + 7) if weekday(day) == 0)

    def brought(site: str, day: int) -> float:
        model = make_model(
            KINDS["bin"], load_physics(), Place(107.5, 31.2, SENSORS[0].habit, site=site), random.Random(1), b"k"
        )
        at_ms = model.changes(day)[1] - 1
        return model.values(Moment(at_ms, [0.0] * 16, 15.0, 0.0, (), None))["fill_pct"]

    assert brought("office", monday) > 3 * brought("office", monday + 5)
    assert brought("park", monday) < brought("park", monday + 5)


def test_rain_comes_and_goes_and_raises_the_level_in_a_sewer() -> None:
    well = of_kind("manhole")[0]
    noon = START + 12 * HOUR_MS
    shower = Weather([Rain(noon, noon + HOUR_MS, 1.0)])
    levels = [well.measure(noon + minutes * 60_000, shower)["level_m"] for minutes in (-1, 15, 45, 80, 120)]
    assert levels[0] < levels[1] < levels[2]
    assert levels[2] > levels[3] > levels[4]
    assert shower.rain(noon - 1) == shower.rain(noon + 2 * HOUR_MS) == 0.0


def test_a_loose_cover_is_told_to_shake_and_to_lie_still_within_two_seconds() -> None:
    loose = [sensor for sensor in of_kind("manhole") if any(sensor.model.changes(day) for day in range(20_000, 20_010))]
    assert loose
    for sensor in loose:
        assert isinstance(sensor.model, Manhole)
        changes = [at_ms for day in range(20_000, 20_010) for at_ms in sensor.model.changes(day)]
        assert changes == sorted(changes)
        for begun, ended in zip(changes[::2], changes[1::2], strict=True):
            assert sensor.measure(begun, FAIR)["tilt_deg"] >= 15.0
            assert sensor.measure(ended, FAIR)["tilt_deg"] < 15.0
            assert sensor.next_report(begun) <= ended


def test_covers_bend_with_the_temperature_and_keep_the_angle_at_which_they_were_fitted() -> None:
    summer, winter = START + 200 * DAY_MS, START + 15 * DAY_MS
    for well in of_kind("manhole"):
        if well.entry.baseline_deg is not None:
            assert well.measure(summer, FAIR)["tilt_deg"] == pytest.approx(well.entry.baseline_deg, abs=1.5)
    assert any(well.entry.baseline_deg for well in of_kind("manhole"))
    tilts = [sum(well.measure(at_ms, FAIR)["tilt_deg"] for well in of_kind("manhole")) for at_ms in (summer, winter)]
    assert tilts[0] > tilts[1] + 0.1 * len(of_kind("manhole"))


@each_kind
def test_batteries_and_radios_age(kind: DeviceKind) -> None:
    now, later = START, START + 5 * YEAR_MS
    for sensor in of_kind(kind.key)[:10]:
        young, old = sensor.measure(now, FAIR), sensor.measure(later, FAIR)
        if "battery_pct" in young:
            assert old["battery_pct"] < young["battery_pct"]
        radio = [
            sum(sensor.measure(begin + hour * HOUR_MS, FAIR)["rssi_dbm"] for hour in range(200))
            for begin in (now, later)
        ]
        assert radio[1] < radio[0]


def test_households_use_more_gas_in_the_evening_and_in_winter() -> None:
    for meter in of_kind("gas_meter"):
        day = day_begins(local_day(START) + 10)
        assert meter.measure(day + 18 * HOUR_MS, FAIR)["flow_m3h"] > meter.measure(day + 3 * HOUR_MS, FAIR)["flow_m3h"]
    total = [
        sum(
            meter.measure(START + begin * DAY_MS + 30 * DAY_MS, FAIR)["volume_m3"]
            - meter.measure(START + begin * DAY_MS, FAIR)["volume_m3"]
            for meter in of_kind("gas_meter")
        )
        for begin in (0, 180)
    ]
    assert total[0] > 1.3 * total[1]
