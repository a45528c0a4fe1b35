"""Accounts: what became of each parcel, counted in the ledger's two accounts, by source and minute of first receipt."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.ledger import Outcome
from service.parcel import NO_SOURCE, Parcel
from service.postings import Posting
from store.ledger import Tallies, Tally

_BEFORE_ALL: Final = datetime(1970, 1, 1, tzinfo=UTC)


def settle_accounts(
    parcels: Sequence[Parcel], held_before: set[int], redelivered_in_hand: int, now: datetime
) -> Tallies:
    """Count a batch.

    A message that the broker marks as sent before, and that brought nothing new, is a redelivery; one that brought
    something is a first: the first time it was in hand, nothing was committed. What is ignored, and a status, leaves no
    trace to tell by, so its redelivery counts as a first. ``redelivered_in_hand`` are those dropped because their
    message was still in hand.
    """
    tallies: Tallies = {}
    minute = next_minute = _BEFORE_ALL
    for parcel in parcels:
        received_at = parcel.delivery.received_at
        if not minute <= received_at < next_minute:
            # Nearly all of a batch were received in one minute: it is worked out once.
            minute = received_at.replace(second=0, microsecond=0)
            next_minute = minute + timedelta(minutes=1)
        key = (minute, parcel.source)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = Tally()
        _count(tally, parcel, held_before)
    if redelivered_in_hand:
        minute = now.replace(second=0, microsecond=0)
        tallies.setdefault((minute, NO_SOURCE), Tally()).redelivered += redelivered_in_hand
    return tallies


def add_posting(tallies: Tallies, parcel: Parcel, posting: Posting) -> None:
    """Enter into the minutes, too, what a re-drive moves between accounts."""
    minute = parcel.delivery.received_at.replace(second=0, microsecond=0)
    posting.add_to(tallies.setdefault((minute, posting.source), Tally()))


def _count(tally: Tally, parcel: Parcel, held_before: set[int]) -> None:
    match parcel.outcome:
        case Outcome.IGNORED:
            tally.ignored += 1
        case Outcome.QUARANTINED:
            if parcel.delivery.redelivered and id(parcel) in held_before:
                tally.redelivered += 1
            else:
                tally.quarantined += 1
        case Outcome.ACCEPTED | Outcome.REDELIVERED:
            readings = len(parcel.readings)
            if parcel.brought_nothing:
                tally.redelivered += 1
                return
            tally.accepted += 1
            tally.contained += readings + parcel.rejected
            tally.duplicate += parcel.duplicates
            tally.conflicting += parcel.conflicting
            tally.rejected += parcel.rejected
            tally.stored += readings - parcel.duplicates - parcel.conflicting
            tally.unknown_values += parcel.unknown_values
