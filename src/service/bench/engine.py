"""The engine alone: processor time a reading, of each kind with its default rules; no database, no broker."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from devices.kind import DeviceKind
from domain.coverage import Coverage
from domain.instants import EPOCH
from domain.reading import MeasureValue, Reading
from rules.engine import Hearing, judge, uneventful
from rules.plan import Plan, make_plan
from rules.tracks import Tracks, decode_tracks, encode_tracks
from service.bench.screen import Screen

SIX: Final = 6
"""Default rules that the goal speaks of."""
GOAL_US: Final = 8.0
"""Microseconds a reading, with six rules on."""

_START: Final = EPOCH + timedelta(days=20_000)
_HEARD_BEFORE: Final = timedelta(seconds=60)

Phase = Callable[[], int]
"""What is timed; returns how many readings, or tracks, it went through."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind with its rules, and readings as its devices send them: every measure that one of its rules looks at."""

    name: str
    plan: Plan
    healthy: Mapping[str, MeasureValue]
    faults: Sequence[Mapping[str, MeasureValue]]
    """What a device reports while something is wrong, fault by fault; device after device takes the next."""

    def reading(self, number: int, after_s: float, values: Mapping[str, MeasureValue]) -> Reading:
        """What device ``number`` says so many seconds after the start."""
        at = _START + timedelta(seconds=after_s)
        return Reading(number, at, at, dict(values), {}, number, b"", None, None)


def subjects(kinds: Mapping[str, DeviceKind]) -> list[Subject]:
    """Every kind with its default rules, and those with more than six also with exactly six on measures."""
    made: list[Subject] = []
    for kind in kinds.values():
        made.append(_subject(kind, kind.key, len(kind.rules)))
        if len(kind.rules) > SIX:
            made.append(_subject(kind, f"{kind.key}, {SIX} rules", SIX))
    return made


def _subject(kind: DeviceKind, name: str, most: int) -> Subject:
    plan = make_plan(kind.rules[:most], interval_s=kind.interval_s, validity_factor=kind.validity_factor, overrides={})
    looked_at = {measure for watch in plan.watches for measure in watch.condition.measures}
    healthy = {measure.name: measure.rest for measure in kind.measures if measure.name in looked_at}
    raised = [{name: value for name, value in fault.values.items() if name in looked_at} for fault in kind.faults]
    return Subject(name, plan, healthy, [healthy | values for values in raised if values])


def measure_engine(found: Iterable[Subject], readings: int, rounds: int, screen: Screen) -> dict[str, Any]:
    """Time each phase of each subject, every round all of them in turn, and take the medians.

    In turn, because a busy machine then slows all alike.
    """
    timed: dict[tuple[str, str], list[float]] = {}
    chosen = list(found)
    bar = screen.bar("engine", rounds * len(chosen))
    for turn in range(rounds):
        for place, subject in enumerate(chosen):
            for phase, run in _phases(subject, readings).items():
                timed.setdefault((subject.name, phase), []).append(_timed(run))
            bar.show(turn * len(chosen) + place + 1, subject.name)
    bar.finish("")
    return {
        "readings": readings,
        "rounds": rounds,
        "goal_us": GOAL_US,
        "subjects": [
            {
                "name": subject.name,
                "rules": len(subject.plan.rules),
                "values": len(subject.healthy),
                "us": {
                    phase: round(median(times), 3) for (name, phase), times in timed.items() if name == subject.name
                },
            }
            for subject in chosen
        ],
    }


def _timed(run: Phase) -> float:
    began = time.process_time_ns()
    done = run()
    return (time.process_time_ns() - began) / 1000 / done


def _phases(subject: Subject, readings: int) -> dict[str, Phase]:
    """What is timed; what it needs is made before the clock runs, anew for every round."""
    firing = [_firing(subject, number) for number in range(readings)]
    stored = [encode_tracks(tracks) for tracks in firing]
    longest = _longest_hold(subject.plan)
    healthy = [subject.reading(number, 0.0, subject.healthy) for number in range(readings)]
    still_bad = [subject.reading(number, longest + 2, _fault(subject, number)) for number in range(readings)]
    thirds = range(max(1, readings // 3))
    changing = [
        (
            subject.reading(number, 0.0, _fault(subject, number)),
            subject.reading(number, longest + 1, _fault(subject, number)),
            subject.reading(number, longest + 2, subject.healthy),
        )
        for number in thirds
    ]
    plan = subject.plan
    return {
        "healthy": lambda: _pass_by(plan, healthy),
        "firing": lambda: _judge_each(plan, firing, still_bad),
        "changing": lambda: _judge_changing(plan, changing),
        "decode": lambda: len([decode_tracks(one) for one in stored]),
        "encode": lambda: len([encode_tracks(tracks) for tracks in firing]),
    }


def _pass_by(plan: Plan, readings: Sequence[Reading]) -> int:
    """The way of nearly every reading: nothing pends, nothing fires, and it changes nothing."""
    heard = Hearing(_START - _HEARD_BEFORE, Coverage(_START - _HEARD_BEFORE, _START))
    for reading in readings:
        if not uneventful(plan, reading, heard):
            judge(plan, Tracks(), reading, heard)
    return len(readings)


def _judge_each(plan: Plan, tracks: Sequence[Tracks], readings: Sequence[Reading]) -> int:
    heard = _hearing(readings[0])
    for track, reading in zip(tracks, readings, strict=True):
        judge(plan, track, reading, heard)
    return len(readings)


def _judge_changing(plan: Plan, changing: Sequence[tuple[Reading, Reading, Reading]]) -> int:
    """Something begins, fires and clears, on one device after the other."""
    hearings = [_hearing(reading) for reading in changing[0]]
    for three in changing:
        tracks = Tracks()
        for reading, heard in zip(three, hearings, strict=True):
            judge(plan, tracks, reading, heard)
    return 3 * len(changing)


def _hearing(reading: Reading) -> Hearing:
    before = reading.received_at - timedelta(seconds=1)
    return Hearing(before, Coverage(_START - _HEARD_BEFORE, reading.received_at))


def _firing(subject: Subject, number: int) -> Tracks:
    """The tracks of a device on which a fault has lasted longer than every hold."""
    tracks = Tracks()
    for after_s in (0.0, _longest_hold(subject.plan) + 1):
        reading = subject.reading(number, after_s, _fault(subject, number))
        judge(subject.plan, tracks, reading, _hearing(reading))
    return tracks


def _fault(subject: Subject, number: int) -> Mapping[str, MeasureValue]:
    return subject.faults[number % len(subject.faults)]


def _longest_hold(plan: Plan) -> float:
    return max((hold for watch in plan.watches for hold in watch.holds), default=0) / 1e6


def print_engine(figures: dict[str, Any]) -> None:
    """The table."""
    title = f"streetwarden bench engine: µs of processor time a reading (goal {figures['goal_us']:g} with {SIX} rules)"
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for column in ("rules", "values", "healthy", "firing", "opens and clears", "decode", "encode"):
        table.add_column(column, justify="right")
    for one in figures["subjects"]:
        timed = [f"{one['us'][phase]:.2f}" for phase in ("healthy", "firing", "changing", "decode", "encode")]
        table.add_row(one["name"], str(one["rules"]), str(one["values"]), *timed)
    Console().print(table)
