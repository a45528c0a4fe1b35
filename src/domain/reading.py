"""Reading: what one device measured at one moment, in the units of its kind."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

MeasureValue = float | int | bool


class Flag(StrEnum):
    """Why a value, or the time, of a reading is doubtful (可疑值标记)."""

    OUT_OF_RANGE = "out_of_range"
    """Outside the physical limits of the measure: stored, not judged."""
    WRONG_TYPE = "wrong_type"
    """Not a number or boolean as the measure demands: kept among the unknown values, not judged."""
    CLOCK_AHEAD = "clock_ahead"
    """The device's time lay a little ahead of ours (within the bound) and was clamped to the received time."""
    NO_TIME = "no_time"
    """The message carried no time: the received time stands in for it."""
    SUSPENDED = "suspended"
    """The device was suspended when it came: stored, never judged, not even later."""


TIME: str = "at"
"""The key under which ``Reading.flags`` keeps what is doubtful about the time itself; no measure is called so."""

DEVICE: str = "device"
"""The key under which ``Reading.flags`` keeps what is doubtful about the whole device; no measure is called so."""


class Reading(NamedTuple):
    """What one device measured at one moment.

    A named tuple, not a frozen dataclass: one is made for every message, and building it costs a third.
    """

    device_id: int
    at: datetime
    """Event time, aware UTC."""
    received_at: datetime
    """When the service first received the message, aware UTC."""
    values: dict[str, MeasureValue]
    """Measure → value in the unit its name tells."""
    flags: dict[str, str]
    """Measure (or ``TIME``) → :class:`Flag`; empty for a reading without doubt."""
    digest: int
    """64 signed bits over the normalised measures: with device and time, the reading's identity."""
    body: bytes
    """``values`` as canonical JSON (sorted keys): what the digest was taken of and what is stored."""
    seq: int | None
    """The device's own counter, if it sends one."""
    extra: dict[str, object] | None
    """Values the kind does not know: counted and kept, never judged."""
    ahead_s: float = 0.0
    """How far ahead of ours the device's time lay before it was clamped, in seconds."""


class Position(NamedTuple):
    """A reading's place in its device's stream; streams are ordered by it."""

    at: datetime
    digest: int
