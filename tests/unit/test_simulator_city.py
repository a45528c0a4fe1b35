"""A city is laid out the same for the same seed, is one that the service can import, and stands where it says."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.app import vocabulary
from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from service.registry_table import read_sheet
from simulators.city import CIRCUIT, GATEWAY, GRID, SITE, City, build_city, count_kinds, serial_of
from simulators.city_files import ASSETS_FILE, CITY_FILE, DEVICES_FILE, read_city, write_city
from simulators.habits import SLOTS, habit_of
from simulators.town import plan_town

KINDS = list(load_kinds().values())
OTHER = DeviceKind("rain_gauge", "Rain gauge", "雨量计", (), 600.0, (), ())


@pytest.fixture(scope="module")
def city() -> City:
    return build_city(4000, KINDS, seed=7)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_city(tmp_path / name, build_city(500, KINDS, seed=seed))
    for file in (DEVICES_FILE, ASSETS_FILE, CITY_FILE):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert first == again
        assert first != other


def test_a_city_is_read_as_it_was_written(tmp_path: Path, city: City) -> None:
    write_city(tmp_path, city)
    assert read_city(tmp_path) == city


def test_the_service_takes_every_line_of_the_registry(tmp_path: Path, city: City) -> None:
    write_city(tmp_path, city)
    sheet = read_sheet((tmp_path / DEVICES_FILE).read_bytes(), vocabulary())
    assert sheet.bad == []
    assert len(sheet.rows) == len(sheet.assets) == 4000
    assert all(row.device is not None and row.device.simulated for row in sheet.rows)
    on_feeders = Counter(asset.circuit for asset in sheet.assets.values() if asset.circuit is not None)
    assert on_feeders == {name: len(members) for name, members in city.groups[CIRCUIT].items()}
    at_sites = Counter(asset.site for asset in sheet.assets.values() if asset.site is not None)
    assert at_sites == {name: len(members) for name, members in city.groups[SITE].items()}


def test_every_kind_has_its_share_and_one_that_nobody_listed_has_one_too() -> None:
    assert sum(count_kinds(999, KINDS).values()) == 999
    counts = count_kinds(1050, [*KINDS, OTHER])
    assert counts == {"bin": 180, "gas_meter": 250, "manhole": 220, "rain_gauge": 50, "streetlight": 350}
    laid_out = build_city(105, [*KINDS, OTHER], seed=1)
    assert Counter(device.kind for device in laid_out.devices)["rain_gauge"] == 5


def test_twenty_thousand_meters_of_a_hundred_thousand_devices_report_at_midnight() -> None:
    meters = count_kinds(100_000, KINDS)["gas_meter"]
    kind = load_kinds()["gas_meter"]
    assert sum(habit_of(kind, serial).midnight for serial in range(1, meters + 1)) == 20_000


def test_some_devices_report_on_change_some_store_and_some_do_neither() -> None:
    habits = {habit_of(kind, serial) for kind in KINDS for serial in range(SLOTS)}
    assert any(habit.on_change for habit in habits)
    assert any(habit.sample_s is not None for habit in habits)
    assert any(not habit.on_change and habit.sample_s is None for habit in habits)
    assert habit_of(OTHER, 2).on_change
    assert habit_of(OTHER, 3).interval_s == 600.0


def test_grids_have_fifteen_digits_and_lie_where_their_devices_stand(city: City) -> None:
    places: dict[str, list[tuple[float, float]]] = {}
    for device in city.devices:
        assert device.longitude is not None
        assert device.latitude is not None
        assert re.fullmatch(rf"{device.district}\d{{3}}00[1-4]0(0[1-9]|1[0-6])", device.unit_grid or "")
        places.setdefault(device.unit_grid or "", []).append((device.longitude, device.latitude))
    for spots in places.values():
        for axis in zip(*spots, strict=True):
            assert max(axis) - min(axis) <= 0.003001
    assert len({device.district for device in city.devices}) == 2


def test_groups_hold_the_devices_that_they_should(city: City) -> None:
    kind_of = {device.name: device.kind for device in city.devices}
    lamps = [name for members in city.groups[CIRCUIT].values() for name in members]
    assert sorted(lamps) == sorted(name for name, kind in kind_of.items() if kind == "streetlight")
    assert all(len(members) <= 60 for members in city.groups[CIRCUIT].values())
    assert {kind_of[name] for members in city.groups[SITE].values() for name in members} == {"bin", "gas_meter"}
    assert city.groups[SITE].keys() == city.places.keys()
    for sort in (GATEWAY, GRID):
        assert sorted(name for members in city.groups[sort].values() for name in members) == sorted(kind_of)


def test_lamps_of_a_circuit_hang_in_a_row(city: City) -> None:
    where = {device.name: (device.longitude or 0.0, device.latitude or 0.0) for device in city.devices}
    for members in city.groups[CIRCUIT].values():
        for here, there in pairwise(members):
            apart = max(abs(where[here][axis] - where[there][axis]) for axis in (0, 1))
            assert apart <= 0.00031


def test_the_assets_are_a_feature_collection_of_points(tmp_path: Path, city: City) -> None:
    write_city(tmp_path, city)
    told: Any = orjson.loads((tmp_path / ASSETS_FILE).read_bytes())
    assert told.keys() == {"type", "features"}
    assert told["type"] == "FeatureCollection"
    assert len(told["features"]) == 4000
    for feature, device in zip(told["features"], city.devices, strict=True):
        assert feature["geometry"] == {"type": "Point", "coordinates": [device.longitude, device.latitude]}
        assert feature["properties"]["asset"] == feature["id"] == device.asset


@pytest.mark.parametrize("devices", [1, 100, 3200, 3201, 10_000, 100_000, 1_000_000])
def test_a_town_is_as_large_as_its_devices_need(devices: int) -> None:
    town = plan_town(devices)
    assert town.streets * town.districts * 3200 >= devices
    assert town.streets % town.wide == 0
    assert town.spot(town.width - 0.001, town.height - 0.001).unit_grid.endswith("016")
    assert town.spot(-0.5, 0.5) == town.spot(0.5, 0.5)


def test_a_device_of_any_name_has_a_number() -> None:
    assert serial_of("manhole-000042") == 42
    assert serial_of("MH-A") == serial_of("MH-A")


def test_a_folder_without_a_city_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="makes a city"):
        read_city(tmp_path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "seed"),
        ({"seed": 1, "groups": {"circuit": {"C-1": ["nobody"]}}}, "circuit C-1 has nobody"),
    ],
)
def test_a_city_that_contradicts_its_registry_is_refused(tmp_path: Path, data: Any, sentence: str) -> None:
    write_city(tmp_path, build_city(10, KINDS, seed=1))
    (tmp_path / CITY_FILE).write_bytes(orjson.dumps(data))
    with pytest.raises(InvalidInputError, match=sentence):
        read_city(tmp_path)


def test_more_components_than_numbers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="six digits"):
        build_city(10_000_000, KINDS, seed=1)
