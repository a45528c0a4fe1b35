"""Levels: what rule kinds with limits have alike: a verdict on a value, and a device's own limits for one level."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.rule import Level, RuleOverrideError, Verdict

_LONGEST_HOLD_S: Final = 366 * 86_400.0


def verdict_on(value: MeasureValue, limit: float, clear: float | None) -> Verdict:
    """Judge a value that is worse the larger it is: bad from ``limit`` on, good short of ``clear``."""
    if value >= limit:
        return Verdict.BAD
    if clear is not None and value >= clear:
        return Verdict.KEEP
    return Verdict.GOOD


def override_level(
    levels: tuple[Level, ...], name: str, values: Mapping[object, object], parameters: str
) -> tuple[Level, ...]:
    """Give the level of severity ``name`` its own ``limit``, ``clear`` and ``hold_s``; the others stay.

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
                level = replace(level, hold_s=number_of("hold_s", value))
                if not 0 <= level.hold_s <= _LONGEST_HOLD_S:
                    message = f"hold_s must lie between 0 and {_LONGEST_HOLD_S:g} seconds, not {level.hold_s:g}"
                    raise RuleOverrideError(message)
            case _:
                raise unknown_parameter(str(field), parameters)
    return (*levels[:place], level, *levels[place + 1 :])


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
