"""The pure part of the way of a message, with what must hold whatever the bytes: only DecodeError may leave."""

import math
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from devices.catalogue import load_kinds
from domain.device import Device
from ingest.catalogue import load_formats
from ingest.format import Address, Decoded, DecodeError, Format, Sample
from ingest.normalise import TimeBounds, limits_of, normalise
from service.storable import holds_zero

NOW: Final = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
FORMATS: Final = load_formats()
_BOUNDS: Final = TimeBounds(timedelta(minutes=5), timedelta(days=400))
_KINDS: Final = load_kinds()
_LIMITS: Final = {name: limits_of(kind) for name, kind in _KINDS.items()}
_DEVICES: Final = {
    name: Device(1, "fuzzed", name, "511703", fields={"object.level": "fill_pct", "v": "tilt_deg"}) for name in _KINDS
}
_MAX_DIGEST: Final = 2**63
_LONGEST_DETAIL: Final = 4000
"""A sentence of a refusal is stored and shown: it must not grow with what a stranger sent."""


class BrokenPromiseError(AssertionError):
    """Something that must hold does not."""


def _demand(holds: object, what: str) -> None:
    if not holds:
        raise BrokenPromiseError(what)


def feed(form: Format, topic: str, payload: bytes) -> Decoded | None:
    """Send one message through topic, format and every kind; what was read of it, if anything was.

    Raises:
        BrokenPromiseError: something that must hold does not.
        Exception: whatever leaves the product; the fuzzer calls that a finding.
    """
    address = form.read_topic(topic)
    if address is None:
        return None
    try:
        decoded = _decode(form, address, payload)
    except DecodeError as error:
        _demand(error.detail and len(error.detail) < _LONGEST_DETAIL, f"{len(error.detail)} characters of detail")
        error.detail.encode()
        return None
    holds_zero(payload, decoded)
    for event in decoded.events:
        orjson.loads(event.body)
        _demand_time(event.at)
    for sample in decoded.samples:
        _demand_time(sample.at)
        for kind, device in _DEVICES.items():
            _normalise(kind, device, sample)
    return decoded


def _decode(form: Format, address: Address, payload: bytes) -> Decoded:
    first = form.decode(address, payload, NOW)
    _demand(first == form.decode(address, payload, NOW), "decoding twice says two things")
    return first


def _normalise(kind: str, device: Device, sample: Sample) -> None:
    try:
        reading = normalise(device, _LIMITS[kind], sample, NOW, _BOUNDS)
    except DecodeError as error:
        error.detail.encode()
        return
    _demand(reading.values, "a reading without a value")
    _demand(reading.at.utcoffset() == timedelta(0), "a time that is not UTC")
    _demand(-_MAX_DIGEST <= reading.digest < _MAX_DIGEST, "a digest of more than 64 bits")
    _demand(all(math.isfinite(value) for value in reading.values.values()), "a value that is no number")
    _demand(orjson.loads(reading.body) == reading.values, "a body that says other values")
    # What the store writes beside the values.
    orjson.dumps(reading.flags)
    orjson.dumps(reading.extra)
    _demand(reading.seq is None or 0 <= reading.seq < _MAX_DIGEST, "a counter that the column does not hold")


def _demand_time(at: datetime | None) -> None:
    _demand(at is None or at.utcoffset() == timedelta(0), "a time that is not UTC")
