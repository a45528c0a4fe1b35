"""Load: healthy native telemetry at a high rate from precomputed packets; ``python -m simulators.load`` prints JSON."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from devices.catalogue import load_kinds
from domain.errors import InvalidInputError, StreetwardenError
from ingest.catalogue import load_formats
from simulators.address import DEFAULT_URL, BrokerAddress, read_address
from simulators.fleet import lay_out
from simulators.links import Links
from simulators.packets import Packets, prepare
from simulators.registry import read_registry
from simulators.summary import IdLog, Summary, write_summary
from simulators.wire import ConnectionLostError, WireConnection

TICK_S: Final = 0.004
"""Paced messages leave in the batches that fall due meanwhile: few and large reads and writes cost both sides less."""
BATCH: Final = 256
"""Messages a connection sends at one go at most, before it listens again."""
DRAIN_S: Final = 10.0
"""At the end, the acknowledgements still under way are waited for so long."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a run."""

    broker: BrokerAddress
    client_id: str
    rate: float = 0.0
    """Messages a second over all connections; 0: as fast as the windows allow."""
    count: int | None = None
    duration_s: float | None = None
    connections: int = 1
    window: int = 1000
    """Unacknowledged messages a connection may have."""
    reconnect: bool = False
    """Keep the session over a lost connection, come back, and send again what was not acknowledged."""
    first_seq: int = 1


class Load:
    """One run over its connections."""

    def __init__(self, order: Order, packets: Packets, ids: IdLog | None = None) -> None:
        """Deal the fleet out to the connections."""
        self.summary = Summary()
        self._order = order
        self._ids = ids
        hands = packets.dealt(order.connections)
        self._messages = [hand.messages(order.first_seq) for hand in hands]
        self._batches = [min(BATCH, len(hand.names)) for hand in hands]
        """No device twice in a batch: its messages are told apart by their times."""
        self._last_ms = [0] * len(hands)
        self._links = Links(
            [
                WireConnection(
                    order.broker,
                    f"{order.client_id}-{index}",
                    window=order.window,
                    clean=not order.reconnect,
                    acknowledged=self._settling(hand),
                )
                for index, hand in enumerate(hands)
            ],
            order.broker,
            reconnect=order.reconnect,
        )

    def run(self) -> None:
        """Send everything that was asked for, and wait for its acknowledgements.

        Raises:
            UnavailableError: the broker does not answer, or was lost and reconnecting was not asked for.
            UnauthenticatedError: the broker does not know us.
        """
        self._links.connect()
        start = time.monotonic()
        try:
            while not self._over(start):
                self._links.listen(nap_s=0.0 if self._send_due(start) else TICK_S)
            self._links.drain(DRAIN_S)
        finally:
            self.summary.reconnects = self._links.reconnects
            self.summary.seconds = time.monotonic() - start
            self._links.close()

    def _settling(self, hand: Packets) -> Callable[[list[tuple[bytes, int, int]]], None]:
        """Return who counts a connection's acknowledged messages and writes their ids down."""
        summary, ids, names = self.summary, self._ids, hand.names

        def settle(batch: list[tuple[bytes, int, int]]) -> None:
            summary.acknowledged += len(batch)
            if ids is not None:
                for _, device, seq in batch:
                    ids.add(names[device], seq)
                ids.flush()

        return settle

    def _over(self, start: float) -> bool:
        order = self._order
        if order.count is not None and self.summary.sent >= order.count:
            return True
        return order.duration_s is not None and time.monotonic() - start >= order.duration_s

    def _send_due(self, start: float) -> bool:
        """Let every connection send what is due of its share; whether a full batch could go out again at once."""
        order, summary = self._order, self.summary
        due = int((time.monotonic() - start) * order.rate) - summary.sent if order.rate else sys.maxsize
        if order.count is not None:
            due = min(due, order.count - summary.sent)
        share, rest = divmod(max(0, due), len(self._links))
        hurry = False
        for index, link in enumerate(self._links):
            owed = share + (index < rest)
            count = min(owed, link.room, self._batches[index])
            at_ms = time.time_ns() // 1_000_000
            # At full speed, small batches would be sent for every few acknowledgements: rather wait for some more.
            worthwhile = order.rate or count == min(owed, self._batches[index], order.window)
            if count <= 0 or not worthwhile or at_ms <= self._last_ms[index]:
                continue
            self._last_ms[index] = at_ms
            summary.sent += count
            try:
                link.send(self._messages[index], count, at_ms)
            except ConnectionLostError as error:
                self._links.lose(index, error)
            hurry = hurry or min(owed - count, link.room) >= self._batches[index]
        summary.highest_backlog = max(summary.highest_backlog, self._links.backlog)
        return hurry


