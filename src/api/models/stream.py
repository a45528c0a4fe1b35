"""What came in, over HTTP: readings, events, quarantine, ledger."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self

import orjson
from pydantic import BaseModel, Field

from api.pages import Page
from domain.ledger import Reason
from domain.quarantine import HoldState
from store.ledger_views import Counts, MinuteRow
from store.quarantine import KEPT_BYTES
from store.quarantine_views import QuarantineRow, SetAside
from store.reading_views import EventRow, ReadingRow

_PREVIEW: Final = 1000
"""Characters of a payload shown as text."""


class Reading(BaseModel):
    """What a device measured at one moment."""

    at: datetime = Field(description="Event time.")
    received_at: datetime
    values: Mapping[str, float | bool] = Field(examples=[{"tilt_deg": 1.4, "battery_v": 3.6}])
    flags: Mapping[str, str] = Field(description="What is doubtful: measure (or `at`) → why.")
    extra: Mapping[str, Any] = Field(description="Values that the kind does not know.")
    seq: int | None

    @classmethod
    def of(cls, row: ReadingRow) -> Self:
        """Shape one row."""
        return cls(
            at=row.at,
            received_at=row.received_at,
            values=orjson.loads(row.measures),
            flags=orjson.loads(row.flags) if row.flags else {},
            extra=orjson.loads(row.extra) if row.extra else {},
            seq=row.seq,
        )


class Event(BaseModel):
    """Something a device told that is not a measurement."""

    at: datetime
    received_at: datetime
    event_class: str = Field(examples=["door_opened"])
    body: Mapping[str, Any] = Field(description="The report as it was sent.")

    @classmethod
    def of(cls, row: EventRow) -> Self:
        """Shape one row."""
        return cls(at=row.at, received_at=row.received_at, event_class=row.event_class, body=orjson.loads(row.body))


class Quarantined(BaseModel):
    """A message that was set aside."""

    id: int
    reason: Reason
    source: str = Field(examples=["native"])
    topic: str = Field(examples=["city/v1/511703/manhole/mh-0815/telemetry"])
    size: int = Field(description="Bytes of the whole payload.")
    detail: str = Field(description="One sentence for its maker.")
    first_seen: datetime
    last_seen: datetime
    count: int = Field(description="How often the very same message came.")
    state: HoldState
    held: int = Field(description="Receipts that lie there now.")
    without_time: int = Field(description="Of those, the ones that were only counted: their time is not known.")
    redrivable: bool = Field(description="Whether something of it can be settled again.")
    why_not: str | None = Field(description="If not, why.")
    redriven_at: datetime | None
    expired_at: datetime | None

    @classmethod
    def of(cls, row: QuarantineRow) -> Self:
        """Shape one row."""
        return cls(**_quarantined(row))


class QuarantinedDetail(Quarantined):
    """A message that was set aside, with its bytes."""

    payload_base64: str = Field(description="The first 64 KiB.")
    preview: str = Field(description="The beginning as text; bytes that are none are shown as \ufffd.")
    properties: Mapping[str, Any] | None
    receipts: Sequence[datetime] = Field(description="When it was received: the last hundred that lie there.")

    @classmethod
    def whole(cls, found: SetAside) -> Self:
        """Shape one message."""
        return cls(
            **_quarantined(found.row),
            payload_base64=b64encode(found.payload).decode(),
            preview=found.payload[: 4 * _PREVIEW].decode("utf-8", "replace")[:_PREVIEW],
            properties=orjson.loads(found.properties) if found.properties else None,
            receipts=found.receipts,
        )


class Deliveries(BaseModel):
    """The account of messages: delivered = first + redelivered, first = accepted + quarantined + ignored."""

    delivered: int
    first: int
    redelivered: int
    accepted: int
    quarantined: int
    ignored: int


class Readings(BaseModel):
    """The account of readings inside accepted messages: contained = stored + duplicate + conflicting + rejected."""

    contained: int
    stored: int
    duplicate: int
    conflicting: int
    rejected: int
    unknown_values: int = Field(description="Values that no measure of the kind is; not part of the sum.")
    balanced: bool


class Accounts(BaseModel):
    """Both accounts."""

    deliveries: Deliveries
    readings: Readings

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """Shape one line of counts."""
        return cls(**_accounts(counts))


class LedgerMinute(Accounts):
    """Both accounts of one minute of first receipt, of one source, over all workers."""

    minute: datetime
    source: str

    @classmethod
    def at(cls, row: MinuteRow) -> Self:
        """Shape one row."""
        return cls(minute=row.minute, source=row.source, **_accounts(row.counts))


class LedgerPage(Page[LedgerMinute]):
    """Minutes, newest first, and the sums of the whole stretch asked for."""

    since: datetime
    until: datetime
    total: Accounts
    balanced: bool = Field(description="Whether the sums balance.")


def _quarantined(row: QuarantineRow) -> dict[str, Any]:
    fields = row._asdict()
    fields["count"] = fields.pop("seen")
    fields["without_time"] = fields.pop("unkept")
    del fields["not_whole"]
    why_not = why_not_redrivable(row)
    return {**fields, "redrivable": why_not is None, "why_not": why_not}


def why_not_redrivable(row: QuarantineRow) -> str | None:
    """One sentence that says why nothing of it can be settled again; ``None`` if something can."""
    match row.state:
        case HoldState.REDRIVEN:
            return "It was settled again and lies here no longer."
        case HoldState.EXPIRED:
            return "Its time was up: its bytes are gone."
        case _:
            pass
    if row.not_whole:
        return f"Of its {row.size} bytes only the first {KEPT_BYTES} were kept."
    if row.held == row.unkept:
        return "When it was received is not known."
    return None


def _accounts(counts: Counts) -> dict[str, Any]:
    return {
        "deliveries": Deliveries(
            delivered=counts.delivered,
            first=counts.first,
            redelivered=counts.redelivered,
            accepted=counts.accepted,
            quarantined=counts.quarantined,
            ignored=counts.ignored,
        ),
        "readings": Readings(
            contained=counts.contained,
            stored=counts.stored,
            duplicate=counts.duplicate,
            conflicting=counts.conflicting,
            rejected=counts.rejected,
            unknown_values=counts.unknown_values,
            balanced=counts.balanced,
        ),
    }
