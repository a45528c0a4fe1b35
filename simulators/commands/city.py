"""``streetwarden-sim city``: lay out a city and write its registry."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from simulators.city import City, build_city
from simulators.city_files import ASSETS_FILE, CITY_FILE, DEVICES_FILE, write_city
from simulators.options import KindsOption, SeedOption, choose_kinds
from simulators.progress import progress_bar

_SHOWN_EVERY = 997


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(city)


def city(
    out: Annotated[Path, typer.Option(help="The folder to write to: of a run, later.")],
    devices: Annotated[int, typer.Option(min=1, help="How many devices.")] = 1000,
    seed: SeedOption = 0,
    kind: KindsOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Lay out a city: districts, streets, communities, unit grids, circuits, sites, assets and their devices.

    Writes devices.csv for ``streetwarden import``, assets.geojson for maps, and city.json, which ``play`` needs.
    """
    with progress_bar("laying out", devices, quiet=quiet) as tell:

        def watch(standing: int) -> None:
            if standing % _SHOWN_EVERY == 0 or standing == devices:
                tell(standing, f"{standing} devices")

        laid_out = build_city(devices, list(choose_kinds(kind).values()), seed=seed, watch=watch)
        tell(devices, "writing")
        write_city(out, laid_out)
    _show(laid_out, out)


def _show(laid_out: City, out: Path) -> None:
    table = Table(show_header=False, title=f"{out}: {DEVICES_FILE}, {ASSETS_FILE}, {CITY_FILE}")
    for name, count in sorted(Counter(device.kind for device in laid_out.devices).items()):
        table.add_row(name, str(count))
    for sort, groups in laid_out.groups.items():
        table.add_row(f"groups: {sort}", str(len(groups)))
    Console().print(table)
