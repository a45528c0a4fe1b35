"""A fleet is laid out the same for the same seed, is plausible, and survives being written and read."""

import csv
import re
from pathlib import Path

import pytest

from devices.catalogue import load_kinds
from domain.device import DEVICE_NAME
from domain.errors import InvalidInputError
from ingest.catalogue import load_formats
from ingest.format import Sender
from simulators.fleet import CENTRE, FleetDevice, lay_out
from simulators.registry import COLUMNS, read_registry, write_registry

KINDS = list(load_kinds().values())


def fleet_of(count: int, seed: int = 7) -> list[FleetDevice]:
    return list(lay_out(count, KINDS, seed=seed))


def test_the_same_seed_lays_out_the_same_fleet_and_another_seed_another() -> None:
    assert fleet_of(200) == fleet_of(200)
    assert fleet_of(200) != fleet_of(200, seed=8)


def test_a_longer_fleet_begins_with_the_shorter_one() -> None:
    assert fleet_of(200)[:50] == fleet_of(50)


def test_the_kinds_take_turns() -> None:
    kinds = [device.kind for device in fleet_of(4 * len(KINDS))]
    assert kinds == [kind.key for kind in KINDS] * 4


def test_names_assets_codes_and_aliases_are_unique() -> None:
    fleet = fleet_of(4000)
    codes = [device.component_code for device in fleet if device.component_code is not None]
    for names in (
        [device.name for device in fleet],
        [device.asset for device in fleet],
        [device.aliases["chirpstack_v4"] for device in fleet],
        [device.aliases["senml"] for device in fleet],
        codes,
    ):
        assert len(set(names)) == len(names)


def test_codes_have_their_digits_and_positions_lie_in_town() -> None:
    classes = {kind.key: kind.component_class for kind in KINDS}
    for device in fleet_of(400):
        assert DEVICE_NAME.fullmatch(device.name)
        assert device.unit_grid is not None
        assert re.fullmatch(r"511703\d{9}", device.unit_grid)
        if classes[device.kind] is None:
            assert device.component_code is None
        else:
            assert re.fullmatch(rf"511703{classes[device.kind]}\d{{6}}", device.component_code or "")
        assert device.longitude == pytest.approx(CENTRE[0], abs=0.03)
        assert device.latitude == pytest.approx(CENTRE[1], abs=0.03)
        assert device.address
        assert device.owner
        assert device.keeper


def test_neighbours_in_one_unit_grid_are_neighbours_in_space() -> None:
    by_grid: dict[str, list[FleetDevice]] = {}
    for device in fleet_of(2000):
        by_grid.setdefault(device.unit_grid or "", []).append(device)
    assert len(by_grid) == 256
    for devices in by_grid.values():
        longitudes = [device.longitude or 0.0 for device in devices]
        assert max(longitudes) - min(longitudes) <= 0.0031


def test_a_second_fleet_can_stand_beside_the_first() -> None:
    second = {device.name for device in lay_out(100, KINDS, seed=7, first=26)}
    assert second.isdisjoint(device.name for device in fleet_of(100))


@pytest.mark.parametrize("source", load_formats())
def test_every_device_has_an_identity_that_the_format_reads_back(source: str) -> None:
    device = fleet_of(1)[0]
    alias = device.alias(source)
    assert alias is not None
    if source == "native":
        topic, _ = load_formats()[source].encode(Sender(device.name, device.kind, device.district, alias), ())
        address = load_formats()[source].read_topic(topic)
        assert address is not None
        assert address.alias == alias


@pytest.mark.parametrize(("count", "first"), [(10, 0), (10, 1_000_000), (5_000_000, 1)])
def test_more_devices_than_serial_numbers_are_refused(count: int, first: int) -> None:
    with pytest.raises(InvalidInputError, match="six digits"):
        lay_out(count, KINDS, seed=0, first=first)


def test_a_district_that_is_no_division_code_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="district"):
        lay_out(1, KINDS, seed=0, district="达川")


def test_a_registry_is_read_as_it_was_written(tmp_path: Path) -> None:
    fleet = list(lay_out(40, KINDS, seed=7, interval_s=60.0))
    path = tmp_path / "fleet.csv"
    assert write_registry(path, fleet) == 40
    assert read_registry(path) == fleet


def test_a_registry_has_the_columns_of_the_import(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    write_registry(path, fleet_of(4))
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert {line["simulated"] for line in lines} == {"true"}
    assert all(
        re.fullmatch(r"chirpstack_v4=[0-9a-f]{16};senml=urn:dev:mac:[0-9a-f]{16}", line["aliases"]) for line in lines
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"device,kind\nx,bin\n", "district is missing"),
        (b"", "device is missing"),
        (b"device,kind,district\nx y,bin,511703\n", "line 2"),
        (b"device,kind,district,longitude\nx,bin,511703,east\n", "line 2: longitude"),
        ("device,kind,district\n井,bin,511703\n".encode("gb18030"), "UTF-8"),
    ],
)
def test_a_file_that_is_no_registry_is_refused_with_the_place(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=sentence):
        read_registry(path)


def test_a_registry_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_registry(tmp_path / "none.csv")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_registry(tmp_path / "none" / "fleet.csv", [])
