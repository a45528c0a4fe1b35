"""Ordinary traffic beside one poisonous source: what the others feel of it, and whether anything of theirs is lost."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

from simulators.address import read_address
from tests.chaos import checks
from tests.chaos.checks import Check
from tests.chaos.kills import drain, ended_by_itself, look_at_alerts
from tests.chaos.link import Link, LinkLostError
from tests.chaos.stream import DISTRICT, Plan, Stream
from tests.chaos.venom import DEVICE, Venom, noise, poison
from tests.chaos.world import Configuration, Publishing, World, world

_WINDOW: Final = 400
_TICK_S: Final = 0.01
_LOOK_EVERY_S: Final = 0.5


class Sort(StrEnum):
    """What is sent beside the ordinary traffic."""

    POISON = "poison"
    """Everything that a broken publisher sends, at a rate."""
    NOISE = "noise"
    """Random topics and bytes."""


@dataclass(frozen=True, slots=True)
class PoisonOrder:
    """What is asked of a run."""

    sort: Sort
    configuration: Configuration
    seconds: float = 30.0
    """Without poison, and then as long with it."""
    rate: float = 1000.0
    """Ordinary messages a second."""
    poison_rate: float = 1000.0
    seed: int = 1
    devices: int = 720
    bound_s: float = 30.0
    """An ordinary message must be stored within this all the time: a stall is longer, a busy machine is not."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Publish to stored, in milliseconds, of the ordinary messages of one stretch of time."""

    messages: int
    p50: float
    p99: float
    most: float


@dataclass(slots=True)
class PoisonResult:
    """What a run found."""

    order: PoisonOrder
    without: Latency | None = None
    beside: Latency | None = None
    poison_sent: int = 0
    poison_acknowledged: int = 0
    longest_lag_s: float = 0.0
    """The longest that the newest stored ordinary message lay behind the clock."""
    checks: list[Check] = field(default_factory=list[Check])
    publisher: dict[str, Any] = field(default_factory=dict[str, Any])
    alerts: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    drained_after_s: float = 0.0

    @property
    def violations(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.holds]


_LATENCY: Final = """
SELECT count(*), coalesce(percentile_cont(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP (ORDER BY x.ms), ARRAY[0, 0, 0])
FROM (
    SELECT extract(epoch FROM pg_xact_commit_timestamp(r.xmin) - r.at) * 1000 AS ms
    FROM reading AS r JOIN device AS d ON d.id = r.device_id
    WHERE starts_with(d.name, 'chaos-') AND r.at >= to_timestamp($1) AND r.at < to_timestamp($2)
) AS x
"""
_NEWEST: Final = """
SELECT extract(epoch FROM now() - max(s.last_at)) FROM device_state AS s JOIN device AS d ON d.id = s.device_id
WHERE starts_with(d.name, 'chaos-')
"""
_REASONS: Final = "SELECT reason, sum(count)::bigint FROM quarantine GROUP BY reason ORDER BY reason"
_REGISTER: Final = """
WITH made AS (
    INSERT INTO device (name, kind, district, created_at, updated_at) VALUES ($1, 'manhole', $2, now(), now())
    RETURNING id
), named AS (INSERT INTO device_alias (source, alias, device_id) SELECT 'native', $1, id FROM made)
INSERT INTO device_state (device_id) SELECT id FROM made
"""


def run_poison(order: PoisonOrder, folder: Path) -> PoisonResult:
    """Ordinary traffic alone, then beside poison, then every check on the ordinary part."""
    result = PoisonResult(order)
    with world(
        folder, order.configuration, devices=order.devices, database_settings={"track_commit_timestamp": "on"}
    ) as made:
        made.ask(_REGISTER, DEVICE, DISTRICT)
        publishing, plan = made.publish(order.rate, order.seed)
        pest = Pest(made, order)
        try:
            _watch(made, publishing, result, order.seconds)
            pest.start()
            _watch(made, publishing, result, order.seconds)
            result.publisher = publishing.finish()
            result.poison_sent, result.poison_acknowledged = pest.stop()
        finally:
            pest.kill()
            publishing.abandon()
        total = int(result.publisher["total"])
        result.drained_after_s = drain(made, total, lambda _: None)
        _look(made, plan, publishing, result, total)
    return result


