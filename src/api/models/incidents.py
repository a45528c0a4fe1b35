"""Incidents over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from domain.alert import AlertState, Severity
from domain.ticket import TicketState
from store.incident_views import IncidentAlertRow, IncidentRow

_EXAMPLE: Final[JsonDict] = {
    "id": 12,
    "rule": "streetlight.circuit_dark",
    "title": "Circuit dark",
    "title_zh": "回路停电",
    "group": "XH-01",
    "kind": None,
    "state": "open",
    "severity": 2,
    "device": "sl-0101",
    "asset": "LD-000101",
    "district": "511703",
    "alert": 4751,
    "ticket": "511703-20261125-0031",
    "ticket_state": "open",
    "onset": "2026-11-25T11:02:00Z",
    "opened_at": "2026-11-25T11:07:30Z",
    "decided_at": "2026-11-25T11:07:31Z",
    "closed_at": None,
    "alerts": 38,
    "firing": 38,
    "size": 40,
    "simulated": False,
}


class IncidentState(StrEnum):
    """Whether the cause still stands."""

    OPEN = "open"
    CLOSED = "closed"


class Incident(BaseModel):
    """Alerts of several devices that have one cause (关联事件)."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: int
    rule: str = Field(description="The group rule that says so.")
    title: str | None
    title_zh: str | None
    group: str | None = Field(description="The circuit, site or grid; null where nearness alone makes the group.")
    kind: str | None = Field(description="The device kind, where the rule tells kinds apart.")
    state: IncidentState
    severity: Severity
    device: str = Field(description="The device of the first alert that counted: the incident hangs on it.")
    asset: str | None
    district: str
    alert: int | None = Field(description="The incident's own alert.")
    ticket: str | None = Field(description="The one ticket of all of it.")
    ticket_state: TicketState | None
    onset: datetime = Field(description="Event time at which the first of them fired.")
    opened_at: datetime = Field(description="Event time at which enough of them fired.")
    decided_at: datetime = Field(description="When the service decided so.")
    closed_at: datetime | None = Field(description="Event time at which too few were left.")
    alerts: int = Field(description="Alerts that ever belonged to it.")
    firing: int = Field(description="Those that fire still; of a closed one, with tickets of their own.")
    size: int = Field(description="Devices of the group when it opened; 0 where nobody counts them.")
    simulated: bool

    @classmethod
    def of(cls, row: IncidentRow) -> Self:
        """Shape one row."""
        return cls(**_plain(row))


class IncidentAlert(BaseModel):
    """An alert that belongs to an incident, and what became of its own ticket."""

    alert: int
    rule: str
    device: str
    asset: str | None
    severity: Severity
    state: AlertState
    hidden: bool = Field(description="Inhibited (抑制): it follows from the incident, and is no sign of it.")
    onset: datetime
    fired_at: datetime
    cleared_at: datetime | None
    muted: bool = Field(description="It asks for no ticket just now.")
    ticket: str | None = Field(description="Its own; null: it never had one.")
    ticket_state: TicketState | None
    linked: bool = Field(description="Its ticket was open before, and names the incident's (关联).")

    @classmethod
    def of(cls, row: IncidentAlertRow) -> Self:
        """Shape one row."""
        return cls(**row._asdict())


class IncidentDetail(Incident):
    """One incident with its alerts."""

    members: list[IncidentAlert] = Field(description="The first 500, in the order in which they fired.")

    @classmethod
    def whole(cls, row: IncidentRow, members: Sequence[IncidentAlertRow]) -> Self:
        """Shape one incident with what belongs to it."""
        return cls(**_plain(row), members=[IncidentAlert.of(member) for member in members])


def _plain(row: IncidentRow) -> dict[str, Any]:
    fields = row._asdict()
    fields["group"] = fields.pop("name") or None
    fields["kind"] = fields.pop("part") or None
    return fields
