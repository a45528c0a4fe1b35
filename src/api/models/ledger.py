"""The ledger per device and day, and its check, over HTTP."""

from collections.abc import Sequence
from datetime import date
from typing import Self

from pydantic import BaseModel, Field

from api.ledger_report import Checked
from api.models.stream import Deliveries
from store.device_ledger_views import DeviceDay


class DeviceReadings(BaseModel):
    """The account of readings inside accepted messages: contained = stored + duplicate + conflicting + rejected."""

    contained: int
    stored: int
    duplicate: int
    conflicting: int
    rejected: int
    balanced: bool


class LedgerDeviceDay(BaseModel):
    """Both accounts of one device and one day of the district.

    A message is counted for the first device that it names, a reading for its own.
    """

    day: date
    device: str | None = Field(description="Null: messages in which no registered device could be made out.")
    deliveries: Deliveries
    readings: DeviceReadings

    @classmethod
    def of(cls, row: DeviceDay) -> Self:
        """Shape one row."""
        counts = row.counts
        return cls(
            day=row.day,
            device=row.device,
            deliveries=Deliveries(
                delivered=counts.delivered,
                first=counts.first,
                redelivered=counts.redelivered,
                accepted=counts.accepted,
                quarantined=counts.quarantined,
                ignored=counts.ignored,
            ),
            readings=DeviceReadings(
                contained=counts.contained,
                stored=counts.stored,
                duplicate=counts.duplicate,
                conflicting=counts.conflicting,
                rejected=counts.rejected,
                balanced=counts.balanced,
            ),
        )


class LedgerChecked(BaseModel):
    """One identity of the ledger, looked at wherever it must hold."""

    check: str = Field(examples=["days"])
    title: str = Field(examples=["each day: minutes and devices have the same sums"])
    compared: int = Field(description="Rows that were looked at.")
    deviating: int
    sentences: Sequence[str] = Field(description="One for each deviation, the first hundred.")

    @classmethod
    def of(cls, checked: Checked) -> Self:
        """Shape one line."""
        return cls(**checked._asdict())


class LedgerCheck(BaseModel):
    """Whether the books balance, read in one snapshot."""

    since: date
    until: date = Field(description="Days of the district, both inclusive.")
    balanced: bool
    checks: Sequence[LedgerChecked]
