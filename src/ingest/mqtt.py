"""The MQTT subscriber: paho driven by the event loop, a bounded inbox, acknowledgement only when told.

The socket is read while connected, or the keepalive would die. What is outstanding is bounded by Receive Maximum
(MQTT 5) or by the broker's window (3.1.1), and by a cap in bytes. At the cap reading stops at once, but the connection
stays a while for acknowledgements: what is settled without one comes again, and would fill the inbox again for ever. If
the backlog does not ease, it disconnects, keeps the session, and comes back when half is worked off.
"""

import asyncio
import contextlib
import random
import socket
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from domain.clock import Clock
from domain.errors import RefusedError
from domain.instants import to_micros
from ingest.broker import Connected, Protocol, SubscriberOptions
from ingest.delivery import Delivery
from ingest.session_client import connect, make_client, properties_as_text, unwatch
from ingest.tls import explain, explain_silence

_READS_PER_WAKE: Final = 500
"""Packets read before the loop may do something else: large enough to amortise the wake-up, small enough for others."""
_MISC_EVERY_S: Final = 1.0
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_MOST_S: Final = 30.0
_CONNACK_WITHIN_S: Final = 10.0


class Subscriber:
    """One MQTT session. ``run`` keeps it connected; ``take`` and ``acknowledge`` are for the worker."""

    def __init__(
        self,
        options: SubscriberOptions,
        clock: Clock,
        *,
        on_connected: Callable[[Connected], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is connected before ``run``."""
        self._options = options
        self._clock = clock
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._client: paho.Client | None = None
        self._decrypted: Callable[[], int] | None = None
        """Under TLS: bytes that are decrypted and not yet read. Nobody raises an event for them."""
        self._last_words = ""
        """What paho's log said last before an answer came: under TLS the only trace of the broker's alert."""
        self._generation = 0
        self._protocol = Protocol.V5 if options.protocol is Protocol.V5 else Protocol.V311
        self._inbox: deque[Delivery] = deque()
        self._in_hand: dict[int, Delivery] = {}
        self._outstanding_bytes = 0
        self._full: asyncio.TimerHandle | None = None
        """Set while nothing is read because the inbox is full: ends the connection when its time is up."""
        self._arrived = asyncio.Event()
        self._eased = asyncio.Event()
        self._ended: asyncio.Future[str] | None = None
        self._answered: asyncio.Future[None] | None = None
        self._was_connected = False
        self._subscribed = False
        self._session_lost = False
        self._connected = False
        self._received = 0
        self.redelivered_in_hand = 0
        """Redeliveries dropped because their message was still in hand; the worker takes the count into the ledger."""

    @property
    def connected(self) -> bool:
        """Whether a connection stands and is subscribed."""
        return self._connected

    @property
    def paused(self) -> bool:
        """Whether we ourselves hold the connection off, until the backlog is settled."""
        return self._outstanding_bytes >= self._options.inbox_max_bytes

    @property
    def outstanding(self) -> int:
        """Messages received and not yet acknowledged."""
        return len(self._in_hand)

    # --- for the worker -------------------------------------------------------------------------------------------

    async def take(self, most: int, most_bytes: int) -> list[Delivery]:
        """Whatever has arrived, at least one message: the next batch. Group commit, never a timer."""
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        batch: list[Delivery] = []
        size = 0
        inbox = self._inbox
        while inbox and len(batch) < most and size < most_bytes:
            delivery = inbox.popleft()
            size += delivery.size
            batch.append(delivery)
        return batch

    def acknowledge(self, batch: Sequence[Delivery]) -> None:
        """Acknowledge settled messages, each to the connection that brought it last.

        What an earlier connection brought is dropped: its packet ids mean other messages now. The broker brings such
        a message again, and it is found to be a duplicate.
        """
        client, generation = self._client, self._generation
        for delivery in batch:
            self._outstanding_bytes -= delivery.size
            if delivery.packet_id == 0:
                continue
            if self._in_hand.get(delivery.packet_id) is delivery:
                del self._in_hand[delivery.packet_id]
            # Also before SUBACK: a session that the broker kept delivers at once, and what were not acknowledged now
            # would never be, and hold its place in the broker's window until the connection ends.
            if delivery.generation == generation and client is not None:
                client.ack(delivery.packet_id, 1)
        if self._outstanding_bytes < self._options.inbox_max_bytes // 2:
            self._eased.set()
        if self._full is not None and client is not None and self._outstanding_bytes < self._options.read_again_bytes:
            self._read_again(client, self._full)

    # --- the connection -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep connected until cancelled: backoff with jitter, protocol by probing, pauses while the inbox is full."""
        backoff = _BACKOFF_FIRST_S
        while True:
            self._eased.clear()
            if self._outstanding_bytes >= self._options.inbox_max_bytes:
                await self._eased.wait()
            before = self._received
            stood, why = await self._connect_and_serve()
            self._on_lost(why)
            if stood and self._received > before:
                backoff = _BACKOFF_FIRST_S
            await asyncio.sleep(backoff * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, not a secret
            backoff = min(backoff * 2, _BACKOFF_MOST_S)

    async def _connect_and_serve(self) -> tuple[bool, str]:
        """One connection from CONNECT to its end: whether it ever stood, and why it ended."""
        loop = asyncio.get_running_loop()
        self._ended = ended = loop.create_future()
        self._answered = answered = loop.create_future()
        self._last_words = ""
        self._generation += 1
        client = self._client = self._make_client(self._generation)
        broker = self._options.broker
        opened = stood = False
        try:
            # Name resolution and connecting block, so they run beside the loop; paho is used from one thread at a time.
            await loop.run_in_executor(None, self._open, client)
            opened = True
            heard = -1
            while not (ended.done() or answered.done()) and (self._full or heard != self._received):
                # What a kept session holds may come before the answer, and fill the inbox.
                heard = self._received
                await asyncio.wait({ended, answered}, timeout=_CONNACK_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                stood = True
                async with asyncio.TaskGroup() as group:
                    beat = group.create_task(self._beat(client))
                    misc = group.create_task(self._misc(client))
                    why = await ended
                    beat.cancel()
                    misc.cancel()
            elif ended.done():
                why = ended.result()
                stood = self._full is not None
                if not stood and "refused" not in why:
                    why = explain_silence(why, self._last_words, str(broker), broker.tls)
            else:
                why = f"the broker at {broker} accepted the connection but said nothing"
        except RefusedError as error:
            why = str(error)
        except OSError as error:
            why = f"the broker at {broker} cannot be reached: {error.strerror or error}"
            if broker.tls is not None:
                why = explain(error, str(broker), broker.tls)
        finally:
            self._connected = False
            self._close(client)
        if opened and not stood and self._options.protocol is Protocol.AUTO:
            # A broker that does not speak this version says so, or hangs up: speak the other one next time.
            self._protocol = Protocol.V311 if self._protocol is Protocol.V5 else Protocol.V5
        return stood, why

    def _open(self, client: paho.Client) -> None:
        if self._options.broker.tls is not None:
            client.on_log = self._logged
        connect(client, self._options, self._protocol)

    def _make_client(self, generation: int) -> paho.Client:
        loop = asyncio.get_running_loop()
        client = make_client(self._options, self._protocol)

        def register_read(_client: paho.Client, _data: Any, sock: Any) -> None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop.call_soon_threadsafe(self._add_reader, client, sock)

        def unregister_read(_client: paho.Client, _data: Any, sock: Any) -> None:
            unwatch(loop, sock)

        def register_write(_client: paho.Client, _data: Any, sock: Any) -> None:
            loop.call_soon_threadsafe(self._add_writer, client, sock)

        def unregister_write(_client: paho.Client, _data: Any, sock: Any) -> None:
            loop.call_soon_threadsafe(loop.remove_writer, sock.fileno())

        client.on_socket_open = register_read
        client.on_socket_close = unregister_read
        client.on_socket_register_write = register_write
        client.on_socket_unregister_write = unregister_write
        client.on_connect = self._connect_answered
        client.on_subscribe = self._subscribe_answered
        client.on_unsubscribe = self._unsubscribe_answered
        client.on_disconnect = self._disconnected
        client.on_message = self._message_hook(generation)
        return client

    def _add_reader(self, client: paho.Client, sock: Any) -> None:
        if client is self._client and sock.fileno() >= 0:
            self._decrypted = None if self._options.broker.tls is None else sock.pending
            asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, client)

    def _add_writer(self, client: paho.Client, sock: Any) -> None:
        if client is self._client and sock.fileno() >= 0:
            write = client.loop_write if self._options.broker.tls is None else partial(self._writable_tls, client)
            asyncio.get_running_loop().add_writer(sock.fileno(), write)

    def _writable_tls(self, client: paho.Client) -> None:
        """Write; then read, since under TLS a read may have waited for room to write (a renewed key is answered)."""
        client.loop_write()
        self._readable(client)

    def _readable(self, client: paho.Client) -> None:
        """Read what the socket holds. paho reads one packet a call; stop when a call brought no message."""
        if client is not self._client or self._full:
            return
        decrypted = self._decrypted
        for _ in range(_READS_PER_WAKE):
            before = self._received
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._end("the connection to the broker broke")
                return
            if self._full or (self._received == before and (decrypted is None or not decrypted())):
                return
        if decrypted is not None and decrypted():
            # The socket may stay silent although there is more: give the others a turn, then go on.
            asyncio.get_running_loop().call_soon(self._readable, client)

    def _message_hook(self, generation: int) -> Callable[[paho.Client, Any, paho.MQTTMessage], None]:
        """The callback for one connection's messages, its generation bound in."""

        def arrived(client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
            self._received += 1
            packet_id = message.mid if message.qos else 0
            payload = bytes(message.payload)
            topic = message.topic
            held = self._in_hand.get(packet_id) if packet_id else None
            if held is not None and message.dup and held.payload == payload and held.topic == topic:
                # Still in hand from the connection before: settle it once, acknowledge it to this one.
                held.generation = generation
                self.redelivered_in_hand += 1
                return
            delivery = Delivery(topic, payload, self._clock.now(), packet_id, message.dup, generation)
            if message.properties is not None:
                delivery.tell_properties = partial(properties_as_text, message.properties)
            if packet_id:
                self._in_hand[packet_id] = delivery
            self._outstanding_bytes += delivery.size
            self._inbox.append(delivery)
            self._arrived.set()
            if self._outstanding_bytes > self._options.inbox_max_bytes and self._full is None:
                self._stop_reading(client)

        return arrived

    def _stop_reading(self, client: paho.Client) -> None:
        loop, sock = asyncio.get_running_loop(), client.socket()
        if sock is not None:
            loop.remove_reader(sock.fileno())
        why = "the inbox is full: disconnected until the backlog is settled; the session stays"
        self._full = loop.call_later(self._options.full_patience_s, self._end, why)

    def _read_again(self, client: paho.Client, full: asyncio.TimerHandle) -> None:
        sock = client.socket()  # none if an acknowledgement has just found the connection broken
        if sock is not None and full.when() > asyncio.get_running_loop().time():
            full.cancel()
            self._full = None
            self._add_reader(client, sock)
            self._readable(client)  # under TLS nobody tells of what is decrypted already

    def _connect_answered(
        self, client: paho.Client, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, _props: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(f"the broker refused the connection: {reason}")
            return
        if not flags.session_present:
            # Kept until it is told: this connection may break before it stands, and the next would find a session.
            self._session_lost = True
            self._subscribed = False
        if self._protocol is Protocol.V5:
            # Retained messages only with a new subscription: a reconnect must not replay every device's status.
            options = SubscribeOptions(qos=1, retainHandling=1)
            client.subscribe([(name, options) for name in self._options.filters])
        elif self._subscribed:
            # Over 3.1.1 every subscription brings all retained status messages again; the session still has ours.
            self._stand()
        else:
            client.subscribe([(name, 1) for name in self._options.filters])

    def _subscribe_answered(
        self, client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            # Connected and deaf would look healthy.
            self._end(
                f"the broker refused a subscription ({', '.join(str(reason) for reason in reasons)}): see its ACL"
            )
            return
        if self._options.unwanted and not self._subscribed and not self._session_lost:
            client.unsubscribe(list(self._options.unwanted))
        else:
            self._stand()

    def _unsubscribe_answered(
        self, _client: paho.Client, _data: Any, _mid: int, _reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        # Whatever the reason: a filter under which the session did not stand is given up as well.
        self._stand()

    def _stand(self) -> None:
        """Connected and subscribed: what is published from now on reaches us."""
        self._connected = self._subscribed = True
        if self._client is not None:
            self._client.on_log = None  # paho would write a line for every message
        lost, self._session_lost = self._session_lost, False
        self._on_connected(Connected(self._protocol, not lost, self._was_connected))
        self._was_connected = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _disconnected(self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _props: Any) -> None:
        self._end(f"the connection to the broker ended: {reason}")

    def _logged(self, _client: paho.Client, _data: Any, _level: int, words: str) -> None:
        if "SSL" in words:
            self._last_words = words

    def _end(self, why: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.get_loop().call_soon_threadsafe(self._settle_end, self._ended, why)

    @staticmethod
    def _settle_end(ended: "asyncio.Future[str]", why: str) -> None:
        if not ended.done():
            ended.set_result(why)

    def _close(self, client: paho.Client) -> None:
        sock = client.socket()
        if sock is not None:
            unwatch(asyncio.get_running_loop(), sock)
        # Nothing of this client may call us any more: the next one is soon in its place.
        client.on_disconnect = client.on_message = client.on_connect = client.on_subscribe = None
        client.on_unsubscribe = None
        client.on_socket_close = client.on_socket_register_write = client.on_socket_unregister_write = None
        client.disconnect()
        if sock is not None:
            sock.close()
        if self._full is not None:
            self._full.cancel()
        self._client = self._decrypted = self._full = None

    async def _misc(self, client: paho.Client) -> None:
        while True:
            await asyncio.sleep(_MISC_EVERY_S)
            if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._end("the broker no longer answers (keepalive)")
                return

    async def _beat(self, client: paho.Client) -> None:
        """Send heartbeats on every source's own topics, to be read back: how far we can hear."""
        while True:
            stamp = str(to_micros(self._clock.now()))
            for topic in self._options.heartbeats:
                client.publish(topic, stamp, qos=1)
            await asyncio.sleep(self._options.heartbeat_s)
