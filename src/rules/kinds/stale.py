"""stale: nothing was heard of a device for some of its expected intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from domain.alert import Severity
from rules.rule import Level, RuleOverrideError
from rules.unasked import Unasked

_MOST: Final = 1000.0
"""Expected intervals of silence; three years for a device that reports once a day."""


@dataclass(frozen=True, slots=True)
class Stale(Unasked):
    """Bad once nothing was received for ``intervals`` expected intervals of the device.

    It counts received times, inside the source's coverage: a device whose clock is wrong is not silent, and a broker
    that was away silences nobody.
    """

    kind: ClassVar[str] = "stale"

    intervals: float = 3.0
    severity: Severity = Severity.MINOR

    def __post_init__(self) -> None:
        """Refuse a wait without a length, or without an end.

        Raises:
            RuleOverrideError: ``intervals`` is out of bounds.
        """
        if not 0 < self.intervals <= _MOST:
            message = f"intervals must be above 0 and at most {_MOST:g}, not {self.intervals:g}"
            raise RuleOverrideError(message)

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level; the wait is its hold."""
        return (Level(self.severity, limit=self.intervals),)

    @property
    def silence_intervals(self) -> float | None:
        """After how many expected intervals."""
        return self.intervals

    def overridden(self, parameters: Mapping[str, object]) -> "Stale":
        """Accepts ``intervals``."""
        changed = self
        for name, value in parameters.items():
            if (
                name != "intervals"
                or isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 < value <= _MOST
            ):
                message = (
                    f"a stale rule has one parameter, intervals (above 0, at most {_MOST:g}), not {name!r}: {value!r}"
                )
                raise RuleOverrideError(message)
            changed = replace(changed, intervals=float(value))
        return changed

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {"intervals": self.intervals, "severity": int(self.severity)}


RULE_KIND: Final = Stale
"""Found by ``rules.catalogue``."""
