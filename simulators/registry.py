"""The registry file of a fleet: the CSV that ``streetwarden import`` reads, and that a run plays."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from domain.device import DEVICE_NAME, DISTRICT_CODE
from domain.errors import InvalidInputError
from simulators.fleet import FleetDevice

COLUMNS: Final = (
    "device",
    "kind",
    "district",
    "asset",
    "component_code",
    "unit_grid",
    "longitude",
    "latitude",
    "address",
    "owner",
    "keeper",
    "site",
    "circuit",
    "interval_s",
    "aliases",
    "simulated",
    "baseline_deg",
)
NEEDED: Final = ("device", "kind", "district")
"""What a file must have to be played; the rest concerns the service alone."""

_TRUE: Final = ("true", "1", "yes", "y", "是")


def write_registry(path: Path, fleet: Iterable[FleetDevice]) -> int:
    """Write one line for each device and return how many there are.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    count = 0
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(COLUMNS)
            for device in fleet:
                lines.writerow(_line(device))
                count += 1
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error
    return count


def read_registry(path: Path) -> list[FleetDevice]:
    """Read the devices of a registry file, in its order.

    Raises:
        InvalidInputError: the file cannot be read, lacks a column, or has a line that makes no sense; the message
            names file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            missing = [column for column in NEEDED if column not in (lines.fieldnames or ())]
            if missing:
                raise InvalidInputError(f"{path} is no registry: the column {missing[0]} is missing")
            return [_device(line, f"{path}, line {lines.line_num}") for line in lines]
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} is no CSV file in UTF-8: {error}") from error


def _line(device: FleetDevice) -> list[object]:
    """Columns in order; what is not known stays empty."""
    return [
        device.name,
        device.kind,
        device.district,
        device.asset,
        device.component_code,
        device.unit_grid,
        device.longitude,
        device.latitude,
        device.address,
        device.owner,
        device.keeper,
        device.site,
        device.circuit,
        device.interval_s,
        ";".join(f"{source}={alias}" for source, alias in device.aliases.items()),
        str(device.simulated).lower(),
        device.baseline_deg,
    ]


def _device(line: dict[str, str | None], place: str) -> FleetDevice:
    def text(column: str) -> str | None:
        return (line.get(column) or "").strip() or None

    def number(column: str) -> float | None:
        told = text(column)
        try:
            return None if told is None else float(told)
        except ValueError:
            raise InvalidInputError(f"{place}: {column} must be a number, not {told!r}") from None

    name, kind, district = (text(column) or "" for column in NEEDED)
    if not DEVICE_NAME.fullmatch(name) or not DISTRICT_CODE.fullmatch(district) or not kind:
        raise InvalidInputError(f"{place}: {name!r}, {kind!r}, {district!r} are no device, kind and district")
    pairs = [entry.strip().partition("=") for entry in (text("aliases") or "").split(";") if entry.strip()]
    return FleetDevice(
        name=name,
        kind=kind,
        district=district,
        asset=text("asset") or name,
        component_code=text("component_code"),
        unit_grid=text("unit_grid"),
        longitude=number("longitude"),
        latitude=number("latitude"),
        address=text("address"),
        owner=text("owner"),
        keeper=text("keeper"),
        site=text("site"),
        circuit=text("circuit"),
        interval_s=number("interval_s"),
        baseline_deg=number("baseline_deg"),
        aliases={source: alias for source, separator, alias in pairs if separator},
        simulated=(text("simulated") or "").lower() in _TRUE,
    )
