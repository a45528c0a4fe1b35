"""What has changed since: the entity tag of a list, and the token a poller hands back."""

import hashlib
import re
from datetime import datetime
from typing import Annotated, Final, NamedTuple

from fastapi import Header, Query, Request
from pydantic import TypeAdapter, ValidationError

from api.fields import Moment
from api.security import Caller
from domain.errors import ConflictError, InvalidInputError
from store.listing import Stamp

_TOKEN: Final = re.compile(r"t([0-9]{1,19})")
_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Moment)
_SHAPE: Final = "2"
"""Raise it when what an answer holds changes without any row changing, so that no client keeps the old shape."""

ChangedSince = Annotated[
    str | None,
    Query(
        max_length=100,
        description="The `changed` of an earlier answer: only what changed since, possibly some of it again, never "
        "less. Or an RFC 3339 time, judged by the service's clock.",
        examples=["t74211", "2026-11-22T08:00:00Z"],
    ),
]
IfNoneMatch = Annotated[str | None, Header(max_length=2000, description="The `ETag` of an earlier answer.")]


class StaleTokenError(ConflictError):
    """The token is of another database; what it asks for cannot be told."""

    code = "stale_token"


class Since(NamedTuple):
    """Where a poller wants to go on from; both ``None``: from nowhere."""

    transaction: int | None = None
    time: datetime | None = None


def read_since(text: str | None, stamp: Stamp) -> Since:
    """Read ``changed_since``.

    Raises:
        InvalidInputError: it is neither a token nor a time.
        StaleTokenError: it is a token that this database cannot have given, for example after a restore.
    """
    if text is None:
        return Since()
    token = _TOKEN.fullmatch(text)
    if token is not None:
        transaction = int(token[1])
        if transaction > stamp.ceiling:
            raise StaleTokenError("This token is of another database; read the list anew, without changed_since.")
        return Since(transaction=transaction)
    try:
        return Since(time=_MOMENT.validate_python(text))
    except ValidationError:
        raise InvalidInputError(
            "changed_since: the `changed` of an earlier answer, or a time such as 2026-11-22T08:00:00Z."
        ) from None


def token_of(stamp: Stamp) -> str:
    """The token that goes on where the answer made after this stamp ends.

    Whatever that answer did not see commits later, in a transaction that was running when the stamp was taken or began
    afterwards: none of them is older than the stamp's floor.
    """
    return f"t{stamp.floor}"


def tag_of(stamp: Stamp, request: Request, caller: Caller) -> str:
    """The entity tag of what this caller gets for this address, as of the stamp; weak, since bytes may differ."""
    said = (_SHAPE, str(stamp.newest), *map(str, stamp.older_running), request.url.path, request.url.query)
    digest = hashlib.sha256("\n".join((*said, caller.key_id, caller.role)).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def matches(given: str | None, tag: str) -> bool:
    """Whether the client has this version already (weak comparison, RFC 9110 §13.1.2)."""
    if given is None:
        return False
    opaque = tag.removeprefix("W/")
    return any(each.strip().removeprefix("W/") in (opaque, "*") for each in given.split(","))
