"""Silences, maintenance windows and check-ins over HTTP."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from api.fields import Moment
from domain.silence import LONGEST_CHECK_IN, SilenceScope, SilenceSort, SilenceState, state_of
from store.silence_views import SilenceRow

_LONGEST_CHECK_IN_MINUTES: Final = LONGEST_CHECK_IN.total_seconds() / 60

_ORDER: Final[JsonDict] = {
    "kind": "silence",
    "scope": {"circuit": "C-0012", "rule": "streetlight.voltage_low"},
    "ends_at": "2026-11-22T18:00:00Z",
    "reason": "the utility swaps the transformer until this evening",
}

Words = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]
Part = Annotated[str | None, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class Scope(BaseModel):
    """Whom it concerns: every alert that all of the parts given fit; at least one is."""

    model_config = ConfigDict(extra="forbid")

    device: Part = None
    asset: Part = None
    model: Part = Field(default=None, description="设备型号.")
    owner: Part = Field(default=None, description="权属单位.")
    grid: Part = Field(default=None, description="单元网格标识码.")
    circuit: Part = Field(default=None, description="回路.")
    site: Part = Field(default=None, description="场所.")
    kind: Part = Field(default=None, description="Kind of device.")
    rule: Part = Field(default=None, description="Key of a rule; left out: all.")

    @model_validator(mode="after")
    def _someone(self) -> Self:
        if not any(True for _ in self.plain().given()):
            raise ValueError(f"at least one of {', '.join(SilenceScope._fields)}: a silence of everything is an outage")
        return self

    def plain(self) -> SilenceScope:
        """As the service knows it."""
        return SilenceScope(**self.model_dump())


class NewSilence(BaseModel):
    """What shall be quiet, until when, and why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _ORDER})

    kind: SilenceSort = Field(
        default=SilenceSort.SILENCE,
        description="`maintenance`: only what a crew at work sets off (`hushed_at_work`), unless a rule is named.",
    )
    scope: Scope
    starts_at: Moment | None = Field(default=None, description="Left out: now.")
    ends_at: Moment = Field(description="At most 90 days after its start.")
    reason: Words


class Hidden(BaseModel):
    """What a silence hid; all of it is in `/v1/silences/{number}/hidden`."""

    alerts: int = Field(description="Alerts that it muted, now or before.")
    wanted_tickets: int = Field(description="Of those, the ones that wanted a ticket meanwhile.")
    muted_now: int


class Silence(BaseModel):
    """One silence (静默) or maintenance window (维护窗口)."""

    id: int
    kind: SilenceSort
    state: SilenceState
    scope: Scope
    starts_at: datetime
    ends_at: datetime
    author: str = Field(description="Name of the key that ordered it.")
    reason: str
    crew: str | None = Field(description="Who is at work, where a crew has checked in (到场签到).")
    created_at: datetime
    ended_at: datetime | None = Field(description="When a person ended it before its time.")
    ended_by: str | None
    hidden: Hidden

    @classmethod
    def of(cls, row: SilenceRow, now: datetime) -> Self:
        """Shape one row as it stands at a moment."""
        return cls(
            id=row.id,
            kind=row.sort,
            state=state_of(row.starts_at, row.ends_at, row.ended_at, now),
            scope=Scope(**row.scope._asdict()),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            author=row.author,
            reason=row.reason,
            crew=row.crew,
            created_at=row.created_at,
            ended_at=row.ended_at,
            ended_by=row.ended_by,
            hidden=Hidden(alerts=row.alerts, wanted_tickets=row.wanted, muted_now=row.muted_now),
        )


class CheckIn(BaseModel):
    """A crew begins its work: who, until when (a time or so many minutes), what it does."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"by": "crew 3", "minutes": 90, "work": "clearing the silt trap"}}
    )

    by: Words
    until: Moment | None = None
    minutes: Annotated[float | None, Field(gt=0, le=_LONGEST_CHECK_IN_MINUTES)] = None
    work: Words

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if (self.until is None) == (self.minutes is None):
            raise ValueError("exactly one of until, minutes")
        return self


class CheckOut(BaseModel):
    """A crew has left."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"by": "crew 3"}})

    by: Words | None = Field(default=None, description="Left out: every crew that is checked in there.")
