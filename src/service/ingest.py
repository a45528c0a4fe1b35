"""Wires one ingest worker from the settings and runs it until it is told to stop."""

import asyncio
import gc
import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from devices.catalogue import load_kinds
from devices.own_kind import OWN_KIND
from domain.clock import Clock
from domain.errors import RefusedError
from domain.flapping import FlappingBounds
from ingest.broker import Connected, Protocol, SubscriberOptions
from ingest.catalogue import load_formats
from ingest.membership import Membership, alone
from ingest.mqtt import Subscriber
from ingest.normalise import TimeBounds
from ingest.router import Router
from service.calming import Calming
from service.cases import Cases
from service.chores import Chores
from service.contract import tell_broken_contract
from service.coordinator.balance_look import BalanceLook
from service.coordinator.coordinator import Coordinator
from service.coordinator.look import GroupLook
from service.drains import drain_leftovers
from service.flow import HEARTBEAT_GAP, Flow, FlowParts
from service.known import KnownDevices
from service.neighbours import broker_address
from service.patience import patiently
from service.pulse import Pulse, PulseParts
from service.readiness import status_file
from service.redrive import Redriver
from service.rule_folder import RuleFolder
from service.sessions import Session
from service.settings import Settings
from service.silencing import Silencing
from service.ticker import Ticker
from service.understand import Bounds
from service.unmuting import Unmuting
from service.watch import Watch
from service.worker import BatchBounds, Worker
from store.connection import Pool
from store.failures import Failure, failure_of
from store.known_devices import following_registry, real_devices_exist
from store.migrate import require_current_schema
from store.pool import open_pool
from store.worker_sessions import mark_gone

MESSAGE_MAX_BYTES: Final = 64 * 1024
"""A reading, or a history of some hundreds of them, is far smaller; more is a mistake or an attack."""

