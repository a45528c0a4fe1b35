"""What the lists of the API share: WHERE clauses made of constants, and the stamp of a table's last change."""

from typing import Final, NamedTuple

from store.connection import Pool


class Conditions:
    """The WHERE of one list: constant clauses with ``{}`` for each value, which travels as a parameter.

    Clauses are put together instead of writing ``$1 IS NULL OR …`` for every filter, because under the generic plan of
    a prepared statement such a clause uses neither a partial index nor the order of one.
    """

    def __init__(self) -> None:
        self.values: list[object] = []
        self._clauses: list[str] = []

    def add(self, clause: str, *values: object) -> None:
        """Demand ``clause``; its ``{}`` stand for ``values``."""
        self._clauses.append(clause.format(*(self.parameter(value) for value in values)))

    def add_given(self, clause: str, value: object) -> None:
        """Demand ``clause`` if there is a value to compare with."""
        if value is not None:
            self.add(clause, value)

    def parameter(self, value: object) -> str:
        """Keep a value and return its place in the statement."""
        self.values.append(value)
        return f"${len(self.values)}"

    @property
    def text(self) -> str:
        """The clauses, joined."""
        return " AND ".join(self._clauses) or "true"


class Stamp(NamedTuple):
    """How far a table with a ``changed`` column had come, seen in one snapshot."""

    newest: int
    """Transaction of the newest visible change; 0 for an empty table."""
    older_running: tuple[int, ...]
    """Transactions older than that one which may still commit a change."""
    floor: int
    """Oldest transaction still running: whoever asks for changes from it on misses nothing."""
    ceiling: int
    """Where this database's transactions have come to; a token beyond it is another database's."""


_STAMP: Final = """
WITH mark AS MATERIALIZED (SELECT pg_current_snapshot() AS snapshot),
     newest AS MATERIALIZED (
        SELECT coalesce((
            SELECT changed FROM {table}
             WHERE changed < pg_snapshot_xmax(pg_current_snapshot())
             ORDER BY changed DESC LIMIT 1
        ), '0'::xid8) AS changed
     )
SELECT newest.changed::text,
       ARRAY(SELECT running::text FROM pg_snapshot_xip(mark.snapshot) AS running WHERE running < newest.changed),
       pg_snapshot_xmin(mark.snapshot)::text,
       pg_snapshot_xmax(mark.snapshot)::text
  FROM mark, newest
"""
# changed < xmax is true of every row this database wrote; rows restored from another one may carry numbers that its
# transactions have not reached yet, and their maximum would stand still while new changes come in below it.

_STAMPED: Final = frozenset({"alert", "ticket"})


async def read_stamp(pool: Pool, table: str) -> Stamp:
    """Read how far a table has come: one look at the end of the index on ``changed``.

    ``newest`` alone would not do. A transaction with a lower number that is still running may commit afterwards, and
    the maximum would not move; so those still running below it are part of the stamp, and their commit changes it.
    """
    assert table in _STAMPED  # the name stands in the statement
    record = await pool.fetchrow(_STAMP.format(table=table))
    assert record is not None  # an aggregate-free SELECT of two one-row sets
    newest, running, floor, ceiling = record
    return Stamp(int(newest), tuple(sorted(int(one) for one in running)), int(floor), int(ceiling))
