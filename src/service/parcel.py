"""Parcel: one delivery on its way through a batch, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.ledger import Outcome, Reason
from domain.reading import Reading
from ingest.delivery import Delivery
from ingest.format import EventReport, Sample, StatusReport
from service.known import Known
from store.redrive import Held

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
    device_id: int = 0
    """The device under which the ledger counts a message that was set aside whole; 0: none is known."""
    rejected: int = 0
    """Readings of an accepted message that could not be believed."""
    rejections: Sequence[tuple[int, int]] = ()
    """Of those: which sample, and of which device (0: none is known)."""
    duplicates: int = 0
    doubles: Sequence[Reading] = ()
    """The duplicates themselves."""
    conflicting: int = 0
    unknown_values: int = 0
    ahead: Sequence[tuple[int, float]] = ()
    """(device, seconds) of readings refused because their time lay too far ahead: what is known of those clocks."""
    held: Held | None = None
    """Where a re-drive took it from; ``None``: the broker delivered it."""
    clocked: bool = False
    """Its time is (partly) that of its receipt, so that a redelivery must keep the first."""

    def is_double(self, reading: Reading) -> None:
        """One of its readings is stored already."""
        self.duplicates += 1
        self.doubles = [*self.doubles, reading]

    @property
    def brought_nothing(self) -> bool:
        """Whether it is an accepted message sent before, all of whose readings are stored already: a redelivery."""
        count = len(self.readings)
        return self.delivery.redelivered and count > 0 and self.duplicates == count

    @property
    def sender(self) -> int:
        """The device under which the ledger counts the message; 0: none is known."""
        if self.readings:
            return self.readings[0].device_id
        if self.told:
            return self.told[0][0].device.id
        return self.device_id

    def set_aside(self, reason: Reason, detail: str) -> None:
        """It goes to quarantine as a whole."""
        self.outcome = Outcome.QUARANTINED
        self.reason = reason
        self.detail = detail
        self.readings = []
        self.told = []
