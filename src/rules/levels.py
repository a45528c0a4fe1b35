"""Levels: what rule kinds with limits have alike: a verdict on a value, and a device's own limits for one level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Final, NamedTuple, Self

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.rule import Level, RuleOverrideError, Verdict

_LONGEST_HOLD_S: Final = 366 * 86_400.0


class Side(StrEnum):
    """On which side of the limit it is bad."""

    ABOVE = "above"
    BELOW = "below"


class Bounds(NamedTuple):
    """Between which numbers a parameter lies, both inclusive."""

    low: float
    high: float
    whole: bool = False
    """Whether it must be a whole number."""


def verdict_on(value: MeasureValue, limit: float, clear: float | None) -> Verdict:
    """Judge a value that is worse the larger it is: bad from ``limit`` on, good short of ``clear``."""
    if value >= limit:
        return Verdict.BAD
    if clear is not None and value >= clear:
        return Verdict.KEEP
    return Verdict.GOOD


def verdicts_on(value: MeasureValue, levels: Sequence[Level], side: Side) -> list[Verdict]:
    """A verdict per level on a value that is worse the further it lies on ``side``."""
    # Mirrored at zero, "below" is "above": one comparison for both.
    sign = 1.0 if side is Side.ABOVE else -1.0
    return [
        verdict_on(sign * value, sign * level.limit, None if level.clear is None else sign * level.clear)
        for level in levels
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelledMemory:
    """What conditions that look at one measure over several readings have alike; each adds its own parameters."""

    bounds: ClassVar[Mapping[str, Bounds]] = {}
    """The parameters beside the levels that a device or group may set, and what they may be."""

    measure: str
    levels: tuple[Level, ...]
    """Mildest first."""

    def __post_init__(self) -> None:
        """Refuse a parameter out of its bounds.

        Raises:
            RuleOverrideError: the message names it.
        """
        for name, bounds in self.bounds.items():
            _check(name, getattr(self, name), bounds)

    @property
    def measures(self) -> tuple[str, ...]:
        """The one measure it looks at."""
        return (self.measure,)

    @property
    def silence_intervals(self) -> float | None:
        """Not a condition on silence."""
        return None

    def quiet_within(self, measure: str) -> tuple[float, float] | None:
        """It must see every value."""
        del measure
        return None

    def judge(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue, Sequence[Verdict]] | None:
        """One reading alone says nothing."""
        del values
        return None

    def overridden(self, parameters: Mapping[str, object]) -> Self:
        """Accepts the parameters in ``bounds`` and, per severity name, ``{"limit", "clear", "hold_s", "keep_s"}``."""
        names = ", ".join(self.bounds)
        changes: dict[str, Any] = {}
        levels = self.levels
        for name, value in parameters.items():
            if name in self.bounds:
                number = number_of(name, value)
                changes[name] = int(number) if self.bounds[name].whole and number.is_integer() else number
            elif isinstance(value, Mapping):
                level: Mapping[object, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
                levels = override_level(levels, name, level, names)
            else:
                raise unknown_parameter(name, names)
        return replace(self, levels=levels, **changes)

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "measure": self.measure,
            **{name: getattr(self, name) for name in self.bounds},
            "levels": [level_data(level) for level in self.levels],
        }


def _check(name: str, value: object, bounds: Bounds) -> None:
    number = number_of(name, value)
    if not bounds.low <= number <= bounds.high or (bounds.whole and not number.is_integer()):
        kind = "a whole number" if bounds.whole else "a number"
        message = f"{name} must be {kind} from {bounds.low:g} to {bounds.high:g}, not {number:g}"
        raise RuleOverrideError(message)


def level_data(level: Level) -> dict[str, object]:
    """JSON-able form of a level. What is rarely set is left out, so that a rule without it keeps its revision."""
    data: dict[str, object] = {
        "severity": int(level.severity),
        "limit": level.limit,
        "clear": level.clear,
        "hold_s": level.hold_s,
    }
    return data | {"keep_s": level.keep_s} if level.keep_s else data


def override_level(
    levels: tuple[Level, ...], name: str, values: Mapping[Any, object], parameters: str
) -> tuple[Level, ...]:
    """Give the level of severity ``name`` its own ``limit``, ``clear``, ``hold_s`` or ``keep_s``; the others stay.

    ``parameters`` are the names of what else the rule takes, for the sentence of a refusal.

    Raises:
        RuleOverrideError: there is no such level or field, or a value is impossible.
    """
    names = [level.severity.name.lower() for level in levels]
    if name not in names:
        raise unknown_parameter(name, parameters)
    place = names.index(name)
    level = levels[place]
    for field, value in values.items():
        match field:
            case "limit":
                level = replace(level, limit=number_of("limit", value))
            case "clear":
                level = replace(level, clear=None if value is None else number_of("clear", value))
            case "hold_s":
                level = replace(level, hold_s=_seconds("hold_s", value))
            case "keep_s":
                level = replace(level, keep_s=_seconds("keep_s", value))
            case _:
                raise unknown_parameter(str(field), parameters)
    return (*levels[:place], level, *levels[place + 1 :])


def _seconds(name: str, value: object) -> float:
    seconds = number_of(name, value)
    if not 0 <= seconds <= _LONGEST_HOLD_S:
        message = f"{name} must lie between 0 and {_LONGEST_HOLD_S:g} seconds, not {seconds:g}"
        raise RuleOverrideError(message)
    return seconds


def number_of(name: str, value: object) -> float:
    """The number that parameter ``name`` was given.

    Raises:
        RuleOverrideError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{name} must be a number, not {value!r}"
        raise RuleOverrideError(message)
    return float(value)


def unknown_parameter(name: str, parameters: str) -> RuleOverrideError:
    """The refusal of a parameter that the rule does not have; ``parameters`` are those it has beside its levels."""
    severities = ", ".join(severity.name.lower() for severity in Severity)
    return RuleOverrideError(
        f"the rule has no parameter {name!r}; it has {parameters} and the levels' names ({severities})"
    )
