"""Clock: the promise of a clock; the real and the simulated one live in the service."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time the service lives in, which a scenario may run faster than the wall's."""

    def now(self) -> datetime:
        """Now, as aware UTC."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether this clock follows a scenario, and so must never meet real data."""
        ...