def run_load(
    mqtt_url: Annotated[
        str, typer.Option(envvar="STREETWARDEN_MQTT_URL", help="mqtt://… or mqtts://user:password@host:port")
    ] = (DEFAULT_URL),
    registry: Annotated[Path | None, typer.Option(help="Play the devices of this registry file.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Without a registry: lay out so many, kinds in turn.")] = 1000,
    seed: Annotated[int, typer.Option(help="Decides the values.")] = 0,
    rate: Annotated[float, typer.Option(min=0, help="Messages a second; 0: as fast as the window allows.")] = 0.0,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    duration: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    connections: Annotated[int, typer.Option(min=1, max=100, help="Share the devices out to so many.")] = 1,
    window: Annotated[int, typer.Option(min=1, max=60000, help="Unacknowledged messages a connection may have.")] = (
        1000
    ),
    reconnect: Annotated[bool, typer.Option("--reconnect", help="Outlive the broker; resend what it missed.")] = False,
    first_seq: Annotated[int, typer.Option(min=0, max=900_000_000, help="The first seq of every device.")] = 1,
    json: Annotated[Path | None, typer.Option(help="Write the summary to this file, too.")] = None,
    ids: Annotated[Path | None, typer.Option(help="Append 'device seq' of each acknowledged message.")] = None,
) -> None:
    """Publish healthy telemetry at a high rate (MQTT 3.1.1, QoS 1, native JSON of 4 values) and print JSON."""
    kinds = load_kinds()
    fleet = read_registry(registry) if registry else list(lay_out(devices, list(kinds.values()), seed=seed))
    if len(fleet) < connections:
        raise InvalidInputError(f"{connections} connections need at least as many devices, not {len(fleet)}")
    packets = prepare(fleet, kinds, load_formats()["native"], seed=seed)
    order = Order(
        read_address(mqtt_url),
        f"streetwarden-load-{os.getpid()}",
        rate=rate,
        count=count,
        duration_s=duration,
        connections=connections,
        window=window,
        reconnect=reconnect,
        first_seq=first_seq,
    )
    log = IdLog(ids) if ids else None
    load = Load(order, packets, log)
    cpu_s = time.process_time()
    try:
        load.run()
    except KeyboardInterrupt:
        pass  # the usual end of a run without count and duration; the summary tells how far it came
    finally:
        data = _as_data(load.summary, time.process_time() - cpu_s)
        if log is not None:
            log.close()
        if json is not None:
            write_summary(json, data)
        print(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


def _as_data(summary: Summary, cpu_s: float) -> dict[str, object]:
    return {
        "sent": summary.sent,
        "acknowledged": summary.acknowledged,
        "outstanding": summary.outstanding,
        "seconds": round(summary.seconds, 3),
        "messages_per_second": round(summary.messages_per_second, 1),
        "highest_backlog": summary.highest_backlog,
        "reconnects": summary.reconnects,
        "cpu_us_per_message": round(cpu_s / max(1, summary.sent) * 1e6, 2),
    }


def main() -> None:
    """Run, and end with one sentence and a code where it cannot go on."""
    try:
        typer.run(run_load)
    except StreetwardenError as error:
        print(f"streetwarden load: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
