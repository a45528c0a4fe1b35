"""Unasked: what conditions have alike that no reading of one device decides; the engine never asks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Self

from domain.reading import MeasureValue
from rules.numbers import Bounded, unknown_parameter
from rules.rule import Verdict


@dataclass(frozen=True, slots=True)
class Unasked:
    """A condition on silence, on events, on other devices, or on the service itself."""

    @property
    def measures(self) -> tuple[str, ...]:
        """No measure: no reading concerns it."""
        return ()

    @property
    def silence_intervals(self) -> float | None:
        """No silence concerns it, unless it says so."""
        return None

    def quiet_within(self, measure: str) -> tuple[float, float] | None:
        """No value begins it."""
        del measure
        return (-inf, inf)

    def judge(self, values: Mapping[str, MeasureValue]) -> tuple[MeasureValue, Sequence[Verdict]] | None:
        """Values say nothing of it."""
        del values
        return None


@dataclass(frozen=True, slots=True)
class OverSeveral(Unasked, Bounded):
    """A condition over several devices: the coordinator decides it, from their alerts or their stored readings."""

    def overridden(self, parameters: Mapping[str, object]) -> Self:
        """Accepts the parameters in ``bounds``."""
        for name in parameters:
            if name not in self.bounds:
                raise unknown_parameter(name, ", ".join(self.bounds), levelled=False)
        changes: dict[str, object] = dict(self.numbers_of(parameters))
        return replace(self, **changes)
