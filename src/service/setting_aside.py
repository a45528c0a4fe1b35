"""Setting aside: what of a batch goes to quarantine, and as what: whole messages, and those partly rejected."""

from collections import Counter
from collections.abc import Sequence

from domain.ledger import Outcome
from service.parcel import Parcel
from store.connection import Executor
from store.quarantine import SetAside, set_aside, take_turn
from store.redrive import release


async def quarantine(connection: Executor, parcels: Sequence[Parcel]) -> set[int]:
    """Set aside what has a reason; return the ids of the parcels whose message lay there before."""
    if parcels and parcels[0].held is not None:
        await take_turn(connection)
        # A re-drive: first they lie there no longer, then what fails again goes back.
        await release(connection, Counter(parcel.held.quarantine_id for parcel in parcels if parcel.held is not None))
    # A partly rejected message that is only sent again was set aside with its first receipt.
    aside = [parcel for parcel in parcels if parcel.reason is not None and not parcel.brought_nothing]
    if not aside:
        return set()
    await take_turn(connection)
    there = await set_aside(connection, [_shape(parcel) for parcel in aside])
    return {id(parcel) for parcel, before in zip(aside, there, strict=True) if before}


def _shape(parcel: Parcel) -> SetAside:
    delivery, held = parcel.delivery, parcel.held
    device_id, contained = parcel.sender, 0
    rejected: Sequence[tuple[int, int]] | None = None
    if held is not None and held.rejected is not None:
        # Only its rejected readings were settled again; the entries are numbered as in the whole message.
        device_id, contained, rejected = held.device_id, held.contained, held.rejected
        if parcel.outcome is Outcome.ACCEPTED:
            rejected = [(held.rejected[entry][0], device) for entry, device in parcel.rejections]
    elif parcel.outcome is Outcome.ACCEPTED:
        contained, rejected = len(parcel.readings) + parcel.rejected, parcel.rejections
    return SetAside(
        source=parcel.source if held is None or held.rejected is None else held.source,
        topic=delivery.topic,
        payload=delivery.payload,
        reason="" if parcel.reason is None else parcel.reason.value,
        detail=parcel.detail,
        properties=delivery.properties,
        received_at=delivery.received_at,
        # What the ledger counts a second time lies here a second time: readings of an accepted message.
        again=delivery.redelivered and (rejected is None or not rejected),
        device_id=device_id,
        contained=contained,
        rejected=rejected,
        origin=None if held is None else held.quarantine_id,
    )
