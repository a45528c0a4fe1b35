"""The rule book in the database: what stands in it, what was done to it, and whom a change wakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from store.connection import Executor, Pool
from store.rule_revisions import Revision, revision_ids, revision_of

BOOK_LOCK: Final = 0x5354524B
"""Advisory lock of whoever writes the book ("STRK"): several workers follow one folder, and one applies it."""


class Author(NamedTuple):
    """Who changes the book, from where, and why."""

    name: str
    source: str
    """``file``, ``api`` or ``command``."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One rule as it shall stand in the book."""

    key: str
    device_kind: str
    document: Mapping[str, object]
    data: Mapping[str, object]
    """What its revision is made of."""
    everyone: bool
    """Whether a change concerns every device of the kind, not only those whose rules remember something of readings."""
    file: str | None = None
    revision: Revision = field(init=False)

    def __post_init__(self) -> None:
        """Work out the revision."""
        object.__setattr__(self, "revision", revision_of(self.key, self.data))

    @property
    def digest(self) -> str:
        """Of its revision."""
        return self.revision.digest


class BookRow(NamedTuple):
    """One rule as it stands in the book; the order of the fields is that of ``_COLUMNS``."""

    key: str
    device_kind: str
    document: bytes
    digest: str
    source: str
    file: str | None
    author: str
    updated_at: datetime


class BookChange(NamedTuple):
    """One thing that was done to a rule; the order of the fields is that of ``_HISTORY``."""

    id: int
    key: str
    at: datetime
    author: str
    source: str
    file: str | None
    from_digest: str | None
    to_digest: str | None
    """``None``: removed."""
    reason: str
    document: bytes | None


class RefusedFile(NamedTuple):
    """A file of the rule folder of which nothing is taken."""

    file: str
    since: datetime
    complaints: list[str]


_COLUMNS: Final = "key, device_kind, document, digest, source, file, author, updated_at"
_ALL: Final = f"SELECT {_COLUMNS} FROM rule ORDER BY key"
_ONE: Final = f"SELECT {_COLUMNS} FROM rule WHERE key = $1"

_WRITE: Final = """
INSERT INTO rule (key, device_kind, document, digest, source, file, author, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (key) DO UPDATE SET device_kind = excluded.device_kind, document = excluded.document,
    digest = excluded.digest, source = excluded.source, file = excluded.file, author = excluded.author,
    updated_at = excluded.updated_at
"""
_REMOVE: Final = "DELETE FROM rule WHERE key = $1"
_RECORD: Final = """
INSERT INTO rule_change (key, at, author, source, file, from_digest, to_digest, document, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_HISTORY: Final = """
SELECT id, key, at, author, source, file, from_digest, to_digest, reason, document FROM rule_change
 WHERE key = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""
_WRITTEN_AS: Final = """
SELECT document FROM rule_change WHERE key = $1 AND to_digest = $2 ORDER BY id DESC LIMIT 1
"""
_LOOK: Final = """
UPDATE device_timer SET silence_due = '-infinity'
 WHERE device_id IN (
    SELECT t.device_id FROM device_timer t
      JOIN device d ON d.id = t.device_id
      JOIN device_state s ON s.device_id = t.device_id
     WHERE d.kind = $1 AND ($2 OR s.tracks IS NOT NULL)
     ORDER BY t.device_id FOR UPDATE OF t)
"""
# In the order of the ids, as everything that locks timers. A pending hold that became shorter, an alert whose rule is
# gone: the ticker sees to them at its next look.

_VERSION: Final = "SELECT max(id) FROM rule_change"
# One writer at a time: the numbers are committed in their order.

_ENTRIES: Final = "SELECT key, digest, file FROM rule_file_entry"
_KEEP_ENTRIES: Final = """
INSERT INTO rule_file_entry (key, digest, file) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ON CONFLICT (key) DO UPDATE SET digest = excluded.digest, file = excluded.file
"""
_RENAME: Final = """
UPDATE rule AS r SET file = n.file FROM unnest($1::text[], $2::text[]) AS n(key, file)
 WHERE r.key = n.key AND r.source = 'file'
"""
_DROP_ENTRIES: Final = "DELETE FROM rule_file_entry WHERE key = ANY($1::text[])"
_REFUSED: Final = "SELECT file, since, complaints FROM rule_file_refused ORDER BY file"
_REFUSE: Final = """
INSERT INTO rule_file_refused AS r (file, since, complaints) VALUES ($1, $2, $3::text[])
ON CONFLICT (file) DO UPDATE SET complaints = excluded.complaints, since = excluded.since
 WHERE r.complaints <> excluded.complaints
"""
_ACCEPT: Final = "DELETE FROM rule_file_refused WHERE NOT file = ANY($1::text[])"


async def read_book(connection: "Executor | Pool") -> list[BookRow]:
    """Every rule of the book, by key."""
    return [BookRow._make(record) for record in await connection.fetch(_ALL)]


async def book_version(connection: "Executor | Pool") -> int:
    """A number that grows with every change of the book."""
    row = await connection.fetchrow(_VERSION)
    return 0 if row is None or row[0] is None else int(row[0])


async def find_in_book(connection: "Executor | Pool", key: str) -> BookRow | None:
    """One rule of the book."""
    record = await connection.fetchrow(_ONE, key)
    return None if record is None else BookRow._make(record)


