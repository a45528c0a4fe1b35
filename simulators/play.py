"""Play: a fleet reports in turn through a publisher, paced by a clock, until its time is over."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from devices.kind import DeviceKind
from domain.errors import InvalidInputError
from domain.reading import Reading
from domain.scenario_time import ScenarioTime
from ingest.format import Format, Sender
from simulators.device import SimulatedDevice
from simulators.faults import Part
from simulators.fleet import FleetDevice
from simulators.publisher import Publisher, Word
from simulators.summary import IdLog, Summary

TICK_S: Final = 0.005
"""The broker is listened to at least so often, and messages leave in the small batches that fall due meanwhile."""
CATCH_UP_S: Final = 1.0
"""What a stall held up for longer than this is not caught up: a burst after a pause would be another experiment."""
DRAIN_S: Final = 10.0
"""At the end, the acknowledgements still under way are waited for so long."""


@dataclass(frozen=True, slots=True)
class Member:
    """One device of the fleet, ready to play."""

    sender: Sender
    device: SimulatedDevice


def enlist(
    fleet: Sequence[FleetDevice],
    kinds: Mapping[str, DeviceKind],
    source: Format,
    parts: Mapping[str, Part],
    *,
    seed: int,
) -> list[Member]:
    """Make every device of the fleet ready.

    Raises:
        InvalidInputError: a device has no identity in the format's namespace, or a kind that nobody knows.
    """
    members: list[Member] = []
    for entry in fleet:
        alias = entry.alias(source.name)
        if alias is None:
            raise InvalidInputError(f"device {entry.name} has no alias {source.name}=… in the registry")
        kind = kinds.get(entry.kind)
        if kind is None:
            raise InvalidInputError(f"device {entry.name} is a {entry.kind!r}; the kinds are {', '.join(kinds)}")
        device = SimulatedDevice(entry.name, kind, seed=seed, interval_s=entry.interval_s, part=parts.get(entry.name))
        members.append(Member(Sender(entry.name, entry.kind, entry.district, alias), device))
    return members


class Play:
    """Keeps the books of one run: who reports next, what is under way, what was acknowledged."""

    def __init__(
        self,
        members: Sequence[Member],
        source: Format,
        *,
        summary: Summary,
        ids: IdLog | None,
        clock: ScenarioTime | None = None,
    ) -> None:
        """Take the fleet and the format it speaks; ``summary`` is filled as the play goes on.

        With a ``clock``, anchored, readings bear its time: that of the service which follows it, too.
        """
        self._clock = clock
        self._members = members
        self._source = source
        self._summary = summary
        self._ids = ids
        self._under_way: dict[int, tuple[str, int]] = {}

    def settle(self, message: int, word: Word) -> None:
        """Hear the broker's word for one message: the publisher calls this."""
        device, seq = self._under_way.pop(message)
        if word is Word.TAKEN:
            self._summary.acknowledged += 1
            if self._ids is not None:
                self._ids.add(device, seq)
        elif word is Word.UNHEARD:
            self._summary.unheard += 1
        else:
            self._summary.refused += 1

    def run(
        self,
        publisher: Publisher,
        *,
        rate: float,
        duration_s: float | None,
        watch: Callable[[Summary], None],
    ) -> None:
        """Publish ``rate`` messages a second, device by device, for ``duration_s`` seconds or until interrupted.

        Time in the play is counted in turns (turn ``n`` is at ``n / rate`` seconds), so what is sent does not depend
        on how fast the machine is. ``watch`` is called every few milliseconds.
        """
        start = begun = time.monotonic()
        end = None if duration_s is None else round(rate * duration_s)
        turn = 0
        try:
            while end is None or turn < end:
                now = time.monotonic()
                if duration_s is not None and now - start > duration_s + CATCH_UP_S:
                    break
                due = int((now - begun) * rate) + 1
                if due - turn > max(1.0, CATCH_UP_S * rate):
                    begun = now - (turn + CATCH_UP_S * rate) / rate
                while turn < due and turn != end and publisher.ready:
                    self._report(publisher, self._members[turn % len(self._members)], turn / rate)
                    turn += 1
                # Nothing due: sleep first, then hear all acknowledgements at one go; waking for each costs more.
                held_up = turn < due
                if not held_up:
                    time.sleep(TICK_S)
                self._listen(publisher, TICK_S if held_up else 0.0, start, watch)
        finally:
            self._drain(publisher, start, watch)

    def _report(self, publisher: Publisher, member: Member, elapsed_s: float) -> None:
        """One turn of one device: a message, or silence."""
        values = member.device.report(elapsed_s)
        if values is None:
            self._summary.silent += 1
            return
        now = datetime.now(UTC) if self._clock is None else self._clock.at(datetime.now(UTC))
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # devices tell milliseconds
        seq = member.device.seq
        body = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
        reading = Reading(0, at, at, values, {}, 0, body, seq, None)
        topic, payload = self._source.encode(member.sender, (reading,))
        self._under_way[publisher.publish(topic, payload)] = (member.sender.name, seq)
        self._summary.sent += 1
        self._summary.highest_backlog = max(self._summary.highest_backlog, publisher.backlog)

    def _listen(self, publisher: Publisher, timeout_s: float, start: float, watch: Callable[[Summary], None]) -> None:
        publisher.turn(timeout_s)
        if self._ids is not None:
            self._ids.flush()
        self._summary.reconnects = max(0, publisher.connections - 1)
        self._summary.seconds = time.monotonic() - start
        watch(self._summary)

    def _drain(self, publisher: Publisher, start: float, watch: Callable[[Summary], None]) -> None:
        """Wait for the acknowledgements under way."""
        give_up_at = time.monotonic() + DRAIN_S
        while publisher.backlog and time.monotonic() < give_up_at:
            self._listen(publisher, TICK_S, start, watch)


def count_faults(fleet: Sequence[FleetDevice], parts: Mapping[str, Part]) -> Counter[str]:
    """Count how many devices play each fault, by ``kind.fault``."""
    kind_of = {device.name: device.kind for device in fleet}
    return Counter(f"{kind_of[name]}.{part.fault.key}" for name, part in parts.items())
