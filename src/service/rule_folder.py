"""The rule folder: follows the rule files of a folder and puts into the book what they say anew."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from api.rule_desk import entry_of, to_be_named
from domain.clock import Clock
from domain.errors import InvalidInputError, RefusedError
from service.rule_file import keys_told, read_rules
from store.connection import Pool
from store.failures import Failure, failure_of
from store.rule_book import Author, BookWriting, Entry, FolderWriting

_LOOK_EVERY_S: Final = 0.2
"""A file is read once two looks saw it alike, so that half a file is not taken for a whole one: a change is in force
after at most two looks, within the second that is promised."""

_AUTHOR: Final = Author("rule files", "file")

log: Final = structlog.get_logger()


class _Stamp(NamedTuple):
    """By what a file is seen to have changed."""

    name: str
    node: int
    size: int
    modified: int
    changed: int


class _Said(NamedTuple):
    """What the files of the folder say."""

    entries: Mapping[str, Entry]
    complaints: Mapping[str, list[str]]
    """File → what is wrong with it: then nothing of it is taken."""


class RuleFolder:
    """Follows one folder. Any number of workers may: one applies, and the others find it done."""

    def __init__(self, folder: Path, pool: Pool, clock: Clock) -> None:
        """Take the parts; :meth:`apply` before the first message, then :meth:`follow`."""
        self._folder = folder
        self._pool = pool
        self._clock = clock
        self._applied: tuple[_Stamp, ...] | None = None
        self._seen: tuple[_Stamp, ...] | None = None
        self._told: Mapping[str, list[str]] = {}

    async def apply(self) -> None:
        """Put in force what the files say now.

        Raises:
            RefusedError: there is no such folder.
        """
        if not self._folder.is_dir():
            raise RefusedError(f"STREETWARDEN_RULES_DIR={self._folder} is no folder: make it, or unset the setting.")
        await self._apply(self._look())

    async def follow(self) -> None:
        """Go on looking until cancelled. The database or the folder may be away: what stands in the book stands."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await self.look()
            except Exception as error:
                if failure_of(error) is Failure.STOP:
                    raise
                log.warning("rule_folder_again", error=str(error))
                await asyncio.sleep(1)

    async def look(self) -> bool:
        """Look once; returns whether the files were read: they are where they changed, and have come to rest."""
        stamps = self._look()
        at_rest, self._seen = stamps == self._seen, stamps
        if stamps is None or not at_rest or stamps == self._applied:
            return False
        await self._apply(stamps)
        return True

    def _look(self) -> tuple[_Stamp, ...] | None:
        """The rule files that lie there, or ``None`` where the folder cannot be read: that removes no rule."""
        stamps: list[_Stamp] = []
        try:
            for path in self._folder.iterdir():
                if path.suffix in {".yaml", ".yml"} and not path.name.startswith("."):
                    told = path.stat()
                    stamps.append(_Stamp(path.name, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns))
        except OSError as error:
            if self._seen is not None:
                log.warning("rule_folder_unreadable", folder=str(self._folder), error=str(error))
            return None
        return tuple(sorted(stamps))

    async def _apply(self, stamps: tuple[_Stamp, ...] | None) -> None:
        if stamps is None:
            return
        said = self._read([stamp.name for stamp in stamps], await to_be_named(self._pool))
        now = self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            writing = BookWriting(connection, _AUTHOR, now)
            await writing.lock()
            folder = FolderWriting(connection)
            last = await folder.said_last()
            news = [one for key, one in said.entries.items() if last.get(key, ("",))[0] != one.digest]
            # What a refused file said before stays in force.
            gone = [key for key, (_, file) in last.items() if key not in said.entries and file not in said.complaints]
            standing = writing.standing
            removed = await writing.remove([k for k in gone if k in standing and standing[k].source == "file"])
            written = await writing.write(news)
            await folder.keep({key: (one.digest, one.file or "") for key, one in said.entries.items()}, gone)
            await folder.refuse(said.complaints, now)
            await writing.wake()
        self._applied = stamps
        self._tell(said.complaints, written, removed)

    def _read(self, names: list[str], standing: set[str]) -> _Said:
        beside = standing | keys_told(self._folder / name for name in names)
        entries: dict[str, Entry] = {}
        complaints: dict[str, list[str]] = {}
        for name in names:
            try:
                found = {one.rule.key: entry_of(one, name) for one in read_rules(self._folder / name, beside)}
            except InvalidInputError as error:
                complaints[name] = str(error).split("\n")
                continue
            twice = [f"{name}: {key} stands in {entries[key].file}, too" for key in found if key in entries]
            if twice:
                complaints[name] = twice
            else:
                entries |= found
        return _Said(entries, complaints)

    def _tell(self, complaints: Mapping[str, list[str]], written: list[str], removed: list[str]) -> None:
        for file, told in complaints.items():
            if self._told.get(file) != told:
                log.error("rule_file_refused", file=file, complaints=told)
        self._told = complaints
        if written or removed:
            log.info("rules_changed", written=written, removed=removed)
