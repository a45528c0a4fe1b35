"""stuck: a measure does not change any more, though its sensor reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from domain.instants import seconds_to_micros
from domain.reading import MeasureValue
from rules.levels import LevelledMemory
from rules.numbers import Bounds
from rules.rule import Memory, Reach, Verdict
from rules.samples import samples_of

_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck(LevelledMemory):
    """Bad once no two successive readings differed by more than ``tolerance`` for a level's limit (数据僵死).

    A level's ``limit`` is a time here, in seconds, and the next change clears. What was not seen is not held against
    the sensor: after a gap longer than a reading stays valid, the time begins anew.
    """

    kind: ClassVar[str] = "stuck"
    bounds: ClassVar[Mapping[str, Bounds]] = {"tolerance": Bounds(0.0, 1e9)}

    tolerance: float = 0.0
    """In the measure's unit: a change no larger than this is none."""

    def reach(self, validity_s: float) -> Reach:
        """The longest time it waits for a change, and the reading that spoke when that began."""
        return Reach(self._longest_s + validity_s, 2)

    @property
    def _longest_s(self) -> float:
        return max((level.limit for level in self.levels), default=0.0)

    def weigh_value(
        self, value: MeasureValue, at: int, validity: int, memory: Memory
    ) -> tuple[Sequence[Verdict], Memory] | None:
        """A verdict per level on how long it has not changed."""
        # Two pairs: since when it has not changed, and the last reading.
        pairs = samples_of(memory).pairs
        if not pairs or abs(value - pairs[-1][1]) > self.tolerance:
            since, otherwise = at, Verdict.GOOD
        else:
            # No longer ago than matters, so that what lies further back makes no difference.
            began = max(int(pairs[0][0]), at - seconds_to_micros(self._longest_s))
            since, otherwise = began if at - pairs[-1][0] <= validity else at, Verdict.KEEP
        elapsed_s = (at - since) / _MICROS
        verdicts = [Verdict.BAD if elapsed_s >= level.limit else otherwise for level in self.levels]
        return verdicts, [[since, value], [at, value]]


RULE_KIND: Final = Stuck
"""Found by ``rules.catalogue``."""
