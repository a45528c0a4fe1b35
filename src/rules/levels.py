"""Levels: what rule kinds with limits have alike: a verdict on a value, and a device's own limits for one level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self

from domain.reading import MeasureValue
from rules.numbers import Bounded, number_of, unknown_parameter
from rules.rule import Level, Memory, RuleOverrideError, Verdict

_LONGEST_HOLD_S: Final = 366 * 86_400.0


class Side(StrEnum):
    """On which side of the limit it is bad."""

    ABOVE = "above"
    BELOW = "below"


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


@dataclass(frozen=True, slots=True)
class EveryValue:
    """What conditions have alike that must see every value, since one reading alone says nothing."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelledMemory(EveryValue, Bounded):
    """What conditions that look at one measure over several readings have alike; each adds its own parameters."""

    measure: str
    levels: tuple[Level, ...]
    """Mildest first."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The one measure it looks at."""
        return (self.measure,)

    def weigh(
        self, values: Mapping[str, MeasureValue], at: int, validity: int, memory: Memory
    ) -> tuple[MeasureValue, Sequence[Verdict], Memory] | None:
        """What :meth:`weigh_value` says of its measure's value; ``None`` if the reading has none."""
        value = values.get(self.measure)
        if value is None:
            return None
        weighed = self.weigh_value(value, at, validity, memory)
        return None if weighed is None else (value, *weighed)

    def weigh_value(
        self, value: MeasureValue, at: int, validity: int, memory: Memory
    ) -> tuple[Sequence[Verdict], Memory] | None:
        """A verdict per level and the memory to keep; ``None``: the reading does not concern it. Each kind's own."""
        raise NotImplementedError

    def overridden(self, parameters: Mapping[str, object]) -> Self:
        """Accepts the parameters in ``bounds`` and, per severity name, ``{"limit", "clear", "hold_s", "keep_s"}``."""
        names = ", ".join(self.bounds)
        levels = self.levels
        for name, value in parameters.items():
            if name in self.bounds:
                continue
            if not isinstance(value, Mapping):
                raise unknown_parameter(name, names)
            level: Mapping[object, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
            levels = override_level(levels, name, level, names)
        changes: dict[str, Any] = {"levels": levels, **self.numbers_of(parameters)}
        return replace(self, **changes)

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "measure": self.measure,
            **{name: getattr(self, name) for name in self.bounds},
            "levels": [level_data(level) for level in self.levels],
        }


def level_data(level: Level) -> dict[str, object]:
    """JSON-able form of a level. What is rarely set is left out, so that a rule without it keeps its revision."""
    data: dict[str, object] = {
        "severity": int(level.severity),
        "limit": level.limit,
        "clear": level.clear,
        "hold_s": level.hold_s,
    }
    return data | {"keep_s": level.keep_s} if level.keep_s else data


def override_times(
    levels: tuple[Level, ...], name: str, values: Mapping[str, object], parameters: str, kind: str
) -> Level:
    """Give the one level of a condition that has no limit its own ``hold_s`` or ``keep_s``.

    Raises:
        RuleOverrideError: the level has another name, a field another, or a value is impossible.
    """
    if not set(values) <= {"hold_s", "keep_s"}:
        message = f"{name} of {kind} rule takes hold_s and keep_s, not {', '.join(map(str, values))}"
        raise RuleOverrideError(message)
    (level,) = override_level(levels, name, values, parameters)
    return level


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
