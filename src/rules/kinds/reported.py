"""reported: no reading decides, but the service itself, about itself; the rule says how grave it is and what it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Final

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.rule import Level, RuleOverrideError, Verdict


@dataclass(frozen=True, slots=True)
class Reported:
    """Holds while whoever reports it says so; the engine never asks it."""

    kind: ClassVar[str] = "reported"

    severity: Severity = Severity.MAJOR

    @property
    def measures(self) -> tuple[str, ...]:
        """No measure: no reading concerns it."""
        return ()

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level, reached when it is reported."""
        return (Level(self.severity, limit=1.0),)

    @property
    def silence_intervals(self) -> float | None:
        """No silence concerns it."""
        return None

    def quiet_within(self, measure: str) -> tuple[float, float] | None:
        """No value begins it."""
        del measure
        return (-inf, inf)

    def judge(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue, Sequence[Verdict]] | None:
        """Values say nothing of it."""
        del values
        return None

    def overridden(self, parameters: Mapping[str, object]) -> "Reported":
        """Accepts nothing: there is nothing to set."""
        for name in parameters:
            message = f"a reported rule has no parameters, so not {name!r}"
            raise RuleOverrideError(message)
        return self

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {"severity": int(self.severity)}


RULE_KIND: Final = Reported
"""Found by ``rules.catalogue``."""
