"""Summary: what a run sent and what the broker acknowledged, counted once and shown as JSON or in a line each."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import orjson

from domain.errors import InvalidInputError

_ROUNDED: Final = 3


@dataclass(slots=True)
class Summary:
    """What happened to the messages of one run; filled while it goes on.

    ``acknowledged`` counts only what the broker took over for a subscriber. MQTT 5 brokers also acknowledge what they
    throw away because nobody subscribed: that is ``unheard``, and no promise.
    """

    sent: int = 0
    """Messages handed to the connection; one sent again after a reconnect counts once."""
    acknowledged: int = 0
    unheard: int = 0
    """Acknowledged with "no matching subscribers" (reason 16): MQTT 5 only; MQTT 3.1.1 cannot tell."""
    refused: int = 0
    """Acknowledged with an error (reason 128 and above): MQTT 5 only."""
    silent: int = 0
    """Turns that a silent device passed."""
    reconnects: int = 0
    highest_backlog: int = 0
    """The most that was sent and not yet acknowledged."""
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter[str])
    """Devices that play each fault, by ``kind.fault``."""

    @property
    def outstanding(self) -> int:
        """Sent, and of the broker not a word."""
        return self.sent - self.acknowledged - self.unheard - self.refused

    @property
    def messages_per_second(self) -> float:
        """Acknowledged messages over the whole time, in messages per second."""
        return self.acknowledged / self.seconds if self.seconds > 0 else 0.0

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "unheard": self.unheard,
            "refused": self.refused,
            "outstanding": self.outstanding,
            "silent": self.silent,
            "reconnects": self.reconnects,
            "highest_backlog": self.highest_backlog,
            "seconds": round(self.seconds, _ROUNDED),
            "messages_per_second": round(self.messages_per_second, 1),
            "faults": dict(sorted(self.faults.items())),
        }


class IdLog:
    """The file to which the id of each acknowledged message is appended, ``device seq`` a line, as it is acknowledged.

    A test that kills things compares this set with what was settled. So a line is written only after the broker's
    word, and is in the file, not in our memory, when :meth:`flush` returns.
    """

    def __init__(self, path: Path) -> None:
        """Open the file for appending.

        Raises:
            InvalidInputError: it cannot be opened.
        """
        try:
            self._file: IO[str] = path.open("a", encoding="ascii")
        except OSError as error:
            raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error

    def add(self, device: str, seq: int) -> None:
        """Write down one id."""
        self._file.write(f"{device} {seq}\n")

    def flush(self) -> None:
        """Hand everything to the operating system, which survives our own death."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


def write_summary(path: Path, data: dict[str, object]) -> None:
    """Write a summary as one JSON object.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    try:
        path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}") from error
