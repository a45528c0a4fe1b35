"""Stage: sends a city's messages when their time has come, at real speed or faster, over several bare connections."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from domain.instants import EPOCH, to_micros
from domain.scenario_time import ScenarioTime
from simulators.address import BrokerAddress
from simulators.links import Links
from simulators.summary import IdLog, Summary
from simulators.traffic import Message
from simulators.wire import ConnectionLostError, WireConnection, publish_head

TICK_S: Final = 0.004
"""Messages leave in the batches that fall due meanwhile."""
DRAIN_S: Final = 30.0
"""At the end, the acknowledgements still under way are waited for so long."""

_BATCH: Final = 512
"""Messages written before the connections are listened to again."""
_WATCHED_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Venue:
    """Where a run is played, and at what speed."""

    broker: BrokerAddress
    client_id: str
    time: ScenarioTime
    """Anchored."""
    connections: int = 4
    window: int = 1000
    """Unacknowledged messages a connection may have."""


class Stage:
    """One run on its connections; a device keeps to one of them, so that its messages keep their order."""

    def __init__(self, venue: Venue, names: Sequence[str], ids: IdLog | None = None) -> None:
        """Take the names of the devices, by their place in the city."""
        self.summary = Summary()
        self.furthest_behind_s = 0.0
        """The most that a message left later than its time, in seconds of the city."""
        self._venue = venue
        self._names = names
        self._ids = ids
        self._links = Links(
            [
                WireConnection(
                    venue.broker,
                    f"{venue.client_id}-{number}",
                    window=venue.window,
                    clean=False,
                    acknowledged=self._settle,
                )
                for number in range(venue.connections)
            ],
            venue.broker,
            reconnect=True,
        )

    def connect(self) -> None:
        """Connect.

        Raises:
            UnavailableError: the broker does not answer.
            UnauthenticatedError: the broker does not know us.
        """
        self._links.connect()

    def run(self, messages: Iterator[Message], watch: Callable[[datetime], None]) -> None:
        """Send everything, each message when its time has come; ``watch`` hears ten times a second how late it is.

        Raises:
            UnavailableError: the broker was lost for good.
        """
        begun = time.monotonic()
        watched = 0.0
        pending = next(messages, None)
        try:
            while pending is not None:
                now = self._venue.time.at(datetime.now(UTC))
                pending = self._send_due(pending, messages, to_micros(now) // 1000)
                self._links.listen(nap_s=self._nap_s(pending))
                if time.monotonic() - watched > _WATCHED_EVERY_S:
                    watched = time.monotonic()
                    self.summary.seconds = watched - begun
                    watch(now)
            self._links.drain(DRAIN_S)
        except KeyboardInterrupt:
            self._links.drain(DRAIN_S)
            raise
        finally:
            self.summary.reconnects = self._links.reconnects
            self.summary.seconds = time.monotonic() - begun
            if self._ids is not None:
                self._ids.flush()

    def close(self) -> None:
        """Say goodbye."""
        self._links.close()

    def _send_due(self, first: Message, messages: Iterator[Message], now_ms: int) -> Message | None:
        """Send what is due, as far as the windows allow; return the first message that was not sent."""
        links = self._links
        batches: list[list[tuple[bytes, bytes, int, int]]] = [[] for _ in range(len(links))]
        rooms = [link.room for link in links]
        pending: Message | None = first
        count = 0
        while pending is not None and pending.due_ms <= now_ms and count < _BATCH:
            place = pending.device % len(batches)
            if rooms[place] <= len(batches[place]):
                break
            payload = pending.payload
            batches[place].append((publish_head(pending.topic, payload), payload, pending.device, pending.seq))
            count += 1
            self.furthest_behind_s = max(self.furthest_behind_s, (now_ms - pending.due_ms) / 1000.0)
            pending = next(messages, None)
        self.summary.sent += count
        for place, batch in enumerate(batches):
            if batch:
                try:
                    links[place].publish(batch)
                except ConnectionLostError as error:
                    links.lose(place, error)
        self.summary.highest_backlog = max(self.summary.highest_backlog, links.backlog)
        return pending

    def _nap_s(self, pending: Message | None) -> float:
        """How long nothing is due; in a hurry not at all, unless a window is full."""
        if pending is None:
            return 0.0
        due = EPOCH.timestamp() + pending.due_ms / 1000.0
        wait_s = (due - self._venue.time.at(datetime.now(UTC)).timestamp()) / self._venue.time.speed
        room = self._links[pending.device % len(self._links)].room
        return TICK_S if wait_s > 0 or not room else 0.0

    def _settle(self, batch: list[tuple[bytes, int, int]]) -> None:
        self.summary.acknowledged += len(batch)
        if self._ids is not None:
            for _, device, seq in batch:
                self._ids.add(self._names[device], seq)
