"""Alert storm: every device of a fleet reports a fault at once, and each alert goes through to its ticket."""

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from api.app import vocabulary
from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.alert import Step
from domain.coverage import Coverage
from domain.instants import EPOCH
from domain.reading import MeasureValue, Reading
from ingest.catalogue import load_formats
from ingest.delivery import Delivery
from ingest.normalise import TimeBounds
from ingest.router import Router
from rules.engine import Hearing, judge
from rules.plan import make_plan
from rules.tracks import Tracks
from service.bench.meter import Usage, usage
from service.bench.screen import Bar, Screen
from service.cases import Cases
from service.children import Program, running, start
from service.embedded.postgres import EmbeddedPostgres
from service.failures import ChildDiedError
from service.flow import Flow, FlowParts
from service.ingest import COLLECT_AFTER, MESSAGE_MAX_BYTES
from service.known import KnownDevices
from service.registry_import import save_sheet
from service.registry_table import RowOf, read_sheet
from service.settings import load_settings
from service.understand import Bounds
from store.bench_views import StormOutcome, storm_outcome
from store.connection import Pool
from store.migrate import migrate
from store.pool import open_pool

GOAL_PER_SECOND: Final = 2000
_POLL_S: Final = 0.05
_HEALTHY_BEFORE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Phase:
    """One round of the whole fleet through the flow."""

    messages: int
    seconds: float
    used: Usage

    def figures(self) -> dict[str, Any]:
        """As others read it."""
        return {
            "per_second": round(self.messages / self.seconds, 1),
            "seconds": round(self.seconds, 2),
            "cpu_us": {name: round(value / self.messages * 1e6, 1) for name, value in self.used.programs.items()},
            "others_processors": round(self.used.others_s / self.seconds, 2),
        }


def run_storm(alerts: int, folder: Path, screen: Screen) -> dict[str, Any]:
    """Register as many devices as alerts, each on an asset of its own; let all be healthy, then all fail at once."""
    bar = screen.bar("database, fleet", alerts)
    logs = folder / "logs"
    postgres = EmbeddedPostgres(folder / "postgres", logs / "postgres.log")
    with running(postgres.prepare()) as server:
        asyncio.run(migrate(postgres.url))
        sheet = folder / "fleet.csv"
        _lay_out(sheet, alerts, logs)
        pids = {"postgres": server.process.pid}
        return asyncio.run(_storm(postgres.url, sheet, pids, bar, screen.bar("storm", 2 * alerts)))


def _lay_out(sheet: Path, devices: int, logs: Path) -> None:
    program = Program(
        name="fleet",
        argv=(sys.executable, "-m", "simulators", "fleet", "--devices", str(devices), "--out", str(sheet)),
        log_file=logs / "fleet.log",
        env=dict(os.environ),
        ready=lambda: True,
        hint="Read the last lines of its log.",
        stop_signal=signal.SIGINT,
        stop_timeout_s=30,
    )
    child = start(program)
    try:
        while child.alive:
            time.sleep(_POLL_S)
    finally:
        child.stop()
    if child.process.returncode != 0:
        raise ChildDiedError(f"fleet failed with exit code {child.process.returncode}; see {program.log_file}")


async def _storm(url: str, sheet: Path, pids: dict[str, int], setup: Bar, bar: Bar) -> dict[str, Any]:
    settings = load_settings()
    rows = read_sheet(await asyncio.to_thread(sheet.read_bytes), vocabulary())
    pool = await open_pool(url, application_name="streetwarden bench storm", max_size=2, statement_timeout_s=120)
    try:
        registered = 0

        def progress(more: int) -> None:
            nonlocal registered
            registered += more
            setup.show(registered, "registered")

        clock = settings.clock()
        await save_sheet(pool, rows, clock.now(), progress)
        setup.finish("")
        flow = await _flow(pool)
        # As ingest does: see there.
        gc.set_threshold(COLLECT_AFTER, 20, 100)
        kinds = load_kinds()
        settler = _Settler(flow, pids, bar, settings.batch_max_messages)
        now = clock.now()
        healthy = _deliveries(rows.rows, {kind.key: _resting(kind) for kind in kinds.values()}, now - _HEALTHY_BEFORE)
        phases = {"healthy": (await settler.settle(healthy)).figures()}
        failing = _deliveries(rows.rows, {kind.key: fails_at_once(kind) for kind in kinds.values()}, now)
        phases["storm"] = (await settler.settle(failing)).figures()
        outcome = await storm_outcome(pool)
    finally:
        await pool.close()
    bar.finish(f"{phases['storm']['per_second']:,.0f} alerts/s")
    return {
        "goal_per_second": GOAL_PER_SECOND,
        "devices": len(rows.rows),
        "batch_messages": settings.batch_max_messages,
        "phases": phases,
        "outcome": _as_expected(outcome, len(rows.rows)),
    }


