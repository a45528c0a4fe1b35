"""``python -m tests.chaos``: kills under load, outages, poison; each a command, each with an exit code that says it."""

import random
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from tests.chaos import report
from tests.chaos.kills import Order, Progress, Result, run
from tests.chaos.outage_report import outage_data, outage_table
from tests.chaos.outages import Away, OutageOrder, run_outage
from tests.chaos.poison import PoisonOrder, Sort, run_poison
from tests.chaos.poison_report import poison_data, poison_table
from tests.chaos.world import CONFIGURATIONS

DEVICES: Final = 720
"""A multiple of what the stream asks for; at 2,200 messages a second each device reports three times a second."""
RATE: Final = 2200.0
"""Planned a second: what was acknowledged, the outages of the broker included, must not fall below 2,000."""

app: Final = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console: Final = Console()

Workdir = Annotated[Path | None, typer.Option(help="Where the data lies, and stays; else a temporary folder.")]
Configured = Annotated[str, typer.Option("--configuration", help=f"One of {', '.join(CONFIGURATIONS)}.")]
AwaySeconds = Annotated[float, typer.Option("--away", envvar="CHAOS_AWAY_S", min=1, help="How long, s.")]
InboxMib = Annotated[int, typer.Option("--inbox-mib", min=1, help="Cap on what was received and not committed.")]
Seed = Annotated[int | None, typer.Option(envvar="CHAOS_SEED", help="Decides moments, victims and faults.")]


@app.callback()
def chaos() -> None:
    """Kills, outages and poison against the real programs; nothing of it touches data of yours."""
    # Whoever ends us early must not leave the programs behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@app.command()
def kills(
    configuration: Annotated[list[str] | None, typer.Argument(help=f"Any of {', '.join(CONFIGURATIONS)}.")] = None,
    count: Annotated[int, typer.Option("--kills", envvar="CHAOS_KILLS", min=1, help="Kills a configuration.")] = 100,
    seed: Seed = None,
    rate: Annotated[float, typer.Option(envvar="CHAOS_RATE", min=1, help="Messages a second.")] = RATE,
    devices: Annotated[int, typer.Option(help="A multiple of 48.")] = DEVICES,
    pause: Annotated[float, typer.Option(envvar="CHAOS_PAUSE_S", help="Longest time between two kills, s.")] = 4.0,
    workdir: Workdir = None,
) -> None:
    """Kill ingest, broker and database in turn at random moments; then check every promise."""
    chosen = _seed(seed)
    names = configuration or [name for name, one in CONFIGURATIONS.items() if not one.loss_is_told]
    console.print(f"seed {chosen} (CHAOS_SEED={chosen} repeats it), {count} kills each: {', '.join(names)}")
    results: list[Result] = []
    for name in names:
        results.append(_one(Order(CONFIGURATIONS[name], count, chosen, rate, devices, pause), workdir))
        console.print(report.table(results[-1:]))
    if len(results) > 1:
        console.print(report.table(results))
    path = report.write("kills", [report.as_data(result) for result in results])
    for result in results:
        report.violations(console, result.order.configuration.name, result.violations)
    console.print(f"written to {path.relative_to(report.ROOT)}")
    raise typer.Exit(1 if any(result.violations for result in results) else 0)


@app.command("database-away")
def database_away(
    configuration: Configured = "mosquitto",
    away: AwaySeconds = 60.0,
    seed: Seed = None,
    inbox: InboxMib = 64,
    workdir: Workdir = None,
) -> None:
    """Stop the database for a while under load."""
    _outage(Away.DATABASE, configuration, away, seed, inbox, workdir)


@app.command("broker-away")
def broker_away(
    configuration: Configured = "mosquitto",
    away: AwaySeconds = 60.0,
    seed: Seed = None,
    inbox: InboxMib = 64,
    workdir: Workdir = None,
) -> None:
    """Stop the broker for a while under load."""
    _outage(Away.BROKER, configuration, away, seed, inbox, workdir)


def _outage(
    who: Away, configuration: str, away_s: float, seed: int | None, inbox_mib: int, workdir: Path | None
) -> None:
    order = OutageOrder(who, CONFIGURATIONS[configuration], away_s, seed=_seed(seed), inbox_mib=inbox_mib)
    console.print(f"{who} away for {away_s:.0f} s beside {configuration}, seed {order.seed}")
    with _folder(workdir, f"{who}-away") as folder, console.status("publishing, stopping, catching up"):
        result = run_outage(order, folder)
    console.print(outage_table(result))
    path = report.write(f"{who}-away", outage_data(result))
    report.violations(console, configuration, result.violations)
    console.print(f"written to {path.relative_to(report.ROOT)}")
    raise typer.Exit(1 if result.violations else 0)


@app.command("poison")
def poisoned(
    sort: Annotated[Sort, typer.Argument(help="What is sent beside the ordinary traffic.")] = Sort.POISON,
    configuration: Configured = "mosquitto",
    seconds: Annotated[float, typer.Option(min=2, help="Without it, and then as long with it, s.")] = 30.0,
    rate: Annotated[float, typer.Option(min=1, help="Ordinary messages a second.")] = 1000.0,
    poison_rate: Annotated[float, typer.Option(min=1, help="The others a second.")] = 1000.0,
    seed: Seed = None,
    workdir: Workdir = None,
) -> None:
    """Send garbage or noise beside ordinary traffic, and measure what that feels of it."""
    order = PoisonOrder(sort, CONFIGURATIONS[configuration], seconds, rate, poison_rate, _seed(seed))
    console.print(f"{sort} beside ordinary traffic ({configuration}), seed {order.seed}")
    with _folder(workdir, sort.value) as folder, console.status("publishing without it, then with it"):
        result = run_poison(order, folder)
    console.print(poison_table(result))
    path = report.write(sort.value, poison_data(result))
    report.violations(console, configuration, result.violations)
    console.print(f"written to {path.relative_to(report.ROOT)}")
    raise typer.Exit(1 if result.violations else 0)


def _seed(asked: int | None) -> int:
    return asked if asked is not None else random.SystemRandom().randrange(10**6)


@contextmanager
def _folder(workdir: Path | None, name: str) -> Generator[Path]:
    """A folder that stays, or one that does not."""
    if workdir is not None:
        yield workdir / name
        return
    with tempfile.TemporaryDirectory(prefix=f"chaos-{name}-") as folder:
        yield Path(folder)


def _one(order: Order, workdir: Path | None) -> Result:
    name = order.configuration.name
    with report.bar(console) as bar, _folder(workdir, name) as folder:
        task = bar.add_task(name, total=None, told="starts")

        def watch(progress: Progress) -> None:
            bar.update(task, told=report.line(progress, order.kills))

        return run(order, folder, watch)


if __name__ == "__main__":
    app()
