"""Sessions: what this worker's session at the broker is, and what became of it, written down come what may."""

import asyncio
from collections import deque
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import structlog

from domain.clock import Clock
from domain.coverage import OutageCause, Stretches
from ingest.membership import Membership
from store.connection import Executor, Pool
from store.ledger import record_outages
from store.worker_sessions import find_session, mark_subscribed, register_session

_LONGEST_FILE: Final = 1024 * 1024
"""Bytes; a line is some hundred, so more is no file of ours."""

log = structlog.get_logger()


class Stood(NamedTuple):
    """A connection stood."""

    at: datetime
    forgotten: bool
    """The broker did not know our session."""
    heard: dict[str, datetime]
    """Source → last heartbeat before."""


class Session:
    """One worker's session. What the broker told of it waits here until the database has it, also over a crash."""

    def __init__(self, membership: Membership, pool: Pool, clock: Clock, folder: Path, *, draining: bool) -> None:
        """``folder`` is where a loss is noted until it is recorded."""
        self._membership = membership
        self._pool = pool
        self._clock = clock
        self._draining = draining
        self._notes = folder / f"{membership.client_id}.lost"
        self._pending: deque[Stood] = deque(_read(self._notes))
        self._noted = bool(self._pending)

    async def register(self) -> Membership:
        """Write the session down before the broker makes it; return the membership with all it has to give up."""
        mine = self._membership
        async with self._pool.acquire() as connection, connection.transaction():
            before = await find_session(connection, mine.client_id)
            filters = () if before is None else before.filters
            self._membership = mine.giving_up(filters)
            either = tuple(dict.fromkeys((*mine.filters, *filters)))
            await register_session(
                connection, mine.client_id, either, self._clock.now(), shared=mine.shared, draining=self._draining
            )
        return self._membership

    def stood(self, heard: Stretches, *, session_present: bool) -> None:
        """A connection stands; ``heard`` is how far each source was heard before."""
        event = Stood(self._clock.now(), not session_present, {name: one.until for name, one in heard.items()})
        self._pending.append(event)
        if event.forgotten and event.heard:
            # The database may be away, and we may be killed before it is back.
            try:
                self._notes.parent.mkdir(parents=True, exist_ok=True)
                with self._notes.open("ab") as notes:
                    notes.write(orjson.dumps({"at": event.at, "heard": event.heard}) + b"\n")
                self._noted = True
            except OSError as error:
                log.warning("loss_not_noted", error=str(error))

    async def record(self) -> None:
        """Write down what waits. Raises what the database raises; nothing is taken off before it is committed."""
        while self._pending:
            event = self._pending[0]
            async with self._pool.acquire() as connection, connection.transaction():
                began = await self._record(connection, event)
            self._pending.popleft()
            if began is not None:
                log.error("session_lost", since=str(began))
        if self._noted:
            with suppress(OSError):
                await asyncio.to_thread(self._notes.unlink, missing_ok=True)
            self._noted = False

    async def _record(self, connection: Executor, event: Stood) -> datetime | None:
        """Record one event; where a session we had was forgotten, since when messages may be lost."""
        name = self._membership.client_id
        known = await find_session(connection, name)
        since = None if known is None else known.subscribed_at
        began: datetime | None = None
        if event.forgotten and (event.heard or since is not None):
            heard = event.heard or dict.fromkeys(self._membership.heartbeats.values(), since or event.at)
            began = min(heard.values())
            outages = [(source, min(until, event.at), event.at) for source, until in heard.items()]
            await record_outages(connection, name, OutageCause.FORGOTTEN, outages)
        await mark_subscribed(connection, name, self._membership.filters, event.at)
        return began


def _read(notes: Path) -> list[Stood]:
    """Losses noted before a crash."""
    try:
        lines = notes.read_bytes()[:_LONGEST_FILE].splitlines()
    except OSError:
        return []
    found: list[Stood] = []
    for line in lines:
        # A line that a crash cut short tells nothing.
        with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            told = orjson.loads(line)
            heard = {str(name): datetime.fromisoformat(until) for name, until in told["heard"].items()}
            found.append(Stood(datetime.fromisoformat(told["at"]), forgotten=True, heard=heard))
    return found