def _as_expected(outcome: StormOutcome, devices: int) -> dict[str, int]:
    """The outcome, unless alerts or tickets are missing or double: then the figure would be worth nothing.

    Raises:
        ChildDiedError: they are.
    """
    if outcome != StormOutcome(alerts=devices, tickets=devices, without_ticket=0):
        raise ChildDiedError(f"the storm of {devices} alerts ended otherwise: {outcome}")
    return outcome._asdict()


class _Settler:
    """Hands the flow one full batch after the other, as a worker under load does."""

    def __init__(self, flow: Flow, pids: dict[str, int], bar: Bar, at_once: int) -> None:
        self._flow = flow
        self._pids = pids
        self._bar = bar
        self._at_once = at_once
        self._token = 0
        self._done = 0

    async def settle(self, deliveries: Sequence[Delivery]) -> Phase:
        before, began = usage(self._pids), time.perf_counter()
        for first in range(0, len(deliveries), self._at_once):
            batch = deliveries[first : first + self._at_once]
            self._token += 1
            await self._flow.settle(batch, self._token)
            self._done += len(batch)
            self._bar.show(self._done)
        seconds = time.perf_counter() - began
        return Phase(len(deliveries), seconds, usage(self._pids).since(before))


async def _flow(pool: Pool) -> Flow:
    settings = load_settings()
    kinds = load_kinds()
    clock = settings.clock()
    cases = Cases(settings.zone)
    await cases.start(pool, [rule for kind in kinds.values() for rule in kind.rules], clock.now())
    times = TimeBounds(timedelta(seconds=settings.future_bound_s), timedelta(days=settings.past_bound_days))
    flow = Flow(
        FlowParts(
            pool=pool,
            clock=clock,
            router=Router(load_formats()),
            known=KnownDevices(kinds, settings.district_timezone),
            cases=cases,
            bounds=Bounds(times, MESSAGE_MAX_BYTES),
            worker="bench-storm",
            heartbeats={},
            zone=settings.zone,
            late_bound=timedelta(days=settings.late_bound_days),
        )
    )
    await flow.start()
    return flow


def _resting(kind: DeviceKind) -> dict[str, MeasureValue]:
    """What a healthy device of the kind reports of the measures that rules look at."""
    looked_at = {measure for rule in kind.rules for measure in rule.condition.measures}
    return {measure.name: measure.rest for measure in kind.measures if measure.name in looked_at}


def fails_at_once(kind: DeviceKind) -> dict[str, MeasureValue]:
    """A fault of the kind whose first reading opens one alert that asks for a ticket.

    Raises:
        LookupError: the kind has no such fault.
    """
    plan = make_plan(kind.rules, interval_s=kind.interval_s, validity_factor=kind.validity_factor, overrides={})
    at = EPOCH + timedelta(days=20_000)
    for fault in kind.faults:
        values = _resting(kind) | {name: value for name, value in fault.values.items() if name in plan.quiet}
        steps = judge(plan, Tracks(), Reading(0, at, at, values, {}, 0, b"", None, None), Hearing(at, Coverage(at, at)))
        if [step.step for step in steps] != [Step.OPENED]:
            continue
        rule = plan.rules[steps[0].rule]
        if rule.case_class is not None and steps[0].severity <= rule.ticket_from:
            return values
    raise LookupError(f"no fault of {kind.key} opens exactly one alert with a ticket at once")


def _deliveries(rows: Sequence[RowOf], values: dict[str, dict[str, MeasureValue]], at: datetime) -> list[Delivery]:
    payloads = {kind: orjson.dumps({"ts": at.isoformat(), "values": told}) for kind, told in values.items()}
    devices = [row.device for row in rows if row.device is not None]
    return [
        Delivery(
            f"city/v1/{device.district}/{device.kind}/{device.name}/telemetry",
            payloads[device.kind],
            at,
            packet_id=number % 65535 + 1,
            redelivered=False,
            generation=1,
        )
        for number, device in enumerate(devices)
    ]


def print_storm(figures: dict[str, Any]) -> None:
    """The table."""
    title = f"streetwarden bench storm: {figures['devices']:,} alerts (goal {figures['goal_per_second']:,} a second)"
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for column in ("a second", "seconds", "CPU µs: ours", "PostgreSQL's", "others took"):
        table.add_column(column, justify="right")
    names = {"healthy": "healthy readings", "storm": "alerts with tickets"}
    for phase, one in figures["phases"].items():
        table.add_row(
            names[phase],
            f"{one['per_second']:,.0f}",
            f"{one['seconds']:.1f}",
            f"{one['cpu_us']['bench']:.0f}",
            f"{one['cpu_us']['postgres']:.0f}",
            f"{one['others_processors']:.2f}",
        )
    Console().print(table)
