"""First received times of messages without a time of their own, should the broker deliver them again."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from store.connection import Executor


class FirstTime(NamedTuple):
    """One delivery not known to be confirmed."""

    packet_id: int
    digest: bytes
    received_at: datetime


_REMEMBER: Final = """
INSERT INTO unconfirmed_delivery (client_id, packet_id, digest, received_at)
SELECT $1, * FROM unnest($2::integer[], $3::bytea[], $4::timestamptz[])
ON CONFLICT (client_id, packet_id) DO UPDATE SET digest = excluded.digest, received_at = excluded.received_at
"""

_RECALL: Final = """
SELECT packet_id, digest, received_at FROM unconfirmed_delivery WHERE client_id = $1 AND packet_id = ANY($2::integer[])
"""


def delivery_digest(topic: str, payload: bytes) -> bytes:
    """128 bits over topic and payload: a packet id alone means another message tomorrow."""
    return blake2b(topic.encode() + b"\0" + payload, digest_size=16).digest()


async def remember_first_times(connection: Executor, client_id: str, deliveries: Sequence[FirstTime]) -> None:
    """Keep them with the batch. A packet id is the client's own: the latest message under it replaces the former."""
    latest = {delivery.packet_id: delivery for delivery in deliveries}
    order = sorted(latest)
    await connection.execute(
        _REMEMBER, client_id, order, [latest[key].digest for key in order], [latest[key].received_at for key in order]
    )


async def recall_first_times(connection: Executor, client_id: str, packet_ids: Sequence[int]) -> list[FirstTime]:
    """What is known of these packet ids."""
    rows = await connection.fetch(_RECALL, client_id, list(packet_ids))
    return [FirstTime(row[0], bytes(row[1]), row[2]) for row in rows]
