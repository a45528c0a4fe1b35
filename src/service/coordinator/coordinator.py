"""Coordinator: every worker would be it, one is; if that one dies, another goes on where it committed last."""

import asyncio
from typing import Final

import structlog

from domain.clock import Clock
from service.coordinator.balance_look import BalanceLook
from service.coordinator.look import GroupLook
from store.connection import Executor, Pool
from store.coordinator import anything_new, begin, try_to_lead
from store.failures import Failure, failure_of

_EVERY_S: Final = 0.5
"""Between two looks when nothing changed: a look is one read of an index."""
_CANDIDATE_EVERY_S: Final = 2.0
"""So long after the leader's connection is gone another one leads, at most."""
_ZONES_EVERY_S: Final = 10.0
"""Between two looks at zones while alerts change all the time."""
_PAUSE_MOST_S: Final = 30.0

log = structlog.get_logger()


class Coordinator:
    """Leads while its connection holds the advisory lock.

    The lock dies with the connection, and so does a decision under way: it is made on that very connection.
    """

    def __init__(self, pool: Pool, clock: Clock, look: GroupLook, balances: BalanceLook, name: str) -> None:
        """``name``: of the worker, to be read in the database."""
        self._pool = pool
        self._clock = clock
        self._look = look
        self._balances = balances
        self._name = name
        self.leads = False

    async def run(self) -> None:
        """Stand for election, and lead when elected, until cancelled."""
        pause = 1.0
        while True:
            try:
                async with self._pool.acquire() as connection:
                    if await try_to_lead(connection):
                        self.leads = True
                        await self._lead(connection)
                pause = 1.0
                await asyncio.sleep(_CANDIDATE_EVERY_S)
            except Exception as error:
                if failure_of(error) is Failure.STOP:
                    raise
                # Whatever keeps it from deciding, members' alerts get their own tickets when their wait is over.
                log.warning("coordinator_again", error=repr(error), pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_MOST_S)
            finally:
                self.leads = False

    async def _lead(self, connection: Executor) -> None:
        await begin(connection, self._name, self._clock.now())
        await self._look.drop_other_rules(connection, self._clock.now())
        log.info("coordinator_leads", worker=self._name)
        loop = asyncio.get_running_loop()
        zones_due = 0.0
        while True:
            await self._look.follow_book(connection, self._clock.now())
            busy = await anything_new(connection)
            if busy:
                await self._look.look(connection, self._clock.now())
            # Alerts first: zones are judged by the hour or by the day.
            if not busy or loop.time() >= zones_due:
                zones_due = loop.time() + _ZONES_EVERY_S
                busy |= await self._balances.look(connection, self._clock.now())
            if not busy:
                await asyncio.sleep(_EVERY_S)
