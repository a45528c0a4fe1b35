"""Traffic: every message of a city in the order of its time; for a device, the same bytes for the same seed and start.

It knows neither speed nor connections: who plays it decides when and over which connection a message leaves.
"""

import heapq
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import orjson

from domain.instants import EPOCH
from domain.reading import MeasureValue, Reading
from ingest.format import Format
from simulators.sensor import Sensor
from simulators.trouble import Delivery
from simulators.weather import Weather

_KEEPING: Final = frozenset((Delivery.HELD, Delivery.SWAPPED))


class Message(NamedTuple):
    """One message as it leaves."""

    due_ms: int
    """Epoch milliseconds, in the time of the city."""
    device: int
    """Place of the device in the city."""
    seq: int
    """The last counter in it."""
    topic: str
    payload: bytes


class Traffic:
    """What a city sends from a time on; it ends only where it is told to."""

    def __init__(
        self, sensors: Sequence[Sensor], source: Format, weather: Weather, *, start_ms: int, counted: bool = True
    ) -> None:
        """Take the devices, and the format that they speak; not ``counted``: their messages bear no counter."""
        self._counted = counted
        self._histories = not sensors or _carries_histories(source, sensors[0])
        self._sensors = sensors
        self._source = source
        self._weather = weather
        self._start_ms = start_ms
        self._seqs = [0] * len(sensors)
        self._reported = [start_ms - 1] * len(sensors)
        self._waiting: dict[int, list[Message]] = {}
        """Device → messages that were held back or are to change places."""
        self.silent = 0
        """Reports that a silent device did not make."""
        self.lost = 0
        """Messages that were sent and never arrived."""

    def messages(self, end_ms: int) -> Iterator[Message]:
        """All messages before ``end_ms``, in order of their time; what was held back until then comes last."""
        start_ms = self._start_ms
        queue = [(sensor.next_report(start_ms - 1), device) for device, sensor in enumerate(self._sensors)]
        heapq.heapify(queue)
        released = sorted(
            (trouble.ends_ms, device)
            for device, sensor in enumerate(self._sensors)
            for trouble in sensor.troubles
            if trouble.effect.delivery in _KEEPING
        )
        release = 0
        while queue:
            at_ms, device = queue[0]
            while release < len(released) and released[release][0] <= min(at_ms, end_ms):
                yield from self._release(released[release][1], released[release][0])
                release += 1
            if at_ms >= end_ms:
                break
            yield from self._report(device, at_ms)
            heapq.heapreplace(queue, (self._sensors[device].next_report(at_ms), device))
        for device in sorted(self._waiting):
            yield from self._release(device, end_ms)

    def _report(self, device: int, at_ms: int) -> Iterator[Message]:
        """What arrives because a device reports at a time."""
        sensor = self._sensors[device]
        delivery = Delivery.ONCE
        for trouble in sensor.troubles:
            if trouble.active(at_ms):
                if trouble.silent(at_ms):
                    self.silent += 1
                    self._reported[device] = at_ms
                    return
                if trouble.effect.delivery is not Delivery.ONCE:
                    delivery = trouble.effect.delivery
        messages = self._write(device, sensor, at_ms)
        if delivery is Delivery.LOST:
            self.lost += len(messages)
        elif delivery is Delivery.HELD or (delivery is Delivery.SWAPPED and device not in self._waiting):
            self._waiting.setdefault(device, []).extend(messages)
        else:
            for message in messages:
                yield message
                if delivery is Delivery.TWICE:
                    yield message
            yield from self._release(device, at_ms)

    def _release(self, device: int, at_ms: int) -> Iterator[Message]:
        for message in self._waiting.pop(device, ()):
            yield message._replace(due_ms=at_ms)

    def _write(self, device: int, sensor: Sensor, at_ms: int) -> Sequence[Message]:
        """Write what it has to tell: a reading, or the history since its last message."""
        seq = self._seqs[device]
        readings: list[Reading] = []
        for measured_ms in sensor.samples(self._reported[device], at_ms):
            if measured_ms != at_ms and any(trouble.silent(measured_ms) for trouble in sensor.troubles):
                continue
            seq += 1
            values = sensor.measure(measured_ms, self._weather)
            readings.append(_reading(values, sensor.told_ms(measured_ms), seq if self._counted else None))
        self._seqs[device] = seq
        self._reported[device] = at_ms
        if self._histories or len(readings) == 1:
            return (Message(at_ms, device, seq, *self._source.encode(sensor.sender, readings)),)
        first = seq - len(readings) + 1
        return [
            Message(at_ms, device, first + place, *self._source.encode(sensor.sender, (reading,)))
            for place, reading in enumerate(readings)
        ]


def _reading(values: dict[str, MeasureValue], told_ms: int, seq: int | None) -> Reading:
    told = EPOCH + timedelta(milliseconds=told_ms)
    body = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    return Reading(0, told, told, values, {}, 0, body, seq, None)


def _carries_histories(source: Format, sensor: Sensor) -> bool:
    """Whether several readings go into one message; formats say so by refusing to encode them."""
    readings = [
        _reading({measure.name: measure.rest for measure in sensor.kind.measures}, at_ms, 1) for at_ms in (1, 2)
    ]
    try:
        source.encode(sensor.sender, readings)
    except ValueError:
        return False
    return True
