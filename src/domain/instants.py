"""Instants as whole microseconds since 1970 (UTC): what rule state stores and compares, exact where a float is not."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY: Final = 86_400
_MICRO: Final = 1_000_000


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    since = instant - EPOCH
    return (since.days * _SECONDS_A_DAY + since.seconds) * _MICRO + since.microseconds


def from_micros(micros: int) -> datetime:
    """The aware UTC time of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def seconds_to_micros(seconds: float) -> int:
    """A duration in whole microseconds."""
    return round(seconds * _MICRO)
