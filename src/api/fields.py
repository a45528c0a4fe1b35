"""Types of parameters that several routes take, each refusing what would fail only in the database."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator

from domain.alert import Severity

MAX_ID: Final = 2**63 - 1
_NO_NUL: Final = r"^[^\x00]*$"
"""PostgreSQL's text holds every character but this one."""

_LOST_PLUS: Final = re.compile(r" (\d\d:?\d\d)$")


def _with_plus(value: object) -> object:
    """Put back the plus of ``+08:00``, which an address that was not escaped turned into a space."""
    return _LOST_PLUS.sub(r"+\1", value) if isinstance(value, str) else value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time between the years 1 and 9999 in UTC") from error


Moment = Annotated[AwareDatetime, BeforeValidator(_with_plus), AfterValidator(_in_utc)]
"""RFC 3339 with an offset; kept as UTC."""

Word = Annotated[str, Query(max_length=200, pattern=_NO_NUL)]
"""A filter's value."""

Name = Annotated[str, Path(max_length=200, pattern=_NO_NUL)]
"""A name in the path."""

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
"""A number in the path."""

Severities = Annotated[
    list[Severity] | None, Query(description="1 critical, 2 major, 3 minor, 4 notice; may be given several times.")
]

From = Annotated[Moment | None, Query(alias="from", description="Not earlier than this (RFC 3339).")]
To = Annotated[Moment | None, Query(alias="to", description="Earlier than this (RFC 3339).")]
