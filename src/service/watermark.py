"""Watermark: up to when the clock may decide holds, so that it does not decide what a waiting message would."""

from datetime import datetime, timedelta
from typing import Final

from domain.coverage import Stretches

_AWAY_S: Final = 2.0
"""Asked so long ago, the worker was held up (a database that did not answer): first comes what waited meanwhile."""
_PATIENCE_S: Final = 15.0
"""So long the watermark may stand still before the clock goes on without it: a broker that stays away must not keep a
hold from elapsing."""


class Watermark:
    """Follows how far we have heard; heartbeats queue behind the messages that were published before them.

    While nothing waits, our own heartbeat comes back within a second, and the clock decides up to now. While a backlog
    is worked off, a message that clears what is pending may still wait at the broker: the clock decides only as far as
    everything before it is settled.
    """

    def __init__(self, slack: timedelta) -> None:
        """``slack``: how old, in the clock's time, the last heartbeat is at the most while nothing waits."""
        self._slack = slack
        self._inherited: datetime | None = None
        """What an earlier process heard: it says nothing of what waits for this one."""
        self._heard: datetime | None = None
        self._moved_at: float | None = None
        self._asked_at = 0.0
        self._connected = False

    def holds_until(
        self, heard: Stretches, now: datetime, elapsed_s: float, *, connected: bool = True, backlog: bool = False
    ) -> datetime | None:
        """Up to when holds may elapse; ``None``: not yet.

        ``heard`` is what all workers have heard, ``elapsed_s`` a clock that is never set, in seconds. ``backlog``: this
        worker has messages in hand, and its own heartbeats are behind.
        """
        if self._moved_at is not None and (
            backlog or elapsed_s - self._asked_at > _AWAY_S or (connected and not self._connected)
        ):
            self._moved_at = elapsed_s
        self._asked_at, self._connected = elapsed_s, connected
        until = min((stretch.until for stretch in heard.values()), default=None)
        if self._moved_at is None:
            self._inherited = self._heard = until
            self._moved_at = elapsed_s
        elif until != self._heard:
            self._heard, self._moved_at = until, elapsed_s
        if until is not None and until != self._inherited and now - until <= self._slack:
            return now
        return now if elapsed_s - self._moved_at >= _PATIENCE_S else until
