"""Parcel: one delivery on its way through a batch, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.ledger import Outcome, Reason
from domain.reading import Reading
from ingest.delivery import Delivery
from ingest.format import EventReport, Sample, StatusReport
from service.known import Known

NO_SOURCE = "none"
"""The source under which messages are counted whose topic nobody reads."""


@dataclass(slots=True)
class Parcel:
    """One delivery, filled in step by step; never shared between batches."""

    delivery: Delivery
    source: str
    samples: Sequence[Sample] = ()
    events: Sequence[EventReport] = ()
    status: StatusReport | None = None
    readings: list[Reading] = field(default_factory=list[Reading])
    known: dict[int, Known] = field(default_factory=dict[int, Known])
    """The devices of its readings, by id."""
    told: list[tuple[Known, EventReport | StatusReport]] = field(
        default_factory=list[tuple[Known, "EventReport | StatusReport"]]
    )
    """Events and status of known devices."""
    outcome: Outcome = Outcome.ACCEPTED
    reason: Reason | None = None
    """Why it, or a part of it, was set aside."""
    detail: str = ""
    rejected: int = 0
    """Readings of an accepted message that could not be believed."""
    duplicates: int = 0
    conflicting: int = 0
    unknown_values: int = 0
    ahead: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    """(device, seconds) of readings refused because their time lay too far ahead: what is known of those clocks."""
    clocked: bool = False
    """Its time is (partly) that of its receipt, so that a redelivery must keep the first."""

    def set_aside(self, reason: Reason, detail: str) -> None:
        """It goes to quarantine as a whole."""
        self.outcome = Outcome.QUARANTINED
        self.reason = reason
        self.detail = detail
        self.readings = []
        self.told = []
