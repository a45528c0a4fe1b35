"""``streetwarden-sim inject``: play one fault on one registered device, and write down what must follow."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from domain.instants import to_micros
from domain.scenario_time import ScenarioTime
from simulators.address import DEFAULT_URL, read_address
from simulators.city import City
from simulators.device_lookup import Overrides, ask_for_device, look_up_in_file
from simulators.faultbook.catalogue import Listed, find_listed, load_faultbook
from simulators.faultbook.entry import DEVICE
from simulators.fleet import FleetDevice
from simulators.habits import Habit
from simulators.moments import read_duration
from simulators.options import ApiOption, BrokerOption, choose_format
from simulators.progress import progress_bar
from simulators.sensor import Sensor, man_city
from simulators.service_api import open_api
from simulators.stage import Stage, Venue
from simulators.traffic import Traffic
from simulators.trouble import Trouble
from simulators.truth import FaultInstance, Purpose, RunInfo, write_run, write_truth
from simulators.weather import FAIR
from simulators.witness import Incident, Sight, write_down

_HEALTHY_S: Final = 3.0
"""So long before the fault the device says that all is well: who was never heard cannot fall silent."""
_LASTS: Final = "2m"
_EVERY: Final = "10s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(inject)


def inject(
    device: Annotated[str, typer.Option(help="Name of a registered device.")],
    fault: Annotated[str, typer.Option(help="A fault that it can have, such as opened; `faults` lists them.")],
    registry: Annotated[Path | None, typer.Option(help="Look the device up in this registry file.")] = None,
    api: ApiOption = "http://127.0.0.1:8000",
    key: Annotated[
        str | None, typer.Option(envvar="STREETSIM_API_KEY", help="API key; else name a --registry.")
    ] = None,
    lasts: Annotated[str, typer.Option(help="How long the fault lasts.")] = _LASTS,
    every: Annotated[str, typer.Option(help="The device reports so often meanwhile.")] = _EVERY,
    drill: Annotated[bool, typer.Option("--drill", help="It is a drill (演练) on a real device: you mean it.")] = False,
    truth: Annotated[Path | None, typer.Option(help="Folder for truth.jsonl and run.json.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the values beside the fault's own.")] = 0,
    format_: Annotated[str, typer.Option("--format", help="What the device speaks: a source's name.")] = "native",
    mqtt_url: BrokerOption = DEFAULT_URL,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Play one fault on one device, at real speed: well, then faulty, then well again. Says what must follow."""
    found, overrides = _look_up(device, registry, api, key)
    if not (found.simulated or drill):
        raise InvalidInputError(
            f"{device} is a real device: its alert and ticket would send people out. --drill says that you mean it "
            "(演练); better mark a device as simulated in the registry, and use that one"
        )
    kinds = load_kinds()
    listed = find_listed(load_faultbook(kinds.values()), fault, found.kind)
    if listed.entry.scope != DEVICE:
        raise InvalidInputError(f"{listed.name} befalls a whole {listed.entry.scope}, not one device")
    now = datetime.now(UTC).replace(microsecond=0)
    begins = now + timedelta(seconds=_HEALTHY_S)
    ends = begins + timedelta(seconds=read_duration(lasts))
    end = ends + timedelta(seconds=_HEALTHY_S)
    habit = Habit(read_duration(every), on_change=True)
    sensor = _enlist(found, kinds, habit, overrides, format_, seed, now)
    told = _witness(sensor, listed, now, begins, ends, end)
    source = choose_format(format_)
    traffic = Traffic([sensor], source, FAIR, start_ms=_ms(now), counted=False)
    venue = Venue(read_address(mqtt_url), f"streetwarden-inject-{os.getpid()}", ScenarioTime(now, 1.0, now), 1)
    stage = Stage(venue, [found.name])
    stage.connect()
    whole = (end - now).total_seconds()
    try:
        with progress_bar(listed.name, whole, quiet=quiet) as tell:
            stage.run(traffic.messages(_ms(end)), lambda at: tell((at - now).total_seconds(), ""))
    finally:
        stage.close()
    if truth is not None:
        info = RunInfo(
            f"inject {listed.name}", Purpose.TUNING, seed, now, end, 1.0, True, stage.summary.sent,
            more={"device": found.name, "real_device": not found.simulated},
        )  # fmt: skip
        truth.mkdir(parents=True, exist_ok=True)
        write_truth(truth, [told])
        write_run(truth, info)
    _show(told, stage)
    if stage.summary.outstanding:
        raise typer.Exit(1)


def _look_up(name: str, registry: Path | None, api: str, key: str | None) -> tuple[FleetDevice, Overrides]:
    if registry is not None:
        return look_up_in_file(registry, name)
    if not key:
        raise InvalidInputError(
            "say where the device is registered: --registry names a file, --key or STREETSIM_API_KEY opens the API"
        )
    return asyncio.run(_ask(api, key, name))


async def _ask(api: str, key: str, name: str) -> tuple[FleetDevice, Overrides]:
    async with open_api(api, key) as service:
        return await ask_for_device(service, name)


def _enlist(
    device: FleetDevice,
    kinds: Mapping[str, DeviceKind],
    habit: Habit,
    overrides: Overrides,
    format_: str,
    seed: int,
    now: datetime,
) -> Sensor:
    """The device alone, with a habit of its own: it reports often, and tells every change."""
    [sensor] = man_city(City(seed, [device], {}, {}), kinds, choose_format(format_), run_seed=seed)
    expected_s = device.interval_s or kinds[device.kind].interval_s
    return replace(
        sensor,
        habit=habit,
        phase_ms=_ms(now),
        interval_ms=round(1000 * habit.interval_s),
        sample_ms=0,
        spread_ms=0,
        drift=0.0,
        expected_ms=round(1000 * expected_s),
        overrides=overrides,
    )


def _witness(
    sensor: Sensor, listed: Listed, start: datetime, begins: datetime, ends: datetime, end: datetime
) -> FaultInstance:
    trouble = Trouble(listed.entry.effect, _ms(begins), _ms(ends), clears=listed.entry.clears)
    if listed.entry.effect.ramp_s:
        # Nobody watches a drill for two hours until the bin is full.
        trouble = replace(trouble, effect=replace(listed.entry.effect, ramp_s=0.0))
    sensor.suffer([trouble])
    return write_down(Incident("F000001", listed, [sensor], trouble), Sight(FAIR, _ms(start), _ms(end)))


def _ms(moment: datetime) -> int:
    return to_micros(moment) // 1000


def _show(told: FaultInstance, stage: Stage) -> None:
    table = Table(show_header=False, title=f"{told.fault} on {told.device}")
    table.add_row("from", f"{told.begins:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("messages acknowledged", str(stage.summary.acknowledged))
    _add(
        table,
        "must follow",
        [
            f"{each.rule} by {each.by:%H:%M:%S} UTC" + (" with a ticket" if each.ticket else "")
            for each in told.expect
            if not told.needs
        ],
    )
    _add(table, "must not follow", [each.rule for each in told.forbid])
    if told.needs:
        table.add_row("nobody can tell yet", f"it needs a rule of the kind {told.needs}")
    Console().print(table)


def _add(table: Table, title: str, lines: Sequence[str]) -> None:
    if lines:
        table.add_row(title, "\n".join(lines))
