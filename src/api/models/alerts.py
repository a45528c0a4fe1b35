"""Alerts over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.pages import Page
from domain.alert import AlertState, Severity, Standing
from domain.mute import MuteReason
from store.alert_views import AlertRow, AlertStepRow

_EXAMPLE: Final[JsonDict] = {
    "id": 4711,
    "rule": "manhole.tilt",
    "title": "Cover tilted",
    "title_zh": "井盖倾斜",
    "severity": 1,
    "peak": 1,
    "state": "firing",
    "standing": "upheld",
    "retrospective": False,
    "contradicted_at": None,
    "contradicted_by": None,
    "device": "mh-0815",
    "kind": "manhole",
    "district": "511703",
    "asset": "JG-000815",
    "ticket": "511703-20261122-0007",
    "measure": "tilt_deg",
    "value": 93.5,
    "onset": "2026-11-22T08:15:00Z",
    "fired_at": "2026-11-22T08:15:00Z",
    "decided_at": "2026-11-22T08:15:00.120000Z",
    "cleared_at": None,
    "reading_at": "2026-11-22T08:15:00Z",
    "revision": 3,
    "digest": "5f0c2e9a7d1b4c38",
    "acknowledged_at": None,
    "acknowledged_by": None,
    "owner": None,
    "note": None,
    "simulated": False,
    "flapping": False,
    "muted": [],
    "incident": None,
}


class Muted(BaseModel):
    """Why an alert asks for no ticket just now."""

    reason: MuteReason
    source: str = Field(description="The number of a silence, the rule that waits, or `incident:` and its number.")
    since: datetime
    until: datetime | None = Field(description="When it is to end; null: when whoever set it says so.")


class Alert(BaseModel):
    """Something is wrong with a device or with what it watches."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: int
    rule: str = Field(description="Key of the rule that raised it.")
    title: str | None
    title_zh: str | None
    severity: Severity = Field(description="Now: 1 critical, 2 major, 3 minor, 4 notice.")
    peak: Severity = Field(description="The gravest it ever was.")
    state: AlertState
    standing: Standing = Field(description="Whether the readings in order bear it out.")
    retrospective: bool = Field(description="Found late (追溯), from readings that came late.")
    contradicted_at: datetime | None = Field(description="When the service found that the readings in order deny it.")
    contradicted_by: datetime | None = Field(description="Time of the late reading of this device that says so.")
    device: str
    kind: str
    district: str
    asset: str | None
    ticket: str | None = Field(description="Number of the ticket it belongs to.")
    measure: str | None = Field(description="What was judged; null for a silence.")
    value: float | bool | None = Field(description="The value that decided, in the measure's unit.")
    onset: datetime = Field(description="Event time at which the condition began; with device and rule, its identity.")
    fired_at: datetime = Field(description="Event time at which it fired: onset and hold.")
    decided_at: datetime = Field(description="When the service decided so.")
    cleared_at: datetime | None
    reading_at: datetime | None = Field(description="Time of the reading that decided.")
    revision: int = Field(description="The form of the rule that raised it.")
    digest: str = Field(description="Of that form: `/v1/rules/{rule}/revisions/{digest}` shows it.")
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(description="Name of the key that acknowledged it first.")
    owner: str | None = Field(description="Who looks after it.")
    note: str | None
    simulated: bool
    flapping: bool = Field(description="Opens and clears again and again (抖动), and is not calm yet.")
    muted: list[Muted] = Field(description="Why it asks for no ticket just now; empty: it is not muted.")
    incident: int | None = Field(description="The incident that it belongs to, or belonged to last.")

    @classmethod
    def of(cls, row: AlertRow) -> Self:
        """Shape one row."""
        return cls(**_plain(row))


class AlertPage(Page[Alert]):
    """One page of alerts, and the token for asking later what has changed."""

    changed: str = Field(
        description="Opaque. As `changed_since` it asks for what changed after this answer was made; it may repeat, "
        "and never misses. While paging, keep the one of the first page.",
        examples=["t74211"],
    )


class AlertStep(BaseModel):
    """One step of an alert's life."""

    at: datetime = Field(description="Event time.")
    step: str = Field(description="opened, rose, fell, cleared, corrected, contradicted, acknowledged.")
    severity: Severity
    measure: str | None
    value: float | bool | None
    reading_at: datetime | None = Field(description="Event time of the reading that decided.")
    received_at: datetime | None = Field(description="When that reading was received.")
    decided_at: datetime
    by: str | None = Field(description="Name of the key, where a person did it.")
    note: str | None

    @classmethod
    def of(cls, row: AlertStepRow) -> Self:
        """Shape one row."""
        return cls(**{**row._asdict(), "value": _value(row.value)})


class AlertDetail(Alert):
    """One alert with its life and the rule as it stood."""

    received_at: datetime | None = Field(description="When the reading that decided was received.")
    steps: list[AlertStep]
    rule_body: Mapping[str, Any] = Field(description="The rule in the form that raised this alert.")

    @classmethod
    def whole(cls, row: AlertRow, steps: list[AlertStepRow], body: bytes | None, received_at: datetime | None) -> Self:
        """Shape one alert with what belongs to it."""
        return cls(
            **_plain(row),
            received_at=received_at,
            steps=[AlertStep.of(step) for step in steps],
            rule_body=orjson.loads(body) if body else {},
        )


class Acknowledgement(BaseModel):
    """Who looks after an alert from now on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"owner": "Li Na", "note": "crew 3 is on its way"}}
    )

    owner: str | None = Field(
        default=None, min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="Left out: the key's name."
    )
    note: str = Field(default="", max_length=1000, pattern=r"^[^\x00]*$")


def _plain(row: AlertRow) -> dict[str, Any]:
    fields = row._asdict()
    fields["revision"] = fields.pop("revision_id")
    fields["value"] = _value(row.value)
    # Not sorted by the database: its plan would hold a sort that hides whether the list itself is read in order.
    fields["muted"] = sorted(orjson.loads(row.muted), key=lambda one: (one["since"], one["reason"], one["source"]))
    return fields


def _value(stored: bytes | None) -> Any:
    return None if stored is None else orjson.loads(stored)
