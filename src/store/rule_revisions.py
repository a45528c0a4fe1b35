"""Every form a rule has ever had, so that an alert can name the one that raised it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

from store.connection import Executor, Pool


class Revision(NamedTuple):
    """One form of one rule."""

    key: str
    digest: str
    """SHA-256 over the body, 16 hex digits of it."""
    body: bytes


_ADD: Final = """
INSERT INTO rule_revision (key, digest, body, created_at)
SELECT n.key, n.digest, n.body, $4 FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS n(key, digest, body)
ON CONFLICT (key, digest) DO NOTHING
"""

_FIND: Final = """
SELECT r.key, r.digest, r.id FROM rule_revision AS r
JOIN unnest($1::text[], $2::text[]) AS n(key, digest) ON n.key = r.key AND n.digest = r.digest
"""


def revision_of(key: str, data: Mapping[str, object]) -> Revision:
    """The revision that a rule in this form is."""
    body = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return Revision(key, sha256(body).hexdigest()[:16], body)


async def known_revisions(pool: Pool, revisions: Sequence[Revision]) -> dict[tuple[str, str], int]:
    """(key, digest) → id of those that were recorded: a form that never raised an alert may be missing."""
    keys, digests = [revision.key for revision in revisions], [revision.digest for revision in revisions]
    return {(row[0], row[1]): row[2] for row in await pool.fetch(_FIND, keys, digests)}


async def revision_ids(
    connection: Executor, revisions: Sequence[Revision], now: datetime
) -> dict[tuple[str, str], int]:
    """(key, digest) → id; a form not seen before is recorded."""
    unique = sorted(set(revisions))
    keys, digests = [revision.key for revision in unique], [revision.digest for revision in unique]
    await connection.execute(_ADD, keys, digests, [revision.body for revision in unique], now)
    rows = await connection.fetch(_FIND, keys, digests)
    return {(row[0], row[1]): row[2] for row in rows}
