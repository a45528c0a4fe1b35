"""Patience at the start: a database that is just being started again, or replays its log, is waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from store.failures import Failure, failure_of
from store.pool import DatabaseUnavailableError

T = TypeVar("T")

_PATIENCE_S: Final = 60.0
"""A database that replays its log after a crash is back in seconds; one that is away for longer needs a person, who is
told by the exit code."""
_PAUSE_FIRST_S: Final = 0.1
_PAUSE_MOST_S: Final = 2.0

log = structlog.get_logger()


async def patiently(step: Callable[[], Awaitable[T]], patience_s: float = _PATIENCE_S) -> T:
    """Do a step of the start; while the database is away, try again for a while.

    Raises:
        Exception: what the step raises, if waiting cannot help, or has not.
    """
    give_up_at = asyncio.get_running_loop().time() + patience_s
    pause_s = _PAUSE_FIRST_S
    while True:
        try:
            return await step()
        except Exception as error:
            if not _may_pass(error) or asyncio.get_running_loop().time() > give_up_at:
                raise
            log.warning("database_away", error=str(error), pause_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _PAUSE_MOST_S)


def _may_pass(error: Exception) -> bool:
    """Whether it may be another in a while: a wrong password or a wrong name never is."""
    if isinstance(error, DatabaseUnavailableError):
        return isinstance(error.__cause__, Exception) and _may_pass(error.__cause__)
    return failure_of(error) is Failure.TRY_AGAIN
