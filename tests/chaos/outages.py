"""A neighbour away for a while under load: memory stays flat, nothing is lost, and it is caught up afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import httpx

from service.ports import free_port
from tests.chaos import checks
from tests.chaos.checks import Check
from tests.chaos.kills import drain, ended_by_itself, look_at_alerts
from tests.chaos.neighbours import wait_for
from tests.chaos.stream import Stream
from tests.chaos.world import Configuration, Publishing, World, world

SAMPLE_EVERY_S: Final = 0.5
_CAUGHT_UP_WITHIN_S: Final = 900.0
_SLACK_MIB: Final = 48.0
"""What an interpreter may grow by for other reasons within a minute or two, beside the inbox."""
_STALE_AFTER_S: Final = 60.0
"""The API says ``ingest_heard: false`` after so long without a heartbeat (docs/operations.md)."""


class Away(StrEnum):
    """Who is away."""

    DATABASE = "database"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class OutageOrder:
    """What is asked of a run."""

    away: Away
    configuration: Configuration
    away_s: float = 60.0
    before_s: float = 10.0
    seed: int = 1
    rate: float = 2200.0
    devices: int = 720
    inbox_mib: int = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment."""

    at_s: float
    """Seconds since the outage began; negative before it."""
    resident_mib: float
    ready: bool | None
    """What the API's ``/v1/health/ready`` says; ``None``: no answer."""
    heard: bool
    """Its ``ingest_heard``."""
    linked: bool
    """Ingest holds a connection to the broker."""


@dataclass(slots=True)
class OutageResult:
    """What a run found."""

    order: OutageOrder
    samples: list[Sample] = field(default_factory=list[Sample])
    checks: list[Check] = field(default_factory=list[Check])
    publisher: dict[str, Any] = field(default_factory=dict[str, Any])
    alerts: dict[str, int] = field(default_factory=dict[str, int])
    behind: int = 0
    """Messages that waited when the neighbour was back."""
    caught_up_after_s: float = 0.0
    broker_lost: int = 0
    outages: list[str] = field(default_factory=list[str])
    outage_alerts: int | None = None
    """``None``: this version has no rule ``ingest.outage``."""

    @property
    def violations(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check.holds]

    def memory_mib(self) -> tuple[float, float]:
        """Resident memory when the outage began, and the most until it ended."""
        before = [one.resident_mib for one in self.samples if one.at_s < 0] or [0.0]
        during = [one.resident_mib for one in self.samples if 0 <= one.at_s <= self.order.away_s] or [0.0]
        return before[-1], max(during)


def run_outage(order: OutageOrder, folder: Path) -> OutageResult:
    """One outage from an empty folder to its checks."""
    result = OutageResult(order)
    settings = {"inbox_max_bytes": str(order.inbox_mib * 2**20)}
    with world(folder, order.configuration, devices=order.devices, settings=settings) as made, _api(made) as api:
        publishing, plan = made.publish(order.rate, order.seed)
        try:
            _watch(made, publishing, api, result, -order.before_s, 0.0)
            log_from = os.stat(made.ingest.log).st_size  # noqa: PTH116  # a size, no path arithmetic
            _let_away(made, order, publishing, api, result)
            _catch_up(made, publishing, result)
            result.broker_lost = len(made.ingest.told("broker_lost", log_from))
            result.publisher = publishing.finish()
        finally:
            publishing.abandon()
        total = int(result.publisher["total"])
        drain(made, total, lambda _: None)
        made.ingest.look_after()
        stored = checks.stored_numbers(made, plan)
        result.checks = [
            *checks.deliveries(plan, publishing.acknowledged(), total, stored),
            *checks.ledger(made, all_came=True),
            *checks.tickets(made),
            ended_by_itself(made.ingest.own_ends),
            *_look(made, result),
        ]
        compared, result.alerts = look_at_alerts(made, Stream(plan, result.publisher["quiet_from"]), total)
        result.checks += compared
    return result


def _let_away(made: World, order: OutageOrder, publishing: Publishing, api: str, result: OutageResult) -> None:
    """Stop the neighbour, watch for its absence, start it again."""
    broker = made.broker_victim()
    began = time.monotonic()
    if order.away is Away.DATABASE:
        made.database.stop()
    else:
        made.broker.stop()
    _watch(made, publishing, api, result, 0.0, order.away_s - (time.monotonic() - began))
    if order.away is Away.DATABASE:
        made.database.revive()
    else:
        broker.revive()


