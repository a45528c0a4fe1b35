"""chirpstack_v4: LoRaWAN uplinks as ChirpStack 4 publishes them (its MQTT integration, JSON), decoded by its codec."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from domain.device import DEVICE_NAME
from domain.ledger import Reason
from domain.reading import Reading
from ingest.format import IGNORED, Address, Decoded, DecodeError, Format, Sample, Sender
from ingest.json_text import MAX_LEVELS, as_list, as_object, misshapen, read_object, shown
from ingest.timestamps import read_time
from ingest.topics import HEARTBEAT

UPLINK: Final = "up"
DEVICE_STATUS: Final = "status"
_OF_NO_INTEREST: Final = ("join", "ack", "txack", "log", "location", "integration")
"""Sibling topics of ``up``. A log line has neither frame nor values: it must never count as a broken uplink."""

_TOPIC: Final = re.compile(
    r"application/[^/]+/device/([0-9a-fA-F]{16})/event/"
    rf"({UPLINK}|{DEVICE_STATUS}|{'|'.join(_OF_NO_INTEREST)})"
)
_HEARTBEAT_TOPIC: Final = re.compile(rf"application/streetwarden/device/{DEVICE_NAME.pattern}/event/{HEARTBEAT}")

_V3_KEYS: Final = ("devEUI", "objectJSON", "applicationID")
"""Spelt so by ChirpStack 3 (and gateways that imitate it) on the very same topics; version 4 has ``deviceInfo``."""

_TIME_KEYS: Final = ("nsTime", "gwTime", "time")
"""Of a reception, where the uplink has no ``time``: the network server's clock, a gateway's, an older build's word."""

MAX_FIELDS: Final = 1000
"""Values one uplink may hold, and"""
MAX_PATH: Final = 256
"""characters a flattened name may have. Without them a long key above a long list would be repeated for each item: a
payload of 64 KiB would become names of 500 MB."""

_RSSI: Final = "rssi_dbm"
_SNR: Final = "snr_db"
_BATTERY: Final = "battery_pct"


class ChirpStackV4Format:
    """ChirpStack 4, JSON marshaler: the devEUI of the topic names the device, ``object`` holds its values."""

    name = "chirpstack_v4"
    title = "ChirpStack 4 (application/…/device/…/event/…)"
    filters: tuple[str, ...] = ("application/+/device/+/event/+",)

    def heartbeat_topic(self, client_id: str) -> str:
        """Topic of our own heartbeat: an event type that ChirpStack does not have."""
        return f"application/streetwarden/device/{client_id}/event/{HEARTBEAT}"

    def read_topic(self, topic: str) -> Address | None:
        """Read devEUI and event type; types that version 4 does not have are not ours."""
        match = _TOPIC.fullmatch(topic)
        if match is not None:
            return Address(self.name, match[1].lower(), match[2])
        if _HEARTBEAT_TOPIC.fullmatch(topic):
            return Address(self.name, None, HEARTBEAT)
        return None

    def decode(
        self,
        address: Address,
        payload: bytes,
        received_at: datetime,  # noqa: ARG002  # no time of this format is relative
    ) -> Decoded:
        """Read an uplink or a device status; the other events pass by.

        Raises:
            DecodeError: the payload cannot be understood.
        """
        if address.leaf == UPLINK:
            return _uplink(address, read_object(payload, "an uplink"))
        if address.leaf == DEVICE_STATUS:
            return _device_status(address, read_object(payload, "a device status"))
        return IGNORED

    def encode(self, sender: Sender, readings: Sequence[Reading]) -> tuple[str, bytes]:
        """One uplink; ``sender.alias`` is the devEUI.

        Raises:
            ValueError: not exactly one reading, since an uplink carries one ``object``.
        """
        if len(readings) != 1:
            raise ValueError(f"a ChirpStack uplink carries one reading, not {len(readings)}")
        application = f"00000000-0000-4000-8000-000000{sender.district}"
        topic = f"application/{application}/device/{sender.alias}/event/{UPLINK}"
        return topic, orjson.dumps(_uplink_body(sender, readings[0], application))


def _uplink(address: Address, body: dict[str, Any]) -> Decoded:
    """Read the decoded values, and how well the frame was heard."""
    alias = _same_device(address, body)
    decoded = as_object(body.get("object") or {})
    if decoded is None:
        raise misshapen(body, f'"object" must be an object, not {shown(body["object"])}')
    if not decoded and body.get("data"):
        raise DecodeError(
            Reason.UNDECODED_FRAME,
            f"the frame (fPort {shown(body.get('fPort'))}) has no decoded values: "
            "give its device profile a codec in ChirpStack",
        )
    receptions = _receptions(body)
    values: dict[str, object] = {}
    for path, value in _flattened(decoded):
        if len(values) >= MAX_FIELDS or len(path) > MAX_PATH:
            raise misshapen(
                body, f'"object" holds more than {MAX_FIELDS} values, or a name of more than {MAX_PATH} characters'
            )
        values[path] = value
    for name, value in _radio(receptions):
        values.setdefault(name, value)
    if not values:
        return IGNORED  # a frame without payload, heard by nobody we are told of
    return Decoded((Sample(alias, _uplink_time(body, receptions), values, _frame_counter(body)),))


