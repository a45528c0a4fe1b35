"""Looking a device up: in a registry file, or over the API of the service that knows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import InvalidInputError
from simulators.fleet import FleetDevice
from simulators.registry import read_registry
from simulators.sensor import overrides_of
from simulators.service_api import ServiceApi

Overrides = Mapping[str, Mapping[str, object]]
"""Rule → parameter → value."""


class _Device(BaseModel):
    """What the API tells of a device, as far as it matters here."""

    model_config = ConfigDict(extra="ignore")

    name: str
    kind: str
    district: str
    asset: str | None
    interval_s: float | None
    aliases: Annotated[dict[str, list[str]], Field(default_factory=dict[str, list[str]])]
    overrides: Annotated[dict[str, dict[str, object]], Field(default_factory=dict[str, dict[str, object]])]
    simulated: bool


def look_up_in_file(path: Path, name: str) -> tuple[FleetDevice, Overrides]:
    """The device of that name in a registry file, and where it departs from the rules.

    Raises:
        InvalidInputError: the file cannot be read, or does not know it.
    """
    for device in read_registry(path):
        if device.name == name:
            return device, overrides_of(device)
    raise InvalidInputError(f"{path} knows no device {name!r}")


async def ask_for_device(api: ServiceApi, name: str) -> tuple[FleetDevice, Overrides]:
    """The device of that name as the service's registry has it, and where it departs from the rules.

    Raises:
        StreetwardenError: the API does not answer, does not know the key, or knows no such device.
    """
    try:
        told = _Device.model_validate(await api.ask("GET", f"/v1/devices/{quote(name, safe='')}"))
    except ValidationError as error:
        raise InvalidInputError(f"what the API tells of {name!r} is no device") from error
    device = FleetDevice(
        name=told.name,
        kind=told.kind,
        district=told.district,
        asset=told.asset or told.name,
        interval_s=told.interval_s,
        aliases={source: aliases[0] for source, aliases in told.aliases.items() if aliases},
        simulated=told.simulated,
    )
    return device, told.overrides