def _watch(made: World, publishing: Publishing, result: PoisonResult, seconds: float) -> None:
    """Let time pass; look at how far the ordinary messages have come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        made.ingest.look_after()
        publishing.require_alive()
        behind = made.ask(_NEWEST)[0][0]
        result.longest_lag_s = round(max(result.longest_lag_s, float(behind or 0.0)), 2)
        time.sleep(_LOOK_EVERY_S)


def _look(made: World, plan: Plan, publishing: Publishing, result: PoisonResult, total: int) -> None:
    order = result.order
    began = plan.began_ms / 1000
    # The first second holds the start of the publisher's process.
    result.without = _latency(made, began + 1, began + order.seconds)
    result.beside = _latency(made, began + order.seconds + 1, began + 2 * order.seconds)
    result.reasons = {row[0]: int(row[1]) for row in made.ask(_REASONS)}
    stored = checks.stored_numbers(made, plan)
    result.checks = [
        *checks.deliveries(plan, publishing.acknowledged(), total, stored),
        *checks.ledger(made, all_came=False, quarantine_expected=True),
        ended_by_itself(made.ingest.own_ends),
        Check(
            "ordinary messages never stall",
            int(max(result.longest_lag_s, result.beside.most / 1000) > order.bound_s),
            f"{result.longest_lag_s} s behind at most, bound {order.bound_s:.0f} s",
        ),
        Check("poison was sent", int(result.poison_acknowledged == 0)),
    ]
    compared, result.alerts = look_at_alerts(made, Stream(plan, result.publisher["quiet_from"]), total)
    result.checks += compared


def _latency(made: World, since: float, until: float) -> Latency:
    [[messages, quantiles]] = made.ask(_LATENCY, since, until)
    return Latency(int(messages), *(round(float(one), 1) for one in quantiles))


class Pest:
    """The process that sends it."""

    def __init__(self, made: World, order: PoisonOrder) -> None:
        """Prepare."""
        self._command = [
            *(sys.executable, "-m", "tests.chaos.poison", made.broker.url, order.sort.value),
            *(str(order.poison_rate), str(order.seed)),
        ]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin."""
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(self._command, cwd=root, stdout=subprocess.PIPE, text=True)

    def stop(self) -> tuple[int, int]:
        """End; how many were sent, and acknowledged."""
        if self._process is None:
            return 0, 0
        self._process.send_signal(signal.SIGTERM)
        words, _ = self._process.communicate(timeout=60)
        sent, acknowledged = words.split()[-2:]
        return int(sent), int(acknowledged)

    def kill(self) -> None:
        """End it whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Sender:
    """Sends venom at a rate; a broker that throws it out is come back to, without what it would not take."""

    def __init__(self, url: str, source: Iterator[Venom], rate: float) -> None:
        """Prepare."""
        self._source = source
        self._rate = rate
        self._acknowledged = 0
        self._address = read_address(url)
        self._generation = 0
        self._link = self._new_link()
        self._over = False

    def _new_link(self) -> Link:
        self._generation += 1
        name = f"chaos-pest-{os.getpid()}-{self._generation}"
        return Link(self._address, name, v5=False, window=_WINDOW, acknowledged=self._count)

    def _count(self, numbers: list[int]) -> None:
        self._acknowledged += len(numbers)

    def run(self) -> tuple[int, int]:
        """Send until SIGTERM."""
        signal.signal(signal.SIGTERM, self._end)
        began, sent = time.monotonic(), 0
        while not self._over:
            try:
                if not self._link.connected:
                    self._link = self._new_link()
                    self._link.connect()
                due = int((time.monotonic() - began) * self._rate) - sent
                count = max(0, min(due, self._link.room, 100))
                batch = list(islice(self._source, count))
                for retain in (False, True):
                    part = [(0, one.topic, one.payload) for one in batch if one.retain is retain]
                    if part:
                        self._link.send(part, retain=retain)
                sent += count
                self._listen()
            except LinkLostError:
                self._link.drop()
                time.sleep(0.05)
        self._link.drop()
        return sent, self._acknowledged

    def _listen(self) -> None:
        writers = [self._link] if self._link.wants_to_write else []
        readable, writable, _ = select.select([self._link], writers, [], _TICK_S)
        if writable:
            self._link.write()
        if readable:
            self._link.read()

    def _end(self, *_: object) -> None:
        self._over = True


if __name__ == "__main__":
    broker, sort, rate, seed = sys.argv[1:]
    venom = (poison if sort == Sort.POISON else noise)(int(seed))
    print(*Sender(broker, venom, float(rate)).run())  # noqa: T201  # for the process that started this one
