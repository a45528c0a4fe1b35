"""native: Streetwarden's own JSON on ``city/v1/{district}/{kind}/{device}/{leaf}``; ``docs/mqtt.md`` is its manual."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from domain.ledger import Reason
from domain.reading import Reading
from ingest.format import IGNORED, Address, Decoded, DecodeError, EventReport, Format, Sample, Sender, StatusReport
from ingest.json_text import MAX_LEVELS, as_list, as_object, misshapen, nests_deeper, read_json, shown
from ingest.timestamps import EPOCH, read_time
from ingest.topics import (
    EVENT,
    FILTER,
    STATUS,
    TELEMETRY,
    native_heartbeat_topic,
    native_topic,
    read_native_topic,
)

EVENT_CLASS: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What an event class may be called: it stands in rules and in links."""
MAX_EVIDENCE: Final = 16
"""Links one event may carry."""
LINK: Final = re.compile(r"https?://\S{1,2000}")
"""What a piece of evidence must be: operators see it as a link, so no other scheme may pass."""
MAX_SEQ: Final = 2**63 - 1
"""The counter is stored as a signed 64-bit number."""
ONLINE: Final = "online"
OFFLINE: Final = "offline"

_STATUS_WORDS: Final = {ONLINE.encode(): ONLINE, OFFLINE.encode(): OFFLINE}
_SCALARS: Final = frozenset((float, int, bool, str, type(None)))

Entry = TypeVar("Entry", Sample, EventReport)


class NativeFormat:
    """Streetwarden's own JSON: the topic names the device, the body holds its values."""

    name = "native"
    title = "Streetwarden JSON (city/v1/…)"
    filters: tuple[str, ...] = (FILTER,)

    def heartbeat_topic(self, client_id: str) -> str:
        """Topic of our own heartbeat."""
        return native_heartbeat_topic(client_id)

    def read_topic(self, topic: str) -> Address | None:
        """Read district, kind, device and leaf."""
        return read_native_topic(self.name, topic)

    def decode(
        self,
        address: Address,
        payload: bytes,
        received_at: datetime,  # noqa: ARG002  # no time of this format is relative
    ) -> Decoded:
        """Read telemetry, an event or a status; commands, replies and heartbeats pass by.

        Raises:
            DecodeError: the payload cannot be understood.
        """
        leaf = address.leaf
        if leaf == TELEMETRY:
            body = read_json(payload)
            if body.__class__ is dict:
                return Decoded((_sample(body, address),))
            return Decoded(_entries(body, address, _sample))
        if leaf == EVENT:
            body = read_json(payload)
            if body.__class__ is dict:
                return Decoded(events=(_event(body, address),))
            return Decoded(events=_entries(body, address, _event))
        if leaf == STATUS:
            return _status(payload, address)
        return IGNORED

    def encode(self, sender: Sender, readings: Sequence[Reading]) -> tuple[str, bytes]:
        """One reading as an object, several as a history."""
        entries = [_entry(reading) for reading in readings]
        body = orjson.dumps(entries[0] if len(entries) == 1 else entries)
        return native_topic(sender.district, sender.kind, sender.name, TELEMETRY), body


def _entries(body: Any, address: Address, read: Callable[[Any, Address], Entry]) -> list[Entry]:
    """Read a history. One bad entry sets the whole message aside: half a message would be counted as a whole one."""
    if body.__class__ is not list or not body:
        raise misshapen(body, f"the payload must be an object or a non-empty list of objects, not {shown(body)}")
    entries: list[Entry] = []
    for index, item in enumerate(body):
        try:
            entries.append(read(item, address))
        except DecodeError as error:
            raise DecodeError(error.reason, f"entry {index}: {error.detail}") from None
    return entries


def _sample(body: Any, address: Address) -> Sample:
    """Read ``{"ts", "seq", "values"}``. This is the hot path: one look at each field, sentences only on failure."""
    if body.__class__ is not dict:
        raise misshapen(body, f"must be an object, not {shown(body)}")
    values = body.get("values")
    if values.__class__ is not dict or not values:
        raise misshapen(body, '"values" must be an object with at least one value')
    for value in values.values():
        if value.__class__ not in _SCALARS:
            raise misshapen(body, _nested_sentence(values))
    ts = body.get("ts")
    seq = body.get("seq")
    alias = _same_identity(body, address)
    return Sample(
        alias,
        None if ts is None else read_time(ts),
        values,
        None if seq is None else _read_seq(seq),
    )


