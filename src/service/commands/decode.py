"""``streetwarden decode``: read one payload as the service would, and print its readings or the reason against it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.device import Device
from domain.errors import InvalidInputError
from domain.ledger import Reason
from domain.reading import TIME, Reading
from ingest.catalogue import load_formats
from ingest.format import Address, Decoded, DecodeError, Format, Sample
from ingest.normalise import TimeBounds, limits_of, normalise
from ingest.router import Router
from service.settings import load_settings

_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the service makes of one message."""

    address: Address
    decoded: Decoded
    readings: Sequence[tuple[Sample, Reading | DecodeError | None]]
    """Sample and the reading made of it, or why it is left out; ``None`` where no kind is known to read it by."""
    units: Mapping[str, str]
    """Measure → unit of the kind."""


def judge(topic: str, payload: bytes, kind_key: str | None, received_at: datetime) -> Verdict:
    """Decode and normalise one message, without a registry.

    Raises:
        DecodeError: the service would quarantine the message.
        InvalidInputError: there is no such kind.
    """
    if len(payload) > _MAX_BYTES:
        raise DecodeError(Reason.TOO_LARGE, f"{len(payload)} bytes; a message may have {_MAX_BYTES}")
    reader, address = _source_of(topic)
    decoded = reader.decode(address, payload, received_at)
    kind = _kind_of(kind_key or address.kind)
    bounds = _bounds()
    readings = [(sample, _reading(sample, address, kind, received_at, bounds)) for sample in decoded.samples]
    refusals = [made for _, made in readings if isinstance(made, DecodeError)]
    if refusals and len(refusals) == len(readings):
        raise refusals[-1]  # nothing is left of the message; of a history, what is good would be stored
    units = {measure.name: measure.unit for measure in kind.measures} if kind else {}
    return Verdict(address, decoded, readings, units)


