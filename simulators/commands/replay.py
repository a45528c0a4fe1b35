"""``streetwarden-sim replay``: send a recording to a broker."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import InvalidInputError
from ingest.format import DecodeError
from ingest.timestamps import read_text_time
from simulators.address import DEFAULT_URL, read_address
from simulators.options import BrokerOption
from simulators.publisher import Protocol, Publisher, Word
from simulators.recording import Recorded, devices_of, read_recording
from simulators.registry import write_registry
from simulators.replaying import Replay, shift_times


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    recording: Annotated[Path, typer.Argument(help="What `record` wrote.")],
    mqtt_url: BrokerOption = DEFAULT_URL,
    speed: Annotated[
        float, typer.Option(min=0, help="Times as fast as it was recorded; 0: as fast as the broker takes it.")
    ] = 1.0,
    shift: Annotated[
        bool, typer.Option("--shift-times", help="Move the times inside native messages along with the replay.")
    ] = False,
    start: Annotated[
        str | None, typer.Option(help="With --shift-times: the time that the recording's begin is moved to; else now.")
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(help="Send nothing: write the native devices of the recording as simulated ones, for import."),
    ] = None,
) -> None:
    """Send a recording to another broker, with the spacing it was received in.

    Register its devices as simulated ones first (--registry, then streetwarden import): what they raise is then marked
    as a drill (演练).
    """
    if registry is not None:
        written = write_registry(registry, devices_of(read_recording(recording)))
        print(f"{written} devices written to {registry}")
        return
    origin = _origin(start, shift=shift)
    counted = dict.fromkeys(Word, 0)

    def settled(_: int, word: Word) -> None:
        counted[word] += 1

    client_id = f"streetwarden-replay-{os.getpid()}"
    publisher = Publisher(read_address(mqtt_url), client_id=client_id, protocol=Protocol.AUTO, settled=settled)
    publisher.connect()
    playing = Replay(publisher, speed=speed or None)
    try:
        playing.run(_shifted(read_recording(recording), origin), lambda _: None)
    except KeyboardInterrupt:
        pass  # what was sent is told below
    finally:
        publisher.close()
        told = ", ".join(f"{number} {word.value}" for word, number in counted.items() if number)
        print(f"{playing.sent} messages sent: {told or 'none'}")
    if counted[Word.REFUSED] or sum(counted.values()) < playing.sent:
        raise typer.Exit(1)


def _origin(start: str | None, *, shift: bool) -> datetime | None:
    """The time to which the recording's begin is moved, if it is.

    Raises:
        InvalidInputError: a start that is no time, or one without ``--shift-times``.
    """
    if start is None:
        return datetime.now(UTC) if shift else None
    if not shift:
        raise InvalidInputError("--start says where to move times to: it needs --shift-times")
    try:
        return read_text_time(start)
    except DecodeError as error:
        raise InvalidInputError(f"--start: {error.detail}") from error


def _shifted(messages: Iterator[Recorded], origin: datetime | None) -> Iterator[Recorded]:
    first = next(messages, None)
    if first is None:
        return iter(())
    if origin is None:
        return chain((first,), messages)
    by = origin - first.at
    return (shift_times(message, by) for message in chain((first,), messages))
