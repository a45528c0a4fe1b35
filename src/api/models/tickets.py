"""Tickets over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.models.alerts import Alert
from api.pages import Page
from domain.alert import Severity
from domain.ticket import TicketSort, TicketState
from store.alert_views import AlertRow
from store.ticket_views import MoveRow, SubjectRow, TicketRow

_EXAMPLE: Final[JsonDict] = {
    "number": "511703-20261122-0007",
    "sort": "case",
    "case_class": "0101-1",
    "asset": "JG-000815",
    "district": "511703",
    "title": "Cover tilted",
    "title_zh": "井盖倾斜",
    "severity": 1,
    "state": "open",
    "firing": 1,
    "alerts_total": 1,
    "opened_at": "2026-11-22T08:15:00.120000Z",
    "touched_at": "2026-11-22T08:15:00.120000Z",
    "resolved_at": None,
    "review": False,
    "simulated": False,
}


class Ticket(BaseModel):
    """A case or an order that alerts became."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    number: str
    sort: TicketSort = Field(description="case: the street; maintenance: the sensor.")
    case_class: str
    asset: str
    district: str
    title: str
    title_zh: str
    severity: Severity
    state: TicketState
    firing: int = Field(description="Alerts behind it that have not cleared.")
    alerts_total: int
    opened_at: datetime
    touched_at: datetime
    resolved_at: datetime | None
    review: bool = Field(
        description="Waits for a person (待复核): late readings contradict every alert behind it. See `/review`."
    )
    simulated: bool

    @classmethod
    def of(cls, row: TicketRow) -> Self:
        """Shape one row."""
        return cls(**_plain(row))


class TicketPage(Page[Ticket]):
    """One page of tickets, and the token for asking later what has changed."""

    changed: str = Field(description="Opaque; see the alerts.", examples=["t74211"])


class TicketReview(BaseModel):
    """What a person found who looked at a ticket whose alerts were contradicted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"note": "on site: the cover is shut"}})

    note: str = Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")


class TicketMove(BaseModel):
    """One thing that was done to a ticket."""

    at: datetime
    move: str
    by: str
    detail: Mapping[str, Any]


class TicketSubject(BaseModel):
    """One asset and case class that a ticket is about."""

    asset: str
    case_class: str
    open: bool


class TicketDetail(Ticket):
    """One ticket with its moves, subjects and alerts."""

    moves: list[TicketMove]
    subjects: list[TicketSubject]
    alerts: list[Alert] = Field(description="The first 500 behind it.")

    @classmethod
    def whole(
        cls, row: TicketRow, moves: Sequence[MoveRow], subjects: Sequence[SubjectRow], alerts: Sequence[AlertRow]
    ) -> Self:
        """Shape one ticket with what belongs to it."""
        return cls(
            **_plain(row),
            moves=[TicketMove(at=m.at, move=m.move, by=m.by, detail=orjson.loads(m.detail)) for m in moves],
            subjects=[TicketSubject(**subject._asdict()) for subject in subjects],
            alerts=[Alert.of(alert) for alert in alerts],
        )


def _plain(row: TicketRow) -> dict[str, Any]:
    fields = row._asdict()
    fields["alerts_total"] = fields.pop("alerts")
    del fields["id"]
    return fields
