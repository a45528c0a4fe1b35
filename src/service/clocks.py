"""Clocks: look, now and then, at how a device's own time stands to ours; a doubt is always looked at."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Final

from domain.reading import TIME, Flag, Reading
from service.parcel import Parcel
from service.stream import Stream
from store.clocks import ClockSample

_FIRST: Final = 8
"""Readings of a new device that are all looked at: one that reports daily is known, drift and all, within a week."""
_EVERY: Final = 32
"""After that one in so many; a power of two, since it is asked at every batch of every device."""


def sample_clocks(streams: Iterable[Stream], parcels: Sequence[Parcel]) -> list[ClockSample]:
    """Samples of this batch: few, so that a healthy device costs no more than a comparison."""
    samples: list[ClockSample] = []
    for stream in streams:
        if stream.fresh:
            readings, newest = stream.state.readings, stream.fresh[-1]
            if readings <= _FIRST or not readings % _EVERY or newest.flags:
                sample = _sample(newest)
                if sample is not None:
                    samples.append(sample)
        elif stream.late:
            # A clock that was set back: all it sends is late, and nothing of it is fresh.
            sample = _sample(max(stream.late, key=lambda reading: reading.received_at))
            if sample is not None:
                samples.append(sample)
    for parcel in parcels:
        for device_id, ahead_s in parcel.ahead:
            day = parcel.delivery.received_at.astimezone(UTC).date()
            samples.append(ClockSample(device_id, day, -ahead_s, refused=True))
    return samples


def _sample(reading: Reading) -> ClockSample | None:
    flag = reading.flags.get(TIME)
    if flag == Flag.NO_TIME.value:
        return None
    lag_s = -reading.ahead_s if flag else (reading.received_at - reading.at).total_seconds()
    return ClockSample(reading.device_id, reading.received_at.astimezone(UTC).date(), lag_s, refused=False)