COLLECT_AFTER: Final = 50_000
"""New objects between two looks of the collector; a full batch makes about as many."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ingest:
    """A wired worker, its session and its pulse; ``run_ingest`` runs them."""

    worker: Worker
    subscriber: Subscriber
    flow: Flow
    session: Session
    pulse: Pulse
    coordinator: Coordinator

    async def stands(self) -> bool:
        """Whether it is connected and subscribed."""
        return self.subscriber.connected

    def start(self) -> "list[asyncio.Task[None]]":
        """Start all that it does; whoever starts it cancels it."""
        return [
            asyncio.create_task(part.run()) for part in (self.subscriber, self.worker, self.pulse, self.coordinator)
        ]


async def run_ingest(
    settings: Settings, database_url: str, mqtt_url: str, membership: Membership | None = None
) -> None:
    """Run one worker until SIGTERM or SIGINT; what is in hand then stays with the broker.

    Without a ``membership`` it has the whole stream, and works off what other workers' sessions still hold.

    Raises:
        RefusedError: a simulated clock met real devices.
        StreetwardenError: the database cannot be reached, or its schema is another.
    """
    # A batch makes thousands of objects that die with it; the collector would look through them all again and again.
    gc.set_threshold(COLLECT_AFTER, 20, 100)
    clock = settings.clock()
    pool = await patiently(partial(open_pool, database_url, application_name=settings.client_id, max_size=5))
    try:
        await patiently(partial(require_current_schema, pool))
        await patiently(partial(refuse_mixed_time, pool, clock))
        known = KnownDevices(load_kinds(), settings.district_timezone)
        folder = None if settings.rules_dir is None else RuleFolder(settings.rules_dir, pool, clock)
        if folder is not None:
            await patiently(folder.apply)
        ingest = await patiently(partial(wire, settings, pool, clock, mqtt_url, known, membership))
        contract = asyncio.create_task(tell_broken_contract(settings, mqtt_url))
        tasks = [*ingest.start(), asyncio.create_task(follow_registry(pool, known))]
        if folder is not None:
            tasks.append(asyncio.create_task(folder.follow()))
        if membership is None:
            tasks.append(asyncio.create_task(drain_leftovers(settings, pool, ingest.stands)))
        await _run_until_stopped(ingest, tasks)
        contract.cancel()
        with suppress(Exception):  # only whoever drains the session would otherwise wait a little longer
            async with asyncio.timeout(2):
                await mark_gone(pool, settings.client_id)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await pool.close()


async def refuse_mixed_time(pool: Pool, clock: Clock) -> None:
    """Refuse to judge real devices by a scenario's clock.

    Raises:
        RefusedError: the database holds a device that is not simulated.
    """
    if not clock.simulated:
        return
    async with pool.acquire() as connection:
        if await real_devices_exist(connection):
            message = (
                "STREETWARDEN_SIM_CLOCK is set, but this database holds devices that are not simulated: a scenario's "
                "time would corrupt their history. Use a database of its own, or unset STREETWARDEN_SIM_CLOCK."
            )
            raise RefusedError(message)


async def wire(
    settings: Settings,
    pool: Pool,
    clock: Clock,
    mqtt_url: str,
    known: KnownDevices,
    membership: Membership | None = None,
    *,
    draining: bool = False,
) -> Ingest:
    """Put a worker together; nothing runs yet, but its session is written down."""
    kinds = load_kinds()
    formats = load_formats()
    mine = membership or alone(settings.client_id, formats)
    session = Session(mine, pool, clock, settings.ingest_folder, draining=draining)
    mine = await session.register()
    flapping = FlappingBounds(settings.flapping_openings, timedelta(seconds=settings.flapping_look_back_s))
    cases = Cases(settings.zone, flapping=flapping)
    await cases.start(pool, [rule for kind in (*kinds.values(), OWN_KIND) for rule in kind.rules], clock.now())
    gap = HEARTBEAT_GAP * settings.clock_speed
    parts = FlowParts(
        pool=pool,
        clock=clock,
        router=Router(formats),
        known=known,
        cases=cases,
        bounds=Bounds(
            TimeBounds(timedelta(seconds=settings.future_bound_s), timedelta(days=settings.past_bound_days)),
            MESSAGE_MAX_BYTES,
        ),
        worker=mine.client_id,
        heartbeats=mine.heartbeats,
        zone=settings.zone,
        late_bound=timedelta(days=settings.late_bound_days),
        heartbeat_gap=gap,
    )
    flow = Flow(parts)
    # Before the first connection: what the broker tells of our session is held against what we had heard.
    await flow.start()
    subscriber = _subscriber(settings, clock, mqtt_url, mine, flow, session)
    worker = Worker(
        subscriber,
        flow,
        Ticker(pool, known, cases, timedelta(days=settings.late_bound_days)),
        Chores(
            pool,
            clock,
            Redriver(parts, flow),
            Silencing(pool),
            Unmuting(pool, known, cases),
            Calming(pool, cases),
            timedelta(days=settings.quarantine_keep_days),
        ),
        pool,
        clock,
        BatchBounds(settings.batch_max_messages, settings.batch_max_bytes, gap / 5),
        mine.client_id,
    )
    pulse = Pulse(
        PulseParts(
            client_id=mine.client_id,
            pool=pool,
            clock=clock,
            subscriber=subscriber,
            flow=flow,
            session=session,
            watch=Watch(pool, clock, cases, mine.client_id, gap),
            status_file=status_file(settings.ingest_folder, mine.client_id),
        )
    )
    balances = BalanceLook(settings.zone, known, cases)
    coordinator = Coordinator(pool, clock, GroupLook(kinds, known, cases), balances, mine.client_id)
    return Ingest(worker, subscriber, flow, session, pulse, coordinator)


def _subscriber(
    settings: Settings, clock: Clock, mqtt_url: str, membership: Membership, flow: Flow, session: Session
) -> Subscriber:
    options = SubscriberOptions(
        broker=broker_address(settings, mqtt_url),
        client_id=membership.client_id,
        filters=membership.filters,
        heartbeats=membership.heartbeats,
        unwanted=membership.unwanted,
        protocol=Protocol(settings.mqtt_protocol),
        receive_maximum=settings.batch_max_messages * 2,
        inbox_max_bytes=settings.inbox_max_bytes,
    )

    told = log.bind(worker=membership.client_id)

    def connected(event: Connected) -> None:
        told.info("broker_connected", protocol=event.protocol.value, session_present=event.session_present)
        session.stood(flow.coverage, session_present=event.session_present)

    def lost(why: str) -> None:
        told.warning("broker_lost", why=why)

    return Subscriber(options, clock, on_connected=connected, on_lost=lost)


async def follow_registry(pool: Pool, known: KnownDevices) -> None:
    """Forget remembered devices whenever the registry changes, or the connection that tells us so is lost."""
    while True:
        lost = asyncio.Event()
        try:
            async with following_registry(pool, known.forget, lost.set):
                known.forget()
                await lost.wait()
        except Exception as error:
            if failure_of(error) is not Failure.TRY_AGAIN:
                raise
            log.warning("registry_listener_again", error=str(error))
            await asyncio.sleep(1)
        known.forget()


async def _run_until_stopped(ingest: Ingest, tasks: "list[asyncio.Task[None]]") -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    stopping = asyncio.create_task(stop.wait())
    running = list(tasks)
    try:
        while not stopping.done():
            done, _ = await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            running = [task for task in running if not task.done()]
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.wait([*tasks, stopping])
        ingest.pulse.leave()
    log.info("ingest_stopped", settled=ingest.worker.settled, batches=ingest.worker.batches)