def _device_status(address: Address, body: dict[str, Any]) -> Decoded:
    """Read the battery level that the network asked the device for."""
    alias = _same_device(address, body)
    level = body.get("batteryLevel")
    if level is None or body.get("batteryLevelUnavailable") or body.get("externalPowerSource"):
        return IGNORED
    if isinstance(level, bool) or not isinstance(level, int | float):
        raise misshapen(level, f'"batteryLevel" must be a number, not {shown(level)}')
    return Decoded((Sample(alias, _uplink_time(body, []), {_BATTERY: level}),))


def _same_device(address: Address, body: Mapping[str, Any]) -> str:
    """Return the devEUI, once topic and body agree on it."""
    info = as_object(body.get("deviceInfo"))
    if info is None:
        if any(key in body for key in _V3_KEYS):
            raise misshapen(body, "this is a ChirpStack 3 payload (devEUI at top level); this source reads version 4")
        raise misshapen(body, '"deviceInfo" is missing: this is no ChirpStack 4 event')
    claimed: Any = info.get("devEui")
    if address.alias is None or not isinstance(claimed, str):
        raise misshapen(body, '"deviceInfo.devEui" must be a text of 16 hexadecimal digits')
    if claimed.lower() != address.alias:
        raise DecodeError(
            Reason.WRONG_IDENTITY, f"the topic says devEUI {address.alias}, the body says {shown(claimed)}"
        )
    return address.alias


def _uplink_time(body: Mapping[str, Any], receptions: Sequence[Mapping[str, Any]]) -> datetime | None:
    """The network's time of the uplink, else the first that a reception tells, else none."""
    if body.get("time"):
        return read_time(body["time"])
    for key in _TIME_KEYS:
        for reception in receptions:
            if reception.get(key):
                return read_time(reception[key])
    return None


def _receptions(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The gateways' reports; a missing list is an empty one."""
    reports = as_list(body.get("rxInfo") or [])
    receptions = [as_object(report) for report in reports or ()]
    if reports is None or None in receptions:
        raise misshapen(body, '"rxInfo" must be a list of objects')
    return [reception for reception in receptions if reception is not None]


def _radio(receptions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, object]]:
    """Strength and quality at the gateway that heard the frame loudest (highest RSSI; ties: highest SNR).

    One gateway, not the best of each figure: the pair describes one radio path. Gateway reports leave out zeroes
    even in builds that otherwise emit them, so a missing SNR beside an RSSI is 0 dB.
    """
    told = [(reception.get("rssi"), reception.get("snr", 0.0)) for reception in receptions]
    paths = [path for path in told if _is_number(path[0]) and _is_number(path[1])]
    if paths:
        rssi, snr = max(paths)
        yield _RSSI, rssi
        yield _SNR, snr


def _frame_counter(body: Mapping[str, Any]) -> int:
    """``fCnt``; builds before 2024 leave a zero out."""
    counter = body.get("fCnt", 0)
    if isinstance(counter, bool) or not isinstance(counter, int) or not 0 <= counter < 2**32:
        raise misshapen(counter, f'"fCnt" must be a 32-bit counter, not {shown(counter)}')
    return counter


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flattened(decoded: Mapping[str, Any], prefix: str = "", level: int = 2) -> Iterator[tuple[str, object]]:
    """Walk nested objects and lists as ``a.b`` and ``a.0``, so that a device's field map can name any of it."""
    if level > MAX_LEVELS:
        raise DecodeError(Reason.TOO_DEEP, f"nested deeper than {MAX_LEVELS} levels")
    for name, value in decoded.items():
        path = f"{prefix}{name}"[: MAX_PATH + 1]  # cut, so that what is too long does not grow while we walk
        items = as_list(value)
        inner = as_object(value) if items is None else {str(index): item for index, item in enumerate(items)}
        if inner is None:
            yield path, value
        else:
            yield from _flattened(inner, f"{path}.", level + 1)


def _uplink_body(sender: Sender, reading: Reading, application: str) -> dict[str, object]:
    """An uplink event with the fields that a receiver reads."""
    values = dict(reading.values)
    at = reading.at.astimezone(UTC).isoformat()
    body: dict[str, object] = {
        "time": at,
        "deviceInfo": {"applicationId": application, "deviceName": sender.name, "devEui": sender.alias, "tags": {}},
        "fCnt": reading.seq or 0,
        "fPort": 2,
        "confirmed": False,
        "data": base64.b64encode(reading.body).decode(),
        "object": values,
    }
    if _is_number(values.get(_RSSI)) and _is_number(values.get(_SNR)):
        body["rxInfo"] = [
            {"gatewayId": "0016c001ff10a235", "nsTime": at, "rssi": values.pop(_RSSI), "snr": values.pop(_SNR)}
        ]
    if not values:
        body["data"] = ""  # only the radio is told: an empty frame, not one that no codec decoded
    return body


FORMAT: Final[Format] = ChirpStackV4Format()
