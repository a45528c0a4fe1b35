"""Normalise: the publisher's own words → a reading in the units of the kind, within its physical limits and our time.

Pure, and on the way of every message.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

import orjson

from devices.kind import DeviceKind
from domain.device import Device, LifeCycle
from domain.ledger import Reason
from domain.reading import DEVICE, TIME, Flag, MeasureValue, Reading
from ingest.format import DecodeError, Sample

_FIELDS_NAMED: Final = 20
"""Fields named in a refusal: enough to see what was sent, however much it was."""

_NO_FLAGS: Final[dict[str, str]] = {}
"""Shared by all readings without a doubt; nobody writes to a reading's flags."""


class Limits(NamedTuple):
    """What a value of one measure must be."""

    low: float
    high: float
    boolean: bool


class TimeBounds(NamedTuple):
    """How far a reading's time may lie from its receipt."""

    future: timedelta
    """Beyond it, a time ahead of ours is not believed; within it, it is clamped to the received time and flagged."""
    past: timedelta
    """Beyond it, readings are no longer kept."""


def limits_of(kind: DeviceKind) -> Mapping[str, Limits]:
    """Measure → limits of a kind."""
    return {measure.name: Limits(measure.low, measure.high, measure.boolean) for measure in kind.measures}


def normalise(
    device: Device, limits: Mapping[str, Limits], sample: Sample, received_at: datetime, bounds: TimeBounds
) -> Reading:
    """Make a reading of a sample.

    Raises:
        DecodeError: the time is not believable, or not one value is known to the kind.
    """
    at, flags = believe_time(sample.at, received_at, bounds)
    ahead_s = 0.0 if flags is _NO_FLAGS or sample.at is None else (sample.at - received_at).total_seconds()
    values: dict[str, MeasureValue] = {}
    extra: dict[str, object] | None = None
    fields = device.fields
    for name, value in sample.values.items():
        measure = fields.get(name, name) if fields else name
        limit = limits.get(measure)
        if limit is None:
            extra = extra or {}
            extra[name] = value
            continue
        checked = _check(value, limit)
        if checked is None:
            extra = extra or {}
            extra[name] = value
            flags = {**flags, measure: Flag.WRONG_TYPE.value}
            continue
        values[measure] = checked
        if not limit.low <= checked <= limit.high:
            flags = {**flags, measure: Flag.OUT_OF_RANGE.value}
    if not values:
        known = ", ".join(sorted(limits))
        told = ", ".join(sorted(sample.values)[:_FIELDS_NAMED])
        message = f"none of {told} is a measure of a {device.kind} ({known}) or mapped to one"
        raise DecodeError(Reason.NO_KNOWN_MEASURE, message)
    if device.life_cycle is LifeCycle.SUSPENDED:
        flags = {**flags, DEVICE: Flag.SUSPENDED.value}
    body = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    digest = int.from_bytes(blake2b(body, digest_size=8).digest(), "big", signed=True)
    return Reading(device.id, at, received_at, values, flags, digest, body, sample.seq, extra, ahead_s)


def _check(value: object, limit: Limits) -> MeasureValue | None:
    """The value in its canonical type, or ``None`` if it is of a wrong one."""
    if limit.boolean:
        if isinstance(value, bool):
            return value
        # Decoders written in JavaScript, and ChirpStack's Struct, send 1.0 for true.
        return bool(value) if isinstance(value, int | float) and value in (0, 1) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # 84 and 84.0, and 0.0 and -0.0, are the same value and must have the same digest.
    return float(value) + 0.0


def believe_time(at: datetime | None, received_at: datetime, bounds: TimeBounds) -> tuple[datetime, dict[str, str]]:
    """The time to go by, and what is doubtful about it.

    Raises:
        DecodeError: it lies further ahead, or further back, than is believed.
    """
    if at is None:
        return received_at, {TIME: Flag.NO_TIME.value}
    if at <= received_at:
        if received_at - at > bounds.past:
            message = f"its time {at.isoformat()} lies more than {bounds.past.days} days back"
            raise DecodeError(Reason.TOO_OLD, message)
        return at, _NO_FLAGS
    if at - received_at > bounds.future:
        ahead = (at - received_at).total_seconds()
        message = (
            f"its time {at.isoformat()} lies {ahead:.0f} s ahead; {bounds.future.total_seconds():.0f} s are allowed"
        )
        raise DecodeError(Reason.IN_FUTURE, message)
    return received_at, {TIME: Flag.CLOCK_AHEAD.value}
