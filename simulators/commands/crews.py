"""``streetwarden-sim crews``: work the tickets of a run as crews and citizens do."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from simulators.crews.duties import POSSIBLE
from simulators.crews.paths import PATHS_FILE, Deed, write_paths
from simulators.crews.shift import POLL_S, Shift
from simulators.options import ApiOption, KeyOption, RunOption, SeedOption
from simulators.service_api import open_api
from simulators.truth import FaultInstance, RunInfo, read_run, read_truth


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(crews)


def crews(
    run: RunOption,
    key: KeyOption,
    api: ApiOption = "http://127.0.0.1:8000",
    seed: SeedOption = 0,
    duration: Annotated[
        float | None, typer.Option(min=0, help="Seconds to work; else as long as the run lasts at its speed.")
    ] = None,
    poll: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the service.")] = POLL_S,
) -> None:
    """Work the tickets of a run: acknowledge, dispatch, refuse, mend, say "handled" falsely, report again.

    What the API does not offer yet is planned and written to tickets.jsonl as not possible.
    """
    info, truth = read_run(run), read_truth(run)
    lasts_s = (info.end - info.start).total_seconds() / info.speed if duration is None else duration
    counted = asyncio.run(_work(run, info, truth, api=api, key=key, seed=seed, lasts_s=lasts_s, poll_s=poll))
    _show(counted, run)


async def _work(
    folder: Path,
    info: RunInfo,
    truth: list[FaultInstance],
    *,
    api: str,
    key: str,
    seed: int,
    lasts_s: float,
    poll_s: float,
) -> Counter[tuple[str, str]]:
    """Work until the time is over or somebody stops us; what was done is written down whatever happens."""
    async with open_api(api, key) as service:
        shift = Shift(service, info, truth, seed=seed)
        try:
            await shift.work(lasts_s, asyncio.sleep, poll_s)
        except asyncio.CancelledError:
            pass  # Ctrl-C: the usual end of a long shift
        finally:
            write_paths(folder, shift.paths())
    return shift.count()


def _show(counted: Counter[tuple[str, str]], folder: Path) -> None:
    table = Table("move", title="What crews and citizens did")
    for deed in Deed:
        table.add_column(deed.value, justify="right")
    for move in sorted({move for move, _ in counted}):
        table.add_row(move, *(str(counted[move, deed.value] or "–") for deed in Deed))
    console = Console()
    console.print(table)
    missing = sorted({move for move, deed in counted if deed == Deed.NOT_POSSIBLE.value})
    if missing:
        console.print(
            f"Not possible yet over the API, which offers {', '.join(sorted(POSSIBLE))}: {', '.join(missing)}."
        )
    console.print(f"Each ticket's path is in {folder / PATHS_FILE}.")
