"""``streetwarden-sim record``: write down the traffic of a broker."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from simulators.address import DEFAULT_URL, read_address
from simulators.listener import Listener
from simulators.options import BrokerOption
from simulators.recording import Recorded, Recorder, heartbeat_topics


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(record)


def record(
    out: Annotated[Path, typer.Option(help="The recording to write (.jsonl.gz).")],
    mqtt_url: BrokerOption = DEFAULT_URL,
    filter_: Annotated[
        list[str] | None, typer.Option("--filter", help="Topic filter; may be repeated. Else everything.")
    ] = None,
    duration: Annotated[float | None, typer.Option(min=0, help="Seconds to record; else until Ctrl-C.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
) -> None:
    """Write real traffic down, message by message with its time, for replaying it elsewhere.

    It holds what people's devices sent: treat the file as such.
    """
    filters = filter_ or ["#"]
    recorder = Recorder(out, filters)
    ours = heartbeat_topics()

    def heard(message: Recorded) -> None:
        if not ours.fullmatch(message.topic) and (most is None or recorder.count < most):
            recorder.add(message)

    listener = Listener(read_address(mqtt_url), filters, client_id=f"streetwarden-record-{os.getpid()}", heard=heard)
    try:
        listener.connect()
        print(f"recording {', '.join(filters)} to {out}; Ctrl-C ends it", flush=True)
        until = None if duration is None else time.monotonic() + duration
        while (until is None or time.monotonic() < until) and (most is None or recorder.count < most):
            listener.turn(0.1)
    except KeyboardInterrupt:
        pass  # the usual end
    finally:
        listener.close()
        recorder.close()
        print(f"{recorder.count} messages recorded in {out}")
