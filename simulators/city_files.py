"""A city's files: ``devices.csv`` for the service's import, ``assets.geojson`` for maps, ``city.json`` for a play."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import InvalidInputError
from simulators.city import City
from simulators.fleet import FleetDevice
from simulators.registry import read_registry, write_registry

DEVICES_FILE: Final = "devices.csv"
ASSETS_FILE: Final = "assets.geojson"
CITY_FILE: Final = "city.json"


class _CityFile(BaseModel):
    """What ``city.json`` says; what else stands in it is for people."""

    model_config = ConfigDict(extra="ignore", strict=True)

    seed: int
    groups: dict[str, dict[str, list[str]]] = Field(default_factory=dict[str, dict[str, list[str]]])
    places: Annotated[dict[str, str], Field(default_factory=dict[str, str])]


def write_city(folder: Path, city: City) -> None:
    """Write the three files; the same city gives the same bytes.

    Raises:
        InvalidInputError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_registry(folder / DEVICES_FILE, city.devices)
        _write_assets(folder / ASSETS_FILE, city.devices)
        data = {
            "seed": city.seed,
            "districts": sorted({device.district for device in city.devices}),
            "devices": len(city.devices),
            "kinds": dict(sorted(Counter(device.kind for device in city.devices).items())),
            "places": city.places,
            "groups": city.groups,
        }
        (folder / CITY_FILE).write_bytes(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise InvalidInputError(f"{folder} cannot be written: {error.strerror}") from error


def read_city(folder: Path) -> City:
    """Read a city back.

    Raises:
        InvalidInputError: a file is missing or is not one of a city; the message names it.
    """
    path = folder / CITY_FILE
    try:
        told = _CityFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInputError(
            f"{path} cannot be read: {error.strerror}; streetwarden-sim city --out {folder} makes a city"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{path}: {where}: {first['msg']}") from error
    devices = read_registry(folder / DEVICES_FILE)
    known = {device.name for device in devices}
    for sort, groups in told.groups.items():
        for name, members in groups.items():
            stranger = next((member for member in members if member not in known), None)
            if stranger is not None:
                raise InvalidInputError(f"{path}: {sort} {name} has {stranger}, which {DEVICES_FILE} does not know")
    return City(told.seed, devices, told.groups, told.places)


def _write_assets(path: Path, devices: list[FleetDevice]) -> None:
    """Write one point for each asset (RFC 7946: longitude first, WGS-84, no ``crs``), one feature a line."""
    with path.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        separator = b"\n"
        for device in devices:
            feature = {
                "type": "Feature",
                "id": device.asset,
                "geometry": {"type": "Point", "coordinates": [device.longitude, device.latitude]},
                "properties": {
                    "asset": device.asset,
                    "kind": device.kind,
                    "device": device.name,
                    "district": device.district,
                    "component_code": device.component_code,
                    "unit_grid": device.unit_grid,
                    "address": device.address,
                    "owner": device.owner,
                    "keeper": device.keeper,
                    "site": device.site,
                    "circuit": device.circuit,
                    "simulated": True,
                },
            }
            file.write(separator + orjson.dumps(feature))
            separator = b",\n"
        file.write(b"\n]}\n")
