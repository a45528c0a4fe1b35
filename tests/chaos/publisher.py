"""The publisher, a process of its own: sends the stream, outlives the broker, writes down each message the broker took.

``python -m tests.chaos.publisher FOLDER``: reads ``order.json`` there; appends the number of each acknowledged message
to ``acknowledged.txt``; SIGTERM asks it to let every device report in good health a last time, and to wait for the last
acknowledgement. What it did stands in ``status.json``, rewritten twice a second.
"""

import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from simulators.address import read_address
from tests.chaos.link import Link, LinkLostError
from tests.chaos.stream import CONNECTIONS, QUIET_ROUNDS, Plan, Stream

ORDER: Final = "order.json"
ACKNOWLEDGED: Final = "acknowledged.txt"
STATUS: Final = "status.json"

_TICK_S: Final = 0.005
_BATCH: Final = 200
"""Messages a connection sends at one go: what piled up behind a dead broker goes out in many of these."""
_WINDOW: Final = 500
"""Unacknowledged messages a connection may have: below what mosquitto takes from one client at a time."""
_RETRY_S: Final = 0.1
_STATUS_EVERY_S: Final = 0.5
_GIVE_UP_S: Final = 180.0
"""A broker that acknowledges nothing for so long ends the run."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of the publisher."""

    mqtt_url: str
    plan: Plan
    v5: bool

    def write(self, folder: Path) -> None:
        """Leave it where the publisher looks for it."""
        data = {"mqtt_url": self.mqtt_url, "v5": self.v5, "plan": self.plan.as_data()}
        (folder / ORDER).write_bytes(orjson.dumps(data))

    @classmethod
    def read(cls, folder: Path) -> "Order":
        """Read what ``write`` left."""
        data: dict[str, Any] = orjson.loads((folder / ORDER).read_bytes())
        return cls(data["mqtt_url"], Plan(**data["plan"]), data["v5"])


class Publisher:
    """One run."""

    def __init__(self, order: Order, folder: Path) -> None:
        """Prepare; ``run`` connects."""
        self._plan = order.plan
        self._stream = Stream(order.plan)
        self._folder = folder
        self._ids = (folder / ACKNOWLEDGED).open("ab", buffering=0)
        address = read_address(order.mqtt_url)
        self._links = [
            Link(address, f"chaos-publisher-{index}", v5=order.v5, window=_WINDOW, acknowledged=self._write_down)
            for index in range(CONNECTIONS)
        ]
        self._next = list(range(CONNECTIONS))
        """Per connection, the number of its next message; connections take the numbers in turn."""
        self._acknowledged = 0
        self._heard_at = time.monotonic()
        self._total: int | None = None
        """Known once the end was asked for."""
        self._asked_to_end = False
        self._retry_at = 0.0
        self._longest_silence_s = 0.0

    def run(self) -> None:
        """Publish until told to end and everything is acknowledged."""
        signal.signal(signal.SIGTERM, self._ask_to_end)
        next_status = 0.0
        while not self._done():
            self._restore()
            self._send_due()
            self._listen()
            now = time.monotonic()
            if now >= next_status:
                self._tell(done=False)
                next_status = now + _STATUS_EVERY_S
            if now - self._heard_at > _GIVE_UP_S:
                sys.exit(f"the broker acknowledged nothing for {_GIVE_UP_S:.0f} s")
        self._tell(done=True)
        for link in self._links:
            link.drop()

    def _ask_to_end(self, *_: object) -> None:
        self._asked_to_end = True

    def _done(self) -> bool:
        if self._asked_to_end and self._total is None:
            devices = self._plan.devices
            quiet_from = -(-max(self._next) // devices) * devices
            self._stream.quiet_from = quiet_from
            self._total = quiet_from + QUIET_ROUNDS * devices
        return self._total is not None and self._acknowledged >= self._total

    def _send_due(self) -> None:
        """Let each connection send what is due by now, as far as its window allows."""
        due = int((time.time_ns() / 1e6 - self._plan.began_ms) * self._plan.rate / 1000)
        if self._total is not None:
            due = min(due, self._total)
        for index, link in enumerate(self._links):
            count = min(_BATCH, link.room, max(0, -(-(due - self._next[index]) // CONNECTIONS)))
            if not link.connected or (count <= 0 and not link.wants_again):
                continue
            first = self._next[index]
            self._next[index] = first + max(0, count) * CONNECTIONS
            messages = [self._message(number) for number in range(first, self._next[index], CONNECTIONS)]
            self._guarded(link, messages)

    def _guarded(self, link: Link, messages: list[tuple[int, str, bytes]]) -> None:
        try:
            link.send(messages)
        except LinkLostError:
            link.drop()

    def _message(self, number: int) -> tuple[int, str, bytes]:
        return number, self._stream.topics[number % self._plan.devices], self._stream.payload(number)

    def _listen(self) -> None:
        time.sleep(_TICK_S)
        links = [link for link in self._links if link.connected]
        if not links:
            return
        readable, writable, _ = select.select(links, [link for link in links if link.wants_to_write], [], 0)
        for link in links:
            try:
                if link in writable:
                    link.write()
                if link in readable:
                    link.read()
            except LinkLostError:
                link.drop()

    def _restore(self) -> None:
        """Connect whoever is not, every ``_RETRY_S`` seconds."""
        if time.monotonic() < self._retry_at or all(link.connected for link in self._links):
            return
        for link in self._links:
            if not link.connected:
                try:
                    link.connect()
                except LinkLostError:
                    self._retry_at = time.monotonic() + _RETRY_S
                    return

    def _write_down(self, numbers: list[int]) -> None:
        self._acknowledged += len(numbers)
        now = time.monotonic()
        self._longest_silence_s = max(self._longest_silence_s, now - self._heard_at)
        self._heard_at = now
        self._ids.write(b"".join(b"%d\n" % number for number in numbers))

    def _tell(self, *, done: bool) -> None:
        status = {
            "done": done,
            "sent": sum(self._sent(index) for index in range(CONNECTIONS)),
            "acknowledged": self._acknowledged,
            "total": self._total,
            "quiet_from": self._stream.quiet_from,
            "reconnects": sum(max(0, link.connections - 1) for link in self._links),
            "resent": sum(link.resent for link in self._links),
            "unheard": sum(link.unheard for link in self._links),
            "refused": sum(link.refused for link in self._links),
            "longest_silence_s": round(self._longest_silence_s, 2),
            "seconds": round(time.time() - self._plan.began_ms / 1000, 2),
        }
        fresh = self._folder / f"{STATUS}.new"
        fresh.write_bytes(orjson.dumps(status))
        os.replace(fresh, self._folder / STATUS)  # noqa: PTH105  # one step: a reader never sees half of it

    def _sent(self, index: int) -> int:
        return (self._next[index] - index) // CONNECTIONS


if __name__ == "__main__":
    home = Path(sys.argv[1])
    Publisher(Order.read(home), home).run()
