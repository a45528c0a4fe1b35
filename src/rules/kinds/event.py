"""event: a device says itself that something happened, and perhaps that it is over; no value is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from domain.alert import Severity
from rules.numbers import number_of, unknown_parameter
from rules.rule import Level, RuleOverrideError
from rules.unasked import Unasked

_LONGEST_S: Final = 30 * 86_400.0
_MOST: Final = 64
"""Classes of one rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Unasked):
    """Holds from an event of one of the classes until one of that class says it ended, or for a time (事件).

    The engine never asks it: readings say nothing of it, and its alerts are told from the stored events alone
    (``rules.episodes``).
    """

    kind: ClassVar[str] = "event"

    classes: tuple[str, ...]
    """What happened, in the publisher's words; any of them."""
    severity: Severity
    lasts_s: float = 3600.0
    """Seconds for which one event speaks; a further one by then prolongs the alert."""

    def __post_init__(self) -> None:
        """Refuse a rule that nothing fires, and one that never clears.

        Raises:
            RuleOverrideError: the message names the parameter.
        """
        if not 1 <= len(self.classes) <= _MOST or not all(self.classes):
            message = f"classes must be 1 to {_MOST} event classes, none of them empty"
            raise RuleOverrideError(message)
        if not 1 <= self.lasts_s <= _LONGEST_S:
            message = f"lasts_s must be from 1 to {_LONGEST_S:.0f}, not {self.lasts_s:g}"
            raise RuleOverrideError(message)

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level, reached by one event."""
        return (Level(self.severity, limit=1.0),)

    def overridden(self, parameters: Mapping[str, object]) -> "Event":
        """Accepts ``lasts_s``."""
        changed = self
        for name, value in parameters.items():
            if name != "lasts_s":
                raise unknown_parameter(name, "lasts_s", levelled=False)
            changed = replace(changed, lasts_s=number_of(name, value))
        return changed

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {"classes": list(self.classes), "lasts_s": self.lasts_s, "severity": int(self.severity)}


RULE_KIND: Final = Event
"""Found by ``rules.catalogue``."""
