"""Flapping (抖动): when an alert that opens and clears again and again counts as one trouble."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class FlappingBounds:
    """So many openings of one rule on one device within the look-back are flapping; none in it is calm.

    Five within an hour: a crew that opens and shuts a cover three times on one visit is none; a loose contact, or a
    value that trembles about its limit, does it faster than anybody could look.
    """

    openings: int = 5
    look_back: timedelta = timedelta(hours=1)
