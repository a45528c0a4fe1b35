"""Brokers that speak TLS, and a subscriber on them that needs no database."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ingest.broker import BrokerAddress, Connected, Protocol, SubscriberOptions
from ingest.delivery import Delivery
from ingest.mqtt import Subscriber
from ingest.tls import SYSTEM_TRUST, TlsFiles
from service.children import Program, running
from service.clock import SystemClock
from service.embedded.nats import find_nats_server
from service.ports import free_port
from tests.support.brokers import listens
from tests.support.certificates import Authority, Signed

FILTER = "city/v1/#"
ECHO = "city/v1/000000/service/tls-test/heartbeat"
LOGIN = "worker:s3cret"
# What mosquitto_passwd makes of LOGIN.
_PASSWORD_LINE = (
    "worker:$7$101$+Opxcc0KaYVY8xRu$"
    "9FCugb87UdjjPgHV27rkywqZK72p+A6Zg+zoPT6lI/6H7W6SiEODDAunoi2giVh5pZ7OIO6mo9AtKsS0hDxFog==\n"
)


@dataclass(frozen=True, slots=True)
class SecureBroker:
    """A broker with several listeners, each named for what it asks of a client."""

    ports: Mapping[str, int]
    authority: Authority
    server: Signed
    client: Signed

    def url(self, listener: str, host: str = "localhost", login: str = "") -> str:
        scheme = "mqtt" if listener == "plain" else "mqtts"
        return f"{scheme}://{login and login + '@'}{host}:{self.ports[listener]}"

    @property
    def trust(self) -> TlsFiles:
        return TlsFiles(ca=self.authority.cert)

    @property
    def known(self) -> TlsFiles:
        return TlsFiles(self.authority.cert, self.client.cert, self.client.key)


@contextmanager
def secure_mosquitto(folder: Path, program: str) -> Generator[SecureBroker]:
    """mosquitto: ``plain`` and ``tls`` for anyone, ``password`` and ``mutual`` for whom it knows, two ill certified."""
    folder.mkdir(parents=True, exist_ok=True)
    passwords = folder / "passwd"
    passwords.write_text(_PASSWORD_LINE)
    passwords.chmod(0o600)
    broker = _broker(folder, ("plain", "tls", "password", "mutual", "expired", "elsewhere"))
    other = {
        "expired": broker.authority.sign("expired", "localhost", valid_for=-timedelta(days=1)),
        "elsewhere": broker.authority.sign("elsewhere", "broker.example"),
    }
    lines = ["per_listener_settings true", "max_inflight_messages 0", "max_queued_messages 0", "log_dest stderr"]
    lines += ["user root"] if os.geteuid() == 0 else []
    for name, port in broker.ports.items():
        lines.append(f"listener {port} 127.0.0.1")
        lines += ["allow_anonymous false", f"password_file {passwords}"] if name == "password" else []
        lines += ["allow_anonymous true"] if name != "password" else []
        if name != "plain":
            own = other.get(name, broker.server)
            lines += [f"certfile {own.cert}", f"keyfile {own.key}"]
        lines += [f"cafile {broker.authority.cert}", "require_certificate true"] if name == "mutual" else []
    with _running("mosquitto", folder, program, lines, broker):
        yield broker


@contextmanager
def secure_nats(folder: Path) -> Generator[SecureBroker]:
    """The program of the embedded broker, its MQTT listener with TLS."""
    folder.mkdir(parents=True, exist_ok=True)
    broker = _broker(folder, ("tls",))
    lines = [
        "server_name: test, host: 127.0.0.1, port: -1",
        f'jetstream {{ store_dir: "{folder}" }}',
        f"mqtt {{ host: 127.0.0.1, port: {broker.ports['tls']}, max_ack_pending: 20000",
        f'tls {{ cert_file: "{broker.server.cert}", key_file: "{broker.server.key}" }} }}',
    ]
    with _running("nats", folder, str(find_nats_server()), lines, broker):
        yield broker


def _broker(folder: Path, listeners: Iterable[str]) -> SecureBroker:
    authority = Authority(folder / "ca")
    server = authority.sign("broker", "localhost")
    return SecureBroker({name: free_port() for name in listeners}, authority, server, authority.sign("worker"))


@contextmanager
def _running(name: str, folder: Path, program: str, lines: list[str], broker: SecureBroker) -> Generator[None]:
    configuration = folder / f"{name}.conf"
    configuration.write_text("\n".join(lines) + "\n")
    started = Program(
        name=name,
        argv=(program, "-c", str(configuration)),
        log_file=folder / f"{name}.log",
        env={"PATH": os.environ.get("PATH", os.defpath)},
        ready=lambda: all(listens(port) for port in broker.ports.values()),
        hint="",
    )
    with running(started):
        yield


@asynccontextmanager
async def tls_proxy(server: Signed, port: int) -> AsyncGenerator[int, None]:
    """A proxy that ends TLS before a plain broker, as many a city has one; packing what comes together."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.cert, server.key)
    passing: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 18):
                with suppress(TimeoutError):
                    while True:
                        async with asyncio.timeout(0.03):
                            more = await source.read(1 << 18)
                        if not more:
                            break
                        data += more
                target.write(data)
                await target.drain()
        target.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, there[1]))
        for task in (asyncio.create_task(copy(reader, there[1])), asyncio.create_task(copy(there[0], writer))):
            passing.add(task)
            task.add_done_callback(passing.discard)

    listener = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in list(passing):
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@dataclass(slots=True)
class Listening:
    """A subscriber that runs, and what it told."""

    subscriber: Subscriber
    connected: list[Connected]
    lost: list[str]

    async def stands(self) -> None:
        await self._until(lambda: bool(self.connected))

    async def fails(self) -> str:
        """The sentence of the first connection that did not come about."""
        await self._until(lambda: bool(self.lost))
        assert not self.connected
        return self.lost[0]

    async def holds(self, count: int, within_s: float = 30) -> None:
        """So many messages are here, none acknowledged: no write of ours wakes the reader either."""
        await self._until(lambda: self.subscriber.outstanding >= count, within_s)

    async def take(self, count: int, within_s: float = 60) -> list[Delivery]:
        """So many messages, acknowledged."""
        taken: list[Delivery] = []
        async with asyncio.timeout(within_s):
            while len(taken) < count:
                batch = await self.subscriber.take(2000, 1 << 23)
                self.subscriber.acknowledge(batch)
                taken += batch
        return taken

    async def confirmed(self) -> None:
        """The broker has read every acknowledgement: what was published after them came back."""
        client = self.subscriber._client  # pyright: ignore[reportPrivateUsage]
        assert client is not None
        client.publish(ECHO, b"", qos=1)
        assert [delivery.topic for delivery in await self.take(1)] == [ECHO]

    @staticmethod
    async def _until(told: Callable[[], bool], within_s: float = 45) -> None:
        async with asyncio.timeout(within_s):
            while not told():  # noqa: ASYNC110  # the subscriber tells by callback
                await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(
    url: str,
    files: TlsFiles = SYSTEM_TRUST,
    protocol: Protocol = Protocol.V311,
    client_id: str = "tls-test",
    name: str = FILTER,
) -> AsyncGenerator[Listening, None]:
    """A subscriber on the broker; its session stays when the test leaves."""
    connected: list[Connected] = []
    lost: list[str] = []
    options = SubscriberOptions(
        broker=BrokerAddress.from_url(url, files),
        client_id=client_id,
        filters=(name,),
        heartbeats={},
        protocol=protocol,
        receive_maximum=65535,
    )
    subscriber = Subscriber(
        options,
        SystemClock(),
        on_connected=connected.append,
        on_lost=lost.append,
    )
    told = Listening(subscriber, connected, lost)
    task = asyncio.create_task(subscriber.run())
    try:
        yield told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
