"""The rule book between its rows and its rules: read, written and put in force by the API and the service alike."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import orjson
import structlog

from devices.catalogue import load_group_rules
from devices.kind import DeviceKind
from devices.rule_book import SEVERAL, BookRule, read_rule, several_with_book, with_book
from rules.parameters import WrongParametersError
from rules.rule import Rule
from store.connection import Executor, Pool
from store.rule_book import BookRow, Entry, read_book
from store.rule_revisions import revision_of

log: Final = structlog.stdlib.get_logger("rules")


class Shown(NamedTuple):
    """A rule as it stands: of the book with its row, or a default."""

    written: BookRule
    row: BookRow | None

    @property
    def digest(self) -> str:
        """Of its revision."""
        return digest_of(self.written)


def digest_of(one: BookRule) -> str:
    """Of a rule's revision."""
    return revision_of(one.rule.key, one.as_data()).digest


async def load_book(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> list[Shown]:
    """The book as it stands.

    A rule that this version does not understand any more is passed over, and the log says so: it was checked when it
    was written, and must not stop the stream now.
    """
    return [shown for row in await read_book(connection) if (shown := _understood(row, kinds)) is not None]


async def every_rule(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> list[Shown]:
    """The defaults that are in force and all of the book, even what is switched off, by device kind and key."""
    book = await load_book(connection, kinds)
    replaced = {one.written.rule.key for one in book if not one.written.rule.shadow}
    defaults = [one for one in _defaults(kinds) if one.rule.key not in replaced]
    shown = [*(Shown(one, None) for one in defaults), *book]
    return sorted(shown, key=lambda one: (one.written.device_kind, one.written.rule.slot))


def default_of(key: str, kinds: Mapping[str, DeviceKind]) -> BookRule | None:
    """The default with this key."""
    return next((one for one in _defaults(kinds) if one.rule.key == key), None)


async def kinds_in_force(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> dict[str, DeviceKind]:
    """The kinds with the rules that are in force now."""
    return with_book(kinds, [one.written for one in await load_book(connection, kinds)])


async def kinds_to_set(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> dict[str, DeviceKind]:
    """The kinds in force as whoever sets a parameter of a rule must see them: a rule before its own trial."""
    return {
        key: replace(kind, rules=tuple(rule for rule in kind.rules if not rule.shadow or not _has_twin(rule, kind)))
        for key, kind in (await kinds_in_force(connection, kinds)).items()
    }


async def several_in_force(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> dict[str, Rule]:
    """The rules over several devices that are in force now, by key."""
    return several_with_book(one.written for one in await load_book(connection, kinds))


async def to_be_named(connection: "Executor | Pool") -> set[str]:
    """Rules of the book that one over several devices may name."""
    return {row.key for row in await read_book(connection) if row.device_kind != SEVERAL}


def entry_of(one: BookRule, file: str | None = None) -> Entry:
    """A rule as it shall stand in the book."""
    return Entry(
        key=one.rule.key,
        device_kind=one.device_kind,
        document=one.document(),
        data=one.as_data(),
        # No reading decides it, but silence or events do: what it found on a device, no track of that device tells.
        everyone=not one.rule.condition.measures,
        file=file,
    )


def _defaults(kinds: Mapping[str, DeviceKind]) -> list[BookRule]:
    of_one = [BookRule(rule, kind.key) for kind in kinds.values() for rule in kind.rules]
    return [*of_one, *(BookRule(rule, SEVERAL) for rule in load_group_rules().values())]


def _has_twin(rule: Rule, kind: DeviceKind) -> bool:
    return any(other.key == rule.key and not other.shadow for other in kind.rules)


def _understood(row: BookRow, kinds: Mapping[str, DeviceKind]) -> Shown | None:
    if row.device_kind not in kinds and row.device_kind != SEVERAL:
        return None
    try:
        return Shown(read_rule(orjson.loads(row.document), kinds), row)
    except WrongParametersError as error:
        log.warning("rule_not_understood", rule=row.key, why=str(error))
        return None
