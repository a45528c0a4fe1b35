"""``streetwarden rules backtest``: try candidate rules, or those in force, on what was stored."""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from api.rule_desk import kinds_in_force
from devices.catalogue import load_kinds
from service.backtest import Outcome, Wanted, run_backtest
from service.backtest import Progress as Told
from service.backtest_figures import figures_of
from service.backtest_jobs import work_off
from service.backtest_report import page_of, print_figures
from service.children import describe_os_error
from service.logs import set_up_logs
from service.moments import moment_of
from service.on_database import on_database
from service.rule_file import read_rules
from service.settings import Settings, load_settings
from store.connection import Pool

_INTERRUPTED: Final = 130
_PATIENCE_S: Final = 900.0
"""A day of a large city's readings takes its time."""
_SHOW_EVERY_S: Final = 0.1
_NICE: Final = 10
"""Messages and requests come first."""
_WEEK: Final = timedelta(days=7)


def backtest(
    rule: Annotated[
        Path | None, typer.Option("--rule", help="Rule file with the candidates; without it, the rules in force.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Date, or time with its offset; without it, a week before the end.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same, not inclusive; without it, now.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only devices of this kind.")] = None,
    devices: Annotated[str | None, typer.Option(help="Only these, names with commas between.")] = None,
    short: Annotated[float, typer.Option(min=0, help="An alert shorter than so many seconds counts as short.")] = 300.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,  # noqa: FBT002  # a flag
    html: Annotated[Path | None, typer.Option(help="Write a page with the figures.", dir_okay=False)] = None,
) -> None:
    """Judge stored readings by a file's rules and by those in force, and compare alerts and tickets."""
    settings = load_settings()
    now = settings.clock().now()
    end = now if until is None else moment_of(until, settings.zone)
    wanted = Wanted(
        since=end - _WEEK if since is None else moment_of(since, settings.zone),
        until=end,
        zone=settings.district_timezone,
        rules=None if rule is None else read_rules(rule),
        kind=kind,
        devices=None if devices is None else [name.strip() for name in devices.split(",") if name.strip()],
    )
    began = time.perf_counter()
    try:
        with _bar() as told:
            outcome = _run(settings, wanted, now, told)
    except KeyboardInterrupt:
        typer.echo("Stopped before the end: nothing was found, and nothing was changed.", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    figures = figures_of(outcome, settings.zone, short, time.perf_counter() - began)
    _show(figures, html, as_json=as_json)


def work_off_backtests() -> None:
    """Do the backtests that were asked for over HTTP, and end."""
    settings = load_settings()
    set_up_logs(settings, program="backtest")
    with suppress(OSError):
        os.nice(_NICE)
    on_database(settings, "backtests", lambda pool: work_off(settings, pool), longest_statement_s=_PATIENCE_S)


def _run(settings: Settings, wanted: Wanted, now: datetime, told: Told) -> Outcome:
    async def work(pool: Pool) -> Outcome:
        return await run_backtest(pool, await kinds_in_force(pool, load_kinds()), wanted, now, told)

    return on_database(settings, "rules backtest", work, longest_statement_s=_PATIENCE_S)


def _show(figures: dict[str, Any], html: Path | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    else:
        print_figures(figures)
    if html is not None:
        try:
            html.write_text(page_of(figures), encoding="utf-8")
        except OSError as error:
            raise describe_os_error(error, "write the page", html) from error


@contextmanager
def _bar() -> Generator[Told]:
    """A progress bar on standard error, so that the figures can be piped."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[readings]} readings"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4) as progress:
        task = progress.add_task("judging", total=1.0, readings="0")
        shown = 0.0

        def told(share: float, readings: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown >= _SHOW_EVERY_S or share >= 1.0:
                shown = now
                progress.update(task, completed=share, readings=f"{readings:,}")

        yield told
