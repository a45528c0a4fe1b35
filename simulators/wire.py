"""A minimal MQTT 3.1.1 publisher on a bare socket: for load tests, where the publisher's own cost must hardly show.

It speaks CONNECT, PUBLISH (QoS 1), PUBACK and DISCONNECT, and nothing else; everybody else uses ``publisher``.
"""

import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from domain.errors import UnauthenticatedError, UnavailableError
from ingest.tls import explain, make_context
from simulators.address import BrokerAddress

PUBLISH_QOS1: Final = 0x32
PUBLISH_QOS1_AGAIN: Final = 0x3A
"""The same with the DUP bit."""
PACKET_IDS: Final = 65535
"""Packet ids run from 1 to this."""

_CONNACK: Final = 0x20
_PUBACK: Final = 0x4002
"""First two bytes of every PUBACK: type, and two bytes that follow."""
_DISCONNECT: Final = b"\xe0\x00"
_REFUSED_CREDENTIALS: Final = frozenset((4, 5))
_ANSWER_WITHIN_S: Final = 5.0
_READ_BYTES: Final = 1 << 16
_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""The socket has nothing, or no room, at the moment."""


class ConnectionLostError(Exception):
    """The broker is gone, or said something that MQTT does not allow."""


def encode_length(length: int) -> bytes:
    """Write a remaining length: seven bits a byte, lowest first."""
    encoded = bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


def text(value: str) -> bytes:
    """Write a UTF-8 text with its length before it."""
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def connect_packet(client_id: str, broker: BrokerAddress, *, clean: bool) -> bytes:
    """Write CONNECT; no keepalive, since a load generator is either sending or about to end."""
    flags = 0x02 if clean else 0
    fields = text(client_id)
    if broker.username is not None:
        flags |= 0x80
        fields += text(broker.username)
    if broker.password is not None:
        flags |= 0x40
        fields += text(broker.password)
    body = text("MQTT") + bytes((4, flags, 0, 0)) + fields
    return b"\x10" + encode_length(len(body)) + body


def publish_template(topic: str, payload: bytes) -> bytes:
    """Write PUBLISH as a ``%``-template of the packet id (two bytes) and what ``payload`` is a template of.

    That is two whole numbers of fixed width, the time in epoch milliseconds and ``seq``: so the length that stands at
    the packet's head is known beforehand.
    """
    head = text(topic)
    fixed = bytes((PUBLISH_QOS1,)) + encode_length(len(head) + 2 + len(payload % (0, 0))) + head
    return fixed.replace(b"%", b"%%") + b"%b" + payload


def publish_head(topic: str, payload: bytes) -> bytes:
    """Write what stands before the packet id of a PUBLISH of this payload."""
    head = text(topic)
    return bytes((PUBLISH_QOS1,)) + encode_length(len(head) + 2 + len(payload)) + head


def _more_records(link: ssl.SSLSocket) -> bytes:
    """Read what else has come: a read brings one TLS record, and a broker may make one for each acknowledgement."""
    more = bytearray()
    try:
        while len(more) < _READ_BYTES and (chunk := link.recv(_READ_BYTES)):
            more += chunk
    except OSError:
        pass  # nothing more now, or the end, of which the next read tells
    return bytes(more)


class WireConnection:
    """One connection and its window of unacknowledged messages."""

    def __init__(
        self,
        broker: BrokerAddress,
        client_id: str,
        *,
        window: int,
        clean: bool,
        acknowledged: Callable[[list[tuple[bytes, int, int]]], None],
    ) -> None:
        """Prepare; ``acknowledged`` hears of each batch of messages that were acknowledged, as they were sent."""
        self._broker = broker
        self._client_id = client_id
        self._clean = clean
        self._acknowledged = acknowledged
        self._window = min(window, PACKET_IDS)
        self._pending: dict[int, tuple[bytes, int, int]] = {}
        """Packet id → (packet, device, seq), oldest first."""
        self._socket: socket.socket | None = None
        self._outbox = bytearray()
        self._inbox = b""
        self._last_id = 0
        self.connections = 0
        self.sent = 0

    @property
    def backlog(self) -> int:
        """Sent and not yet acknowledged."""
        return len(self._pending)

    @property
    def room(self) -> int:
        """How many messages may be sent now."""
        return 0 if self._socket is None or self._outbox else self._window - len(self._pending)

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self._socket is not None

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return bool(self._outbox)

    def fileno(self) -> int:
        """For ``select``."""
        return -1 if self._socket is None else self._socket.fileno()

    def connect(self) -> None:
        """Connect, and send again what was not acknowledged, marked as a duplicate, in the order it was sent first.

        Raises:
            UnavailableError: no broker answers there.
            UnauthenticatedError: the broker does not know us.
        """
        self.drop()
        try:
            link = socket.create_connection((self._broker.host, self._broker.port), timeout=_ANSWER_WITHIN_S)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._broker.tls:
                link = make_context(self._broker.files).wrap_socket(link, server_hostname=self._broker.host)
            link.sendall(connect_packet(self._client_id, self._broker, clean=self._clean))
            answer = link.recv(4)
            while 0 < len(answer) < 4 and (rest := link.recv(4 - len(answer))):  # noqa: PLR2004  # a CONNACK has four bytes
                answer += rest
        except OSError as error:
            if self._broker.tls:
                raise UnavailableError(explain(error, str(self._broker), self._broker.files)) from error
            raise UnavailableError(f"no MQTT broker answers at {self._broker}: {error}") from error
        if len(answer) != 4 or answer[0] != _CONNACK:  # noqa: PLR2004  # a CONNACK has four bytes
            link.close()
            raise UnavailableError(f"what answers at {self._broker} is no MQTT 3.1.1 broker")
        if answer[3]:
            link.close()
            raise (UnauthenticatedError if answer[3] in _REFUSED_CREDENTIALS else UnavailableError)(
                f"the broker at {self._broker} refuses us (CONNACK {answer[3]})"
            )
        link.setblocking(False)
        self._socket = link
        self.connections += 1
        for packet, _, _ in self._pending.values():
            self._outbox.append(PUBLISH_QOS1_AGAIN)
            self._outbox += memoryview(packet)[1:]
        self.write()

    def send(self, messages: Iterator[tuple[bytes, int, int]], count: int, at_ms: int) -> None:
        """Send the next ``count`` of ``messages`` (template, device, seq), all of one time; not more than ``room``.

        Raises:
            ConnectionLostError: the broker is gone; the messages are pending and go out with the next connection.
        """
        pending = self._pending
        packet_id = self._last_id
        packets: list[bytes] = []
        for template, device, seq in islice(messages, count):
            packet_id = packet_id % PACKET_IDS + 1
            while packet_id in pending:
                packet_id = packet_id % PACKET_IDS + 1
            packet = template % (packet_id.to_bytes(2, "big"), at_ms, seq)
            pending[packet_id] = (packet, device, seq)
            packets.append(packet)
        self._last_id = packet_id
        self.sent += count
        self._outbox += b"".join(packets)
        self.write()

    def publish(self, messages: Iterable[tuple[bytes, bytes, int, int]]) -> None:
        """Send messages (head, payload, device, seq), each with its own time in it; not more than ``room``.

        Raises:
            ConnectionLostError: the broker is gone; the messages are pending and go out with the next connection.
        """
        pending = self._pending
        packet_id = self._last_id
        for head, payload, device, seq in messages:
            packet_id = packet_id % PACKET_IDS + 1
            while packet_id in pending:
                packet_id = packet_id % PACKET_IDS + 1
            packet = head + packet_id.to_bytes(2, "big") + payload
            pending[packet_id] = (packet, device, seq)
            self._outbox += packet
            self.sent += 1
        self._last_id = packet_id
        self.write()

    def write(self) -> None:
        """Give the socket what it takes.

        Raises:
            ConnectionLostError: the broker is gone.
        """
        if self._socket is None or not self._outbox:
            return
        try:
            taken = self._socket.send(self._outbox)
        except _LATER:
            return
        except OSError as error:
            raise ConnectionLostError(str(error)) from error
        del self._outbox[:taken]

    def read(self) -> None:
        """Read acknowledgements.

        Raises:
            ConnectionLostError: the broker is gone, or sent what is no acknowledgement.
        """
        if self._socket is None:
            return
        try:
            chunk = self._socket.recv(_READ_BYTES)
        except _LATER:
            return
        except OSError as error:
            raise ConnectionLostError(str(error)) from error
        if not chunk:
            raise ConnectionLostError("the broker closed the connection")
        if isinstance(self._socket, ssl.SSLSocket):
            chunk += _more_records(self._socket)
        chunk = self._inbox + chunk
        whole = len(chunk) // 4
        words = struct.unpack_from(f">{2 * whole}H", chunk)
        self._inbox = chunk[4 * whole :]
        if words[::2].count(_PUBACK) != whole:
            raise ConnectionLostError("the broker sent a packet that is no PUBACK")
        pending = self._pending
        # An id that is not pending was acknowledged twice, once for each time it was sent.
        self._acknowledged([pending.pop(packet_id) for packet_id in words[1::2] if packet_id in pending])

    def drop(self) -> None:
        """Let go of the connection as it is; what is pending stays so."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._outbox.clear()
        self._inbox = b""

    def close(self, *, linger_s: float = 1.0) -> None:
        """Say goodbye; where the session was kept, end it by beginning a clean one."""
        if self._socket is None:
            return
        self._socket.setblocking(True)
        self._socket.settimeout(linger_s)
        try:
            self._socket.sendall(_DISCONNECT)
            if not self._clean:
                self._pending.clear()
                self._clean = True
                self.connect()
                self._socket.sendall(_DISCONNECT)
        except (OSError, UnavailableError, UnauthenticatedError):
            return
        finally:
            self.drop()
