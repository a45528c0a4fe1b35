"""Reading the times that devices and platforms write, into aware UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.ledger import Reason
from ingest.format import DecodeError
from ingest.json_text import shown

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MILLISECOND: Final = timedelta(milliseconds=1)
_SECONDS: Final = range(10**9, 10**10)
"""Ten digits: 2001-09-09 to 2286-11-20 in seconds."""
_MILLISECONDS: Final = range(10**12, 10**13)
"""Thirteen digits: the same years in milliseconds. The two ranges lie far apart, so no number means two times; what
lies outside (seconds since boot, micro- and nanoseconds) is refused instead of being filed under 1970."""


def read_time(raw: object) -> datetime:
    """Read epoch milliseconds, epoch seconds or an RFC 3339 text with its offset.

    Raises:
        DecodeError: ``bad_time``, with a sentence for the maker of the device.
    """
    if isinstance(raw, int) and raw in _MILLISECONDS:  # what nearly every device sends comes first
        return EPOCH + _MILLISECOND * raw
    if isinstance(raw, str):
        return read_text_time(raw)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return _read_epoch(raw)
    raise _bad_time(raw)


def read_text_time(text: str) -> datetime:
    """Read an ISO 8601 text with its offset; digits beyond the microsecond are cut off.

    A time without an offset is refused: guessing the zone would file readings eight hours wrong without a trace.

    Raises:
        DecodeError: ``bad_time``.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        if not text.endswith("z"):  # RFC 3339 allows the small letter, fromisoformat does not
            raise _bad_time(text) from None
        return read_text_time(f"{text[:-1]}Z")
    if at.tzinfo is UTC:
        return at
    if at.utcoffset() is None:
        raise DecodeError(Reason.BAD_TIME, f"{shown(text)} has no offset: end it with Z or, for Beijing time, +08:00")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise _bad_time(text) from None


def from_seconds(seconds: float) -> datetime:
    """Turn (possibly fractional) epoch seconds into a time, to the microsecond.

    Raises:
        DecodeError: ``bad_time``: outside the years 1 to 9999.
    """
    return shift(EPOCH, seconds)


def shift(origin: datetime, seconds: float) -> datetime:
    """Add seconds to a time.

    Raises:
        DecodeError: ``bad_time``: outside the years 1 to 9999.
    """
    try:
        return origin + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise _bad_time(seconds) from None


def _read_epoch(number: float) -> datetime:
    """Tell seconds from milliseconds by the number of digits."""
    try:
        whole = int(number)
    except (OverflowError, ValueError):  # CBOR can write infinity, JSON cannot
        raise _bad_time(number) from None
    if whole in _MILLISECONDS:
        return EPOCH + timedelta(milliseconds=number)
    if whole in _SECONDS:
        return EPOCH + timedelta(seconds=number)
    raise _bad_time(number)


def _bad_time(raw: object) -> DecodeError:
    """Build the error for a time that cannot be read."""
    return DecodeError(
        Reason.BAD_TIME,
        f"{shown(raw)} is no time: send epoch milliseconds (13 digits), epoch seconds (10 digits) "
        "or RFC 3339 with an offset, or leave it out",
    )
