"""The way of a message without a broker: batches handed over by the test itself."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.clock import Clock
from ingest.catalogue import load_formats
from ingest.delivery import Delivery
from ingest.normalise import TimeBounds
from ingest.router import Router
from rules.rule import Rule
from service.cases import Cases
from service.clock import SystemClock
from service.flow import HEARTBEAT_GAP, Flow, FlowParts
from service.known import KnownDevices
from service.understand import Bounds
from service.unmuting import Unmuting
from tests.support.publishing import body, topic

ZONE = ZoneInfo("Asia/Shanghai")
LATE_BOUND = timedelta(days=7)


async def flow_on(
    pool: "asyncpg.Pool[asyncpg.Record]",
    worker: str = "worker-1",
    clock: Clock | None = None,
    heartbeats: dict[str, str] | None = None,
    heartbeat_gap: timedelta = HEARTBEAT_GAP,
    kinds: Mapping[str, DeviceKind] | None = None,
    group_rules: Mapping[str, Rule] | None = None,
    known: KnownDevices | None = None,
) -> Flow:
    """A flow with the defaults of the service; ``kinds`` and ``group_rules`` may bring other rules."""
    kinds = kinds or load_kinds()
    lived = clock or SystemClock()
    cases = Cases(ZONE)
    await cases.start(pool, [rule for kind in kinds.values() for rule in kind.rules], lived.now())
    bounds = Bounds(TimeBounds(timedelta(minutes=5), timedelta(days=400)), 65536)
    known, router = known or KnownDevices(kinds, several=group_rules), Router(load_formats())
    parts = FlowParts(
        pool, lived, router, known, cases, bounds, worker, heartbeats or {}, ZONE, LATE_BOUND, heartbeat_gap
    )
    flow = Flow(parts)
    await flow.start()
    return flow


def delivered(device: str, at: datetime, number: int, **values: float) -> Delivery:
    """One reading of a device, received when it was measured."""
    return Delivery(topic(device), body(at, None, **values), at, number, redelivered=False, generation=1)


def unmuting_of(flow: Flow) -> Unmuting:
    """The chore that ends mutes, on the parts of a flow."""
    parts = flow._parts  # pyright: ignore[reportPrivateUsage]  # the parts it was made of
    return Unmuting(parts.pool, parts.known, parts.cases)
