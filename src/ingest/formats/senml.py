"""senml: Sensor Measurement Lists (RFC 8428) as JSON, on ``senml/#``; the names in the pack tell the device."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson

from domain.reading import Reading
from ingest.format import IGNORED, Address, Decoded, Format, Sample, Sender
from ingest.json_text import read_json
from ingest.senml_pack import RELATIVE_BELOW, Record, read_pack
from ingest.senml_units import field_of_unit, in_unit_of, unit_of
from ingest.timestamps import EPOCH, from_seconds, shift
from ingest.topics import HEARTBEAT

ROOT: Final = "senml"
PACK: Final = "pack"

_DEV_URN: Final = re.compile(r"(urn:dev:[^:/]+:[^:/_]+)(?:_([^:/]+))?[:/]?(.*)")
"""RFC 9039: scheme, name and identifier make the device; what follows an underscore is a component of it."""
_SEPARATORS: Final = ":/."


class SenmlFormat:
    """SenML in JSON: a pack may hold many devices, many times, many measures."""

    name = "senml"
    title = "SenML JSON, RFC 8428 (senml/…)"
    filters: tuple[str, ...] = (f"{ROOT}/#",)

    def heartbeat_topic(self, client_id: str) -> str:
        """Topic of our own heartbeat."""
        return f"{ROOT}/{HEARTBEAT}/{client_id}"

    def read_topic(self, topic: str) -> Address | None:
        """Everything below ``senml`` is a pack; the levels are the publisher's own affair."""
        if topic.startswith(f"{ROOT}/{HEARTBEAT}/"):
            return Address(self.name, None, HEARTBEAT)
        if topic == ROOT or topic.startswith(f"{ROOT}/"):
            return Address(self.name, None, PACK)
        return None

    def decode(self, address: Address, payload: bytes, received_at: datetime) -> Decoded:
        """Gather the records of one device at one time into one sample.

        Raises:
            DecodeError: the payload is no JSON or breaks a rule of RFC 8428.
        """
        if address.leaf == HEARTBEAT:
            return IGNORED
        gathered: dict[tuple[str, float], list[dict[str, object]]] = {}
        for record in read_pack(read_json(payload)):
            device, field = identify(record.base, record.local)
            _add(gathered.setdefault((device, record.time), [{}]), field or field_of_unit(record.unit), record)
        return Decoded(
            [
                Sample(device, _time_of(time, received_at), values)
                for (device, time), groups in gathered.items()
                for values in groups
            ],
            relative=any(0 != time < RELATIVE_BELOW for _, time in gathered),
        )

    def encode(self, sender: Sender, readings: Sequence[Reading]) -> tuple[str, bytes]:
        """One pack; ``sender.alias`` is the base name without its last separator.

        Raises:
            ValueError: SenML names cannot carry this alias.
        """
        if identify(f"{sender.alias}:", "x") != (sender.alias, "x"):
            raise ValueError(f"{sender.alias} would be read back as another device")
        pack: list[dict[str, object]] = []
        for reading in readings:
            head: dict[str, object] = {"bn": f"{sender.alias}:", "bt": _seconds(reading.at)}
            for measure, value in reading.values.items():
                record = {**head, "n": measure}
                unit = unit_of(measure)
                if isinstance(value, bool):
                    record["vb"] = value
                else:
                    record["v"] = value
                    if unit is not None:
                        record["u"] = unit
                pack.append(record)
                head = {}
        return f"{ROOT}/{sender.district}/{sender.name}", orjson.dumps(pack)


def identify(base: str, local: str) -> tuple[str, str]:
    """Split a resolved name into device and field; the field may be empty.

    1. ``urn:dev:…``: the first four parts are the device, the rest is the field, after its component if there is one.
    2. With a base name, that is the device and the record's own name the field.
    3. Else the name is cut at its last ``:`` or ``/``.
    """
    name = base + local
    urn = _DEV_URN.fullmatch(name)
    if urn is not None:
        device, component, field = urn.groups()
        return device, ".".join(part for part in (component, field) if part)
    if base:
        return base.rstrip(_SEPARATORS) or base, local
    cut = max(name.rfind(":"), name.rfind("/"))
    if cut < 0:
        return name, ""
    return name[:cut].rstrip(_SEPARATORS) or name, name[cut + 1 :]


def _add(groups: list[dict[str, object]], field: str, record: Record) -> None:
    """Put a record's values into the newest group; a field told twice begins another, so that neither is lost."""
    told: list[tuple[str, object]] = []
    if record.label == "v" and record.unit is not None and isinstance(record.value, int | float):
        told.append(in_unit_of(field, record.unit, record.value))
    elif record.label is not None:
        told.append((field, record.value))
    if record.sum is not None:
        own = field if record.label is None else f"{field}.sum"
        told.append(in_unit_of(own, record.unit, record.sum) if record.unit is not None else (own, record.sum))
    if any(name in groups[-1] for name, _ in told):
        groups.append({})
    groups[-1].update(told)


def _time_of(time: float, received_at: datetime) -> datetime | None:
    """Zero says "now" and so no more than the received time does; other small numbers are relative to it."""
    if time == 0:
        return None
    return from_seconds(time) if time >= RELATIVE_BELOW else shift(received_at, time)


def _seconds(at: datetime) -> float:
    """Epoch seconds; a double holds today's to a quarter of a microsecond, so nothing is lost."""
    return (at.astimezone(UTC) - EPOCH).total_seconds()


FORMAT: Final[Format] = SenmlFormat()
