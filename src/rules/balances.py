"""Balances: what went into a zone and what came out, window by window, and what follows; pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from domain.alert import Step
from rules.kinds.balance import Balance
from rules.rule import Verdict


class Role(StrEnum):
    """How a meter stands to its zone."""

    IN = "in"
    """What it measures flows in (进口)."""
    OUT = "out"
    """What it measures flows out: to a customer or to the next zone (出口)."""


class Metered(NamedTuple):
    """What one meter told around a window, in the order of the times."""

    role: Role
    points: Sequence[tuple[datetime, float]]


class Window(NamedTuple):
    """A stretch of time, its end excluded."""

    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """How long it is; a day with a change of the clocks has 23 or 25."""
        return (self.end - self.start).total_seconds() / 3600


class Sum(NamedTuple):
    """What one window came to, in m³."""

    inflow: float
    outflow: float


class ZoneState(NamedTuple):
    """A zone between two windows."""

    firing_since: datetime | None = None
    """Onset of the alert that fires."""
    run: int = 0
    """So many judged windows in a row that speak against what is: bad ones, or good ones while it fires."""
    run_since: datetime | None = None
    """When the first of them began."""


def window_after(moment: datetime, window_s: int, zone: ZoneInfo) -> Window:
    """The first window that begins at or after a moment; windows begin at the district's midnight."""
    day = moment.astimezone(zone).date()
    step = timedelta(seconds=window_s)
    while True:
        midnight = datetime.combine(day, time(), zone).astimezone(UTC)
        following = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        start = midnight
        while start < following:
            end = start + step
            # The last window of a day ends with it, also where the clocks change.
            if end + step > following:
                end = following
            if start >= moment:
                return Window(start, end)
            start = end
        day += timedelta(days=1)


def add_up(condition: Balance, window: Window, meters: Iterable[Metered]) -> Sum | None:
    """Inflow and outflow of a window; ``None`` if a meter is missing, ran back, or was not heard for too long."""
    inflow = outflow = 0.0
    inlets = 0
    for meter in meters:
        volume = _volume(condition, window, meter.points)
        if volume is None:
            return None
        if meter.role is Role.IN:
            inflow += volume
            inlets += 1
        else:
            outflow += volume
    return Sum(inflow, outflow) if inlets else None


def step(
    condition: Balance, state: ZoneState, window: Window, total: Sum | None
) -> tuple[ZoneState, tuple[Step, datetime, datetime] | None]:
    """The zone after one more window, and what that did to its alert: (step, onset, time).

    A window that could not be judged changes nothing: it neither adds to a row nor breaks one.
    """
    if total is None:
        return state, None
    verdict = condition.verdict(total.inflow, total.outflow, window.hours)
    wanted = Verdict.BAD if state.firing_since is None else Verdict.GOOD
    if verdict is not wanted:
        return ZoneState(state.firing_since), None
    run, since = state.run + 1, state.run_since or window.start
    if run < condition.windows:
        return ZoneState(state.firing_since, run, since), None
    if state.firing_since is None:
        return ZoneState(since), (Step.OPENED, since, window.end)
    return ZoneState(), (Step.CLEARED, state.firing_since, window.end)


def _volume(condition: Balance, window: Window, points: Sequence[tuple[datetime, float]]) -> float | None:
    """What flowed through a meter, from its readings: the value at an edge lies on the line between two of them."""
    first = _at(points, window.start, condition.gap_s)
    last = _at(points, window.end, condition.gap_s)
    if first is None or last is None:
        return None
    inside = [point for point in points if window.start < point[0] < window.end]
    line = [(window.start, first), *inside, (window.end, last)]
    volume = 0.0
    for (since, before), (until, after) in pairwise(line):
        seconds = (until - since).total_seconds()
        if seconds > condition.gap_s:
            return None
        if not condition.counter:
            volume += (before + after) / 2 * seconds / 3600
        elif after < before:
            return None
        else:
            volume += after - before
    return volume


def _at(points: Sequence[tuple[datetime, float]], edge: datetime, gap_s: float) -> float | None:
    before = next((point for point in reversed(points) if point[0] <= edge), None)
    after = next((point for point in points if point[0] >= edge), None)
    if before is None or after is None:
        return None
    seconds = (after[0] - before[0]).total_seconds()
    if seconds > gap_s:
        return None
    return (
        before[1] if not seconds else before[1] + (after[1] - before[1]) * (edge - before[0]).total_seconds() / seconds
    )
