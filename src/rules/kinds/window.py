"""window: the mean, least, greatest or sum of a measure's readings over a time reaches a limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum
from typing import ClassVar, Final

from domain.alert import Severity
from domain.instants import seconds_to_micros
from domain.reading import MeasureValue
from rules.levels import LevelledMemory, Side, verdicts_on
from rules.numbers import Bounds
from rules.rule import Memory, Reach, Verdict
from rules.samples import MOST, samples_of


class Statistic(StrEnum):
    """What is made of the readings of the window."""

    MEAN = "mean"
    """Of the readings, each alike, however far apart."""
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    """For what each reading counts anew: millimetres of rain since the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(LevelledMemory):
    """Bad while the ``statistic`` of the last ``window_s`` seconds is at or beyond a level's limit (窗口统计).

    With fewer than ``at_least`` readings in the window it is not known.
    """

    kind: ClassVar[str] = "window"
    bounds: ClassVar[Mapping[str, Bounds]] = {
        "window_s": Bounds(1.0, 7 * 86_400.0),
        "at_least": Bounds(1, MOST, whole=True),
    }

    window_s: float
    """Seconds, this reading's moment included."""
    statistic: Statistic = Statistic.MEAN
    side: Side = Side.ABOVE
    at_least: int = 1
    """Readings that must lie in the window."""

    def reach(self, validity_s: float) -> Reach:
        """The window."""
        del validity_s
        return Reach(self.window_s, 1)

    def weigh_value(
        self, value: MeasureValue, at: int, validity: int, memory: Memory
    ) -> tuple[Sequence[Verdict], Memory] | None:
        """A verdict per level on the window that ends with this reading."""
        del validity
        samples = samples_of(memory)
        samples.add(at, value, seconds_to_micros(self.window_s))
        inside = samples.values
        if len(inside) < self.at_least:
            return [Verdict.KEEP] * len(self.levels), samples.as_memory()
        return verdicts_on(self._of(inside), self.levels, self.side), samples.as_memory()

    def _of(self, values: Sequence[float]) -> float:
        match self.statistic:
            case Statistic.MEAN:
                return fsum(values) / len(values)
            case Statistic.MIN:
                return min(values)
            case Statistic.MAX:
                return max(values)
            case Statistic.SUM:
                return fsum(values)

    def marks(self) -> Sequence[tuple[float, Severity]]:
        """The limits of what is made of the readings; a sum is no value of the measure, and has none to show."""
        return [] if self.statistic is Statistic.SUM else [(level.limit, level.severity) for level in self.levels]

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {**super(Window, self).as_data(), "statistic": self.statistic.value, "side": self.side.value}


RULE_KIND: Final = Window
"""Found by ``rules.catalogue``."""
