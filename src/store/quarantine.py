"""Quarantine in: messages that could not be settled as readings, raw, with the reason, once each and counted."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from store.connection import Executor

KEPT_BYTES: Final = 64 * 1024
"""Of a larger payload only the beginning is kept; the identity covers all of it."""


class SetAside(NamedTuple):
    """One message set aside."""

    source: str
    topic: str
    payload: bytes
    reason: str
    detail: str
    properties: dict[str, str] | None
    received_at: datetime
    again: bool
    """The broker delivered it before: if it is here already, it does not count a second time."""


_SET_ASIDE: Final = """
INSERT INTO quarantine AS q
    (identity, reason, source, topic, payload, size, detail, properties, first_seen, last_seen, count)
SELECT n.identity, n.reason, n.source, n.topic, n.payload, n.size, n.detail, n.properties, n.seen, n.seen, 1
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::integer[], $7::text[], $8::jsonb[],
            $9::timestamptz[])
    AS n(identity, reason, source, topic, payload, size, detail, properties, seen)
ON CONFLICT (identity, reason) DO NOTHING
RETURNING identity, reason
"""

_LOCK: Final = """
SELECT FROM quarantine AS q JOIN unnest($1::bytea[], $2::text[]) AS n(identity, reason)
    ON q.identity = n.identity AND q.reason = n.reason
 ORDER BY q.id FOR UPDATE OF q
"""
"""Two workers that are sent the same poison must not wait for each other in a ring; an UPDATE has no order."""

_COUNT_AGAIN: Final = """
UPDATE quarantine AS q SET count = q.count + n.more, last_seen = greatest(q.last_seen, n.seen)
FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::timestamptz[]) AS n(identity, reason, more, seen)
WHERE q.identity = n.identity AND q.reason = n.reason
"""


def identity_of(topic: str, payload: bytes) -> bytes:
    """SHA-256 of topic, zero byte, whole payload."""
    return sha256(topic.encode() + b"\0" + payload).digest()


async def set_aside(connection: Executor, messages: Sequence[SetAside]) -> list[bool]:
    """Store messages; return for each whether the very same one lay there already before this call."""
    first: dict[tuple[bytes, str], SetAside] = {}
    keys = [(identity_of(message.topic, message.payload), message.reason) for message in messages]
    for key, message in zip(keys, messages, strict=True):
        first.setdefault(key, message)
    order = sorted(first)
    rows = await connection.fetch(
        _SET_ASIDE,
        [key[0] for key in order],
        [key[1] for key in order],
        [first[key].source for key in order],
        [_storable(first[key].topic) for key in order],
        [first[key].payload[:KEPT_BYTES] for key in order],
        [len(first[key].payload) for key in order],
        [_storable(first[key].detail) for key in order],
        [
            None if (properties := first[key].properties) is None else orjson.dumps(_storable_all(properties))
            for key in order
        ],
        [first[key].received_at for key in order],
    )
    new = {(bytes(row[0]), str(row[1])) for row in rows}
    more: dict[tuple[bytes, str], tuple[int, datetime]] = {}
    for key, message in zip(keys, messages, strict=True):
        already = not (key in new and first[key] is message)
        count, seen = more.get(key, (0, message.received_at))
        if already:
            more[key] = (count + (0 if message.again else 1), max(seen, message.received_at))
    if more:
        again = sorted(more)
        columns = [key[0] for key in again], [key[1] for key in again]
        await connection.fetch(_LOCK, *columns)
        await connection.execute(
            _COUNT_AGAIN,
            *columns,
            [more[key][0] for key in again],
            [more[key][1] for key in again],
        )
    return [key not in new for key in keys]


def _storable_all(properties: dict[str, str]) -> dict[str, str]:
    return {_storable(name): _storable(value) for name, value in properties.items()}


def _storable(text: str) -> str:
    """PostgreSQL's text holds no zero character; the payload's bytes are kept as they came."""
    return text.replace("\0", "\ufffd")
