"""Looking a device up: in a registry file, or over the API of the service that knows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import InvalidInputError, NotAllowedError, UnauthenticatedError, UnavailableError
from simulators.fleet import FleetDevice
from simulators.registry import read_registry
from simulators.sensor import overrides_of

_ANSWERS_WITHIN_S: Final = 10.0

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


def look_up_over_api(url: str, key: str, name: str) -> tuple[FleetDevice, Overrides]:
    """The device of that name as the service's registry has it, and where it departs from the rules.

    Raises:
        UnavailableError: the API does not answer.
        UnauthenticatedError: it does not know the key.
        NotAllowedError: the key may not read devices.
        InvalidInputError: there is no such device, or what answers is no API of the service.
    """
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/v1/devices/{quote(name, safe='')}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_ANSWERS_WITHIN_S,
        )
    except httpx.InvalidURL as error:
        raise InvalidInputError(f"{url!r} is no address of an API: {error}") from error
    except httpx.HTTPError as error:
        raise UnavailableError(f"no API answers at {url}: {error}") from error
    match answer.status_code:
        case 401:
            raise UnauthenticatedError(f"the API at {url} does not know the key")
        case 403:
            raise NotAllowedError(f"the API at {url} does not let this key read devices")
        case 404:
            raise InvalidInputError(f"the registry at {url} knows no device {name!r}")
        case _:
            pass
    try:
        told = _Device.model_validate_json(answer.content)
    except ValidationError as error:
        raise InvalidInputError(f"what answers at {url} with {answer.status_code} tells of no device") from error
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
