"""What a database error means for the batch that met it: try again, find the one to blame, or stop."""

from enum import Enum
from typing import Final

import asyncpg

from domain.errors import UnavailableError

_TRY_AGAIN: Final = ("08", "25", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, transaction state (one that idled too long), rollback (deadlock, serialisation),
resources (a full disk), object state (locks), operator intervention (shutdown), system error. None of them is the
message's fault."""
_BLAME: Final = ("22", "23")
"""Data exception, integrity constraint: some row cannot be stored as it is."""


class Failure(Enum):
    """What to do about it."""

    TRY_AGAIN = "try_again"
    BLAME = "blame"
    """One of the messages; bisect to find it."""
    STOP = "stop"
    """Our own SQL is at fault: going on would hide it."""


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
    # InternalClientError is what asyncpg says when a connection is cut in the middle of its COPY.
    if isinstance(error, asyncpg.InternalClientError | UnavailableError | OSError | TimeoutError | EOFError):
        return Failure.TRY_AGAIN
    # A fault of ours that some message found. Stopping would bring that message back after every start, for ever: the
    # one to blame is set aside with the fault as its reason, and the stream goes on.
    return Failure.BLAME
