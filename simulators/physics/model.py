"""What every physics promises, and what it is told: where the device stands, and the moment at which it measures."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Final, NamedTuple, Protocol, runtime_checkable

from domain.reading import MeasureValue
from simulators.habits import Habit

NOISES: Final = 16
"""Independent noises a moment: one for each measure that has any."""
NOISE_BOUND: Final = 2.45
"""No noise is larger, in standard deviations: it is the sum of two even draws, and a healthy device never trips a
rule by chance."""

_HALF: Final = 65_535
_SCALE: Final = 6**0.5 / _HALF
_WORDS: Final = Struct(f">{2 * NOISES}H")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands."""

    longitude: float
    latitude: float
    habit: Habit
    baseline_deg: float | None = None
    site: str | None = None
    """What sort of place its site is: ``market`` …"""
    circuit: str | None = None
    """Name of its feeder."""
    position: float = 0.0
    """How far down the feeder it hangs, 0 to 1."""


class Moment(NamedTuple):
    """The time at which a device measures, and what the town is like just then."""

    at_ms: int
    """Epoch milliseconds, UTC."""
    noise: Sequence[float]
    """Standard deviates, cut at ``NOISE_BOUND``; each model has an order of its own."""
    air_c: float
    """Temperature of the air in the shade, °C."""
    rain: float
    """0: none, 1: as hard as it ever rains."""
    crowds: Sequence["Crowd"]
    """Times in which more people are about than usually."""
    cleared_ms: int | None
    """When somebody last put right what a fault had done to it."""


class Crowd(NamedTuple):
    """A festival, a market day."""

    from_ms: int
    to_ms: int
    factor: float
    """How many times as many people."""


@runtime_checkable
class Model(Protocol):
    """One device's physics."""

    def values(self, moment: Moment) -> dict[str, MeasureValue]:
        """All measures of the kind; the same moment gives the same."""
        ...

    def changes(self, day: int) -> Sequence[int]:
        """Epoch milliseconds, in order, at which on this local day something happens that a device reports at once."""
        ...


class Physics(Protocol):
    """One kind's physics: ``PHYSICS`` of its module."""

    def __call__(self, place: Place, dice: random.Random, key: bytes) -> Model:
        """Draw what is the device's own; ``key`` is the seed of all that varies from day to day."""
        ...


def noise_at(key: bytes, at_ms: int) -> list[float]:
    """The noises of one device at one moment."""
    words = _WORDS.unpack(blake2b(at_ms.to_bytes(8, "big"), key=key, digest_size=4 * NOISES).digest())
    return [(words[place] + words[place + 1] - _HALF) * _SCALE for place in range(0, 2 * NOISES, 2)]


def even(key: bytes, what: bytes, number: int) -> float:
    """A draw from 0 to 1 that belongs to a device, a purpose and a number (a day, a report)."""
    digest = blake2b(number.to_bytes(8, "big", signed=True), key=key, digest_size=4, person=what).digest()
    return int.from_bytes(digest, "big") / 2**32


def rounded(values: Mapping[str, MeasureValue], digits: Mapping[str, int]) -> dict[str, MeasureValue]:
    """Round what a sensor resolves to so many digits."""
    return {name: round(value, digits[name]) if name in digits else value for name, value in values.items()}
