"""Weather: what all devices of a town have in common for a time: rain, and more people about than usually."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from simulators.physics.model import Crowd

_COMES_MS: Final = 1_800_000
"""Sewers take half an hour to feel a cloudburst, and to forget it."""


class Rain(NamedTuple):
    """One spell of rain."""

    from_ms: int
    to_ms: int
    strength: float
    """0 to 1: as hard as it ever rains."""


class Weather:
    """The weather of a run, as a function of the time."""

    def __init__(self, rains: Sequence[Rain] = (), crowds: Sequence[Crowd] = ()) -> None:
        """Take the spells of the run."""
        self._rains = tuple(rains)
        self.crowds = tuple(crowds)

    def rain(self, at_ms: int) -> float:
        """How hard it rains, as the sewers feel it."""
        return max((_felt(rain, at_ms) for rain in self._rains), default=0.0)


FAIR: Final = Weather()
"""No rain, nobody more than usually."""


def _felt(rain: Rain, at_ms: int) -> float:
    coming = min(1.0, (at_ms - rain.from_ms) / _COMES_MS)
    going = min(1.0, (rain.to_ms + _COMES_MS - at_ms) / _COMES_MS)
    return rain.strength * max(0.0, min(coming, going))
