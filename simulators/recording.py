"""A recording: what devices really sent, message by message, as a gzipped file of JSON lines."""

import base64
import binascii
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from domain.errors import InvalidInputError
from ingest.catalogue import load_formats
from ingest.format import DecodeError
from ingest.json_text import as_object
from ingest.timestamps import read_text_time
from ingest.topics import TELEMETRY, read_native_topic
from simulators.fleet import FleetDevice

FORMAT: Final = "streetwarden-recording"
VERSION: Final = 1

_ANYONE: Final = "0-anyone-0"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message as it was received."""

    at: datetime
    """When it was received."""
    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    """Whether the broker had kept it, and sent it because we subscribed."""


class Recorder:
    """Writes a recording; it is whole after :meth:`close`, and readable up to the last line if that never comes."""

    def __init__(self, path: Path, filters: Iterable[str]) -> None:
        """Begin the file.

        Raises:
            InvalidInputError: it cannot be written.
        """
        self._path = path
        self.count = 0
        try:
            self._file = gzip.open(path, "wb")  # noqa: SIM115  # closed by close()
            self._line({"format": FORMAT, "version": VERSION, "filters": list(filters)})
        except OSError as error:
            raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error

    def add(self, message: Recorded) -> None:
        """Write down one message."""
        self._line(
            {
                "at": message.at.isoformat(),
                "topic": message.topic,
                "payload": base64.b64encode(message.payload).decode(),
                "qos": message.qos,
                "retain": message.retain,
            }
        )
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _line(self, data: dict[str, object]) -> None:
        try:
            self._file.write(orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise InvalidInputError(f"{self._path} cannot be written: {error.strerror}") from error


def read_recording(path: Path) -> Iterator[Recorded]:
    """Read the messages of a recording, one after the other.

    Raises:
        InvalidInputError: the file is no recording, or a line makes no sense; the message names file and line.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    _check_head(line, path)
                else:
                    yield _message(line, f"{path}, line {number}")
    except EOFError:
        return  # whoever recorded it was killed: what is there counts
    except (OSError, gzip.BadGzipFile) as error:
        raise InvalidInputError(f"{path} cannot be read after line {number}: {error}") from error
    if number == 0:
        raise InvalidInputError(f"{path} is empty: no recording")


def heartbeat_topics() -> re.Pattern[str]:
    """Topics on which a service sends to itself: what travels there proves nothing to another one."""
    topics = [offer.heartbeat_topic(_ANYONE) for offer in load_formats().values()]
    return re.compile("|".join(re.escape(topic).replace(re.escape(_ANYONE), "[^/]+") for topic in topics))


def devices_of(messages: Iterable[Recorded]) -> list[FleetDevice]:
    """The native devices that a recording speaks of, by name: what a registry for replaying it must hold."""
    found: dict[str, FleetDevice] = {}
    for message in messages:
        address = read_native_topic("native", message.topic)
        if address is not None and address.leaf == TELEMETRY and address.alias and address.kind and address.district:
            entry = FleetDevice(address.alias, address.kind, address.district, f"A-{address.alias}")
            found.setdefault(entry.name, entry)
    return sorted(found.values(), key=lambda entry: entry.name)


def _check_head(line: bytes, path: Path) -> None:
    try:
        head = as_object(orjson.loads(line)) or {}
    except orjson.JSONDecodeError:
        head = {}
    if head.get("format") != FORMAT:
        raise InvalidInputError(f"{path} is no recording of streetwarden-sim record")
    if head.get("version") != VERSION:
        raise InvalidInputError(f"{path} is a recording of version {head.get('version')}; version {VERSION} is read")


def _message(line: bytes, place: str) -> Recorded:
    try:
        told = as_object(orjson.loads(line)) or {}
        at, topic, payload = told["at"], told["topic"], told["payload"]
        qos, retain = told["qos"], told["retain"]
        if not isinstance(topic, str) or not topic or qos not in {0, 1, 2} or not isinstance(retain, bool):
            raise ValueError(topic)  # noqa: TRY301  # one sentence for all that can be wrong
        return Recorded(read_text_time(at), topic, base64.b64decode(payload, validate=True), qos, retain)
    except (KeyError, ValueError, TypeError, binascii.Error, DecodeError) as error:
        raise InvalidInputError(f"{place} is no recorded message") from error
