"""``streetwarden bench``: how much the whole pipeline bears, measured on the real programs in a world of their own."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import orjson
import typer

from devices.catalogue import load_kinds
from service.bench.drained import measure_drained, measure_paho_alone
from service.bench.engine import measure_engine, print_engine, subjects
from service.bench.paced import Search
from service.bench.report import add_paced, figures_of, print_figures
from service.bench.screen import Screen
from service.bench.soak import print_soak, run_soak
from service.bench.storm import print_storm, run_storm
from service.bench.world import Broker, World, world
from service.children import describe_os_error

_INTERRUPTED: Final = 130
"""As a shell reports a program ended by Ctrl-C: a benchmark cut short has measured nothing."""

BrokerOption = Annotated[Broker, typer.Option(help="The one that comes along, or mosquitto if it is installed.")]
DevicesOption = Annotated[int, typer.Option(min=1, help="How many devices report, kinds in turn.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.", dir_okay=False)]
WorkdirOption = Annotated[
    Path | None,
    typer.Option(help="Make the world here, on the disk to be measured, and keep it; else in a temporary folder."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Measure: database, broker, ingest and load, all on this machine.", no_args_is_help=True)
    group.command("ingest")(ingest)
    group.command("soak")(soak)
    group.command("engine")(engine)
    group.command("storm")(storm)
    app.add_typer(group, name="bench")


def ingest(
    broker: BrokerOption = Broker.EMBEDDED,
    devices: DevicesOption = 1000,
    messages: Annotated[int, typer.Option(min=1, help="How many wait at the broker in the drained phase.")] = 100_000,
    paced_rate: Annotated[
        float | None, typer.Option(min=1, help="Try this rate only; else the highest one held is searched for.")
    ] = None,
    paced_seconds: Annotated[float, typer.Option(min=3, help="How long a rate must be held.")] = 60.0,
    json: JsonOption = None,
    workdir: WorkdirOption = None,
) -> None:
    """Messages a second from the broker to the committed reading: drained, paced, and beside paho alone."""
    with _in_a_world(broker, devices, workdir) as (made, screen):
        paho = measure_paho_alone(made, messages, screen)
        drained, load = measure_drained(made, messages, screen, first_seq=messages + 1)
        figures = figures_of(made, devices, messages, paho, load, drained)
        search = Search(made, screen, first_seq=2 * messages + 1)
        if paced_rate is None:
            best = search.highest(drained.messages_per_second, paced_seconds)
        else:
            tried = search.run(paced_rate, paced_seconds)
            best = tried if tried.held else None
        add_paced(figures, made, best, search.tries)
        acknowledged = messages + sum(tried.acknowledged for tried in search.tries)
        figures["outcomes"] = {"acknowledged": acknowledged, **made.database.outcomes()._asdict()}
        figures["settings"] = made.settings()
    print_figures(figures)
    _write(json, figures)


def soak(
    broker: BrokerOption = Broker.EMBEDDED,
    devices: DevicesOption = 1000,
    rate: Annotated[float, typer.Option(min=1, help="Messages a second.")] = 2000.0,
    minutes: Annotated[float, typer.Option(min=0.05, help="How long.")] = 10.0,
    json: JsonOption = None,
    workdir: WorkdirOption = None,
) -> None:
    """Memory of every process under a steady load: flat or growing."""
    with _in_a_world(broker, devices, workdir) as (made, screen):
        figures = run_soak(made, rate, minutes, screen)
    print_soak(figures)
    _write(json, figures)


def engine(
    readings: Annotated[int, typer.Option(min=3, help="How many each phase goes through in a round.")] = 3000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, all kinds in turn; the median counts.")] = 15,
    json: JsonOption = None,
) -> None:
    """Processor time a reading of the rule engine alone, of each kind with its default rules; no database."""
    with Screen.shown() as screen:
        figures = measure_engine(subjects(load_kinds()), readings, rounds, screen)
    print_engine(figures)
    _write(json, figures)


def storm(
    alerts: Annotated[int, typer.Option(min=4, help="How many devices fail at once, each on its own asset.")] = 100_000,
    json: JsonOption = None,
    workdir: WorkdirOption = None,
) -> None:
    """Alerts a second, from the message through to the ticket, when every device of a fleet fails at once."""
    with _interruptible(), _folder(workdir) as folder, Screen.shown() as screen:
        figures = run_storm(alerts, folder, screen)
    print_storm(figures)
    _write(json, figures)


@contextmanager
def _in_a_world(broker: Broker, devices: int, workdir: Path | None) -> Generator[tuple[World, Screen]]:
    """A world for the length of the block; however the block ends, no process of it stays behind."""
    with _interruptible(), _folder(workdir) as folder, Screen.shown() as screen:
        bar = screen.bar("database, broker, fleet")
        with world(broker, devices, folder) as made:
            bar.finish("")
            yield made, screen


@contextmanager
def _interruptible() -> Generator[None]:
    """End on Ctrl-C or a signal through every ``finally``, with a sentence and an exit code."""
    with _ended_by_signals():
        try:
            yield
        except KeyboardInterrupt:
            typer.echo("Stopped before the end: nothing was measured.", err=True)
            raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def _folder(workdir: Path | None) -> Generator[Path]:
    try:
        if workdir is not None:
            workdir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="streetwarden-bench-", dir=workdir)).absolute()
    except OSError as error:
        raise describe_os_error(error, "make the benchmark's folder", workdir or Path(tempfile.gettempdir())) from error
    try:
        yield folder
    finally:
        if workdir is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Let SIGTERM and SIGHUP end us as Ctrl-C does: through every ``finally``."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    ours = (signal.SIGTERM, signal.SIGHUP)
    before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {
        number: signal.signal(number, interrupt) for number in ours
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(json: Path | None, figures: dict[str, Any]) -> None:
    if json is None:
        return
    try:
        json.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        sys.stdout.write(orjson.dumps(figures).decode() + "\n")  # an hour's figures must not be lost with the file
        raise describe_os_error(error, "write the figures", json) from error
