"""Options that several commands share, and the kinds they name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from ingest.catalogue import load_formats
from ingest.format import Format

DEVICES: Final = 100
"""How many devices a fleet has unless told otherwise."""

KindsOption = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")]
SeedOption = Annotated[int, typer.Option(help="The same seed lays out and plays the same.")]
DistrictOption = Annotated[str, typer.Option(help="Division code of six digits.")]
BrokerOption = Annotated[
    str, typer.Option(envvar="STREETWARDEN_MQTT_URL", help="mqtt://… or mqtts://user:password@host:port")
]
RunOption = Annotated[Path, typer.Option(help="The folder of the run, with truth.jsonl, run.json and devices.csv.")]
SimClockOption = Annotated[
    str | None,
    typer.Option(envvar="STREETWARDEN_SIM_CLOCK", help="The clock that the service lives by, as `clock` prints it."),
]
# Not STREETWARDEN_…: the service refuses to start beside a setting of that name that is not its own.
ApiOption = Annotated[str, typer.Option(envvar="STREETSIM_API_URL", help="Where the service's HTTP API listens.")]
KeyOption = Annotated[str, typer.Option(envvar="STREETSIM_API_KEY", help="API key of the service.")]


def choose_kinds(keys: list[str] | None) -> Mapping[str, DeviceKind]:
    """Return the kinds asked for, or all.

    Raises:
        InvalidInputError: a key is no kind's.
    """
    known = load_kinds()
    unknown = [key for key in keys or () if key not in known]
    if unknown:
        raise InvalidInputError(f"there is no device kind {unknown[0]!r}; the kinds are {', '.join(known)}")
    return {key: kind for key, kind in known.items() if not keys or key in keys}


def choose_format(name: str) -> Format:
    """Return the format of that name.

    Raises:
        InvalidInputError: there is none.
    """
    known = load_formats()
    if name not in known:
        raise InvalidInputError(f"there is no format {name!r}; the formats are {', '.join(known)}")
    return known[name]
