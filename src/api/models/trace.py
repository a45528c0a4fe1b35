"""Traces over HTTP: the message asked for, where it is, and the evidence."""

from base64 import b64decode
from binascii import Error as NoBase64Error
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from api.fields import Moment
from api.trace_words import answer, could_hear, sentences
from api.tracing import Trace, Verdict
from domain.errors import InvalidInputError

LONGEST_TOPIC: Final = 65_535
MOST_WITHIN_S: Final = 86_400.0


class TraceQuestion(BaseModel):
    """A message with its bytes, so that no other can be meant."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "topic": "city/v1/511703/manhole/mh-0815/telemetry",
                "at": "2026-11-22T08:00:00Z",
                "payload_base64": "eyJ2YWx1ZXMiOiB7InRpbHRfZGVnIjogMS4yfX0=",
            }
        },
    )

    topic: str = Field(max_length=LONGEST_TOPIC, pattern=r"^[^\x00]*$")
    at: Moment = Field(description="When it was sent, or received.")
    within_s: Annotated[float, Field(ge=0, le=MOST_WITHIN_S)] = 60.0
    payload_base64: str = Field(max_length=400_000, description="Its bytes.")

    def payload(self) -> bytes:
        """The bytes.

        Raises:
            InvalidInputError: they are no base64.
        """
        try:
            return b64decode(self.payload_base64, validate=True)
        except (NoBase64Error, ValueError) as error:
            raise InvalidInputError("payload_base64: the payload's bytes in base64.") from error


class TracedReading(BaseModel):
    """A stored reading."""

    device: str | None
    at: datetime
    digest: str = Field(description="With device and time, its identity; 64 bits, signed, as text.")
    received_at: datetime


class TracedEvent(BaseModel):
    """A stored event."""

    device: str | None
    at: datetime
    received_at: datetime
    event_class: str


class TracedStatus(BaseModel):
    """The last connection status that a device told."""

    device: str | None
    online: bool
    at: datetime


class TracedAlert(BaseModel):
    """A step of an alert that a reading decided."""

    id: int
    rule: str
    step: str
    reading_at: datetime


class TracedDuplicate(TracedReading):
    """A receipt of a reading that was stored already."""

    redelivered: bool = Field(description="The broker had marked it as sent before.")


class TracedQuarantine(BaseModel):
    """The message in quarantine."""

    id: int
    reason: str
    detail: str
    state: str
    count: int
    held: int
    first_seen: datetime
    last_seen: datetime
    redriven_at: datetime | None
    expired_at: datetime | None
    receipts: Sequence[datetime] = Field(description="Those in the window that lie there.")


class TracedOutage(BaseModel):
    """A time in which nothing could reach a worker."""

    worker: str
    cause: str
    began: datetime
    ended: datetime


class TracedCoverage(BaseModel):
    """The present unbroken stretch in which a worker hears its own heartbeats."""

    worker: str
    since: datetime
    until: datetime


class TraceAnswer(BaseModel):
    """Where a message is, and what the answer rests on."""

    verdict: Verdict
    answer: str = Field(examples=["It was received and stored."])
    sentences: Sequence[str] = Field(description="The answer, then one for each piece of evidence.")
    exact: bool = Field(description="Whether the bytes were given, so that no other message of the topic can be meant.")
    source: str
    since: datetime
    until: datetime
    readings: Sequence[TracedReading]
    events: Sequence[TracedEvent]
    statuses: Sequence[TracedStatus]
    alerts: Sequence[TracedAlert]
    duplicates: Sequence[TracedDuplicate]
    quarantine: Sequence[TracedQuarantine]
    could_hear: bool | None = Field(description="Whether the source was heard throughout; null: nothing tells.")
    coverage: Sequence[TracedCoverage]
    outages: Sequence[TracedOutage]

    @classmethod
    def of(cls, found: Trace) -> Self:
        """Shape a trace."""
        name = found.devices
        return cls(
            verdict=found.verdict,
            answer=answer(found),
            sentences=sentences(found),
            exact=found.exact,
            source=found.source,
            since=found.window.since,
            until=found.window.until,
            readings=[
                TracedReading(
                    device=name.get(one.device_id), at=one.at, digest=str(one.digest), received_at=one.received_at
                )
                for one in found.readings
            ],
            events=[
                TracedEvent(
                    device=name.get(one.device_id),
                    at=one.at,
                    received_at=one.received_at,
                    event_class=one.event_class,
                )
                for one in found.events
            ],
            statuses=[
                TracedStatus(device=name.get(one.device_id), online=one.online, at=one.at) for one in found.statuses
            ],
            alerts=[
                TracedAlert(id=one.alert_id, rule=one.rule, step=one.step, reading_at=one.at) for one in found.alerts
            ],
            duplicates=[
                TracedDuplicate(
                    device=name.get(one.device_id),
                    at=one.at,
                    digest=str(one.digest),
                    received_at=one.received_at,
                    redelivered=one.redelivered,
                )
                for one in found.doubles
            ],
            quarantine=[
                TracedQuarantine(count=one.seen, **{k: v for k, v in one._asdict().items() if k != "seen"})
                for one in found.held
            ],
            could_hear=could_hear(found),
            coverage=[TracedCoverage(**one._asdict()) for one in found.hearing.stretches],
            outages=[TracedOutage(**one._asdict()) for one in found.hearing.gaps],
        )
