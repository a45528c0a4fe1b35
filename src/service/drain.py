"""Drain: one session takes nothing new, works off what it holds, and is ended at the broker."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

import structlog

from devices.catalogue import load_kinds
from domain.clock import Clock
from domain.errors import NotFoundError, RefusedError
from ingest.broker import BrokerAddress, Protocol
from ingest.catalogue import load_formats
from ingest.membership import alone, leaving_group
from ingest.probe import spoken_by
from ingest.probe_client import end_session
from service.ingest import Ingest, refuse_mixed_time, wire
from service.known import KnownDevices
from service.neighbours import broker_address
from service.settings import Settings
from store.connection import Pool
from store.failures import Failure, failure_of
from store.migrate import require_current_schema
from store.pool import open_pool
from store.worker_sessions import GONE_S, find_session, forget_worker, list_sessions, remove_session

_LOOK_EVERY_S: Final = 0.1
_END_WITHIN_S: Final = 10.0

log = structlog.get_logger()


async def drain(settings: Settings, database_url: str, mqtt_url: str, client_id: str) -> int:
    """Drain a session and end it; return how many messages were in it, heartbeats included.

    Raises:
        NotFoundError: no such session is known.
        RefusedError: its worker is at work.
        UnavailableError: the broker went away before the session could be ended; nothing is lost, drain it again.
    """
    mine = settings.model_copy(update={"client_id": client_id})
    clock = mine.clock()
    pool = await open_pool(database_url, application_name=f"drain {client_id}", max_size=4)
    try:
        await require_current_schema(pool)
        await refuse_mixed_time(pool, clock)
        shared = await _require_idle(pool, client_id)
        formats = load_formats()
        # A session with the whole stream keeps its filters to the end: the workers that stay have everything, too.
        membership = leaving_group(client_id, formats) if shared else alone(client_id, formats)
        known = KnownDevices(load_kinds(), settings.district_timezone)
        ingest = await wire(mine, pool, clock, mqtt_url, known, membership, draining=True)
        await _empty(ingest, clock, tuple(formats))
        await forget_worker(pool, client_id)
        await asyncio.to_thread(_end, broker_address(mine, mqtt_url), client_id, Protocol(mine.mqtt_protocol))
        await remove_session(pool, client_id)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await pool.close()
    log.info("session_drained", client_id=client_id, settled=ingest.worker.settled)
    return ingest.worker.settled


async def _require_idle(pool: Pool, client_id: str) -> bool:
    """Make sure that nobody works under this name, or the broker would throw out one of the two; return ``shared``."""
    for patience in (True, False):
        session = await find_session(pool, client_id)
        if session is None:
            names = ", ".join(one.client_id for one in await list_sessions(pool)) or "none"
            raise NotFoundError(f"No session {client_id} is known; those known are: {names}.")
        if session.idle:
            return session.shared
        if patience:
            # It may have been killed a moment ago.
            await asyncio.sleep(GONE_S - session.unseen_s + 0.5)
    raise RefusedError(f"The worker {client_id} is at work: end it first, then drain its session.")


async def _empty(ingest: Ingest, clock: Clock, sources: Collection[str]) -> None:
    """Work until a heartbeat of each source, sent after the session stood, has come back behind all that it holds."""
    tasks = [asyncio.create_task(part.run()) for part in (ingest.subscriber, ingest.worker)]
    try:
        await _until(tasks, lambda: ingest.subscriber.connected)
        stood_at = clock.now()

        def empty() -> bool:
            heard = ingest.flow.coverage
            return all(source in heard and heard[source].until >= stood_at for source in sources)

        await _until(tasks, empty)
        await _record(ingest)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _until(tasks: "Sequence[asyncio.Task[None]]", done: Callable[[], bool]) -> None:
    """Wait, for as long as it takes: broker and database may be away; raise what ends one of the tasks."""
    while not done():
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(_LOOK_EVERY_S)


async def _record(ingest: Ingest) -> None:
    """Write down what the broker told of the session: if it had forgotten it, that is a possible loss."""
    while True:
        try:
            await ingest.session.record()
        except Exception as error:
            if failure_of(error) is not Failure.TRY_AGAIN:
                raise
            log.warning("session_again", error=str(error))
            await asyncio.sleep(1)
        else:
            return


def _end(broker: BrokerAddress, client_id: str, protocol: Protocol) -> None:
    deadline = time.monotonic() + _END_WITHIN_S
    spoken = protocol if protocol is not Protocol.AUTO else spoken_by(broker, deadline)
    end_session(broker, client_id, spoken, deadline)
