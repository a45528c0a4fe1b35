"""Re-drives over HTTP: what is asked for, and how far it has come."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.fields import MAX_ID
from domain.ledger import Reason
from domain.quarantine import RedriveState
from store.redrive import Redrive


class NewRedrive(BaseModel):
    """What shall be settled again: exactly one of the three."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "unknown_device"}})

    id: Annotated[int | None, Field(ge=1, le=MAX_ID, description="One message in quarantine.")] = None
    reason: Annotated[Reason | None, Field(description="All that was set aside for it.")] = None
    source: Annotated[
        str | None, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="All that came by it.")
    ] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.id, self.reason, self.source)) != 1:
            raise ValueError("exactly one of id, reason, source")
        return self


class RedriveCounts(BaseModel):
    """What became of the receipts taken so far, and of the readings in them."""

    taken: int
    accepted: int
    ignored: int
    held_again: int = Field(description="Went back, whole or in part, under the reason that now stands against it.")
    stored: int
    duplicate: int
    rejected: int


class RedriveJob(BaseModel):
    """One re-drive (重新处理)."""

    id: int
    quarantine_id: int | None
    reason: Reason | None
    source: str | None
    asked_by: str
    asked_at: datetime
    state: RedriveState = Field(description="`queued` until an ingest worker begins; nobody else does it.")
    wanted: int = Field(description="Receipts that lay there when it was asked for, and can be settled again.")
    not_whole: int = Field(description="Receipts of messages kept in part only; they stay.")
    without_time: int = Field(description="Receipts that were only counted; they stay.")
    started_at: datetime | None
    finished_at: datetime | None
    counts: RedriveCounts

    @classmethod
    def of(cls, row: Redrive) -> Self:
        """Shape one row."""
        fields: dict[str, Any] = row._asdict()
        fields["counts"] = RedriveCounts(**row.counts._asdict())
        return cls(**fields)