def _same_identity(body: Any, address: Address) -> str:
    """Return the device's name, once the body names no other device, kind or district than the topic."""
    _, alias, _, kind, district = address
    if alias is None:
        raise DecodeError(Reason.UNKNOWN_TOPIC, "the topic names no device")
    if body.get("device", alias) != alias:
        raise _other_identity("device", alias, body)
    if body.get("kind", kind) != kind:
        raise _other_identity("kind", kind, body)
    if body.get("district", district) != district:
        raise _other_identity("district", district, body)
    return alias


def _other_identity(level: str, told: str | None, body: Any) -> DecodeError:
    """Build the error for a body that contradicts its topic."""
    return DecodeError(Reason.WRONG_IDENTITY, f"the topic says {level} {told}, the body says {shown(body[level])}")


def _nested_sentence(values: dict[str, object]) -> str:
    """Name the first value that is no scalar."""
    culprit = next(name for name, value in values.items() if value.__class__ not in _SCALARS)
    return f"{shown(culprit)} holds {shown(values[culprit])}; a value is a number, true, false, a text or null"


def _read_seq(seq: Any) -> int:
    """Read the device's counter; 17.0 is 17, as JSON has it."""
    if seq.__class__ is float and seq.is_integer():
        seq = int(seq)
    if seq.__class__ is not int or not 0 <= seq <= MAX_SEQ:
        raise misshapen(seq, f'"seq" must be a whole number from 0 to 2^63-1, not {shown(seq)}')
    return int(seq)


def _event(body: Any, address: Address) -> EventReport:
    """Read ``{"ts", "class", "values", "evidence", "position"}``; only the class must be there."""
    if body.__class__ is not dict:
        raise misshapen(body, f"must be an object, not {shown(body)}")
    if nests_deeper(body, MAX_LEVELS):
        raise DecodeError(Reason.TOO_DEEP, f"nested deeper than {MAX_LEVELS} levels")
    alias = _same_identity(body, address)
    event_class = body.get("class")
    if event_class.__class__ is not str or not EVENT_CLASS.fullmatch(event_class):
        raise misshapen(body, f'"class" must be 1 to 64 of A-Z a-z 0-9 . _ -, not {shown(event_class)}')
    values = body.get("values", {})
    if values.__class__ is not dict:
        raise misshapen(body, f'"values" must be an object, not {shown(values)}')
    if not _SCALARS.issuperset(map(type, values.values())):
        raise misshapen(body, _nested_sentence(values))
    _check_evidence(body.get("evidence", []))
    if "position" in body:
        _check_position(body["position"])
    ts = body.get("ts")
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return EventReport(alias, None if ts is None else read_time(ts), str(event_class), canonical)


def _check_evidence(evidence: Any) -> None:
    """Demand a short list of web links."""
    links = as_list(evidence)
    if (
        links is None
        or len(links) > MAX_EVIDENCE
        or not all(isinstance(link, str) and LINK.fullmatch(link) for link in links)
    ):
        raise misshapen(evidence, f'"evidence" must be a list of at most {MAX_EVIDENCE} http(s) links')


def _check_position(position: Any) -> None:
    """Demand longitude and latitude in degrees."""
    held = as_object(position) or {}
    for axis, limit in (("longitude", 180), ("latitude", 90)):
        degrees: Any = held.get(axis)
        if degrees.__class__ not in (int, float) or not -limit <= degrees <= limit:
            raise misshapen(position, f'"position" needs {axis} from -{limit} to {limit} degrees (WGS-84)')


def _status(payload: bytes, address: Address) -> Decoded:
    """Read ``online`` or ``offline``, as plain text or as ``{"status": …}``; nothing at all clears a retained one."""
    if not payload:
        return IGNORED
    word: Any = _STATUS_WORDS.get(payload.strip())
    if word is None:
        body = read_json(payload)
        word = body.get("status") if body.__class__ is dict else None
        if word not in (ONLINE, OFFLINE):
            raise misshapen(body, 'the status must be online, offline or {"status": "online"}')
        _same_identity(body, address)
    alias = _same_identity({}, address)
    return Decoded(status=StatusReport(alias, word == ONLINE))


def _entry(reading: Reading) -> dict[str, object]:
    """One reading as a device writes it: whole milliseconds as a number, finer times as text."""
    at = reading.at
    since = at - EPOCH
    milliseconds = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    precise = at.microsecond % 1000 == 0 and milliseconds >= 10**12
    entry: dict[str, object] = {"ts": milliseconds if precise else at.astimezone(UTC).isoformat()}
    if reading.seq is not None:
        entry["seq"] = reading.seq
    entry["values"] = reading.values
    return entry


FORMAT: Final[Format] = NativeFormat()
