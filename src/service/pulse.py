"""Pulse: every two seconds a worker says that it lives, writes down how it is, and has a look at all of us.

Beside the stream and not in it: a batch that must wait for the database keeps nobody from seeing that it waits.
"""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

from domain.clock import Clock
from ingest.mqtt import Subscriber
from service.flow import Flow
from service.sessions import Session
from service.watch import DEAF_S, Watch
from store.connection import Pool
from store.failures import Failure, failure_of
from store.worker_sessions import find_session, mark_seen

_EVERY_S: Final = 2.0
_DATABASE_WITHIN_S: Final = 5.0
"""A database that does not answer so soon is as good as away."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PulseParts:
    """What the pulse tells of."""

    client_id: str
    pool: Pool
    clock: Clock
    subscriber: Subscriber
    flow: Flow
    session: Session
    watch: Watch
    status_file: Path


class Pulse:
    """The pulse of one worker."""

    def __init__(self, parts: PulseParts) -> None:
        """Take the parts."""
        self._parts = parts
        self._connected_at = 0.0
        self._status_written = True

    async def run(self) -> None:
        """Beat until cancelled."""
        self._connected_at = asyncio.get_running_loop().time()
        while True:
            await self.beat()
            await asyncio.sleep(_EVERY_S)

    async def beat(self) -> None:
        """One beat. The database may be away: what waits is kept, and the status says so."""
        parts = self._parts
        elapsed = asyncio.get_running_loop().time()
        connected = parts.subscriber.connected
        if connected or parts.subscriber.paused:
            self._connected_at = elapsed
        database = False
        try:
            async with asyncio.timeout(_DATABASE_WITHIN_S):
                await self._tell_database(connected=connected)
                database = True
                await parts.session.record()
                await parts.watch.look(deaf=elapsed - self._connected_at > DEAF_S)
        except Exception as error:
            if failure_of(error) is Failure.STOP:
                raise
            log.warning("pulse_again", error=repr(error))
        self._write_status(connected=connected, database=database)

    async def _tell_database(self, *, connected: bool) -> None:
        async with self._parts.pool.acquire() as connection:
            if connected:
                await mark_seen(connection, self._parts.client_id)
            else:
                await find_session(connection, self._parts.client_id)

    def _write_status(self, *, connected: bool, database: bool) -> None:
        parts = self._parts
        heard = [stretch.until for stretch in parts.flow.coverage.values()] if parts.flow.heard else []
        heard_s = (parts.clock.now() - min(heard)).total_seconds() if heard else None
        status = {"process": os.getpid(), "connected": connected, "database": database, "heard_s": heard_s}
        new = parts.status_file.with_suffix(".new")
        try:
            parts.status_file.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(orjson.dumps(status))
            new.replace(parts.status_file)
            self._status_written = True
        except OSError as error:
            if self._status_written:
                log.warning("status_not_written", error=str(error))
            self._status_written = False

    @property
    def status_file(self) -> Path:
        """Where it writes how the worker is."""
        return self._parts.status_file

    def leave(self) -> None:
        """The worker ends: what it left behind would look alive for a while."""
        with suppress(OSError):
            self._parts.status_file.unlink(missing_ok=True)
