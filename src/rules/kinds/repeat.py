"""repeat: a measure reaches a limit in several of its last readings, not necessarily one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from domain.alert import Severity
from domain.reading import MeasureValue
from rules.levels import LevelledMemory, Side, verdicts_on
from rules.numbers import Bounds
from rules.rule import Memory, Reach, RuleOverrideError, Verdict
from rules.samples import samples_of

_MOST: Final = 100
_FOR_EVER: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(LevelledMemory):
    """Bad while at least ``times`` of the last ``of`` readings are at or beyond a level's limit (n 次中 m 次).

    It clears once fewer than ``times`` of them are beyond the clear level.
    """

    kind: ClassVar[str] = "repeat"
    bounds: ClassVar[Mapping[str, Bounds]] = {
        "times": Bounds(1, _MOST, whole=True),
        "of": Bounds(1, _MOST, whole=True),
    }

    times: int
    """How many of the readings must be bad."""
    of: int
    """How many readings are looked at, this one included."""
    side: Side = Side.ABOVE

    def __post_init__(self) -> None:
        """Refuse what can never be.

        Raises:
            RuleOverrideError: a number is out of bounds, or more are to be bad than are looked at.
        """
        super(Repeat, self).__post_init__()
        if self.times > self.of:
            message = f"times must not be more than of: {self.times} of {self.of} readings can never be bad"
            raise RuleOverrideError(message)

    def reach(self, validity_s: float) -> Reach:
        """The last readings, however old."""
        del validity_s
        return Reach(0.0, self.of)

    def weigh_value(
        self, value: MeasureValue, at: int, validity: int, memory: Memory
    ) -> tuple[Sequence[Verdict], Memory] | None:
        """A verdict per level on the last readings."""
        del validity
        samples = samples_of(memory)
        samples.add(at, value, _FOR_EVER)
        del samples.pairs[: -self.of]
        each = [verdicts_on(one, self.levels, self.side) for one in samples.values]
        verdicts = [self._together([one[place] for one in each]) for place in range(len(self.levels))]
        return verdicts, samples.as_memory()

    def _together(self, verdicts: Sequence[Verdict]) -> Verdict:
        bad = verdicts.count(Verdict.BAD)
        if bad >= self.times:
            return Verdict.BAD
        return Verdict.KEEP if bad + verdicts.count(Verdict.KEEP) >= self.times else Verdict.GOOD

    def marks(self) -> Sequence[tuple[float, Severity]]:
        """The limits, which each reading is compared with."""
        return [(level.limit, level.severity) for level in self.levels]

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {**super(Repeat, self).as_data(), "side": self.side.value}


RULE_KIND: Final = Repeat
"""Found by ``rules.catalogue``."""
