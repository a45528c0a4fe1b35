"""Kill after kill at random moments under load, then wait until all is settled, and look at everything."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from store.pool import open_pool
from tests.chaos import checks
from tests.chaos.checks import Check
from tests.chaos.neighbours import OwnEnd, Victim
from tests.chaos.reference import Upheld, undisturbed, upheld
from tests.chaos.stream import Plan, Stream
from tests.chaos.world import Configuration, Publishing, World, world

SHORTEST_PAUSE_S: Final = 0.2
_STILL_FOR_S: Final = 8.0
"""Longer than the embedded broker's 5 s after which it brings again what a killed worker had in hand."""
_STUCK_AFTER_S: Final = 120.0
"""Nothing more is settled for so long: it never will be."""
_WATCH_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a run."""

    configuration: Configuration
    kills: int
    seed: int
    rate: float
    devices: int
    longest_pause_s: float


class Blow(NamedTuple):
    """One kill."""

    at_s: float
    """Seconds since the first message."""
    victim: str
    how: str
    away_s: float
    """Until it served again, where that can be seen from outside; else until it was started."""


class Progress(NamedTuple):
    """Where a run stands, for whoever watches."""

    stage: str
    kills: int
    published: int
    acknowledged: int
    settled: int


@dataclass(slots=True)
class Result:
    """What a run found."""

    order: Order
    blows: list[Blow] = field(default_factory=list[Blow])
    own_ends: list[OwnEnd] = field(default_factory=list[OwnEnd])
    checks: list[Check] = field(default_factory=list[Check])
    publisher: dict[str, Any] = field(default_factory=dict[str, Any])
    ledger: dict[str, int] = field(default_factory=dict[str, int])
    alerts: dict[str, int] = field(default_factory=dict[str, int])
    tickets: int = 0
    lost: int = 0
    drained_after_s: float = 0.0
    """From the last acknowledgement until nothing more was settled."""

    @property
    def violations(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.holds]

    @property
    def messages_per_second(self) -> float:
        """Acknowledged messages over the whole time of publishing, the outages included."""
        seconds = float(self.publisher.get("seconds", 0.0))
        return self.publisher.get("acknowledged", 0) / seconds if seconds else 0.0

    def kills_by_victim(self) -> dict[str, int]:
        """How often each was hit."""
        return dict(Counter(blow.victim for blow in self.blows))


Watcher = Callable[[Progress], None]


def run(order: Order, folder: Path, watch: Watcher) -> Result:
    """One configuration from an empty folder to its checks."""
    result = Result(order)
    with world(folder, order.configuration, devices=order.devices) as made:
        publishing, plan = made.publish(order.rate, order.seed)
        try:
            _kill_all(order, made, publishing, plan, result, watch)
            result.publisher = _finish(made, publishing, result, watch)
        finally:
            publishing.abandon()
        total = int(result.publisher["total"])
        result.drained_after_s = drain(made, total, lambda settled: watch(_progress("drain", result, settled)))
        made.ingest.look_after()
        result.own_ends = made.ingest.own_ends
        _look(made, plan, publishing, result, total, watch)
    return result


def victims(made: World) -> list[Victim]:
    """Who can be killed."""
    return [made.ingest, made.broker_victim(), made.database]


def _kill_all(order: Order, made: World, publishing: Publishing, plan: Plan, result: Result, watch: Watcher) -> None:
    dice = random.Random(order.seed)
    everyone = victims(made)
    while len(result.blows) < order.kills:
        # Everyone in turn, in another order each time, so that few kills hit all of them, too.
        for victim in dice.sample(everyone, len(everyone)):
            if len(result.blows) >= order.kills:
                break
            _wait(made, publishing, dice.uniform(SHORTEST_PAUSE_S, order.longest_pause_s))
            began = time.monotonic()
            how = victim.kill(dice)
            victim.revive()
            at_s = round(time.time() - plan.began_ms / 1000, 2)
            result.blows.append(Blow(at_s, victim.name, how, round(time.monotonic() - began, 2)))
            status = publishing.status()
            watch(Progress("kill", len(result.blows), status.get("sent", 0), status.get("acknowledged", 0), settled=-1))
    _wait(made, publishing, order.longest_pause_s)


def _wait(made: World, publishing: Publishing, pause_s: float) -> None:
    """Let time pass, and see to it that nobody else died meanwhile."""
    until = time.monotonic() + pause_s
    while (left := until - time.monotonic()) > 0:
        made.ingest.look_after()
        publishing.require_alive()
        time.sleep(min(_WATCH_EVERY_S, left))


def _finish(made: World, publishing: Publishing, result: Result, watch: Watcher) -> dict[str, Any]:
    watch(_progress("finish", result, -1))
    made.ingest.look_after()
    return publishing.finish()


def drain(made: World, total: int, told: Callable[[int], None]) -> float:
    """Wait until nothing more arrives; the seconds until the last change."""
    began = changed = time.monotonic()
    before: tuple[int, ...] = ()
    while True:
        made.ingest.look_after()
        [row] = made.ask(
            "SELECT coalesce(sum(accepted + redelivered), 0)::bigint, coalesce(sum(stored), 0)::bigint, "
            "(SELECT count(*) FROM alert_event) FROM ledger_minute"
        )
        now = tuple(int(value) for value in row)
        told(now[1])
        if now != before:
            before, changed = now, time.monotonic()
        still_s = time.monotonic() - changed
        if still_s > (_STILL_FOR_S if now[1] >= total else _STUCK_AFTER_S if not _heard(made) else 3 * _STILL_FOR_S):
            return round(changed - began, 1)
        time.sleep(0.5)


def _heard(made: World) -> bool:
    """Whether a heartbeat came back through the broker just now: what waited before it has arrived."""
    return bool(made.ask("SELECT FROM coverage WHERE until > now() - interval '10 seconds'"))


def _progress(stage: str, result: Result, settled: int) -> Progress:
    told = result.publisher
    return Progress(stage, len(result.blows), told.get("sent", 0), told.get("acknowledged", 0), settled)


def _look(made: World, plan: Plan, publishing: Publishing, result: Result, total: int, watch: Watcher) -> None:
    """Every check; the undisturbed run is played into a second database of the same server."""
    tells_loss = result.order.configuration.loss_is_told
    stored = checks.stored_numbers(made, plan)
    settled = checks.deliveries(plan, publishing.acknowledged(), total, stored)
    result.lost = settled[0].wrong
    result.ledger = checks.totals(made)
    result.tickets = int(made.ask("SELECT count(*) FROM ticket")[0][0])
    result.checks = [
        *(settled[1:] if tells_loss else settled),
        *checks.ledger(made, all_came=not tells_loss),
        checks.books(made),
        *checks.tickets(made),
        ended_by_itself(result.own_ends),
    ]
    if not tells_loss:
        watch(_progress("undisturbed", result, len(stored)))
        compared, result.alerts = look_at_alerts(made, Stream(plan, result.publisher["quiet_from"]), total)
        result.checks += compared


def look_at_alerts(made: World, stream: Stream, total: int) -> tuple[list[Check], dict[str, int]]:
    """Compare the upheld alerts with those of the undisturbed run of the same messages."""
    wanted = undisturbed(made, stream, total)
    return checks.alerts(made.run(_upheld(made.database.url)), wanted)


def ended_by_itself(ends: list[OwnEnd]) -> Check:
    """An ingest that gave up because a neighbour was away."""
    return Check(
        "ingest ends only when killed",
        len(ends),
        ids=[f"after {end.after_s} s with {end.code}: {end.last_words}" for end in ends],
    )


async def _upheld(url: str) -> Upheld:
    pool = await open_pool(url, application_name="chaos", max_size=1, statement_timeout_s=600)
    try:
        return await upheld(pool)
    finally:
        await pool.close()
