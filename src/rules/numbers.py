"""Numbers: the numeric parameters of a condition: read, checked against their bounds, and set apart by an override."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from domain.alert import Severity
from rules.rule import RuleOverrideError


class Bounds(NamedTuple):
    """Between which numbers a parameter lies, both inclusive."""

    low: float
    high: float
    whole: bool = False
    """Whether it must be a whole number."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """A condition that says of each numeric parameter what it may be."""

    bounds: ClassVar[Mapping[str, Bounds]] = {}
    """The parameters that a device or group may set apart, levels aside, and what they may be."""

    def __post_init__(self) -> None:
        """Refuse a parameter out of its bounds.

        Raises:
            RuleOverrideError: the message names it.
        """
        for name, bounds in self.bounds.items():
            number = number_of(name, getattr(self, name))
            if not bounds.low <= number <= bounds.high or (bounds.whole and not number.is_integer()):
                kind = "a whole number" if bounds.whole else "a number"
                message = f"{name} must be {kind} from {bounds.low:g} to {bounds.high:g}, not {number:g}"
                raise RuleOverrideError(message)

    def numbers_of(self, parameters: Mapping[str, object]) -> dict[str, float | int]:
        """Those of the parameters that ``bounds`` names, as numbers.

        Raises:
            RuleOverrideError: one is no number.
        """
        numbers: dict[str, float | int] = {}
        for name in self.bounds.keys() & parameters:
            number = number_of(name, parameters[name])
            numbers[name] = int(number) if self.bounds[name].whole and number.is_integer() else number
        return numbers


def number_of(name: str, value: object) -> float:
    """The number that parameter ``name`` was given.

    Raises:
        RuleOverrideError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{name} must be a number, not {value!r}"
        raise RuleOverrideError(message)
    return float(value)


def unknown_parameter(name: str, parameters: str, *, levelled: bool = True) -> RuleOverrideError:
    """The refusal of a parameter that the rule does not have; ``parameters`` are those it has, its levels aside."""
    severities = ", ".join(severity.name.lower() for severity in Severity)
    levels = f" and the levels' names ({severities})" if levelled else ""
    return RuleOverrideError(f"the rule has no parameter {name!r}; it has {parameters}{levels}")
