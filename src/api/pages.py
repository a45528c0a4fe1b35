"""Paging: opaque cursors that hold the sort key of a page's last row, and the shape of a page."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, Field

from domain.errors import InvalidInputError
from ingest.json_text import as_list

MOST: Final = 500

Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next` of the page before; opaque, do not take it apart.")
]

Item = TypeVar("Item")
Row = TypeVar("Row")
Place = TypeVar("Place")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CursorError(InvalidInputError):
    """The cursor is not one that this list gave."""

    code = "invalid_cursor"


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


def write_cursor(place: Sequence[object]) -> str:
    """Write the sort key of a row; times as microseconds, which keep their full precision."""
    plain = [_microseconds(part) if isinstance(part, datetime) else part for part in place]
    return base64.urlsafe_b64encode(orjson.dumps(plain)).rstrip(b"=").decode()


def read_cursor(text: str | None, place: Callable[..., Place], *types: type) -> Place | None:
    """Read back what :func:`write_cursor` wrote, as ``place`` of values of these types.

    Raises:
        CursorError: it is something else.
    """
    if text is None:
        return None
    try:
        told: Any = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        parts = as_list(told)
        if parts is None or len(parts) != len(types):
            raise _foreign()
        return place(*(_read_part(part, kind) for part, kind in zip(parts, types, strict=True)))
    except (binascii.Error, ValueError, OverflowError, OSError) as error:
        raise _foreign() from error


def cut(rows: Sequence[Row], limit: int, place: Callable[[Row], Sequence[object]]) -> tuple[Sequence[Row], str | None]:
    """Cut the one row too many that tells whether there is a next page."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], write_cursor(place(rows[limit - 1]))


def _microseconds(at: datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _read_part(part: object, kind: type) -> object:
    if kind is datetime and type(part) is int:
        return from_microseconds(part)
    # A bool is an int to isinstance; and what does not fit bigint would fail only in the database.
    if type(part) is not kind or (type(part) is int and not -(2**63) <= part < 2**63):
        raise _foreign()
    if isinstance(part, str) and "\x00" in part:
        raise _foreign()
    return part


def from_microseconds(microseconds: int) -> datetime:
    """The moment so many microseconds after 1970, exactly (a float of seconds would round)."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def _foreign() -> CursorError:
    return CursorError("The cursor is not one that this list gave; start again without it.")
