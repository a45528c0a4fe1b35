"""The clocks: the machine's, and those of a scenario, which start at a chosen time and run at a chosen speed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from domain.scenario_time import ScenarioTime


def _wall() -> datetime:
    return datetime.now(UTC)


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
    """A scenario's time that begins with this process: a night in a minute.

    It must never meet real data, so it says what it is.
    """

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


class AnchoredClock:
    """A scenario's time that is anchored in the wall's: the same in every process, whenever it was started.

    It asks the wall's clock anew each time. Counting from the process's start would be deaf to a clock that is set,
    but then two processes would disagree by as much for as long as they live.
    """

    def __init__(self, scenario: ScenarioTime, wall: Callable[[], datetime] = _wall) -> None:
        self._scenario = scenario
        self._wall = wall

    def now(self) -> datetime:
        """The scenario's time, as aware UTC; before the anchor it lies before the scenario's start."""
        return self._scenario.at(self._wall())

    @property
    def simulated(self) -> bool:
        """This is not the real time."""
        return True
