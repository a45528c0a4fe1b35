"""Worker: takes what has arrived, settles it, acknowledges it; tries again, bisects, and never loses its place."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Final

import structlog

from domain.clock import Clock
from ingest.delivery import Delivery
from ingest.mqtt import Subscriber
from service.chores import Chores
from service.flow import Flow
from service.patience import patiently
from service.ticker import Ticker
from service.watermark import Watermark
from store.connection import Pool
from store.failures import Failure, failure_of
from store.ledger import last_token

_PAUSE_FIRST_S: Final = 0.05
_PAUSE_MOST_S: Final = 5.0
_TICK_EVERY_S: Final = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BatchBounds:
    """How much one transaction takes at most."""

    messages: int
    bytes: int
    heartbeat_slack: timedelta = timedelta(seconds=3)
    """How old the last heartbeat is at the most while nothing waits, in the time of the worker's clock."""


class Worker:
    """One ingest worker: one session, one flow, one ticker, in turn, so that they never wait for each other."""

    def __init__(
        self,
        subscriber: Subscriber,
        flow: Flow,
        ticker: Ticker,
        chores: Chores,
        pool: Pool,
        clock: Clock,
        bounds: BatchBounds,
        name: str,
    ) -> None:
        """Take the parts; ``name`` is the client id."""
        self._subscriber = subscriber
        self._flow = flow
        self._ticker = ticker
        self._chores = chores
        self._pool = pool
        self._clock = clock
        self._bounds = bounds
        self._name = name
        self._tokens = count(1)
        self._watermark = Watermark(bounds.heartbeat_slack)
        self.settled = 0
        """Messages settled since the start."""
        self.batches = 0

    async def run(self) -> None:
        """Work until cancelled."""
        await patiently(self._find_place)
        loop = asyncio.get_running_loop()
        next_tick = loop.time()
        while True:
            batch: list[Delivery] = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_tick):
                    batch = await self._subscriber.take(self._bounds.messages, self._bounds.bytes)
            if batch:
                await self._settle(batch)
                self._subscriber.acknowledge(batch)
                self.settled += len(batch)
                self.batches += 1
            if loop.time() >= next_tick:
                await self._tick()
                next_tick = loop.time() + _TICK_EVERY_S

    async def _find_place(self) -> None:
        """Read back where the last worker of this name left off."""
        async with self._pool.acquire() as connection:
            self._tokens = count(1 + (await last_token(connection, self._name) or 0))
        await self._flow.start()

    async def _settle(self, batch: Sequence[Delivery]) -> None:
        """Settle a batch come what may: returns only when every message of it is committed somewhere."""
        pause = _PAUSE_FIRST_S
        token = next(self._tokens)
        again = self._subscriber.redelivered_in_hand
        retry = False
        while True:
            try:
                await self._flow.settle(batch, token, again, retry=retry)
            except Exception as error:
                if await self._committed(token):
                    # The COMMIT happened, only its answer was lost.
                    await patiently(self._flow.start)
                    break
                match failure_of(error):
                    case Failure.TRY_AGAIN:
                        log.warning("batch_again", error=str(error), messages=len(batch), pause_s=pause)
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, _PAUSE_MOST_S)
                        retry = True
                    case Failure.BLAME:
                        await self._blame(batch, error)
                        return
                    case Failure.STOP:
                        raise
            else:
                break
        self._subscriber.redelivered_in_hand -= again

    async def _blame(self, batch: Sequence[Delivery], error: Exception) -> None:
        """Something in the batch cannot be stored: halve it until the one is found, and set that one aside."""
        if len(batch) == 1:
            delivery = batch[0]
            if delivery.refused is not None:
                # Even setting it aside fails: nothing about it can be settled, and only a person can tell why.
                raise error
            log.error("message_refused", topic=delivery.topic, error=repr(error))
            delivery.refused = f"it cannot be settled: {error}"
            await self._settle(batch)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle])
        await self._settle(batch[middle:])

    async def _committed(self, token: int) -> bool:
        """Whether the batch of this token is in the database; waits until the database can tell."""
        pause = _PAUSE_FIRST_S
        while True:
            try:
                async with self._pool.acquire() as connection:
                    return await last_token(connection, self._name) == token
            except Exception as error:
                if failure_of(error) is not Failure.TRY_AGAIN:
                    raise
                log.warning("database_away", error=str(error), pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MOST_S)

    async def _tick(self) -> None:
        try:
            heard = await self._flow.hear_of_others()
            now = self._clock.now()
            until = self._watermark.holds_until(
                heard,
                now,
                asyncio.get_running_loop().time(),
                connected=self._subscriber.connected,
                backlog=self._subscriber.outstanding > 0 and self._flow.behind(now) > self._bounds.heartbeat_slack,
            )
            while until is not None and await self._ticker.look(now, heard, until):
                if self._subscriber.outstanding:
                    # Messages first: they may decide what the clock would.
                    break
            await self._chores.look(lambda: self._subscriber.outstanding > 0)
        except Exception as error:
            if failure_of(error) is Failure.STOP:
                raise
            log.warning("tick_again", error=str(error))
