"""Expiry: what has lain in quarantine long enough lets go of its bytes, then of its row; old duplicates too."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from store.connection import Executor

_AT_ONCE: Final = 5_000
"""Rows of one transaction at most: it runs between two batches."""

_EXPIRE: Final = """
WITH old AS MATERIALIZED (
    SELECT id FROM quarantine WHERE last_seen < $1 AND state = 'held' LIMIT $3 FOR UPDATE SKIP LOCKED
), receipts AS (
    DELETE FROM quarantine_receipt WHERE quarantine_id IN (SELECT id FROM old)
)
UPDATE quarantine AS q SET state = 'expired', expired_at = $2, payload = ''::bytea, held = 0, unkept = 0
FROM old WHERE q.id = old.id RETURNING q.id
"""

# A row that is not held has no receipts, so none are left behind.
_REMOVE: Final = """
DELETE FROM quarantine WHERE id IN (
    SELECT id FROM quarantine WHERE last_seen < $1 AND state <> 'held' LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id
"""

_DOUBLES: Final = """
DELETE FROM duplicate_receipt
 WHERE ctid = ANY(ARRAY(SELECT ctid FROM duplicate_receipt WHERE received_at < $1 LIMIT $2))
RETURNING 1
"""


class Expired(NamedTuple):
    """What one call let go of."""

    emptied: int
    """Messages whose bytes and receipts are gone."""
    removed: int
    """Rows that had been kept as a trace."""
    doubles: int

    @property
    def any(self) -> bool:
        """Whether there may be more to do."""
        return self.emptied + self.removed + self.doubles > 0


async def expire(connection: Executor, now: datetime, keep: timedelta) -> Expired:
    """Let go of a bounded number of what was last seen longer ago than ``keep``.

    A message that lies there loses its bytes after ``keep``; the row itself, and that of one re-driven, stays as long
    again, so that one may still ask where it went. The ledger is not touched: it came, and it was set aside.
    """
    emptied = await connection.fetch(_EXPIRE, now - keep, now, _AT_ONCE)
    removed = await connection.fetch(_REMOVE, now - 2 * keep, _AT_ONCE)
    doubles = await connection.fetch(_DOUBLES, now - keep, _AT_ONCE)
    return Expired(len(emptied), len(removed), len(doubles))
