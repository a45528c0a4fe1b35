"""What the service says: alerts and tickets as its HTTP API shows them, reduced to what a score needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from domain.errors import InvalidInputError
from simulators.truth import Instant

UPHELD: Final = "upheld"
"""The standing of an alert that the readings bear out."""


@dataclass(frozen=True, slots=True)
class ObservedAlert:
    """One alert of the API."""

    id: int
    device: str
    rule: str
    kind: str
    asset: str | None
    ticket: str | None
    """Number of the ticket it belongs to."""
    standing: str
    onset: Instant
    fired_at: Instant
    decided_at: Instant
    """By the service's clock, which may not be the scenario's."""
    cleared_at: Instant | None


@dataclass(frozen=True, slots=True)
class ObservedTicket:
    """One ticket of the API."""

    number: str
    asset: str
    case_class: str
    opened_at: Instant
    """By the service's clock."""
    resolved_at: Instant | None


_ALERTS: Final = TypeAdapter(list[ObservedAlert])
_TICKETS: Final = TypeAdapter(list[ObservedTicket])


def read_alerts(items: Iterable[Any]) -> list[ObservedAlert]:
    """Read alerts as the API lists them; fields that a score does not need are passed over.

    Raises:
        InvalidInputError: one lacks a field or has another type there.
    """
    try:
        return _ALERTS.validate_python(list(items))
    except ValidationError as error:
        raise _unreadable("alert", error) from error


def read_tickets(items: Iterable[Any]) -> list[ObservedTicket]:
    """Read tickets as the API lists them.

    Raises:
        InvalidInputError: one lacks a field or has another type there.
    """
    try:
        return _TICKETS.validate_python(list(items))
    except ValidationError as error:
        raise _unreadable("ticket", error) from error


def _unreadable(what: str, error: ValidationError) -> InvalidInputError:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return InvalidInputError(f"the API shows no {what} that could be scored: {where}: {first['msg']}")
