"""The command ``streetwarden-sim``: lay out a fleet, play it against a broker, list what there is to play."""

import os
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Fault
from domain.errors import InvalidInputError, StreetwardenError
from ingest.catalogue import load_formats
from ingest.format import Format
from simulators.address import DEFAULT_URL, read_address
from simulators.faults import cast_parts, every_fault, find_faults
from simulators.fleet import DISTRICT, FleetDevice, lay_out
from simulators.play import Play, count_faults, enlist
from simulators.publisher import Protocol, Publisher
from simulators.registry import read_registry, write_registry
from simulators.summary import IdLog, Summary, write_summary

DEVICES: Final = 100
RATE: Final = 50.0
FAULT_SHARE: Final = 0.05

_SHOWN_EVERY_S: Final = 0.1

app = typer.Typer(
    name="streetwarden-sim",
    help="A fleet of simulated devices for Streetwarden: covers, bins, lamps, meters, and their faults.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

KindsOption = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be repeated.")]
SeedOption = Annotated[int, typer.Option(help="The same seed lays out and plays the same.")]
DistrictOption = Annotated[str, typer.Option(help="Division code of six digits.")]


@app.command()
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
    chosen = list(_choose_kinds(kind).values())
    laid_out = lay_out(devices, chosen, seed=seed, district=district, first=first, interval_s=interval)
    written = write_registry(out, laid_out)
    print(f"{written} devices written to {out}")


@app.command()
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
    mqtt_url: Annotated[
        str, typer.Option(envvar="STREETWARDEN_MQTT_URL", help="mqtt://… or mqtts://user:password@host:port")
    ] = (DEFAULT_URL),
    protocol: Annotated[Protocol, typer.Option(help="MQTT 5, 3 (3.1.1), or what the broker speaks.")] = Protocol.AUTO,
    ids: Annotated[Path | None, typer.Option(help="Append 'device seq' of each acknowledged message.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the summary to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Play a fleet: its devices report in turn, some of them faulty; then say what was sent and acknowledged."""
    kinds = _choose_kinds(kind)
    playing = _choose_fleet(registry, devices, kinds, seed=seed, district=district)
    parts = cast_parts(playing, _choose_faults(kinds, fault, all_of_them=faults), share=fault_share, seed=seed)
    source = _choose_format(format_)
    members = enlist(playing, kinds, source, parts, seed=seed)
    summary = Summary(faults=count_faults(playing, parts))
    log = IdLog(ids) if ids else None
    play = Play(members, source, summary=summary, ids=log)
    client_id = f"streetwarden-sim-{os.getpid()}"
    publisher = Publisher(read_address(mqtt_url), client_id=client_id, protocol=protocol, settled=play.settle)
    publisher.connect()
    total = None if duration is None else round(rate * duration)
    try:
        with _progress(total, quiet=quiet) as watch:
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


@app.command()
def kinds() -> None:
    """List the device kinds, the faults they can play, and the rules that must then fire."""
    table = Table("Kind", "Fault", "What happens", title="Device kinds and their faults")
    table.add_column("Must fire", no_wrap=True)
    for kind in load_kinds().values():
        table.add_section()
        for number, fault in enumerate(kind.faults):
            name = f"{kind.key} {kind.title_zh}" if number == 0 else ""
            table.add_row(name, fault.key, f"{fault.title} {fault.title_zh}", "\n".join(fault.raises))
    Console().print(table)


def main() -> None:
    """Run a command, and end with one sentence and a code where it cannot go on.

    ``run`` is what the simulator is for, so its name may be left out: ``streetwarden-sim --kind bin --rate 50``.
    """
    words = sys.argv[1:]
    if words and words[0].startswith("-") and words[0] != "--help":
        words = ["run", *words]
    try:
        app(words)
    except StreetwardenError as error:
        print(f"streetwarden-sim: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _choose_kinds(keys: list[str] | None) -> Mapping[str, DeviceKind]:
    """Return the kinds asked for, or all.

    Raises:
        InvalidInputError: a key is no kind's.
    """
    known = load_kinds()
    unknown = [key for key in keys or () if key not in known]
    if unknown:
        raise InvalidInputError(f"there is no device kind {unknown[0]!r}; the kinds are {', '.join(known)}")
    return {key: kind for key, kind in known.items() if not keys or key in keys}


def _choose_format(name: str) -> Format:
    """Return the format of that name.

    Raises:
        InvalidInputError: there is none.
    """
    known = load_formats()
    if name not in known:
        raise InvalidInputError(f"there is no format {name!r}; the formats are {', '.join(known)}")
    return known[name]


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
