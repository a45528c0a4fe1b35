"""Moments as people type them: a date, a time of the district, or a time with its offset."""

from datetime import UTC, datetime, tzinfo

from domain.errors import InvalidInputError


def moment_of(text: str, zone: tzinfo) -> datetime:
    """The moment; a date is that day's beginning, and what has no offset is the district's.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        expected = "a date such as 2026-11-20, or a time such as 2026-11-20T08:00+08:00"
        raise InvalidInputError(f"{expected}, not {text!r}") from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
