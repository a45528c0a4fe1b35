"""The real rule engine on simulated traffic, without broker, database or clock: which alerts a run would raise."""

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from devices.kind import DeviceKind
from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.device import Device
from domain.instants import EPOCH
from domain.ledger import Reason
from domain.reading import Reading
from ingest.catalogue import load_formats
from ingest.format import DecodeError
from ingest.normalise import TimeBounds, limits_of, normalise
from rules.engine import Hearing, judge, next_hold_due, next_silence_due, tick
from rules.plan import Plan, make_plan
from rules.tracks import Tracks
from simulators.sensor import Sensor
from simulators.traffic import Message

NATIVE = load_formats()["native"]
BOUNDS = TimeBounds(timedelta(minutes=5), timedelta(days=400))


class Raised(NamedTuple):
    """One alert."""

    device: str
    rule: str
    onset: datetime
    stood: datetime
    severity: Severity
    """The gravest that it reached."""


class _Judged:
    """One device as the service keeps it."""

    def __init__(self, number: int, sensor: Sensor) -> None:
        kind = sensor.kind
        self.device = Device(number, sensor.entry.name, kind.key, sensor.entry.district)
        self.plan: Plan = make_plan(
            kind.rules,
            interval_s=sensor.expected_ms / 1000.0,
            validity_factor=kind.validity_factor,
            overrides=sensor.overrides,
        )
        self.limits = limits_of(kind)
        self.kind: DeviceKind = kind
        self.tracks = Tracks()
        self.heard_at: datetime | None = None
        self.last: tuple[datetime, int] | None = None
        self.raised: list[Raised] = []
        self.timer: datetime | None = None

    def take(self, steps: Iterable[Transition], now: datetime) -> None:
        for step in steps:
            if step.step is Step.OPENED:
                self.raised.append(Raised(self.device.name, step.rule, step.onset, max(step.at, now), step.severity))
            elif step.step is Step.ROSE:
                place = max(i for i, each in enumerate(self.raised) if each.rule == step.rule)
                self.raised[place] = self.raised[place]._replace(severity=step.severity)

    def hearing(self, start: datetime, now: datetime) -> Hearing:
        return Hearing(self.heard_at, Coverage(start, now))

    def next_due(self, start: datetime, now: datetime) -> datetime | None:
        hearing = self.hearing(start, now)
        due = [next_hold_due(self.plan, self.tracks), next_silence_due(self.plan, self.tracks, hearing)]
        return min((each for each in due if each is not None), default=None)

    def hear(self, message: Message, start: datetime, now: datetime) -> list[Reason]:
        """Judge what a message holds; return why some of it is not believed."""
        address = NATIVE.read_topic(message.topic)
        assert address is not None
        aside: list[Reason] = []
        readings: list[Reading] = []
        for sample in NATIVE.decode(address, message.payload, now).samples:
            try:
                readings.append(normalise(self.device, self.limits, sample, now, BOUNDS))
            except DecodeError as error:
                aside.append(error.reason)
        for reading in sorted(readings, key=lambda each: (each.at, each.digest)):
            place = (reading.at, reading.digest)
            if self.last is None or place > self.last:
                self.take(judge(self.plan, self.tracks, reading, self.hearing(start, now)), now)
                self.last = place
            self.heard_at = now
        return aside


class _Timers:
    """When to look at which device, as the service's ticker does."""

    def __init__(self, devices: Sequence[_Judged], start: datetime) -> None:
        self._devices = devices
        self._start = start
        self._queue: list[tuple[datetime, int]] = []

    def plan(self, number: int, now: datetime) -> None:
        judged = self._devices[number]
        due = judged.next_due(self._start, now)
        if due is not None and (judged.timer is None or due < judged.timer):
            judged.timer = max(due, now)
            heapq.heappush(self._queue, (judged.timer, number))

    def elapse(self, until: datetime) -> None:
        """Look at what was due before; what comes in at one moment is heard before the clock is asked."""
        while self._queue and self._queue[0][0] < until:
            due, number = heapq.heappop(self._queue)
            judged = self._devices[number]
            judged.take(tick(judged.plan, judged.tracks, number, due, judged.hearing(self._start, due)), due)
            judged.timer = None
            self.plan(number, due + timedelta(milliseconds=1))


def judge_traffic(
    sensors: Sequence[Sensor], messages: Iterable[Message], start: datetime, end: datetime
) -> tuple[list[Raised], list[Reason]]:
    """Judge every message as it arrives, and every timer when it is due; also why messages were set aside."""
    devices = [_Judged(number, sensor) for number, sensor in enumerate(sensors)]
    timers = _Timers(devices, start)
    aside: list[Reason] = []
    for message in messages:
        now = EPOCH + timedelta(milliseconds=message.due_ms)
        timers.elapse(now)
        aside += devices[message.device].hear(message, start, now)
        timers.plan(message.device, now)
    timers.elapse(end)
    return [each for judged in devices for each in judged.raised], aside
