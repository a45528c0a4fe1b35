"""Replaying: a recording goes out again with the spacing it came in with, its times moved if they are to be."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from ingest.format import DecodeError
from ingest.json_text import as_list, as_object
from ingest.timestamps import EPOCH, read_time
from ingest.topics import EVENT, TELEMETRY, read_native_topic
from simulators.publisher import Publisher
from simulators.recording import Recorded

DRAIN_S: Final = 10.0
"""At the end, the acknowledgements still under way are waited for so long."""

_TICK_S: Final = 0.005
_MILLISECOND: Final = timedelta(milliseconds=1)
_SECONDS_HAVE: Final = 10**11
"""A number below is a time in seconds, one above in milliseconds: the two lie far apart (``ingest.timestamps``)."""


def shift_times(message: Recorded, by: timedelta) -> Recorded:
    """Move the times inside a native message, each in the form it had; what has none or is not ours stays as it is."""
    address = read_native_topic("native", message.topic)
    if address is None or address.leaf not in {TELEMETRY, EVENT}:
        return message
    try:
        body: Any = orjson.loads(message.payload)
    except orjson.JSONDecodeError:
        return message
    entries = [as_object(entry) for entry in as_list(body) or [body]]
    moved = [entry is not None and _shift(entry, by) for entry in entries]
    return replace(message, payload=orjson.dumps(body)) if any(moved) else message


def _shift(entry: dict[str, Any], by: timedelta) -> bool:
    """Move the time of one entry; whether it had one."""
    told = entry.get("ts")
    if told is None:
        return False
    try:
        at = read_time(told) + by
    except (DecodeError, OverflowError):
        return False  # what the service refused then it shall refuse now
    if isinstance(told, str):
        entry["ts"] = at.isoformat()
    else:
        number = (at - EPOCH) / _MILLISECOND if told >= _SECONDS_HAVE else (at - EPOCH).total_seconds()
        entry["ts"] = round(number) if isinstance(told, int) else number
    return True


class Replay:
    """Publishes a recording through a publisher."""

    def __init__(self, publisher: Publisher, *, speed: float | None) -> None:
        """Take an open publisher; ``speed`` times as fast as recorded, ``None``: as fast as the broker takes it."""
        self._publisher = publisher
        self._speed = speed
        self.sent = 0

    def run(self, messages: Iterable[Recorded], watch: Callable[[int], None]) -> None:
        """Send every message when its time has come, and wait for the acknowledgements."""
        begun = time.monotonic()
        first: datetime | None = None
        for message in messages:
            first = first or message.at
            due = begun
            if self._speed is not None:
                due += (message.at - first).total_seconds() / self._speed
            while True:
                wait_s = due - time.monotonic()
                if wait_s <= 0 and self._publisher.ready:
                    break
                self._publisher.turn(min(max(wait_s, 0.0), _TICK_S) if self._publisher.ready else _TICK_S)
                watch(self.sent)
            self._publisher.publish(message.topic, message.payload, qos=min(message.qos, 1), retain=message.retain)
            self.sent += 1
        give_up_at = time.monotonic() + DRAIN_S
        while self._publisher.backlog and time.monotonic() < give_up_at:
            self._publisher.turn(_TICK_S)
            watch(self.sent)
