"""Surroundings: where a device stands and what is expected of it there; some rules are put in their place by them."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol, Self, runtime_checkable

from rules.lighting import Schedule
from rules.rule import Condition, Rule

_STEP: Final = 20.0
"""Positions are rounded to the twentieth of a degree: 5 km, twelve seconds of the sun. So a district's lamps share a
handful of plans."""


class Command(NamedTuple):
    """What a lamp was last told by hand (手动控制); times in microseconds since 1970."""

    at: int
    until: int
    """From then on it goes by its schedule again."""
    pct: float
    """0: off."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rule may go by beside what the device itself measures."""

    longitude: float | None = None
    """Degrees, WGS-84, of the asset that it is fitted to."""
    latitude: float | None = None
    zone: str = "Asia/Shanghai"
    """Name of the district's time zone."""
    schedule: Schedule | None = None
    """The lighting schedule that is in force for it."""
    command: Command | None = None
    """It prevails over the schedule. Nobody gives one yet: the service does not send commands."""

    @classmethod
    def near(cls, longitude: float | None, latitude: float | None, zone: str, schedule: Schedule | None) -> Self:
        """Those of whatever stands near here: the same for all of them."""
        return cls(_rounded(longitude), _rounded(latitude), zone, schedule)


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees * _STEP) / _STEP


@runtime_checkable
class Placeable(Condition, Protocol):
    """A condition that judges nothing until it knows its surroundings."""

    def placed(self, surroundings: Surroundings) -> Condition:
        """The same condition at a place; where something of it is not known there, one that judges nothing."""
        ...

    def missing(self, surroundings: Surroundings) -> str | None:
        """Why it cannot judge there, as a sentence; ``None``: it can."""
        ...


def put_in_place(rule: Rule, surroundings: Surroundings | None) -> Rule:
    """The rule as it judges a device there; most go by no surroundings and stay as they are."""
    condition = rule.condition
    if surroundings is None or not isinstance(condition, Placeable):
        return rule
    return replace(rule, condition=condition.placed(surroundings))
