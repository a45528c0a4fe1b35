"""Several ingest workers on one shared subscription: a parent starts them, and starts again whichever dies."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from domain.errors import RefusedError
from ingest.broker import BrokerAddress, Protocol
from ingest.probe import shared_subscription_delivers
from service.drains import drain_leftovers
from service.ingest import refuse_mixed_time
from service.member_processes import end, how_it_ended, start_own
from service.neighbours import broker_address
from service.patience import patiently
from service.settings import Settings
from store.connection import Pool
from store.migrate import SchemaOutOfDateError, require_current_schema
from store.pool import open_pool
from store.worker_sessions import list_sessions

_AT_ONCE_S: Final = 5.0
"""A worker that dies sooner after its start dies of something that another start does not mend: wait a little."""
_PAUSE_FIRST_S: Final = 1.0
_PAUSE_MOST_S: Final = 30.0
_REFUSALS: Final[Mapping[int, type[RefusedError]]] = {
    error.exit_code: error for error in (RefusedError, SchemaOutOfDateError)
}
"""Exit codes with which another start of a worker would end, too: the settings, the schema."""

log = structlog.get_logger()


class SharedSubscriptionError(RefusedError):
    """The broker does not deliver what it grants."""

    code = "shared_subscription"


@dataclass(frozen=True, slots=True)
class _Parent:
    settings: Settings
    pool: Pool
    stop: asyncio.Event


async def run_workers(settings: Settings, database_url: str, mqtt_url: str) -> None:
    """Run ``settings.workers`` workers until SIGTERM or SIGINT; what is in hand then stays with the broker.

    Raises:
        SharedSubscriptionError: the broker's shared subscription does not deliver.
        StreetwardenError: the database or broker cannot be reached, or the schema is another.
    """
    await require_shared_subscription(settings, broker_address(settings, mqtt_url))
    name = f"{settings.client_id} parent"
    pool = await patiently(partial(open_pool, database_url, application_name=name, max_size=1))
    try:
        await patiently(partial(require_current_schema, pool))
        await patiently(partial(refuse_mixed_time, pool, settings.clock()))
        await _keep_all(_Parent(settings, pool, asyncio.Event()))
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await pool.close()


async def require_shared_subscription(settings: Settings, broker: BrokerAddress) -> None:
    """Refuse unless the broker's shared subscription was seen to deliver.

    Raises:
        SharedSubscriptionError: it does not.
        UnavailableError: the broker cannot be reached.
    """
    if not await shared_subscription_delivers(broker, protocol=Protocol(settings.mqtt_protocol)):
        raise SharedSubscriptionError(
            f"{settings.workers} ingest workers need a shared subscription, and the broker at {broker} "
            "does not deliver what it grants under one ($share/…): set STREETWARDEN_WORKERS=1, or take a broker with "
            "shared subscriptions, such as mosquitto or EMQX."
        )


async def _keep_all(parent: _Parent) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, parent.stop.set)
    stopping = asyncio.create_task(parent.stop.wait())
    keepers = [asyncio.create_task(_keep(client_id, parent)) for client_id in parent.settings.worker_ids]
    drains = asyncio.create_task(drain_leftovers(parent.settings, parent.pool, lambda: _all_stand(parent)))
    everything: Sequence[asyncio.Task[object]] = (stopping, drains, *keepers)
    running = set(everything)
    try:
        while not stopping.done():
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        parent.stop.set()
        drains.cancel()
        # The keepers see the stop and end their workers, all at once.
        await asyncio.wait(everything)
    log.info("workers_stopped", workers=len(keepers))


async def _keep(client_id: str, parent: _Parent) -> None:
    """Keep one worker running until asked to stop."""
    loop = asyncio.get_running_loop()
    pause = 0.0
    while not parent.stop.is_set():
        began = loop.time()
        process = await start_own("ingest", "member", "--client-id", client_id)
        stopped = asyncio.create_task(parent.stop.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            ended.cancel()
            asked = parent.stop.is_set()
            await end(process)
        if asked:
            return
        code = process.returncode or 0
        if code in _REFUSALS:
            raise _REFUSALS[code](f"The ingest worker {client_id} refused to start; its reason stands above.")
        # Its session holds messages that nobody else is given, so it is back at once.
        quickly = loop.time() - began < _AT_ONCE_S
        pause = min(max(_PAUSE_FIRST_S, pause * 2), _PAUSE_MOST_S) if quickly else 0.0
        log.error("worker_died", worker=client_id, how=how_it_ended(code), again_in_s=pause)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await parent.stop.wait()


async def _all_stand(parent: _Parent) -> bool:
    """Whether every worker of the group is connected and subscribed."""
    standing = {
        session.client_id for session in await list_sessions(parent.pool) if session.shared and session.standing
    }
    return standing.issuperset(parent.settings.worker_ids)
