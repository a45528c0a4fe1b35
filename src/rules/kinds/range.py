"""range: a measure leaves a band and stays outside for a time; it clears once it is far enough inside again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nextafter
from typing import ClassVar, Final

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.levels import level_data, override_level, verdict_on
from rules.numbers import number_of, unknown_parameter
from rules.rule import Level, RuleOverrideError, Verdict


@dataclass(frozen=True, slots=True)
class Range:
    """Bad while ``measure`` lies at or beyond an edge of the band from ``low`` to ``high`` (区间外).

    What a level compares is the *excess*: how far the value lies beyond the nearer edge, in the measure's unit; inside
    the band it is negative. A level's ``limit`` of 0 is the edge itself, a ``clear`` of -3 asks for 3 inside it.
    """

    kind: ClassVar[str] = "range"
    _parameters: ClassVar[str] = "low, high"

    measure: str
    low: float
    """Lower edge, in the measure's unit."""
    high: float
    """Upper edge, in the measure's unit; above ``low``."""
    levels: tuple[Level, ...]
    """Mildest first."""

    def __post_init__(self) -> None:
        """Refuse a band without an inside.

        Raises:
            RuleOverrideError: ``low`` is not below ``high``.
        """
        if not self.low < self.high:
            message = f"low must lie below high, not {self.low:g} and {self.high:g}"
            raise RuleOverrideError(message)

    @property
    def measures(self) -> tuple[str, ...]:
        """The one measure it looks at."""
        return (self.measure,)

    @property
    def silence_intervals(self) -> float | None:
        """Not a condition on silence."""
        return None

    def quiet_within(self, measure: str) -> tuple[float, float] | None:
        """The band, wider or narrower by the mildest limit."""
        del measure
        limit = min((level.limit for level in self.levels), default=inf)
        # One step of a float narrower: what rounding makes of a sum must not hide what a difference finds bad.
        return (nextafter(self.low - limit, inf), nextafter(self.high + limit, -inf))

    def judge(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue, Sequence[Verdict]] | None:
        """A verdict per level, mildest first."""
        value = values.get(self.measure)
        if value is None:
            return None
        excess = max(self.low - value, value - self.high)
        return value, [verdict_on(excess, level.limit, level.clear) for level in self.levels]

    def marks(self) -> Sequence[tuple[float, Severity]]:
        """Both edges, as far out as each level's limit."""
        below = [(self.low - level.limit, level.severity) for level in self.levels]
        return below + [(self.high + level.limit, level.severity) for level in self.levels]

    def overridden(self, parameters: Mapping[str, object]) -> "Range":
        """Accepts ``low``, ``high`` and, per severity name, ``{"limit", "clear", "hold_s", "keep_s"}``."""
        low, high, levels = self.low, self.high, self.levels
        for name, value in parameters.items():
            if name == "low":
                low = number_of(name, value)
            elif name == "high":
                high = number_of(name, value)
            elif isinstance(value, Mapping):
                level: Mapping[object, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
                levels = override_level(levels, name, level, self._parameters)
            else:
                raise unknown_parameter(name, self._parameters)
        # Both edges at once: moved one by one, the band might have no inside for a moment.
        return replace(self, low=low, high=high, levels=levels)

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "measure": self.measure,
            "low": self.low,
            "high": self.high,
            "levels": [level_data(level) for level in self.levels],
        }


RULE_KIND: Final = Range
"""Found by ``rules.catalogue``."""
