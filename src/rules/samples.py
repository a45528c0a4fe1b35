"""Samples: the readings of a measure over a time, as a rule remembers them."""

from dataclasses import dataclass, field
from typing import Final, TypeGuard

from domain.reading import MeasureValue
from rules.rule import Memory

MOST: Final = 500
"""Samples kept of one measure: eight hours of one a minute, about 12 KB. Of a denser stream the newest stay, so that
the time looked at becomes shorter."""

_PAIR: Final = 2


@dataclass(slots=True)
class Samples:
    """(time in microseconds since 1970, value), oldest first; at least one once one was added."""

    pairs: list[list[float]] = field(default_factory=list[list[float]])

    def add(self, at: int, value: MeasureValue, over: int) -> None:
        """Add the newest, and forget what is older than ``over`` microseconds before it."""
        self.pairs.append([at, value])
        since = at - over
        keep = max(0, len(self.pairs) - MOST)
        while self.pairs[keep][0] < since:
            keep += 1
        if keep:
            del self.pairs[:keep]

    @property
    def oldest(self) -> tuple[int, MeasureValue]:
        """Time and value of the oldest."""
        at, value = self.pairs[0]
        return int(at), value

    @property
    def values(self) -> list[float]:
        """The values, oldest first."""
        return [value for _, value in self.pairs]

    def as_memory(self) -> Memory:
        """What is stored."""
        return self.pairs


def samples_of(memory: Memory) -> Samples:
    """The samples in a memory; none if it holds something else."""
    return Samples(memory) if _is_pairs(memory) else Samples()


def _is_pairs(memory: Memory) -> TypeGuard[list[list[float]]]:
    # Written by this module alone: the first pair tells for all.
    if not isinstance(memory, list) or not memory:
        return False
    first: object = memory[0]  # pyright: ignore[reportUnknownVariableType]  # from storage
    return isinstance(first, list) and len(first) == _PAIR  # pyright: ignore[reportUnknownArgumentType]  # from storage
