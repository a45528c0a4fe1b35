"""The two clocks: the machine's, and one that starts at a chosen time and runs at a chosen speed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Now, as aware UTC."""
        return datetime.now(UTC)

    @property
    def simulated(self) -> bool:
        """This is the real time."""
        return False


class SimulatedClock:
    """A clock for scenarios: a night in a minute. It must never meet real data, so it says what it is."""

    def __init__(self, start: datetime, speed: float, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._start = start.astimezone(UTC)
        self._speed = speed
        self._elapsed = elapsed
        self._origin = elapsed()

    def now(self) -> datetime:
        """The scenario's time, as aware UTC."""
        return self._start + timedelta(seconds=(self._elapsed() - self._origin) * self._speed)

    @property
    def simulated(self) -> bool:
        """This is not the real time."""
        return True

    @property
    def speed(self) -> float:
        """How many times as fast as the real time it runs."""
        return self._speed
