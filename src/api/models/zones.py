"""Zones over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from rules.balances import Role
from store.zone_views import ZoneMember, ZoneSummary, ZoneWindow

_NEW: Final[JsonDict] = {
    "rule": "gas_meter.zone_loss",
    "members": [{"device": "gm-inlet-1", "role": "in"}, {"device": "gm-0001", "role": "out"}],
    "note": "南外镇调压站以下",
}


class Member(BaseModel):
    """A meter of a zone."""

    model_config = ConfigDict(extra="forbid")

    device: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")
    role: Role = Field(description="`in`: what it measures flows into the zone (进口); `out`: it flows out (出口).")


class NewZone(BaseModel):
    """A zone with exactly these meters."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _NEW})

    rule: str = Field(max_length=200, pattern=r"^[^\x00]*$", description="A rule of kind `balance`.")
    members: list[Member] = Field(min_length=1, max_length=10_000)
    note: str | None = Field(default=None, max_length=500, pattern=r"^[^\x00]*$")


class Zone(BaseModel):
    """A part of a network between meters (计量分区)."""

    name: str
    rule: str
    note: str | None
    inlets: int
    outlets: int
    firing_since: datetime | None = Field(description="Onset of its alert; null: none fires.")
    judged_until: datetime | None = Field(description="End of the last window that was judged, or given up.")
    updated_at: datetime

    @classmethod
    def of(cls, row: ZoneSummary) -> Self:
        """Shape one row."""
        return cls(**row._asdict())


class Balance(BaseModel):
    """What one window came to."""

    start: datetime
    end: datetime
    inflow_m3: float | None = Field(description="Null: not judged, since a meter was missing.")
    outflow_m3: float | None
    lost_m3h: float | None = Field(description="Inflow less outflow, an hour.")
    judged_at: datetime

    @classmethod
    def of(cls, row: ZoneWindow) -> Self:
        """Shape one row."""
        lost = None
        if row.inflow_m3 is not None and row.outflow_m3 is not None:
            lost = (row.inflow_m3 - row.outflow_m3) / ((row.end - row.start).total_seconds() / 3600)
        return cls(**row._asdict(), lost_m3h=lost)


class ZoneDetail(Zone):
    """One zone with its meters and balances."""

    members: list[Member]
    balances: list[Balance] = Field(description="Of the last 100 windows, the latest first.")

    @classmethod
    def whole(cls, row: ZoneSummary, members: Sequence[ZoneMember], windows: Sequence[ZoneWindow]) -> Self:
        """Shape one zone with what belongs to it."""
        fields: dict[str, Any] = row._asdict()
        return cls(
            **fields,
            members=[Member(device=one.device, role=Role(one.role)) for one in members],
            balances=[Balance.of(window) for window in windows],
        )
