"""``streetwarden-sim play``: play a scenario on a city, at real speed or faster, and write down what truly happened."""

import os
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from devices.catalogue import load_kinds
from domain.errors import InvalidInputError
from domain.instants import to_micros
from domain.scenario_time import FASTEST, ScenarioTime
from simulators.address import DEFAULT_URL, BrokerAddress, read_address
from simulators.city import City
from simulators.city_files import read_city
from simulators.faultbook.catalogue import load_faultbook
from simulators.interrupt import Interrupt
from simulators.moments import NOW, read_duration, read_moment, read_shared_clock
from simulators.options import BrokerOption, SimClockOption, choose_format
from simulators.production import Production, produce
from simulators.progress import progress_bar
from simulators.scenario import Scenario, load_scenario
from simulators.stage import Stage, Venue
from simulators.summary import IdLog, write_summary
from simulators.truth import RUN_FILE, TRUTH_FILE, Purpose, RunInfo, write_run, write_truth

_LATE_S: Final = 5.0
"""A clock that began longer ago than so many real seconds is another run's."""


@dataclass(frozen=True, slots=True)
class _Hours:
    """When a run is played."""

    time: ScenarioTime
    start: datetime
    end: datetime
    shared: bool
    """Whether the service's clock follows."""
    pinned: bool
    """Whether its place in the wall's time is given: else it begins once everything is ready."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(play)


def play(
    run: Annotated[Path, typer.Option(help="Folder of a city, to which truth.jsonl and run.json are written.")],
    scenario: Annotated[str, typer.Option(help="A scenario's name, or a file that ends in .yaml.")],
    purpose: Annotated[Purpose | None, typer.Option(help="Take a seed of the scenario that is kept for this.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Take this seed.")] = None,
    start: Annotated[str | None, typer.Option(help="RFC 3339, or now; else the scenario's, or the clock's.")] = None,
    duration: Annotated[str | None, typer.Option(help="Such as 30m, 12h, 7d; else the scenario's.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, max=FASTEST, help="Seconds of the city a second.")] = None,
    sim_clock: SimClockOption = None,
    format_: Annotated[str, typer.Option("--format", help="What the devices speak: a source's name.")] = "native",
    connections: Annotated[int, typer.Option(min=1, max=100, help="Share the devices out to so many.")] = 4,
    window: Annotated[
        int, typer.Option(min=1, max=60000, help="Unacknowledged messages a connection may have.")
    ] = 1000,
    mqtt_url: BrokerOption = DEFAULT_URL,
    ids: Annotated[Path | None, typer.Option(help="Append 'device seq' of each acknowledged message.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the summary to this file.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Play a scenario on a city, and write its truth. The same seed and start give the same bytes for each device."""
    kinds = load_kinds()
    book = load_faultbook(kinds.values())
    chosen = load_scenario(scenario, book)
    chosen_seed = _choose_seed(chosen, purpose, seed)
    hours = _choose_hours(chosen, start, duration, speed, sim_clock)
    start_ms, end_ms = (to_micros(moment) // 1000 for moment in (hours.start, hours.end))
    city = read_city(run)
    _refuse_real(city)
    made = produce(
        city, chosen, book, kinds, choose_format(format_), seed=chosen_seed, start_ms=start_ms, end_ms=end_ms
    )
    info = RunInfo(
        scenario=chosen.name,
        purpose=chosen.purpose_of(chosen_seed),
        seed=chosen_seed,
        start=hours.start,
        end=hours.end,
        speed=hours.time.speed,
        sim_clock=str(hours.time) if hours.shared else None,
        more={"city_seed": city.seed, "devices": len(city.devices), "format": format_},
    )
    write_truth(run, made.truth)
    write_run(run, info)
    if not hours.pinned:
        hours = replace(hours, time=hours.time._replace(anchor=datetime.now(UTC)))
    venue = _venue(read_address(mqtt_url), hours.time, connections, window)
    stage, end = _perform(made, hours, end_ms, venue, ids, quiet=quiet)
    info = replace(info, end=end)
    summary = stage.summary.as_data() | {
        "lost_on_the_way": made.traffic.lost,
        "not_made": made.traffic.silent,
        "furthest_behind_s": round(stage.furthest_behind_s, 3),
    }
    write_run(run, replace(info, messages=stage.summary.sent, more=dict(info.more) | summary))
    if json is not None:
        write_summary(json, summary)
    _show(summary, made, info, run)
    if stage.summary.outstanding:
        raise typer.Exit(1)


def _perform(
    made: Production, hours: _Hours, end_ms: int, venue: Venue, ids: Path | None, *, quiet: bool
) -> tuple[Stage, datetime]:
    """Send everything, or as much as comes before Ctrl-C; also when it ended, in the time of the city."""
    end = hours.end
    log = IdLog(ids) if ids else None
    stage = Stage(venue, [sensor.entry.name for sensor in made.sensors], log)
    stage.connect()
    whole = (hours.end - hours.start).total_seconds()
    try:
        with progress_bar("playing", whole, quiet=quiet) as tell, Interrupt() as interrupt:

            def watch(now: datetime) -> None:
                beside = (
                    f"{now:%Y-%m-%d %H:%M} UTC  {stage.summary.sent} sent  {stage.summary.acknowledged} acknowledged"
                )
                tell(min(whole, (now - hours.start).total_seconds()), beside)
                interrupt.heed()

            stage.run(made.traffic.messages(end_ms), watch)
    except KeyboardInterrupt:
        # What was due only later then proves nothing: whoever scores the run sees that it ended here.
        end = max(hours.start, min(hours.end, hours.time.at(datetime.now(UTC))))
        print(f"streetwarden-sim: interrupted; the run ended at {end:%Y-%m-%d %H:%M:%S} UTC", file=sys.stderr)
    finally:
        stage.close()
        if log is not None:
            log.close()
    return stage, end


def _refuse_real(city: City) -> None:
    """Nobody is to be sent out because of a scenario.

    Raises:
        InvalidInputError: a device of the city is not marked as simulated.
    """
    real = next((device.name for device in city.devices if not device.simulated), None)
    if real is not None:
        raise InvalidInputError(f"{real} is not marked as simulated in devices.csv: scenarios are played on none else")


def _choose_seed(scenario: Scenario, purpose: Purpose | None, seed: int | None) -> int:
    """The seed to play: the first one that is kept for the purpose, or the one asked for.

    Raises:
        InvalidInputError: the seed is kept for the other purpose.
    """
    if seed is None:
        return scenario.seeds[purpose or Purpose.TUNING][0]
    if purpose is not None and scenario.purpose_of(seed) is not purpose:
        kept = ", ".join(map(str, scenario.seeds[purpose]))
        raise InvalidInputError(f"seed {seed} is not for {purpose.value}; {scenario.name} has {kept} for that")
    return seed


def _choose_hours(
    scenario: Scenario, start: str | None, duration: str | None, speed: float | None, sim_clock: str | None
) -> _Hours:
    """When it begins and ends, and how fast.

    Raises:
        InvalidInputError: what was asked for contradicts itself.
    """
    lasts = timedelta(seconds=scenario.duration_s if duration is None else read_duration(duration))
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    if sim_clock is not None:
        time = read_shared_clock(sim_clock)
        if speed is not None and speed != time.speed:
            raise InvalidInputError(f"the simulated clock runs at {time.speed:g}, not at {speed:g}: leave out --speed")
        begins = time.start if start is None else read_moment(start, time.at(now))
        late_s = (time.at(now) - begins).total_seconds() / time.speed
        if late_s > _LATE_S:
            raise InvalidInputError(
                f"the simulated clock passed the start {late_s:.0f} s ago; make a new one with streetwarden-sim clock "
                "--in, long enough for everything to be up, or name a later --start"
            )
        return _Hours(time, begins, begins + lasts, shared=True, pinned=True)
    begins = scenario.start if start is None else read_moment(start, now)
    return _Hours(ScenarioTime(begins, speed or 1.0, now), begins, begins + lasts, shared=False, pinned=start == NOW)


def _venue(broker: BrokerAddress, time: ScenarioTime, connections: int, window: int) -> Venue:
    return Venue(broker, f"streetwarden-play-{os.getpid()}", time, connections, window)


def _show(summary: dict[str, object], made: Production, info: RunInfo, folder: Path) -> None:
    table = Table(show_header=False, title=f"{info.scenario}, seed {info.seed} ({info.purpose.value})")
    table.add_row("from", f"{info.start:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("to", f"{info.end:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("faults", str(len(made.truth)))
    table.add_row("alerts that must follow", str(sum(len(fault.expect) for fault in made.truth if not fault.needs)))
    for name, value in summary.items():
        if name != "faults":
            table.add_row(name.replace("_", " "), str(value))
    table.add_row("truth", f"{folder / TRUTH_FILE}, {folder / RUN_FILE}")
    Console().print(table)
