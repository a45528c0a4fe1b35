"""Overrides of groups over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from domain.scope import Scope
from store.rule_overrides import OverrideRow

_PARAMETERS: Final[JsonDict] = {"major": {"limit": 20.0, "hold_s": 60.0}}


class NewOverride(BaseModel):
    """What a group shall set differently in a rule: exactly this, and no longer what it set before."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"parameters": _PARAMETERS, "reason": "heavy lorries: the road works until May"}},
    )

    parameters: dict[str, Any] = Field(
        min_length=1, description="As a device's own overrides name them: parameters, or fields under a level's name."
    )
    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")


class Override(BaseModel):
    """What a model, owner, unit grid, circuit or site sets differently in a rule."""

    scope: Scope
    name: str = Field(examples=["S-00012"])
    rule: str = Field(examples=["manhole.tilt"])
    parameters: Mapping[str, Any] = Field(examples=[_PARAMETERS])
    author: str = Field(description="Name of the key that set it.")
    reason: str
    updated_at: datetime

    @classmethod
    def of(cls, row: OverrideRow) -> Self:
        """Shape one row."""
        return cls(**row._asdict())


class OverrideDetail(Override):
    """One of them, and how far it reaches."""

    devices: int = Field(description="Devices with this rule that belong to the group now.")

    @classmethod
    def whole(cls, row: OverrideRow, devices: int) -> Self:
        """Shape one row with its count."""
        return cls(**row._asdict(), devices=devices)
