"""rate: a measure changes faster than it may over a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from domain.instants import seconds_to_micros
from domain.reading import MeasureValue
from rules.levels import LevelledMemory, Side, verdicts_on
from rules.numbers import Bounds
from rules.rule import Memory, Reach, Verdict
from rules.samples import Samples, samples_of


class Direction(StrEnum):
    """Which change is bad."""

    RISING = "rising"
    FALLING = "falling"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(LevelledMemory):
    """Bad while ``measure`` changes by a level's limit or more per ``per_s`` seconds (变化率).

    The rate is that between the oldest reading of the last ``over_s`` seconds and this one, once they lie ``least_s``
    apart; until then it is not known. Limits are in the measure's unit per ``per_s`` seconds and positive, whichever
    the direction.
    """

    kind: ClassVar[str] = "rate"
    bounds: ClassVar[Mapping[str, Bounds]] = {
        "over_s": Bounds(1.0, 7 * 86_400.0),
        "per_s": Bounds(1.0, 86_400.0),
        "least_s": Bounds(0.0, 7 * 86_400.0),
    }

    over_s: float
    """Seconds over which the change is measured."""
    per_s: float = 3600.0
    """Seconds for which limits tell the change: 60 is per minute, 3600 per hour."""
    least_s: float = 0.0
    """Seconds that two readings must lie apart: between two that are close, noise is a steep change."""
    direction: Direction = Direction.RISING

    def reach(self, validity_s: float) -> Reach:
        """As far back as the change is measured."""
        del validity_s
        return Reach(self.over_s, 1)

    def weigh_value(
        self, value: MeasureValue, at: int, validity: int, memory: Memory
    ) -> tuple[Sequence[Verdict], Memory] | None:
        """A verdict per level on the change since the oldest reading that is near enough."""
        del validity
        samples = samples_of(memory)
        samples.add(at, value, seconds_to_micros(self.over_s))
        return self._verdicts(samples, at, value), samples.as_memory()

    def _verdicts(self, samples: Samples, at: int, value: MeasureValue) -> list[Verdict]:
        since, was = samples.oldest
        elapsed = at - since
        if elapsed <= 0 or elapsed < seconds_to_micros(self.least_s):
            return [Verdict.KEEP] * len(self.levels)
        change = (value - was) / elapsed * seconds_to_micros(self.per_s)
        match self.direction:
            case Direction.RISING:
                pass
            case Direction.FALLING:
                change = -change
            case Direction.EITHER:
                change = abs(change)
        return verdicts_on(change, self.levels, Side.ABOVE)

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {**super(Rate, self).as_data(), "direction": self.direction.value}


RULE_KIND: Final = Rate
"""Found by ``rules.catalogue``."""
