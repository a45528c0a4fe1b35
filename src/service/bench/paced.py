"""Paced: load at a set rate beside the running ingest, the backlog watched; and the search for the highest held."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

from service.bench.meter import memory_mib, usage
from service.bench.screen import Bar, Screen
from service.bench.world import World, now, read_figures
from service.children import Child

SAMPLE_S: Final = 0.5
ALLOWED_BACKLOG_S: Final = 1.0
"""Held: never more waits than the messages of so many seconds ..."""
WARM_UP_S: Final = 2.0
"""... after this ..."""
KEPT: Final = 0.99
"""... and the load generator itself sent this share of what was asked for."""
PROBE_S: Final = 8.0
_STEP: Final = 100.0
_PROBES: Final = 4
_BACK_OFF: Final = (0.94, 0.94, 0.94)
"""What a probe held may be a little too much for a full run: small steps down first ..."""
_BACK_OFF_FURTHER: Final = 0.8
"""... then larger ones, until something is held: a machine that others use bears less than a probe saw."""
_START_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Paced:
    """One run at one rate."""

    rate: float
    held: bool
    why_not: str
    since: datetime
    until: datetime
    """Publishing times of what is judged: after the warm-up, to the end."""
    seconds: float
    acknowledged: int
    highest_backlog: int
    cpu_us_per_message: dict[str, float]
    others_processors: float
    memory_start: dict[str, float]
    memory_end: dict[str, float]

    @property
    def backlog_s(self) -> float:
        """The highest backlog in seconds of the rate."""
        return round(self.highest_backlog / self.rate, 2)


class Acknowledged:
    """Counts what the broker has acknowledged to the load generator, which writes a line for each."""

    def __init__(self, path: Path) -> None:
        """Begin with a file that is not there yet."""
        path.unlink(missing_ok=True)
        self._path = path
        self._offset = 0
        self._lines = 0

    def count(self) -> int:
        """The lines by now; only what is new is read."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
            self._offset += len(new)
            self._lines += new.count(b"\n")
        return self._lines


def run_paced(world: World, rate: float, seconds: float, bar: Bar, first_seq: int) -> Paced:
    """Publish at this rate for so long; ends early when the rate is clearly not held."""
    before = world.database.outcomes().settled
    ids, out = world.folder / "acknowledged.txt", world.folder / "load.json"
    out.unlink(missing_ok=True)
    acknowledged = Acknowledged(ids)
    command = (
        *("simulators.load", "--registry", str(world.registry), "--rate", f"{rate:g}", "--duration", f"{seconds:g}"),
        *("--first-seq", str(first_seq), "--json", str(out), "--ids", str(ids)),
    )
    with world.beside("load", *command) as load:
        _await_first(world, load, acknowledged)
        watched = _Watch(world, rate, seconds, bar, acknowledged.count, before)
        watched.run(load)
    world.wait_settled(before + acknowledged.count())
    world.wait_quiet()
    figures = read_figures(out)
    return watched.result(figures)


def _await_first(world: World, load: Child, acknowledged: Acknowledged) -> None:
    deadline = time.monotonic() + _START_S
    while not acknowledged.count() and load.alive and time.monotonic() < deadline:
        world.check()
        time.sleep(0.01)


