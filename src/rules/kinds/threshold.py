"""threshold: a measure reaches a limit and stays there for a time; it clears beyond a separate level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import ClassVar, Final

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.rule import Level, RuleOverrideError, Verdict

_LONGEST_HOLD_S: Final = 366 * 86_400.0


class Side(StrEnum):
    """On which side of the limit it is bad."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bad while ``measure`` is at or beyond a level's limit on ``side``.

    With a ``baseline`` (安装初始值) the distance ``|value − baseline|`` is judged instead of the value: a cover
    fitted at 4° is not tilted by 4°.
    """

    kind: ClassVar[str] = "threshold"

    measure: str
    levels: tuple[Level, ...]
    """Mildest first."""
    side: Side = Side.ABOVE
    baseline: float | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """The one measure it looks at."""
        return (self.measure,)

    @property
    def silence_intervals(self) -> float | None:
        """Not a condition on silence."""
        return None

    def quiet_within(self, measure: str) -> tuple[float, float] | None:
        """Short of the mildest limit; around the baseline, if there is one."""
        del measure
        limits = [level.limit for level in self.levels]
        # An override may set a graver level short of the mildest one.
        limit = min(limits) if self.side is Side.ABOVE else max(limits)
        if self.baseline is None:
            return (-inf, limit) if self.side is Side.ABOVE else (limit, inf)
        return (self.baseline - limit, self.baseline + limit) if self.side is Side.ABOVE else None

    def judge(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue, Sequence[Verdict]] | None:
        """A verdict per level, mildest first."""
        value = values.get(self.measure)
        if value is None:
            return None
        judged = value if self.baseline is None else abs(value - self.baseline)
        # Mirrored at zero, "below" is "above": one comparison for both.
        sign = 1.0 if self.side is Side.ABOVE else -1.0
        return value, [_verdict(sign, judged, level) for level in self.levels]

    def overridden(self, parameters: Mapping[str, object]) -> "Threshold":
        """Accepts ``baseline`` and, per severity name, ``{"limit", "clear", "hold_s"}``."""
        changed = self
        for name, value in parameters.items():
            if name == "baseline":
                changed = replace(changed, baseline=_number(name, value))
            elif isinstance(value, Mapping):
                level: Mapping[object, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
                changed = replace(changed, levels=_override_level(changed.levels, name, level))
            else:
                raise _unknown(name)
        return changed

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "measure": self.measure,
            "side": self.side.value,
            "baseline": self.baseline,
            "levels": [
                {"severity": int(level.severity), "limit": level.limit, "clear": level.clear, "hold_s": level.hold_s}
                for level in self.levels
            ],
        }


RULE_KIND: Final = Threshold
"""Found by ``rules.catalogue``."""


def _verdict(sign: float, judged: MeasureValue, level: Level) -> Verdict:
    if sign * judged >= sign * level.limit:
        return Verdict.BAD
    if level.clear is not None and sign * judged >= sign * level.clear:
        return Verdict.KEEP
    return Verdict.GOOD


def _override_level(levels: tuple[Level, ...], name: str, values: Mapping[object, object]) -> tuple[Level, ...]:
    names = [level.severity.name.lower() for level in levels]
    if name not in names:
        raise _unknown(name)
    place = names.index(name)
    level = levels[place]
    for field, value in values.items():
        match field:
            case "limit":
                level = replace(level, limit=_number("limit", value))
            case "clear":
                level = replace(level, clear=None if value is None else _number("clear", value))
            case "hold_s":
                level = replace(level, hold_s=_number("hold_s", value))
                if not 0 <= level.hold_s <= _LONGEST_HOLD_S:
                    message = f"hold_s must lie between 0 and {_LONGEST_HOLD_S:g} seconds, not {level.hold_s:g}"
                    raise RuleOverrideError(message)
            case _:
                raise _unknown(str(field))
    return (*levels[:place], level, *levels[place + 1 :])


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{name} must be a number, not {value!r}"
        raise RuleOverrideError(message)
    return float(value)


def _unknown(name: str) -> RuleOverrideError:
    severities = ", ".join(severity.name.lower() for severity in Severity)
    return RuleOverrideError(
        f"a threshold has no parameter {name!r}; it has baseline and the levels' names ({severities})"
    )
