"""threshold: a measure reaches a limit and stays there for a time; it clears beyond a separate level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Final

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.levels import Side, level_data, override_level, verdicts_on
from rules.numbers import number_of, unknown_parameter
from rules.rule import Level, Verdict


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bad while ``measure`` is at or beyond a level's limit on ``side``.

    With a ``baseline`` (安装初始值) the distance ``|value − baseline|`` is judged instead of the value: a cover
    fitted at 4° is not tilted by 4°.
    """

    kind: ClassVar[str] = "threshold"
    _parameters: ClassVar[str] = "baseline"

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
        return value, verdicts_on(judged, self.levels, self.side)

    def marks(self) -> Sequence[tuple[float, Severity]]:
        """The limits; on both sides of the baseline, if there is one."""
        if self.baseline is None:
            return [(level.limit, level.severity) for level in self.levels]
        return [(self.baseline + sign * level.limit, level.severity) for level in self.levels for sign in (-1, 1)]

    def overridden(self, parameters: Mapping[str, object]) -> "Threshold":
        """Accepts ``baseline`` and, per severity name, ``{"limit", "clear", "hold_s", "keep_s"}``."""
        changed = self
        for name, value in parameters.items():
            if name == "baseline":
                changed = replace(changed, baseline=number_of(name, value))
            elif isinstance(value, Mapping):
                level: Mapping[object, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
                changed = replace(changed, levels=override_level(changed.levels, name, level, self._parameters))
            else:
                raise unknown_parameter(name, self._parameters)
        return changed

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "measure": self.measure,
            "side": self.side.value,
            "baseline": self.baseline,
            "levels": [level_data(level) for level in self.levels],
        }


RULE_KIND: Final = Threshold
"""Found by ``rules.catalogue``."""