def _watch(made: World, publishing: Publishing, api: str, result: OutageResult, from_s: float, until_s: float) -> None:
    """Take samples from ``from_s`` to ``until_s``, in seconds since the outage began."""
    zero = time.monotonic() - from_s
    while (at_s := time.monotonic() - zero) < until_s:
        made.ingest.look_after()
        publishing.require_alive()
        ready, heard = _ask_api(api)
        resident, linked = made.ingest.resident_mib(), made.ingest.is_linked_to(made.broker.port)
        result.samples.append(Sample(round(at_s, 2), round(resident, 1), ready, heard, linked))
        time.sleep(SAMPLE_EVERY_S)


def _catch_up(made: World, publishing: Publishing, result: OutageResult) -> None:
    """Wait until what is settled is no more than a second behind what the broker acknowledged."""
    began = time.monotonic()
    while True:
        made.ingest.look_after()
        acknowledged = int(publishing.status().get("acknowledged", 0))
        settled = int(made.ask("SELECT coalesce(sum(stored), 0)::bigint FROM ledger_minute")[0][0])
        due = int((time.time() * 1000 - made.began_ms) / 1000 * result.order.rate)
        result.behind = max(result.behind, due - settled)
        if acknowledged - settled < result.order.rate and due - settled < 2 * result.order.rate:
            break
        if time.monotonic() - began > _CAUGHT_UP_WITHIN_S:
            raise TimeoutError(f"{due - settled} messages behind after {_CAUGHT_UP_WITHIN_S:.0f} s")
        time.sleep(SAMPLE_EVERY_S)
    result.caught_up_after_s = round(time.monotonic() - began, 1)


def _look(made: World, result: OutageResult) -> list[Check]:
    """What an outage in particular must show."""
    order = result.order
    before, most = result.memory_mib()
    grown = most - before
    during = [one for one in result.samples if one.at_s > min(5.0, order.away_s / 2)]
    result.outages = [f"{row[0]} {row[1]}" for row in made.ask("SELECT source, cause FROM outage ORDER BY id")]
    if made.ask("SELECT FROM rule_revision WHERE key = 'ingest.outage'"):
        result.outage_alerts = int(made.ask("SELECT count(*) FROM alert WHERE rule = 'ingest.outage'")[0][0])
    silences = int(made.ask("SELECT count(*) FROM alert WHERE rule LIKE '%.offline'")[0][0])
    bound = order.inbox_mib + _SLACK_MIB
    found = [
        Check("memory is bounded by the inbox", int(grown > bound), f"grew by {grown:.0f} MiB of {bound:.0f}"),
        Check("an outage is no silence of devices", silences, "offline alerts"),
    ]
    if order.away is Away.DATABASE:
        unready = [one for one in during if one.ready is not False]
        found.append(Check("ready says no meanwhile", int(len(unready) == len(during)), f"{len(unready)} said yes"))
        if order.inbox_mib > _SLACK_MIB:
            # With a small inbox it lets go of the connection on purpose.
            deaf = [one for one in during if not one.linked]
            found.append(Check("the session stays alive", len(deaf) + result.broker_lost, "samples without a link"))
    elif order.away_s > _STALE_AFTER_S + 10:
        deaf = [one for one in during if not one.heard]
        found.append(Check("ready says that nothing is heard", int(not deaf)))
    if result.outage_alerts is not None and order.away_s > 2 * 15:
        # A database that was away is none: the broker kept everything, our heartbeats included.
        due = 1 if order.away is Away.BROKER else 0
        name = "one outage alert" if due else "no outage alert"
        found.append(Check(name, abs(result.outage_alerts - due), f"{result.outage_alerts} alerts"))
    return found


@contextmanager
def _api(made: World) -> Generator[str]:
    """The API beside it, asked whether it is ready; its address."""
    port = free_port()
    environment = {**made.environment, "STREETWARDEN_API_PORT": str(port)}
    with (made.folder / "api.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "service", "api"], env=environment, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: _ask_api(address)[0], 60, "the API is ready")
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _ask_api(address: str) -> tuple[bool | None, bool]:
    """Whether it is ready and whether ingest is heard; no answer is ``None``."""
    with suppress(httpx.HTTPError):
        answer = httpx.get(f"{address}/v1/health/ready", timeout=5)
        return answer.is_success, bool(answer.json().get("ingest_heard"))
    return None, False
