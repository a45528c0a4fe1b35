"""Wires one ingest worker from the settings and runs it until it is told to stop."""

import asyncio
import gc
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from devices.catalogue import load_kinds
from domain.clock import Clock
from domain.errors import RefusedError
from ingest.broker import BrokerAddress, Connected, Protocol, SubscriberOptions
from ingest.catalogue import load_formats
from ingest.format import Format
from ingest.mqtt import Subscriber
from ingest.normalise import TimeBounds
from ingest.router import Router
from service.cases import Cases
from service.flow import HEARTBEAT_GAP, Flow, FlowParts
from service.known import KnownDevices
from service.settings import Settings
from service.ticker import Ticker
from service.understand import Bounds
from service.worker import BatchBounds, Worker
from store.connection import Pool
from store.failures import Failure, failure_of
from store.known_devices import following_registry, real_devices_exist
from store.ledger import load_coverage, record_outages
from store.migrate import require_current_schema
from store.pool import open_pool

MESSAGE_MAX_BYTES: Final = 64 * 1024
"""A reading, or a history of some hundreds of them, is far smaller; more is a mistake or an attack."""

_COLLECT_AFTER: Final = 50_000
"""New objects between two looks of the collector; a full batch makes about as many."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ingest:
    """A wired worker and its session; ``run_ingest`` runs both."""

    worker: Worker
    subscriber: Subscriber


async def run_ingest(settings: Settings, database_url: str, mqtt_url: str) -> None:
    """Run one worker until SIGTERM or SIGINT; what is in hand then stays with the broker.

    Raises:
        RefusedError: a simulated clock met real devices.
        StreetwardenError: the database cannot be reached, or its schema is another.
    """
    # A batch makes thousands of objects that die with it; the collector would look through them all again and again.
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    clock = settings.clock()
    pool = await open_pool(database_url, application_name=settings.client_id, max_size=4)
    try:
        await require_current_schema(pool)
        await refuse_mixed_time(pool, clock)
        known = KnownDevices(load_kinds())
        ingest = await wire(settings, pool, clock, mqtt_url, known)
        listener = asyncio.create_task(_follow_registry(pool, known))
        await _run_until_stopped(ingest, listener)
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


async def wire(settings: Settings, pool: Pool, clock: Clock, mqtt_url: str, known: KnownDevices) -> Ingest:
    """Put a worker together; nothing runs yet."""
    kinds = load_kinds()
    formats = load_formats()
    heartbeats = {form.heartbeat_topic(settings.client_id): name for name, form in formats.items()}
    cases = Cases(settings.zone)
    await cases.start(pool, [rule for kind in kinds.values() for rule in kind.rules], clock.now())
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
        worker=settings.client_id,
        heartbeats=heartbeats,
        zone=settings.zone,
        heartbeat_gap=HEARTBEAT_GAP * settings.clock_speed,
    )
    subscriber = _subscriber(settings, clock, mqtt_url, formats, heartbeats, pool)
    worker = Worker(
        subscriber,
        Flow(parts),
        Ticker(pool, known, cases),
        pool,
        clock,
        BatchBounds(settings.batch_max_messages, settings.batch_max_bytes),
        settings.client_id,
    )
    return Ingest(worker, subscriber)


def _subscriber(
    settings: Settings,
    clock: Clock,
    mqtt_url: str,
    formats: Mapping[str, Format],
    heartbeats: Mapping[str, str],
    pool: Pool,
) -> Subscriber:
    options = SubscriberOptions(
        broker=BrokerAddress.from_url(mqtt_url),
        client_id=settings.client_id,
        filters=tuple(name for form in formats.values() for name in form.filters),
        heartbeats=heartbeats,
        protocol=Protocol(settings.mqtt_protocol),
        receive_maximum=settings.batch_max_messages * 2,
        inbox_max_bytes=settings.inbox_max_bytes,
    )
    running: set[asyncio.Task[None]] = set()

    def connected(event: Connected) -> None:
        log.info("broker_connected", protocol=event.protocol.value, session_present=event.session_present)
        if not event.session_present:
            task = asyncio.get_running_loop().create_task(_lost_session(pool, settings.client_id, clock))
            running.add(task)
            task.add_done_callback(running.discard)

    def lost(why: str) -> None:
        log.warning("broker_lost", why=why)

    return Subscriber(options, clock, on_connected=connected, on_lost=lost)


async def _lost_session(pool: Pool, worker: str, clock: Clock) -> None:
    """The broker did not know our session. Where we had one, what came meanwhile is lost: record it."""
    now = clock.now()
    async with pool.acquire() as connection:
        stretches = await load_coverage(connection, worker)
        if not stretches:
            return
        outages = [(source, stretch.until, now) for source, stretch in stretches.items()]
        await record_outages(connection, worker, "the broker had forgotten our session", outages)
    log.error("session_lost", since=str(min(stretch.until for stretch in stretches.values())))


async def _follow_registry(pool: Pool, known: KnownDevices) -> None:
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


async def _run_until_stopped(ingest: Ingest, listener: "asyncio.Task[None]") -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    tasks = [
        asyncio.create_task(ingest.subscriber.run()),
        asyncio.create_task(ingest.worker.run()),
        listener,
    ]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not stopping:
                task.result()
    finally:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.wait([*tasks, stopping])
    log.info("ingest_stopped", settled=ingest.worker.settled, batches=ingest.worker.batches)
