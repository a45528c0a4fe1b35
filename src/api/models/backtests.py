"""Backtests over HTTP: what shall be tried, how far it has come, and what was found."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.fields import Moment
from domain.backtest import BacktestState
from store.backtests import BacktestRow

_DeviceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]

_EXAMPLE: Final[dict[str, Any]] = {
    "from": "2026-11-01T00:00:00+08:00",
    "to": "2026-11-08T00:00:00+08:00",
    "rules": [
        {
            "key": "manhole.tilt",
            "condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 30, "clear": 10}]},
        }
    ],
}


class NewBacktest(BaseModel):
    """What shall be tried, on whose readings, of which time."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    since: Annotated[Moment, Field(alias="from", description="Alerts that fire from this time on.")]
    until: Annotated[Moment, Field(alias="to", description="And before this one.")]
    rules: Annotated[
        list[dict[str, Any]] | None,
        Field(
            min_length=1, max_length=1000, description="Candidates, as a rule file has them. Without: those in force."
        ),
    ] = None
    kind: Annotated[str | None, Field(max_length=40, pattern=r"^[a-z0-9_]+$", description="Only this kind.")] = None
    devices: Annotated[
        list[_DeviceName] | None, Field(min_length=1, max_length=10_000, description="Only these devices.")
    ] = None
    short_s: Annotated[float, Field(ge=0, le=1e9, description="An alert that lasts less is counted as short.")] = 300.0

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.since >= self.until:
            raise ValueError("from must lie before to")
        return self


class Backtest(BaseModel):
    """One backtest (规则回测)."""

    id: int
    asked_by: str
    asked_at: datetime
    state: BacktestState
    share: float = Field(description="Which part is done, from 0 to 1.")
    readings: int = Field(description="Judged so far.")
    started_at: datetime | None
    finished_at: datetime | None
    asked: dict[str, Any] = Field(description="What was asked for.")
    result: dict[str, Any] | None = Field(
        description="Once done: `candidate` and `in_force` (alerts, tickets, joined, short, rules, per_day, "
        "noisiest_devices, noisiest_grids) and their `difference`; as `streetwarden rules backtest --json` prints it."
    )
    error: str | None = Field(description="Why it failed.")

    @classmethod
    def of(cls, row: BacktestRow) -> Self:
        """Shape one row."""
        fields: dict[str, Any] = row._asdict()
        fields["asked"] = fields.pop("body")
        return cls(**fields)
