"""Tracing: where a message is, by its topic and time alone, or exactly by its bytes; for API and command."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from devices.kind import DeviceKind
from domain.device import Device
from domain.reading import TIME, Reading
from ingest.catalogue import load_formats
from ingest.format import Decoded, DecodeError
from ingest.normalise import TimeBounds, limits_of, normalise
from ingest.router import Route, Router
from ingest.topics import STATUS
from store.connection import Executor, Pool
from store.known_devices import devices_by_alias
from store.quarantine import KEPT_BYTES, identity_of
from store.trace_views import (
    FoundDouble,
    FoundEvent,
    FoundHeld,
    FoundReading,
    FoundStatus,
    Hearing,
    RaisedAlert,
    Window,
    alerts_of,
    doubles_around,
    events_around,
    hearing,
    held_of_identity,
    held_of_topic,
    readings_around,
    readings_by_digest,
    readings_exactly,
    status_within,
)

NO_SOURCE: Final = "none"
"""The source under which messages are counted whose topic nobody reads."""


class Verdict(StrEnum):
    """Where the message is."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """Its reading had been stored before."""
    QUARANTINED = "quarantined"
    """It was set aside; its state tells whether it still lies there."""
    IGNORED = "ignored"
    """Understood, and of no interest."""
    NEVER_RECEIVED = "never_received"
    NOT_CERTAIN = "not_certain"
    """Nothing of it is found, but messages that leave no trace were received by the source then."""


class Question(NamedTuple):
    """The message that is looked for."""

    topic: str
    at: datetime
    """When it was sent, or received."""
    within: timedelta
    payload: bytes | None


class Trace(NamedTuple):
    """The answer, and all that it rests on."""

    question: Question
    source: str
    exact: bool
    """Whether the bytes were given, so that another message of the topic cannot be meant."""
    verdict: Verdict
    devices: dict[int, str]
    readings: list[FoundReading]
    events: list[FoundEvent]
    statuses: list[FoundStatus]
    alerts: list[RaisedAlert]
    doubles: list[FoundDouble]
    held: list[FoundHeld]
    refusal: str | None
    """Why its bytes, or a part of them, cannot be settled now."""
    hearing: Hearing

    @property
    def window(self) -> Window:
        """The stretch that was searched."""
        return window_of(self.question)


def window_of(question: Question) -> Window:
    """The stretch that is searched; it ends where time does."""
    try:
        return Window(question.at - question.within, question.at + question.within)
    except OverflowError:
        return Window(question.at, question.at)


_Identity = tuple[int, datetime, int]


class _Read(NamedTuple):
    """What the bytes say now."""

    readings: list[Reading]
    ignored: bool
    relative: bool
    events: frozenset[int]
    """Their digests."""
    status: bool
    refusal: str | None


async def trace(pool: Pool, kinds: Mapping[str, DeviceKind], bounds: TimeBounds, question: Question) -> Trace:
    """Look for a message everywhere it can be."""
    route = Router(load_formats()).route(question.topic)
    source = NO_SOURCE if route is None else route.address.source
    window = window_of(question)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        decoded, refusal = _decode(route, question)
        devices = await _devices(connection, route, decoded)
        read = None if question.payload is None else _read(decoded, refusal, source, devices, kinds, bounds, question)
        ids = sorted({device.id for device in devices.values()})
        if read is None or question.payload is None:
            readings = await readings_around(connection, ids, window)
            held = await held_of_topic(connection, question.topic, window)
        else:
            readings = await _stored(connection, read, question.within)
            held = await held_of_identity(connection, identity_of(question.topic, question.payload), window)
        doubles = await doubles_around(connection, ids, window)
        if read is not None:
            doubles = [double for double in doubles if _meant(double, read)]
        events = await events_around(connection, ids, window) if read is None or read.events else []
        if read is not None:
            events = [event for event in events if event.digest in read.events]
        told = read.status if read is not None else route is not None and route.address.leaf == STATUS
        found = Trace(
            question=question,
            source=source,
            exact=read is not None,
            verdict=Verdict.NEVER_RECEIVED,
            devices={device.id: device.name for device in devices.values()},
            readings=readings,
            events=events,
            statuses=await status_within(connection, ids, window) if told else [],
            alerts=await alerts_of(connection, readings) if readings else [],
            doubles=doubles,
            held=held,
            refusal=None if read is None else read.refusal,
            hearing=await hearing(connection, source, window),
        )
    return found._replace(verdict=_verdict(found, ignored=read is not None and read.ignored, status=told))


def _verdict(found: Trace, *, ignored: bool, status: bool) -> Verdict:
    window, counted = found.window, found.hearing.counted
    received = [one.received_at for one in found.readings] + [one.received_at for one in found.events]
    # A status is forgotten with the next one; and of what was ignored, nothing is kept.
    traceless = (counted.accepted and status) or (counted.ignored and not found.exact)
    in_order = (
        (Verdict.STORED, found.statuses or any(window.since <= at <= window.until for at in received)),
        (Verdict.DUPLICATE, found.doubles),
        (Verdict.QUARANTINED, found.held),
        (Verdict.STORED, received),  # measured in the window, and received at another time
        (Verdict.IGNORED, counted.ignored and ignored),
        (Verdict.NOT_CERTAIN, traceless),
    )
    return next((verdict for verdict, evidence in in_order if evidence), Verdict.NEVER_RECEIVED)


def _decode(route: Route | None, question: Question) -> tuple[Decoded | None, str | None]:
    """Read the bytes as the service does; what they say, or why they cannot be read."""
    payload = question.payload
    if route is None or payload is None:
        return None, None if route is not None else f"no source reads the topic {question.topic!r}"
    if len(payload) > KEPT_BYTES:
        return None, f"{len(payload)} bytes; a message may have {KEPT_BYTES}"
    try:
        return route.format.decode(route.address, payload, question.at), None
    except DecodeError as error:
        return None, error.detail


async def _devices(connection: Executor, route: Route | None, decoded: Decoded | None) -> dict[tuple[str, str], Device]:
    """The registered devices that the topic, or the payload, names."""
    if route is None:
        return {}
    source = route.address.source
    names: set[str] = set() if route.address.alias is None else {route.address.alias}
    if decoded is not None:
        status = () if decoded.status is None else (decoded.status,)
        names |= {part.alias for part in (*decoded.samples, *decoded.events, *status)}
    return await devices_by_alias(connection, [(source, name) for name in sorted(names) if "\0" not in name])


def _read(
    decoded: Decoded | None,
    refusal: str | None,
    source: str,
    devices: Mapping[tuple[str, str], Device],
    kinds: Mapping[str, DeviceKind],
    bounds: TimeBounds,
    question: Question,
) -> _Read:
    """Make the readings that the service would make of the bytes."""
    if decoded is None:
        return _Read([], ignored=False, relative=False, events=frozenset(), status=False, refusal=refusal)
    readings: list[Reading] = []
    for sample in decoded.samples:
        device = devices.get((source, sample.alias))
        if device is None:
            refusal = f"no device is registered as {sample.alias!r} for the source {source}"
            continue
        kind = kinds.get(device.kind)
        # Believed whatever its age: the service may have received it long ago.
        lenient = TimeBounds(bounds.future, timedelta.max)
        try:
            readings.append(normalise(device, {} if kind is None else limits_of(kind), sample, question.at, lenient))
        except DecodeError as error:
            refusal = error.detail
    ignored = not (decoded.samples or decoded.events or decoded.status)
    events = frozenset(event.digest for event in decoded.events)
    return _Read(readings, ignored, decoded.relative, events, decoded.status is not None, refusal)


async def _stored(connection: Executor, read: _Read, within: timedelta) -> list[FoundReading]:
    """Of these readings the stored ones; where the time was reckoned from the receipt, any near it may be meant."""
    exact, about = _identities(read)
    found = await readings_exactly(connection, exact) if exact else []
    if about:
        found += await readings_by_digest(connection, about, within)
    return found


def _identities(read: _Read) -> tuple[list[_Identity], list[_Identity]]:
    """Those with a time of their own, and those whose time was reckoned from the receipt."""
    exact: list[_Identity] = []
    about: list[_Identity] = []
    for one in read.readings:
        reckoned = read.relative or TIME in one.flags
        (about if reckoned else exact).append((one.device_id, one.at, one.digest))
    return exact, about


def _meant(double: FoundDouble, read: _Read) -> bool:
    exact, about = _identities(read)
    return (double.device_id, double.at, double.digest) in exact or any(
        (double.device_id, double.digest) == (device, digest) for device, _, digest in about
    )
