"""Understand: deliveries → readings of known devices. Pure but for the memory of topics; no exception leaves it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.device import LifeCycle
from domain.ledger import Outcome, Reason
from domain.reading import TIME
from ingest.delivery import Delivery
from ingest.format import Address, DecodeError, EventReport, Sample, StatusReport
from ingest.normalise import TimeBounds, believe_time, normalise
from ingest.router import Router
from service.known import Known
from service.parcel import NO_SOURCE, Parcel
from service.storable import ZERO_TOLD, holds_zero

_UNKNOWN: Final = "no device is registered as {alias!r} for the source {source}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a message may be at most."""

    time: TimeBounds
    message_bytes: int


def decode_all(deliveries: Iterable[Delivery], router: Router, bounds: Bounds) -> list[Parcel]:
    """Read topic and payload of each; what cannot be read is set aside with its reason."""
    return [_decode(delivery, router, bounds) for delivery in deliveries]


def _decode(delivery: Delivery, router: Router, bounds: Bounds) -> Parcel:
    if delivery.refused is not None:
        parcel = Parcel(delivery, _source_of(delivery, router))
        parcel.set_aside(Reason.REFUSED_BY_DATABASE, delivery.refused)
        return parcel
    route = router.route(delivery.topic)
    if route is None:
        parcel = Parcel(delivery, NO_SOURCE)
        parcel.set_aside(Reason.UNKNOWN_TOPIC, f"no source reads the topic {delivery.topic!r}")
        return parcel
    parcel = Parcel(delivery, route.address.source)
    if len(delivery.payload) > bounds.message_bytes:
        size = len(delivery.payload)
        parcel.set_aside(Reason.TOO_LARGE, f"{size} bytes; a message may have {bounds.message_bytes}")
        return parcel
    try:
        decoded = route.format.decode(route.address, delivery.payload, delivery.received_at)
    except DecodeError as error:
        parcel.set_aside(error.reason, error.detail)
        return parcel
    if holds_zero(delivery.payload, decoded):
        parcel.set_aside(Reason.REFUSED_BY_DATABASE, ZERO_TOLD)
        return parcel
    parcel.samples = decoded.samples
    parcel.events = decoded.events
    parcel.status = decoded.status
    parcel.clocked = decoded.relative
    if not (parcel.samples or parcel.events or parcel.status):
        parcel.outcome = Outcome.IGNORED
    return parcel


def _source_of(delivery: Delivery, router: Router) -> str:
    """The source of a refused message; reading its topic may be the very thing that fails."""
    try:
        route = router.route(delivery.topic)
    except Exception:  # noqa: BLE001  # whatever it stumbles over, the message must come to rest
        return NO_SOURCE
    return NO_SOURCE if route is None else route.address.source


def aliases_of(parcels: Iterable[Parcel]) -> set[tuple[str, str]]:
    """(source, alias) of every device named."""
    return {(parcel.source, part.alias) for parcel in parcels for part in _parts(parcel)}


Devices = Mapping[tuple[str, str], Known]
"""(source, alias) → device: those of one batch."""


def identify_all(parcels: Iterable[Parcel], known: Devices, router: Router, bounds: Bounds) -> None:
    """Find the devices and make readings; what has no device, or cannot be believed, is set aside."""
    for parcel in parcels:
        if parcel.outcome is Outcome.ACCEPTED:
            _identify(parcel, known, router, bounds)


def _identify(parcel: Parcel, known: Devices, router: Router, bounds: Bounds) -> None:
    route = router.route(parcel.delivery.topic)
    failure: DecodeError | None = None
    for entry, sample in enumerate(parcel.samples):
        try:
            device = _device_of(parcel.source, sample, known, None if route is None else route.address)
            reading = normalise(device.device, device.limits, sample, parcel.delivery.received_at, bounds.time)
        except DecodeError as error:
            failure = error
            found = known.get((parcel.source, sample.alias))
            parcel.rejected += 1
            parcel.rejections = [*parcel.rejections, (entry, 0 if found is None else found.device.id)]
            if error.reason is Reason.IN_FUTURE and found is not None and sample.at is not None:
                ahead_s = (sample.at - parcel.delivery.received_at).total_seconds()
                parcel.ahead = [*parcel.ahead, (found.device.id, ahead_s)]
            continue
        parcel.readings.append(reading)
        parcel.known[reading.device_id] = device
        if reading.flags and TIME in reading.flags:
            parcel.clocked = True
        if reading.extra:
            parcel.unknown_values += len(reading.extra)
    if parcel.events or parcel.status is not None:
        failure = _identify_told(parcel, known, None if route is None else route.address, bounds) or failure
    if failure is not None:
        if not parcel.readings and not parcel.told:
            parcel.rejected = 0
            parcel.device_id = _device_named(parcel, known)
            parcel.set_aside(failure.reason, failure.detail)
        else:
            # A history of which some readings cannot be believed: the rest is stored, the message kept for a look.
            parcel.reason, parcel.detail = failure.reason, failure.detail


def _identify_told(parcel: Parcel, known: Devices, address: Address | None, bounds: Bounds) -> DecodeError | None:
    """Find the devices of events and status; return why one was not found."""
    failure: DecodeError | None = None
    for report in (*parcel.events, *(() if parcel.status is None else (parcel.status,))):
        try:
            device = _device_of(parcel.source, report, known, address)
            if isinstance(report, EventReport):
                believe_time(report.at, parcel.delivery.received_at, bounds.time)
        except DecodeError as error:
            failure = error
            continue
        parcel.told.append((device, report))
        if isinstance(report, EventReport) and report.at is None:
            parcel.clocked = True
    return failure


def _device_of(
    source: str, part: Sample | EventReport | StatusReport, known: Devices, address: Address | None
) -> Known:
    found = known.get((source, part.alias))
    if found is None:
        raise DecodeError(Reason.UNKNOWN_DEVICE, _UNKNOWN.format(alias=part.alias, source=source))
    device = found.device
    if address is not None:
        if address.kind is not None and address.kind != device.kind:
            message = f"the topic says {device.name} is a {address.kind}; it is registered as a {device.kind}"
            raise DecodeError(Reason.WRONG_IDENTITY, message)
        if address.district is not None and address.district != device.district:
            message = (
                f"the topic puts {device.name} in district {address.district}; it is registered in {device.district}"
            )
            raise DecodeError(Reason.WRONG_IDENTITY, message)
    if device.life_cycle is LifeCycle.RETIRED:
        raise DecodeError(Reason.RETIRED_DEVICE, f"{device.name} was taken out of service for good")
    return found


def _device_named(parcel: Parcel, known: Devices) -> int:
    """The first registered device that a message names which is set aside whole; 0 if there is none."""
    for part in _parts(parcel):
        found = known.get((parcel.source, part.alias))
        if found is not None:
            return found.device.id
    return 0


def _parts(parcel: Parcel) -> Sequence[Sample | EventReport | StatusReport]:
    if not parcel.events and parcel.status is None:
        return parcel.samples
    return [*parcel.samples, *parcel.events, *(() if parcel.status is None else (parcel.status,))]
