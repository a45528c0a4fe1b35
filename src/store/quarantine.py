"""Quarantine in: messages that could not be settled as readings, raw, with the reason, once each, with receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from store.connection import Executor

KEPT_BYTES: Final = 64 * 1024
"""Of a larger payload only the beginning is kept; the identity covers all of it."""

MOST_RECEIPTS: Final = 10_000
"""Receipt times kept of one message; beyond it they are counted only."""


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
    """The broker delivered it before: if it lies here already, it does not count a second time."""
    device_id: int = 0
    """Under which device the ledger counts it; 0: none is known."""
    contained: int = 0
    """Readings in the message, where only some were rejected."""
    rejected: Sequence[tuple[int, int]] | None = None
    """(entry, device) of the rejected readings of an accepted message; ``None``: it was set aside whole."""
    origin: int | None = None
    """The row from which a re-drive took it: going back there, it does not count as having come again."""


@dataclass(slots=True)
class _Arriving:
    """What a call adds to one row."""

    first: SetAside
    row: int | None = None
    lay: int = 0
    """Receipts that lay there before."""
    kept: int = 0
    """Of those, with their time."""
    count: int = 0
    held: int = 0
    last_seen: datetime | None = None


_Key = tuple[bytes, str]

_LYING: Final = """
SELECT q.id, q.identity, q.reason, q.held, q.held - q.unkept FROM quarantine AS q
JOIN unnest($1::bytea[], $2::text[]) AS n(identity, reason) ON q.identity = n.identity AND q.reason = n.reason
ORDER BY q.identity, q.reason FOR UPDATE OF q
"""

_SET_ASIDE: Final = """
INSERT INTO quarantine AS q
    (identity, reason, source, topic, payload, size, detail, properties, first_seen, last_seen, count, held, unkept)
SELECT n.identity, n.reason, n.source, n.topic, n.payload, n.size, n.detail, n.properties, n.first_seen, n.last_seen,
       n.count, n.held, n.unkept
FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::integer[], $7::text[], $8::jsonb[],
            $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::bigint[], $13::bigint[])
    AS n(identity, reason, source, topic, payload, size, detail, properties, first_seen, last_seen, count, held, unkept)
ON CONFLICT (identity, reason) DO UPDATE SET
    count = q.count + excluded.count, held = q.held + excluded.held, unkept = q.unkept + excluded.unkept,
    first_seen = least(q.first_seen, excluded.first_seen), last_seen = greatest(q.last_seen, excluded.last_seen),
    payload = CASE WHEN q.state = 'expired' THEN excluded.payload ELSE q.payload END,
    state = CASE WHEN excluded.held > 0 THEN 'held' ELSE q.state END
RETURNING id, identity, reason
"""

_RECEIPTS: Final = ("quarantine_id", "received_at", "source", "device_id", "contained", "rejected")


def identity_of(topic: str, payload: bytes) -> bytes:
    """SHA-256 of topic, zero byte, whole payload."""
    return sha256(topic.encode() + b"\0" + payload).digest()


_TURN: Final = "SELECT pg_advisory_xact_lock(hashtext('streetwarden_quarantine'))"


async def take_turn(connection: Executor) -> None:
    """Let one transaction at a time write here.

    Rows locked in order are not enough: one that another batch has just added is met at its insertion, out of order.
    """
    await connection.execute(_TURN)


async def set_aside(connection: Executor, messages: Sequence[SetAside]) -> list[bool]:
    """Store messages; return for each whether the very same one lay there already.

    Set-wise: three statements, however many messages.
    """
    keys = [(identity_of(message.topic, message.payload), message.reason) for message in messages]
    arriving: dict[_Key, _Arriving] = {}
    for key, message in zip(keys, messages, strict=True):
        arriving.setdefault(key, _Arriving(message))
    order = sorted(arriving)
    for row in await connection.fetch(_LYING, [key[0] for key in order], [key[1] for key in order]):
        lying = arriving[bytes(row[1]), row[2]]
        lying.row, lying.lay, lying.kept = row[0], row[3], row[4]
    there: list[bool] = []
    receipts: list[tuple[_Key, SetAside]] = []
    for key, message in zip(keys, messages, strict=True):
        one = arriving[key]
        lies = one.lay + one.held > 0
        there.append(lies)
        one.last_seen = message.received_at if one.last_seen is None else max(one.last_seen, message.received_at)
        if message.again and lies:
            continue
        one.held += 1
        if message.origin is None or message.origin != one.row:
            one.count += 1
        if one.kept < MOST_RECEIPTS:
            one.kept += 1
            receipts.append((key, message))
    ids = await _write(connection, order, arriving, receipts)
    await connection.copy_records_to_table(
        "quarantine_receipt",
        records=[
            (ids[key], m.received_at, m.source, m.device_id, m.contained, _rejections(m.rejected))
            for key, m in receipts
        ],
        columns=_RECEIPTS,
    )
    return there


async def _write(
    connection: Executor,
    order: Sequence[_Key],
    arriving: dict[_Key, _Arriving],
    receipts: Sequence[tuple[_Key, SetAside]],
) -> dict[_Key, int]:
    timed = dict.fromkeys(order, 0)
    for key, _ in receipts:
        timed[key] += 1
    rows = [arriving[key] for key in order]
    first = [row.first for row in rows]
    written = await connection.fetch(
        _SET_ASIDE,
        [key[0] for key in order],
        [key[1] for key in order],
        [one.source for one in first],
        [storable(one.topic) for one in first],
        [one.payload[:KEPT_BYTES] for one in first],
        [len(one.payload) for one in first],
        [storable(one.detail) for one in first],
        [None if (told := one.properties) is None else orjson.dumps(_storable_all(told)) for one in first],
        [one.received_at for one in first],
        [row.last_seen for row in rows],
        [row.count for row in rows],
        [row.held for row in rows],
        [row.held - timed[key] for key, row in zip(order, rows, strict=True)],
    )
    return {(bytes(row[1]), row[2]): row[0] for row in written}


def _rejections(rejected: Sequence[tuple[int, int]] | None) -> bytes | None:
    return None if rejected is None else orjson.dumps(rejected)


def _storable_all(properties: dict[str, str]) -> dict[str, str]:
    return {storable(name): storable(value) for name, value in properties.items()}


def storable(text: str) -> str:
    """PostgreSQL's text holds no zero character; the payload's bytes are kept as they came."""
    return text.replace("\0", "\ufffd")