class _Watch:
    """Samples one run."""

    def __init__(
        self, world: World, rate: float, seconds: float, bar: Bar, acknowledged: Callable[[], int], before: int
    ) -> None:
        self._world = world
        self._rate = rate
        self._seconds = seconds
        self._bar = bar
        self._acknowledged = acknowledged
        self._before = before
        self._highest = 0
        self._why_not = ""
        self._start = time.monotonic()
        self._since = self._until = now()
        self._memory_start = self._memory_end = memory_mib(world.pids)
        self._used = self._used_start = usage(world.pids)
        self._settled = self._settled_start = 0

    def run(self, load: Child) -> None:
        """Sample until the load ends, or the backlog is too high."""
        warm = False
        tick = self._start
        while load.alive:
            tick += SAMPLE_S
            time.sleep(max(0.0, tick - time.monotonic()))
            elapsed = time.monotonic() - self._start
            if elapsed >= self._seconds:
                break
            self._world.check()
            # Settled first: what is acknowledged in between counts as backlog, never the other way round.
            self._settled = self._world.database.outcomes().settled - self._before
            backlog = self._acknowledged() - self._settled
            self._bar.show(elapsed, f"backlog {max(0, backlog) / self._rate:.2f} s")
            if elapsed < WARM_UP_S:
                continue
            self._used = usage(self._world.pids)
            self._until = now()
            if not warm:
                warm = True
                self._since, self._used_start, self._settled_start = self._until, self._used, self._settled
                self._memory_start = memory_mib(self._world.pids)
            self._highest = max(self._highest, backlog)
            if backlog > self._rate * ALLOWED_BACKLOG_S:
                self._why_not = f"backlog {backlog / self._rate:.1f} s after {elapsed:.0f} s"
                break
        self._memory_end = memory_mib(self._world.pids)
        if self._why_not:
            load.stop()
        else:
            self._world.await_end(load)

    def result(self, figures: dict[str, Any]) -> Paced:
        """Judge what was seen; ``figures`` are the load generator's."""
        wanted = self._rate * self._seconds
        if not self._why_not and figures["acknowledged"] < wanted * KEPT:
            self._why_not = f"the load generator reached {figures['acknowledged'] / self._seconds:,.0f}/s"
        used = self._used.since(self._used_start)
        seconds = max((self._until - self._since).total_seconds(), 1e-9)
        return Paced(
            rate=self._rate,
            held=not self._why_not,
            why_not=self._why_not,
            since=self._since,
            until=self._until,
            seconds=self._seconds,
            acknowledged=figures["acknowledged"],
            highest_backlog=max(0, self._highest),
            cpu_us_per_message=used.per_message_us(self._settled - self._settled_start),
            others_processors=round(used.others_s / seconds, 2),
            memory_start=self._memory_start,
            memory_end=self._memory_end,
        )


class Search:
    """Finds the highest rate that is held: short probes first, then one run at full length."""

    def __init__(self, world: World, screen: Screen, first_seq: int) -> None:
        """Begin with no tries."""
        self._world = world
        self._screen = screen
        self._seq = first_seq
        self.tries: list[Paced] = []

    def highest(self, drained: float, seconds: float) -> Paced | None:
        """The highest rate held for ``seconds``; ``None`` if none was."""
        rate = self._probe_up_and_down(drained)
        for factor in chain(_BACK_OFF, repeat(_BACK_OFF_FURTHER)):
            tried = self.run(rate, seconds)
            if tried.held:
                return tried
            if rate <= _STEP:
                break
            rate = _round(rate * factor)
        return None

    def run(self, rate: float, seconds: float) -> Paced:
        """Try one rate."""
        bar = self._screen.bar(f"paced {rate:,.0f}/s, {seconds:.0f} s", seconds)
        tried = run_paced(self._world, rate, seconds, bar, self._seq)
        self._seq += int(rate * seconds) + 1
        self.tries.append(tried)
        bar.finish(f"held, backlog ≤ {tried.backlog_s:.2f} s" if tried.held else f"not held: {tried.why_not}")
        return tried

    def _probe_up_and_down(self, drained: float) -> float:
        """Bisect between a rate that a short run holds and one that it does not."""
        low, high = _round(drained * 0.5), _round(drained * 0.95)
        while not self.run(low, PROBE_S).held and low > _STEP:
            low, high = _round(low * 0.6), low
        for _ in range(_PROBES):
            middle = _round((low + high) / 2)
            if not low < middle < high:
                break
            if self.run(middle, PROBE_S).held:
                low = middle
            else:
                high = middle
        return low


def _round(rate: float) -> float:
    return max(_STEP, rate // _STEP * _STEP)
