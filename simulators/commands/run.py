"""``streetwarden-sim run``: play a fleet against a broker."""

import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from devices.kind import DeviceKind, Fault
from domain.errors import InvalidInputError
from simulators.address import DEFAULT_URL, read_address
from simulators.faults import cast_parts, every_fault, find_faults
from simulators.fleet import DISTRICT, FleetDevice, lay_out
from simulators.interrupt import Interrupt
from simulators.moments import read_shared_clock
from simulators.options import (
    DEVICES,
    BrokerOption,
    DistrictOption,
    KindsOption,
    SeedOption,
    SimClockOption,
    choose_format,
    choose_kinds,
)
from simulators.play import Play, count_faults, enlist
from simulators.publisher import Protocol, Publisher
from simulators.registry import read_registry
from simulators.summary import IdLog, Summary, write_summary

RATE: Final = 50.0
FAULT_SHARE: Final = 0.05

_SHOWN_EVERY_S: Final = 0.1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    devices: Annotated[int | None, typer.Option(min=1, help="How many devices; of a registry, the first ones.")] = None,
    seed: SeedOption = 0,
    kind: KindsOption = None,
    district: DistrictOption = DISTRICT,
    registry: Annotated[Path | None, typer.Option(help="Play the devices of this registry file.")] = None,
    rate: Annotated[float, typer.Option(min=0.01, help="Messages a second, over the whole fleet.")] = RATE,
    duration: Annotated[float | None, typer.Option(min=0, help="Seconds to play; else until Ctrl-C.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Play this fault (tilted, manhole.tilted); may be repeated.")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Play every fault of each kind, mixed.")] = False,
    fault_share: Annotated[float, typer.Option(min=0, max=1, help="Share of the devices that play one.")] = FAULT_SHARE,
    format_: Annotated[str, typer.Option("--format", help="What the devices speak: a source's name.")] = "native",
    mqtt_url: BrokerOption = DEFAULT_URL,
    sim_clock: SimClockOption = None,
    protocol: Annotated[Protocol, typer.Option(help="MQTT 5, 3 (3.1.1), or what the broker speaks.")] = Protocol.AUTO,
    ids: Annotated[Path | None, typer.Option(help="Append 'device seq' of each acknowledged message.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the summary to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Play a fleet: its devices report in turn, some of them faulty; then say what was sent and acknowledged."""
    kinds = choose_kinds(kind)
    playing = _choose_fleet(registry, devices, kinds, seed=seed, district=district)
    parts = cast_parts(playing, _choose_faults(kinds, fault, all_of_them=faults), share=fault_share, seed=seed)
    source = choose_format(format_)
    members = enlist(playing, kinds, source, parts, seed=seed)
    summary = Summary(faults=count_faults(playing, parts))
    log = IdLog(ids) if ids else None
    clock = None if sim_clock is None else read_shared_clock(sim_clock)
    play = Play(members, source, summary=summary, ids=log, clock=clock)
    client_id = f"streetwarden-sim-{os.getpid()}"
    publisher = Publisher(read_address(mqtt_url), client_id=client_id, protocol=protocol, settled=play.settle)
    publisher.connect()
    total = None if duration is None else round(rate * duration)
    try:
        with _progress(total, quiet=quiet) as show, Interrupt() as interrupt:

            def watch(so_far: Summary) -> None:
                show(so_far)
                interrupt.heed()

            play.run(publisher, rate=rate, duration_s=duration, watch=watch)
    except KeyboardInterrupt:
        pass  # the usual end of a play without a duration
    finally:
        publisher.close()
        if log is not None:
            log.close()
        if json is not None:
            write_summary(json, summary.as_data())
        _show_summary(summary, publisher.protocol)
    if summary.outstanding or summary.refused:
        raise typer.Exit(1)


def _choose_fleet(
    registry: Path | None, devices: int | None, kinds: Mapping[str, DeviceKind], *, seed: int, district: str
) -> list[FleetDevice]:
    """Return the devices of a registry that are of these kinds, or a fleet laid out anew.

    Raises:
        InvalidInputError: nobody is left to play.
    """
    if registry is None:
        return list(lay_out(devices or DEVICES, list(kinds.values()), seed=seed, district=district))
    fleet = [device for device in read_registry(registry) if device.kind in kinds][:devices]
    if not fleet:
        raise InvalidInputError(f"{registry} has no device of the kinds {', '.join(kinds)}")
    return fleet


def _choose_faults(
    kinds: Mapping[str, DeviceKind], keys: list[str] | None, *, all_of_them: bool
) -> Mapping[str, tuple[Fault, ...]]:
    return every_fault(kinds.values()) if all_of_them else find_faults(kinds.values(), keys or [])


@contextmanager
def _progress(total: int | None, *, quiet: bool) -> Generator["_Watch"]:
    """Show a bar on standard error while the play goes on; what it yields must hear of the summary often."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("acknowledged {task.fields[acknowledged]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, refresh_per_second=5) as progress:
        yield _Watch(progress, total)


class _Watch:
    """Hands the figures of a summary to the progress bar."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        """Begin the bar; without a total it only counts."""
        self._progress = progress
        self._shown_at = 0.0
        self._task = progress.add_task("playing", total=total, acknowledged=0)

    def __call__(self, summary: Summary) -> None:
        """Show how far it came."""
        now = time.monotonic()
        if now - self._shown_at >= _SHOWN_EVERY_S:
            self._shown_at = now
            completed = summary.sent + summary.silent
            self._progress.update(self._task, completed=completed, acknowledged=summary.acknowledged)


def _show_summary(summary: Summary, protocol: Protocol) -> None:
    table = Table(show_header=False, title="What was sent and acknowledged")
    played = "\n".join(f"{fault} × {devices}" for fault, devices in sorted(summary.faults.items()))
    spoken = "5" if protocol is Protocol.V5 else "3.1.1"
    for name, value in (summary.as_data() | {"faults": played or "none"}).items():
        table.add_row(name.replace("_", " "), str(value))
    table.add_row("MQTT", spoken)
    Console().print(table)
