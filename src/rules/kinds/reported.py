"""reported: no reading decides, but the service itself, about itself; the rule says how grave it is and what it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from domain.alert import Severity
from rules.rule import Level, RuleOverrideError
from rules.unasked import Unasked


@dataclass(frozen=True, slots=True)
class Reported(Unasked):
    """Holds while whoever reports it says so; the engine never asks it."""

    kind: ClassVar[str] = "reported"

    severity: Severity = Severity.MAJOR

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level, reached when it is reported."""
        return (Level(self.severity, limit=1.0),)

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
