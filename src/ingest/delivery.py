"""Delivery: one message as the broker handed it over, with what is needed to acknowledge it to the right connection."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_OVERHEAD: Final = 700
"""Bytes that Python needs for one message beside its own: the objects, their headers, the place in the inbox."""


@dataclass(slots=True)
class Delivery:
    """One message in hand, from receipt until its acknowledgement."""

    topic: str
    payload: bytes
    received_at: datetime
    """When this process first had it in hand, aware UTC."""
    packet_id: int
    """The broker's number for it; 0 at QoS 0. Means something only within its connection."""
    redelivered: bool
    """The broker marked it as sent before (DUP)."""
    generation: int
    """Of the connection that brought it, or that last brought it again."""
    tell_properties: Callable[[], dict[str, str] | None] | None = None
    """Tells the MQTT 5 properties as text. A function, because taking them apart costs as much as reading the message,
    and only quarantine asks."""
    refused: str | None = None
    """Why the database refused it, once bisecting a batch has found it to be the one."""

    @property
    def properties(self) -> dict[str, str] | None:
        """MQTT 5 properties as text; ``None`` where there are none."""
        return None if self.tell_properties is None else self.tell_properties()

    @property
    def size(self) -> int:
        """Bytes it occupies, for the inbox's bound."""
        return len(self.payload) + len(self.topic) + _OVERHEAD
