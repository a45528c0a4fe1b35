"""``streetwarden import``: bring a CSV file of assets and devices into the registry."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.app import vocabulary
from domain.errors import InvalidInputError
from service.neighbours import database_url
from service.registry_import import check_sheet, save_sheet
from service.registry_table import BadCell, Sheet, read_sheet
from service.settings import Settings, load_settings
from store.migrate import require_current_schema
from store.pool import open_pool
from store.registry import Saved

_MOST_SHOWN: Final = 200
"""Bad cells printed; the rest is counted."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


def import_file(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with a header line, in UTF-8 or GBK.", exists=True, dir_okay=False, readable=True),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")] = False,
) -> None:
    """Create and update assets and devices from a CSV file.

    Columns: kind, district, and any of device, asset, component_code, unit_grid, longitude, latitude, address, owner,
    keeper, site (场所), circuit (回路), interval_s, aliases (source=alias;source=alias), simulated, baseline_deg,
    fields (JSON). An empty cell leaves what is there. If any cell is wrong nothing is written, and every wrong cell is
    listed.
    """
    settings = load_settings()
    sheet = read_sheet(file.read_bytes(), vocabulary())
    typer.echo(f"{file.name}: {len(sheet.rows)} rows, read as {sheet.encoding}.")
    _refuse_if_bad(sheet.bad)
    saved = asyncio.run(_import(settings, sheet, dry_run=dry_run))
    if saved is None:
        devices = sum(row.device is not None for row in sheet.rows)
        typer.echo(
            f"All good: {len(sheet.assets)} assets and {devices} devices could be imported. Nothing was written."
        )
    else:
        typer.echo(
            f"Assets: {saved.assets_created} created, {saved.assets_updated} updated. "
            f"Devices: {saved.devices_created} created, {saved.devices_updated} updated."
        )


async def _import(settings: Settings, sheet: Sheet, *, dry_run: bool) -> Saved | None:
    pool = await open_pool(database_url(settings), application_name="streetwarden import", min_size=1, max_size=1)
    try:
        await require_current_schema(pool)
        with _bar() as bar:
            checking = bar.add_task("checking", total=len(sheet.rows))
            _refuse_if_bad(await check_sheet(pool, sheet, lambda rows: bar.advance(checking, rows)))
            if dry_run:
                return None
            writing = bar.add_task("writing", total=len(sheet.rows))
            return await save_sheet(pool, sheet, settings.clock().now(), lambda rows: bar.advance(writing, rows))
    finally:
        await pool.close()


def _bar() -> Progress:
    """A progress bar on standard error, so that the summary can be piped."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _refuse_if_bad(bad: list[BadCell]) -> None:
    """Print every bad cell and stop.

    Raises:
        InvalidInputError: there is one.
    """
    if not bad:
        return
    for cell in bad[:_MOST_SHOWN]:
        typer.echo(f"line {cell.line}, {cell.column}: expected {cell.expected}", err=True)
    if len(bad) > _MOST_SHOWN:
        typer.echo(f"… and {len(bad) - _MOST_SHOWN} more", err=True)
    raise InvalidInputError(f"{len(bad)} cells are wrong; nothing was imported.")
