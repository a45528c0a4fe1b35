"""Bring a sheet of assets and devices into the registry: all checked first, then written in whole chunks."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from domain.errors import ConflictError
from service.registry_table import BadCell, RowOf, Sheet
from store.connection import Pool
from store.registry import AssetEntry, Clash, DeviceEntry, Saved, check, save

CHUNK: Final = 2_000
"""Rows of one transaction: long enough to be quick, short enough that the API's own changes need not wait."""

Progress = Callable[[int], None]
"""Told how many rows more are done."""


class ImportInterruptedError(ConflictError):
    """Somebody changed the registry while the import ran: the chunks before are in, the others are not."""

    code = "import_interrupted"
    exit_code = 65


async def check_sheet(pool: Pool, sheet: Sheet, progress: Progress) -> list[BadCell]:
    """What in the database, or inside the sheet itself, stands against its rows; writes nothing."""
    bad = _shared_inside(sheet)
    for rows in _chunks(sheet):
        assets, devices = _entries(sheet, rows)
        bad += [_as_cell(clash, rows) for clash in await check(pool, assets, devices)]
        progress(len(rows))
    return sorted(set(bad))


async def save_sheet(pool: Pool, sheet: Sheet, now: datetime, progress: Progress) -> Saved:
    """Create and update everything, chunk by chunk.

    Raises:
        ImportInterruptedError: a chunk could not be written; nothing of that chunk was.
    """
    total = Saved(0, 0, 0, 0)
    written: set[str] = set()
    for rows in _chunks(sheet):
        assets, devices = _entries(sheet, rows)
        outcome = await save(pool, [asset for asset in assets if asset.name not in written], devices, now)
        if not isinstance(outcome, Saved):
            cell = _as_cell(outcome[0], rows)
            raise ImportInterruptedError(
                f"Line {cell.line}, {cell.column}: {cell.expected}. The registry was changed while the import ran; "
                f"lines before {rows[0].line} are in, the others are not. Run it again."
            )
        written.update(asset.name for asset in assets)
        total = Saved(*(before + now_done for before, now_done in zip(total, outcome, strict=True)))
        progress(len(rows))
    return total


def _chunks(sheet: Sheet) -> list[Sequence[RowOf]]:
    return [sheet.rows[start : start + CHUNK] for start in range(0, len(sheet.rows), CHUNK)]


def _entries(sheet: Sheet, rows: Sequence[RowOf]) -> tuple[list[AssetEntry], list[DeviceEntry]]:
    names = dict.fromkeys(row.asset.name for row in rows if row.asset is not None)
    return [sheet.assets[name] for name in names], [row.device for row in rows if row.device is not None]


def _as_cell(clash: Clash, rows: Sequence[RowOf]) -> BadCell:
    for row in rows:
        names = [entry.name for entry in (row.asset, row.device) if entry is not None]
        if clash.name in names:
            return BadCell(row.line, clash.field, clash.sentence)
    return BadCell(rows[0].line, clash.field, f"{clash.name}: {clash.sentence}")


def _shared_inside(sheet: Sheet) -> list[BadCell]:
    """Component codes and aliases that two rows of the sheet claim."""
    bad: list[BadCell] = []
    codes: dict[str, str] = {}
    aliases: dict[tuple[str, str], str] = {}
    for row in sheet.rows:
        if row.asset is not None and row.asset.component_code is not None:
            holder = codes.setdefault(row.asset.component_code, row.asset.name)
            if holder != row.asset.name:
                bad.append(BadCell(row.line, "component_code", f"one of its own; asset {holder} has this one"))
        for source, alias in row.device.aliases.items() if row.device is not None else ():
            holder = aliases.setdefault((source, alias), row.device.name if row.device else "")
            if row.device is not None and holder != row.device.name:
                bad.append(BadCell(row.line, "aliases", f"one of its own; device {holder} has {source}={alias}"))
    return bad