def decode(
    topic: Annotated[str, typer.Option("--topic", help="Topic on which the message is published.")],
    file: Annotated[Path, typer.Argument(help="File with the payload; - reads standard input.", allow_dash=True)],
    kind: Annotated[str | None, typer.Option("--kind", help="Device kind, where the topic does not tell it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read a payload as the service would: print the readings (exit 0), or the reason against it (exit 65)."""
    payload = _payload(file)
    try:
        verdict = judge(topic, payload, kind, datetime.now(UTC))
    except DecodeError as refusal:
        if as_json:
            typer.echo(orjson.dumps({"reason": refusal.reason.value, "detail": refusal.detail}))
        else:
            typer.echo(f"{refusal.reason.value}: {refusal.detail}", err=True)
        raise typer.Exit(InvalidInputError.exit_code) from None
    if as_json:
        typer.echo(orjson.dumps(_as_json(verdict), option=orjson.OPT_INDENT_2))
    else:
        typer.echo("\n".join(_lines(verdict)))


def register(app: typer.Typer) -> None:
    """Offer the command as ``decode``."""
    app.command("decode")(decode)


def _payload(file: Path) -> bytes:
    """Read the file, or standard input for ``-``."""
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"cannot read {file}: {error.strerror}") from error


def _source_of(topic: str) -> tuple[Format, Address]:
    """Find the format that reads the topic."""
    formats = load_formats()
    route = Router(formats).route(topic)
    if route is not None:
        return route.format, route.address
    filters = ", ".join(each for known in formats.values() for each in known.filters)
    raise DecodeError(Reason.UNKNOWN_TOPIC, f"no source reads {topic}; known are {filters}")


def _kind_of(key: str | None) -> DeviceKind | None:
    """Return the kind, or ``None`` where neither topic nor option names one."""
    if key is None:
        return None
    kinds: Mapping[str, DeviceKind] = load_kinds()
    if key not in kinds:
        raise InvalidInputError(f"there is no device kind {key}; known are {', '.join(kinds)}")
    return kinds[key]


def _reading(
    sample: Sample, address: Address, kind: DeviceKind | None, received_at: datetime, bounds: TimeBounds
) -> Reading | DecodeError | None:
    """Normalise for a device that is registered under the sample's own name, with no field map."""
    if kind is None:
        return None
    device = Device(id=0, name=sample.alias, kind=kind.key, district=address.district or "")
    try:
        return normalise(device, limits_of(kind), sample, received_at, bounds)
    except DecodeError as refusal:
        return refusal


def _bounds() -> TimeBounds:
    """The service's own, as its settings stand on this machine."""
    settings = load_settings()
    return TimeBounds(timedelta(seconds=settings.future_bound_s), timedelta(days=settings.past_bound_days))


def _lines(verdict: Verdict) -> list[str]:
    """The verdict for a person."""
    address, decoded = verdict.address, verdict.decoded
    lines = [f"source {address.source}, message {address.leaf}"]
    if decoded.status is not None:
        lines.append(f"device {decoded.status.alias} is {'online' if decoded.status.online else 'offline'}")
    lines += [f"device {e.alias} tells {e.event_class} at {_time(e.at)}" for e in decoded.events]
    for sample, reading in verdict.readings:
        if isinstance(reading, DecodeError):
            lines.append(
                f"device {sample.alias} at {_time(sample.at)}: left out, {reading.reason.value}: {reading.detail}"
            )
        else:
            lines += _sample_lines(sample) if reading is None else _reading_lines(sample, reading, verdict.units)
    if not (decoded.samples or decoded.events or decoded.status):
        lines.append("ignored: understood, and of no interest")
    if any(reading is None for _, reading in verdict.readings):
        lines.append("values are as sent: name the device's kind with --kind to see them judged")
    return lines


def _sample_lines(sample: Sample) -> list[str]:
    head = f"device {sample.alias} at {_time(sample.at)}"
    return [head, *(f"  {name:<16} {orjson.dumps(value).decode()}" for name, value in sample.values.items())]


def _reading_lines(sample: Sample, reading: Reading, units: Mapping[str, str]) -> list[str]:
    doubt = f"  [{reading.flags[TIME]}]" if TIME in reading.flags else ""
    lines = [f"device {sample.alias} at {_time(reading.at)}{doubt}"]
    for name, value in reading.values.items():
        flag = f"  [{reading.flags[name]}]" if name in reading.flags else ""
        lines.append(f"  {name:<16} {orjson.dumps(value).decode()} {units.get(name, '')}".rstrip() + flag)
    for name, unknown in (reading.extra or {}).items():
        lines.append(f"  {name:<16} {orjson.dumps(unknown).decode()}  [{reading.flags.get(name, 'unknown')}]")
    return lines


def _as_json(verdict: Verdict) -> dict[str, object]:
    """The verdict for a program."""
    decoded = verdict.decoded
    return {
        "source": verdict.address.source,
        "message": verdict.address.leaf,
        "readings": [_entry(sample, reading) for sample, reading in verdict.readings],
        "events": [
            {"device": event.alias, "at": event.at, "class": event.event_class, "body": orjson.Fragment(event.body)}
            for event in decoded.events
        ],
        "status": None if decoded.status is None else {"device": decoded.status.alias, "online": decoded.status.online},
    }


def _entry(sample: Sample, reading: Reading | DecodeError | None) -> dict[str, object]:
    """One reading; without a kind every value is as it was sent."""
    if isinstance(reading, DecodeError):
        refusal = {"reason": reading.reason.value, "detail": reading.detail}
        return {"device": sample.alias, "at": sample.at, "seq": sample.seq, **refusal}
    if reading is None:
        return {"device": sample.alias, "at": sample.at, "seq": sample.seq, "unjudged": sample.values}
    return {
        "device": sample.alias,
        "at": reading.at,
        "seq": reading.seq,
        "values": reading.values,
        "flags": reading.flags,
        "unknown": reading.extra or {},
    }


def _time(at: datetime | None) -> str:
    return "the time of receipt" if at is None else at.isoformat()
