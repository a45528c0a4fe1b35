"""``streetwarden-sim score``: compare a run's truth with what the service reports."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from simulators.options import ApiOption, KeyOption, RunOption
from simulators.report.page import write_page
from simulators.report.table import show_score
from simulators.scoring.facts import read_facts
from simulators.scoring.match import LAG_S, TOLERANCE
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.scoring.score import Score, compute_score
from simulators.scoring.thresholds import Thresholds
from simulators.service_api import open_api
from simulators.summary import write_summary
from simulators.truth import Purpose, read_run, read_truth


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(score)


def score(
    run: RunOption,
    key: KeyOption,
    api: ApiOption = "http://127.0.0.1:8000",
    json: Annotated[Path | None, typer.Option(help="Write the score to this file, too.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with pictures: one file that needs no other.")
    ] = None,
    min_recall: Annotated[float | None, typer.Option(min=0, max=1, help="Fail below this share.")] = None,
    min_precision: Annotated[float | None, typer.Option(min=0, max=1, help="Fail below this share.")] = None,
    max_delay_p99: Annotated[float | None, typer.Option(min=0, help="Fail above so many seconds.")] = None,
    max_duplicates: Annotated[int | None, typer.Option(min=0, help="Fail above so many duplicate tickets.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Seconds by which times may differ.")] = (
        TOLERANCE.total_seconds()
    ),
    lag: Annotated[
        float, typer.Option(min=0, help="Real seconds of deciding that an accelerated run does not count.")
    ] = LAG_S,
) -> None:
    """Compare what truly happened in a run with the alerts and tickets of the service; fail below thresholds."""
    thresholds = Thresholds(min_recall, min_precision, max_delay_p99, max_duplicates)
    info = read_run(run)
    thresholds.require_judging(info)
    truth, facts = read_truth(run), read_facts(run)
    alerts, tickets = asyncio.run(_fetch(api, key))
    found = compute_score(info, truth, alerts, tickets, facts, tolerance=timedelta(seconds=tolerance), lag_s=lag)
    show_score(found, Console())
    if json is not None:
        write_summary(json, found.as_data())
    if html is not None:
        write_page(html, found, facts)
    _conclude(found, thresholds)


def _conclude(found: Score, thresholds: Thresholds) -> None:
    """Say what the run is worth, and end with 1 where it does not reach what was asked for."""
    if found.run.purpose is Purpose.TUNING:
        print("This was a tuning run: it shows where to work, and judges nothing.")
        return
    broken = thresholds.broken_by(found)
    for sentence in broken:
        print(f"streetwarden-sim: {sentence}", file=sys.stderr)
    if broken:
        raise typer.Exit(1)
    print(
        "This was a judging run" + (", and every threshold is kept." if thresholds.any else "; no threshold was given.")
    )


async def _fetch(url: str, key: str) -> tuple[list[ObservedAlert], list[ObservedTicket]]:
    async with open_api(url, key) as service:
        return await service.alerts(), await service.tickets()
