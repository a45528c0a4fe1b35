"""Told: events and connection status of a batch, stored beside the readings."""

from collections.abc import Mapping, Sequence

from ingest.format import EventReport
from service.parcel import Parcel
from store.connection import Executor
from store.readings import StoredEvent, insert_events
from store.states import DeviceState


async def settle_told(
    connection: Executor, parcels: Sequence[Parcel], states: Mapping[int, DeviceState]
) -> list[StoredEvent]:
    """Store events, each once, and put the last connection status into the states, which the batch then writes.

    Neither is a reading, and neither ends a silence: a last will is sent by the broker when the device is gone.
    Returns the events that were not stored before.
    """
    events: list[StoredEvent] = []
    for parcel in parcels:
        received_at = parcel.delivery.received_at
        for known, report in parcel.told:
            state = states[known.device.id]
            if isinstance(report, EventReport):
                at = report.at or received_at
                events.append(
                    StoredEvent(known.device.id, at, report.digest, received_at, report.event_class, report.body)
                )
            elif state.online_at is None or received_at >= state.online_at:
                state.online, state.online_at = report.online, received_at
    if not events:
        return events
    unique = {(event.device_id, event.at, event.digest): event for event in events}
    new = await insert_events(connection, list(unique.values()))
    return [event for identity, event in unique.items() if identity in new]
