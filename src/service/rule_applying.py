"""Applying rules from the command line: the difference to those in force, and putting them there."""

import difflib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from api.rule_desk import Shown, entry_of, every_rule
from devices.catalogue import load_kinds
from devices.rule_book import BookRule
from domain.errors import NotFoundError
from service.rule_file import write_rules
from store.connection import Executor, Pool
from store.rule_book import Author, BookWriting


async def rules_in_force(pool: "Executor | Pool") -> list[Shown]:
    """Every rule as it stands, of the book and default."""
    return await every_rule(pool, load_kinds())


async def differences_to(pool: "Executor | Pool", rules: Sequence[BookRule]) -> list[str]:
    """What would change if these rules were put in force, for people: ``-`` what stands, ``+`` what would."""
    standing = {(one.written.rule.key, one.row is not None): one.written for one in await rules_in_force(pool)}
    lines: list[str] = []
    for one in rules:
        key = one.rule.key
        # One in shadow stands beside a default and takes nothing away.
        before = standing.get((key, True)) or (None if one.rule.shadow else standing.get((key, False)))
        told = [] if before is None else write_rules([before]).splitlines()
        changed = list(difflib.unified_diff(told, write_rules([one]).splitlines(), lineterm="", n=1))[2:]
        if changed:
            lines += [f"{key}: {'new' if before is None else 'changed'}", *(f"    {line}" for line in changed)]
    return lines


async def apply_rules(pool: Pool, read: Sequence[tuple[BookRule, Path]], author: Author, now: datetime) -> list[str]:
    """Put rules in force, all or none; returns the differences to those that were."""
    async with pool.acquire() as connection, connection.transaction():
        writing = BookWriting(connection, author, now)
        await writing.lock()
        lines = await differences_to(connection, [one for one, _ in read])
        await writing.write([entry_of(one, path.name) for one, path in read])
        await writing.wake()
        return lines


async def remove_rules(pool: Pool, keys: Sequence[str], author: Author, now: datetime) -> None:
    """Take rules out of the book, all or none.

    Raises:
        NotFoundError: one does not stand there.
    """
    async with pool.acquire() as connection, connection.transaction():
        writing = BookWriting(connection, author, now)
        await writing.lock()
        missing = [key for key in keys if key not in writing.standing]
        if missing:
            raise NotFoundError(
                f"{missing[0]} does not stand in the rule book. A default is switched off by a rule file with its key "
                "and enabled: false."
            )
        await writing.remove(keys)
        await writing.wake()