async def rule_history(pool: Pool, key: str, *, before: int | None, limit: int) -> list[BookChange]:
    """What was done to a rule, the latest first."""
    return [BookChange._make(record) for record in await pool.fetch(_HISTORY, key, before, limit)]


async def document_of_revision(pool: Pool, key: str, digest: str) -> bytes | None:
    """The rule as it was written when it had this revision; ``None`` if it never stood in the book so."""
    record = await pool.fetchrow(_WRITTEN_AS, key, digest)
    return None if record is None else bytes(record["document"])


async def refused_files(connection: "Executor | Pool") -> list[RefusedFile]:
    """Files of the rule folder of which nothing is taken, by name."""
    return [RefusedFile._make(record) for record in await connection.fetch(_REFUSED)]


class BookWriting:
    """One transaction of the book's only writer."""

    def __init__(self, connection: Executor, author: Author, now: datetime) -> None:
        self._connection = connection
        self._author = author
        self._now = now
        self._standing: dict[str, BookRow] = {}
        self._woken: dict[str, bool] = {}

    async def lock(self) -> None:
        """Become the only writer until the transaction ends, and read what stands there."""
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", BOOK_LOCK)
        self._standing = {row.key: row for row in await read_book(self._connection)}

    @property
    def standing(self) -> Mapping[str, BookRow]:
        """The book as it stands, by key; known once locked."""
        return self._standing

    async def write(self, entries: Sequence[Entry]) -> list[str]:
        """Let these rules stand in the book; returns the keys of those that did not stand there so."""
        written: list[str] = []
        news = [entry for entry in entries if not self._stands(entry)]
        if news:
            await revision_ids(self._connection, [entry.revision for entry in news], self._now)
        for entry in news:
            await self._write(entry)
            written.append(entry.key)
        return written

    async def remove(self, keys: Sequence[str]) -> list[str]:
        """Take rules out of the book; returns the keys of those that stood there."""
        removed = [key for key in keys if key in self._standing]
        for key in removed:
            row = self._standing.pop(key)
            await self._connection.execute(_REMOVE, key)
            await self._record(key, row.digest, None, None, row.file if self._author.source == "file" else None)
            # Whether a default on silence comes back is not known here: all devices of the kind are looked at.
            self._woken[row.device_kind] = True
        return removed

    async def wake(self) -> None:
        """Have the ticker look at the devices that the changes concern: once, after all of them."""
        for kind, everyone in sorted(self._woken.items()):
            await self._connection.execute(_LOOK, kind, everyone)

    def _stands(self, entry: Entry) -> bool:
        row = self._standing.get(entry.key)
        if row is None or row.digest != entry.digest or row.device_kind != entry.device_kind:
            return False
        return bool(orjson.loads(row.document) == entry.document)

    async def _write(self, entry: Entry) -> None:
        was = self._standing.get(entry.key)
        document = orjson.dumps(entry.document)
        name, source, _ = self._author
        values = (entry.key, entry.device_kind, document, entry.digest, source, entry.file, name, self._now)
        await self._connection.execute(_WRITE, *values)
        self._standing[entry.key] = BookRow._make(values)
        await self._record(entry.key, None if was is None else was.digest, entry.digest, document, entry.file)
        # Of another rule kind before: it may have judged silence or events, or have kept a default from judging it.
        everyone = entry.everyone or (was is not None and _kind_of(was.document) != entry.document["kind"])
        for kind in {entry.device_kind, entry.device_kind if was is None else was.device_kind}:
            self._woken[kind] = self._woken.get(kind, False) or everyone

    async def _record(
        self, key: str, before: str | None, after: str | None, document: bytes | None, file: str | None
    ) -> None:
        name, source, reason = self._author
        await self._connection.execute(_RECORD, key, self._now, name, source, file, before, after, document, reason)


def _kind_of(document: bytes) -> object:
    return orjson.loads(document)["kind"]


class FolderWriting:
    """What the files of the rule folder said last, within the transaction of the book's only writer."""

    def __init__(self, connection: Executor) -> None:
        self._connection = connection

    async def said_last(self) -> dict[str, tuple[str, str]]:
        """Key → (digest, file)."""
        return {row["key"]: (row["digest"], row["file"]) for row in await self._connection.fetch(_ENTRIES)}

    async def keep(self, said: Mapping[str, tuple[str, str]], gone: Sequence[str]) -> None:
        """Remember what they say now; a rule that only moved to another file has changed in nothing else."""
        last = await self.said_last()
        moved = [key for key, (digest, file) in said.items() if last.get(key, (digest, file)) != (digest, file)]
        if moved:
            await self._connection.execute(_RENAME, moved, [said[key][1] for key in moved])
        if said:
            keys = sorted(said)
            digests, files = [said[key][0] for key in keys], [said[key][1] for key in keys]
            await self._connection.execute(_KEEP_ENTRIES, keys, digests, files)
        if gone:
            await self._connection.execute(_DROP_ENTRIES, list(gone))

    async def refuse(self, complaints: Mapping[str, Sequence[str]], now: datetime) -> None:
        """Show which files are refused, and why; all others are not."""
        await self._connection.execute(_ACCEPT, list(complaints))
        for file, told in sorted(complaints.items()):
            await self._connection.execute(_REFUSE, file, now, list(told))
