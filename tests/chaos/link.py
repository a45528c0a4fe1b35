"""A publisher's connection on a bare socket, MQTT 3.1.1 or 5, QoS 1: what was not acknowledged is sent again.

MQTT 5 because it alone tells an acknowledgement of what the broker keeps for somebody from one of what it throws away
("no matching subscribers").
"""

import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from simulators.address import BrokerAddress
from simulators.wire import encode_length, text

PACKET_IDS: Final = 65535
_ANSWER_WITHIN_S: Final = 5.0
_AGAIN_AFTER_S: Final = 0.3
"""As long as nobody has subscribed, asking more often would only be noise."""
_READ_BYTES: Final = 1 << 16
_CONNACK: Final = 0x20
_PUBACK: Final = 0x40
_DISCONNECT: Final = 0xE0
_PUBLISH_QOS1: Final = 0x32
_DUP: Final = 0x08
_NO_SUBSCRIBERS: Final = 16
_FAILED_FROM: Final = 128
_MORE_FOLLOWS: Final = 0x80


class LinkLostError(Exception):
    """The broker is gone, or said something unexpected."""


class Link:
    """One connection and the messages that are under way on it."""

    def __init__(
        self,
        broker: BrokerAddress,
        client_id: str,
        *,
        v5: bool,
        window: int,
        acknowledged: Callable[[list[int]], None],
    ) -> None:
        """Prepare; ``acknowledged`` hears the numbers of messages that the broker has taken over for a subscriber."""
        self._broker = broker
        self._client_id = client_id
        self._v5 = v5
        self._window = window
        self._acknowledged = acknowledged
        self._pending: dict[int, tuple[int, bytes]] = {}
        """Packet id → (number, packet), oldest first."""
        self._again: list[tuple[int, bytes]] = []
        """Acknowledged as thrown away or refused: such a message is still the device's, and is sent once more."""
        self._again_at = 0.0
        self._socket: socket.socket | None = None
        self._outbox = bytearray()
        self._inbox = bytearray()
        self._last_id = 0
        self.connections = 0
        self.resent = 0
        self.unheard = 0
        self.refused = 0

    @property
    def backlog(self) -> int:
        """Given to us and not yet acknowledged."""
        return len(self._pending) + len(self._again)

    @property
    def room(self) -> int:
        """How many messages may be sent now."""
        return 0 if self._socket is None or self._outbox else self._window - len(self._pending)

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as we know."""
        return self._socket is not None

    @property
    def wants_again(self) -> bool:
        """Whether messages are to be sent once more by now."""
        return bool(self._again) and time.monotonic() >= self._again_at

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return bool(self._outbox)

    def fileno(self) -> int:
        """For ``select``."""
        return -1 if self._socket is None else self._socket.fileno()

    def connect(self) -> None:
        """Connect, and send again, marked as duplicates and in their order, what was not acknowledged.

        Raises:
            LinkLostError: no broker answers, or it refuses us.
        """
        self.drop()
        try:
            link = socket.create_connection((self._broker.host, self._broker.port), timeout=_ANSWER_WITHIN_S)
        except OSError as error:
            raise LinkLostError(str(error)) from error
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.sendall(self._connect_packet())
            head = link.recv(2, socket.MSG_WAITALL)
            answer = link.recv(head[1], socket.MSG_WAITALL) if len(head) == 2 else b""
        except OSError as error:
            link.close()
            raise LinkLostError(str(error)) from error
        # CONNACK begins with flags and reason.
        if len(answer) < 2 or head[0] != _CONNACK or answer[1]:
            link.close()
            raise LinkLostError(f"the broker answers CONNECT with {(head + answer).hex() or 'nothing'}")
        link.setblocking(False)
        self._socket = link
        self.connections += 1
        for _, packet in self._pending.values():
            self._outbox.append(packet[0] | _DUP)
            self._outbox += packet[1:]
        self.resent += len(self._pending)
        self.write()

    def _connect_packet(self) -> bytes:
        # Clean session off: what is under way belongs to a session, and the DUP flag means something within one only.
        fields = bytes((5 if self._v5 else 4, 0x00, 0, 0))
        properties = b"\x05\x11" + struct.pack(">I", 3600) if self._v5 else b""
        body = text("MQTT") + fields + properties + text(self._client_id)
        return b"\x10" + encode_length(len(body)) + body

    def send(self, messages: list[tuple[int, str, bytes]], *, retain: bool = False) -> None:
        """Send new messages (number, topic, payload), not more than ``room``; first those to be sent once more."""
        again: list[tuple[int, bytes]] = []
        if self.wants_again:
            again, self._again = self._again, []
        for number, tail in [*again, *((number, self._tail(topic, body)) for number, topic, body in messages)]:
            self._outbox += self._packet(number, tail, _PUBLISH_QOS1 | retain)
        self.write()

    def _tail(self, topic: str, payload: bytes) -> bytes:
        """Topic and payload with a gap of two zero bytes for the packet id."""
        return text(topic) + b"\0\0" + (b"\0" if self._v5 else b"") + payload

    def _packet(self, number: int, tail: bytes, first: int) -> bytes:
        packet_id = self._last_id % PACKET_IDS + 1
        while packet_id in self._pending:
            packet_id = packet_id % PACKET_IDS + 1
        self._last_id = packet_id
        gap = 2 + int.from_bytes(tail[:2], "big")
        body = tail[:gap] + packet_id.to_bytes(2, "big") + tail[gap + 2 :]
        packet = bytes((first,)) + encode_length(len(body)) + body
        self._pending[packet_id] = (number, packet)
        return packet

    def write(self) -> None:
        """Give the socket what it takes.

        Raises:
            LinkLostError: the broker is gone; what is pending goes out with the next connection.
        """
        if self._socket is None or not self._outbox:
            return
        try:
            taken = self._socket.send(self._outbox)
        except BlockingIOError:
            return
        except OSError as error:
            raise LinkLostError(str(error)) from error
        del self._outbox[:taken]

    def read(self) -> None:
        """Read acknowledgements.

        Raises:
            LinkLostError: the broker is gone, or sent what is no acknowledgement.
        """
        if self._socket is None:
            return
        try:
            chunk = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise LinkLostError(str(error)) from error
        if not chunk:
            raise LinkLostError("the broker closed the connection")
        self._inbox += chunk
        done: list[int] = []
        try:
            while (answer := self._next_answer()) is not None:
                done += self._settle(*answer)
        finally:
            if done:
                self._acknowledged(done)

    def _next_answer(self) -> tuple[int, int] | None:
        """The next whole PUBACK: packet id and reason."""
        inbox = self._inbox
        if len(inbox) < 2 or len(inbox) < 2 + inbox[1]:  # type and length
            return None
        kind, length = inbox[0], inbox[1]
        body = bytes(inbox[2 : 2 + length])
        del inbox[: 2 + length]
        if kind != _PUBACK or length < 2:  # a packet id
            said = "ends the connection" if kind == _DISCONNECT else f"sent a packet of type {kind:#x}"
            raise LinkLostError(f"the broker {said}")
        return int.from_bytes(body[:2], "big"), body[2] if length > 2 else 0  # the reason, if told

    def _settle(self, packet_id: int, reason: int) -> list[int]:
        """Take a message out of what is pending; the number if that was a promise."""
        found = self._pending.pop(packet_id, None)
        if found is None:
            # Acknowledged twice, once for each time it was sent.
            return []
        number, packet = found
        if reason < _FAILED_FROM and reason != _NO_SUBSCRIBERS:
            return [number]
        if reason == _NO_SUBSCRIBERS:
            self.unheard += 1
        else:
            self.refused += 1
        self._again_at = time.monotonic() + _AGAIN_AFTER_S
        # The length's last byte is the first without the bit that says "more follows".
        start = next(place + 1 for place, byte in enumerate(packet[1:], start=1) if not byte & _MORE_FOLLOWS)
        self._again.append((number, packet[start:]))
        return []

    def drop(self) -> None:
        """Let go of the connection as it is; what is pending stays so."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._outbox.clear()
        self._inbox.clear()
