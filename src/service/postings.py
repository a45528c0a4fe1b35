"""Postings: what one parcel adds to the ledger's accounts of its devices, and what a re-drive moves between them."""

from collections.abc import Iterator
from typing import NamedTuple

from domain.ledger import Outcome
from service.parcel import Parcel
from store.ledger import Tally


class Posting(NamedTuple):
    """One entry in the accounts; ``source`` is the one under which the minutes count it."""

    source: str
    device_id: int
    """0: no device is known."""
    account: str
    number: int

    def add_to(self, tally: Tally) -> None:
        """Enter it."""
        setattr(tally, self.account, getattr(tally, self.account) + self.number)


def postings_of(parcel: Parcel, held_before: set[int]) -> Iterator[Posting]:
    """What a message adds, by the rules of ``service.accounts``, device by device.

    The message itself is its first device's; each reading is its own device's.
    """
    if parcel.held is not None:
        yield from _transfer(parcel)
        return
    source, sender = parcel.source, parcel.sender
    match parcel.outcome:
        case Outcome.IGNORED:
            yield Posting(source, sender, "ignored", 1)
        case Outcome.QUARANTINED:
            again = parcel.delivery.redelivered and id(parcel) in held_before
            yield Posting(source, sender, "redelivered" if again else "quarantined", 1)
        case Outcome.ACCEPTED | Outcome.REDELIVERED:
            if parcel.brought_nothing:
                yield Posting(source, sender, "redelivered", 1)
                return
            yield Posting(source, sender, "accepted", 1)
            yield from _readings(parcel, source)


def _transfer(parcel: Parcel) -> Iterator[Posting]:
    """A re-drive delivers nothing: what was entered at the first receipt is taken back and entered where it belongs."""
    held = parcel.held
    assert held is not None  # asked by the caller
    if held.rejected is None:
        yield Posting(held.source, held.device_id, "quarantined", -1)
        match parcel.outcome:
            case Outcome.IGNORED:
                yield Posting(parcel.source, parcel.sender, "ignored", 1)
            case Outcome.QUARANTINED:
                yield Posting(parcel.source, parcel.sender, "quarantined", 1)
            case Outcome.ACCEPTED | Outcome.REDELIVERED:
                yield Posting(parcel.source, parcel.sender, "accepted", 1)
                yield from _readings(parcel, parcel.source)
        return
    if parcel.outcome is Outcome.QUARANTINED:
        return  # not one of its rejected readings can be believed yet: it lies there as before
    for _, device in held.rejected:
        yield Posting(held.source, device, "contained", -1)
        yield Posting(held.source, device, "rejected", -1)
    yield from _readings(parcel, held.source)


def _readings(parcel: Parcel, source: str) -> Iterator[Posting]:
    for reading in parcel.readings:
        yield Posting(source, reading.device_id, "contained", 1)
        yield Posting(source, reading.device_id, "stored", 1)
    for reading in parcel.doubles:
        yield Posting(source, reading.device_id, "stored", -1)
        yield Posting(source, reading.device_id, "duplicate", 1)
    if parcel.unknown_values:
        yield Posting(source, parcel.sender, "unknown_values", parcel.unknown_values)
    for _, device in parcel.rejections:
        yield Posting(source, device, "contained", 1)
        yield Posting(source, device, "rejected", 1)
