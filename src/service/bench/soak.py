"""Soak: a moderate rate for a long time, and whether the memory of any process grows."""

import statistics
import time
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from service.bench.meter import memory_mib
from service.bench.paced import Acknowledged
from service.bench.screen import Screen
from service.bench.world import World, now, read_figures

SAMPLE_S: Final = 5.0
_SETTLING_SHARE: Final = 0.3
"""At the beginning caches and buffers fill; growth is judged on what comes after."""
_GROWS_MIB: Final = 4.0
_GROWS_SHARE: Final = 0.05
"""Growing: more than both over the length of the run, by the slope."""


@dataclass(frozen=True, slots=True)
class Track:
    """The memory of one process over the run."""

    minutes: list[float]
    mib: list[float]

    def figures(self, run_minutes: float) -> dict[str, Any]:
        """Start, median, end, most, slope and the word."""
        first = int(len(self.mib) * _SETTLING_SHARE)
        times, values = self.minutes[first:], self.mib[first:]
        enough = len(values) > 2 and times[-1] > times[0]  # noqa: PLR2004 - two points always make a line
        slope = statistics.linear_regression(times, values).slope if enough else 0.0
        middle = statistics.median(self.mib)
        growing = slope * run_minutes > max(_GROWS_MIB, middle * _GROWS_SHARE)
        return {
            "start": self.mib[0],
            "median": round(middle, 1),
            "end": self.mib[-1],
            "max": max(self.mib),
            "slope_mib_per_minute": round(slope, 3),
            "verdict": "growing" if growing else "flat",
        }


def run_soak(world: World, rate: float, minutes: float, screen: Screen) -> dict[str, Any]:
    """Run it, wait until everything is settled, and judge."""
    began = now()
    world.start_ingest()
    world.wait_subscribed(began)
    ids, out = world.folder / "acknowledged.txt", world.folder / "load.json"
    acknowledged = Acknowledged(ids)
    before = world.database.outcomes().settled
    seconds = minutes * 60
    bar = screen.bar(f"{rate:,.0f}/s, {minutes:g} min", seconds)
    command = (
        *("simulators.load", "--registry", str(world.registry), "--rate", f"{rate:g}", "--duration", f"{seconds:g}"),
        *("--json", str(out), "--ids", str(ids)),
    )
    times: list[float] = []
    samples: list[dict[str, float]] = []
    highest = 0
    with world.beside("load", *command) as load:
        while not acknowledged.count() and load.alive:
            world.check()
            time.sleep(0.05)
        start = time.monotonic()
        while load.alive and (elapsed := time.monotonic() - start) < seconds:
            world.check()
            settled = world.database.outcomes().settled - before
            highest = max(highest, acknowledged.count() - settled)
            times.append(elapsed / 60)
            samples.append(memory_mib(world.pids))
            bar.show(elapsed, f"ingest {samples[-1]['ingest']:.0f} MiB")
            time.sleep(min(SAMPLE_S, max(0.0, seconds - (time.monotonic() - start))))
        world.await_end(load)
    world.wait_settled(before + acknowledged.count())
    bar.finish("")
    names = samples[0].keys()
    tracks = {name: Track(times, [sample.get(name, 0.0) for sample in samples]) for name in names}
    figures = read_figures(out)
    return {
        "broker": world.broker.value,
        "rate": rate,
        "minutes": minutes,
        "acknowledged": figures["acknowledged"],
        "settled": world.database.outcomes().settled - before,
        "highest_backlog_s": round(highest / rate, 2),
        "memory_mib": {name: track.figures(minutes) for name, track in tracks.items()},
        "settings": world.settings(),
    }


def print_soak(figures: dict[str, Any]) -> None:
    """The table."""
    title = f"{figures['rate']:,.0f} msg/s for {figures['minutes']:g} min, broker {figures['broker']}; resident MiB"
    columns = ("start", "median", "end", "max", "slope_mib_per_minute", "verdict")
    table = Table("process", *(column.replace("_", " ") for column in columns), title=title)
    for name, track in figures["memory_mib"].items():
        table.add_row(name, *(str(track[column]) for column in columns))
    console = Console()
    console.print(table)
    console.print(
        f"acknowledged {figures['acknowledged']:,}, settled {figures['settled']:,}, "
        f"highest backlog {figures['highest_backlog_s']} s"
    )
