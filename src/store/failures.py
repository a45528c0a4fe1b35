"""What a database error means for the batch that met it: try again, find the one to blame, or stop."""

from enum import Enum
from typing import Final

import asyncpg

_TRY_AGAIN: Final = ("08", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, rollback (deadlock, serialisation), resources (a full disk), object state (locks),
operator intervention (shutdown), system error. None of them is the message's fault."""
_BLAME: Final = ("22", "23")
"""Data exception, integrity constraint: some row cannot be stored as it is."""


class Failure(Enum):
    """What to do about it."""

    TRY_AGAIN = "try_again"
    BLAME = "blame"
    """One of the messages; bisect to find it."""
    STOP = "stop"
    """A fault of ours: going on would hide it."""


def failure_of(error: BaseException) -> Failure:
    """Sort an error that a statement or commit raised."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(getattr(error, "sqlstate", "") or "")
        if state[:2] in _TRY_AGAIN:
            return Failure.TRY_AGAIN
        return Failure.BLAME if state[:2] in _BLAME else Failure.STOP
    if isinstance(error, asyncpg.InterfaceError):
        # Client-side: values asyncpg cannot encode are data errors, all else means that the connection is gone.
        return Failure.BLAME if isinstance(error, asyncpg.DataError) else Failure.TRY_AGAIN
    if isinstance(error, asyncpg.InternalClientError):
        # What asyncpg says when a connection is cut in the middle of its COPY.
        return Failure.TRY_AGAIN
    if isinstance(error, OSError | TimeoutError | EOFError):
        return Failure.TRY_AGAIN
    return Failure.STOP
