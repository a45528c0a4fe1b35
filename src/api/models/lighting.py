"""Lighting schedules over HTTP."""

from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonValue

from rules.lighting import Schedule
from store.lighting_schedules import ScheduleRow

_SEASONS: Final[list[JsonValue]] = [
    {"from": "04-01", "on": "sunset-10m", "off": "sunrise+5m", "dim": [{"from": "23:30", "pct": 50}]},
    {"from": "10-01", "on": "18:00", "off": "06:45"},
]
_MOST_GROUPS: Final = 5_000


class LightingGroup(BaseModel):
    """Some lamps."""

    model_config = ConfigDict(extra="forbid")

    scope: Literal["district", "grid", "circuit", "site"]
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["511703"])


class NewSchedule(BaseModel):
    """A lighting schedule as it shall be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "applies_to": [{"scope": "district", "name": "511703"}],
                "seasons": _SEASONS,
                "reason": "the city's table of 2026",
            }
        },
    )

    applies_to: list[LightingGroup] = Field(
        min_length=1,
        max_length=_MOST_GROUPS,
        description="Whose lamps; the site's schedule prevails over the circuit's, unit grid's and district's.",
    )
    seasons: list[dict[str, Any]] = Field(
        min_length=1,
        description="In the order of the year. Each has `from` (MM-DD), `on` (a time of day, or `sunset` with minutes),"
        " `off` (a time of day, or `sunrise`), and perhaps `dim`: steps of `from` and `pct`.",
    )
    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")


class LightingSchedule(BaseModel):
    """A lighting schedule (季节性开闭灯时间)."""

    name: str = Field(examples=["city"])
    applies_to: list[LightingGroup]
    seasons: list[dict[str, Any]] = Field(examples=[_SEASONS])
    author: str = Field(description="Name of the key that set it.")
    reason: str
    updated_at: datetime

    @classmethod
    def of(cls, row: ScheduleRow) -> Self:
        """Shape one row."""
        groups = [LightingGroup.model_validate(group._asdict()) for group in row.groups]
        return cls(
            name=row.name,
            applies_to=groups,
            seasons=list(row.seasons),
            author=row.author,
            reason=row.reason,
            updated_at=row.updated_at,
        )


class LightingSchedules(BaseModel):
    """Every lighting schedule."""

    items: list[LightingSchedule]


def seasons_of(schedule: Schedule) -> list[Any]:
    """As they are stored: each field written the same way, whoever wrote it."""
    seasons: Any = schedule.as_data()["seasons"]
    return list(seasons)
