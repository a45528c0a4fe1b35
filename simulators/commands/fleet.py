"""``streetwarden-sim fleet``: lay out a fleet and write its registry."""

from pathlib import Path
from typing import Annotated

import typer

from simulators.fleet import DISTRICT, lay_out
from simulators.options import DEVICES, DistrictOption, KindsOption, SeedOption, choose_kinds
from simulators.registry import write_registry


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fleet)


def fleet(
    out: Annotated[Path, typer.Option(help="The registry file to write (CSV).")],
    devices: Annotated[int, typer.Option(min=1, help="How many devices.")] = DEVICES,
    seed: SeedOption = 0,
    kind: KindsOption = None,
    district: DistrictOption = DISTRICT,
    first: Annotated[int, typer.Option(min=1, help="Number of the first device of each kind.")] = 1,
    interval: Annotated[
        float | None, typer.Option(min=1, help="Expected seconds between two reports; else the kind's own.")
    ] = None,
) -> None:
    """Write the registry of a fleet, for ``streetwarden import`` and for ``run --registry``."""
    chosen = list(choose_kinds(kind).values())
    laid_out = lay_out(devices, chosen, seed=seed, district=district, first=first, interval_s=interval)
    written = write_registry(out, laid_out)
    print(f"{written} devices written to {out}")
