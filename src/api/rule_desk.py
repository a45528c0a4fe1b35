"""The rule book between its rows and its rules: read, written and put in force by the API and the service alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson
import structlog

from devices.kind import DeviceKind
from devices.rule_book import BookRule, read_rule, with_book
from rules.parameters import WrongParametersError
from store.connection import Executor, Pool
from store.rule_book import BookRow, Entry, read_book

log: Final = structlog.stdlib.get_logger("rules")


class Standing(NamedTuple):
    """A rule of the book with its row."""

    row: BookRow
    written: BookRule


async def load_book(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> list[Standing]:
    """The book as it stands.

    A rule that this version does not understand any more is passed over, and the log says so: it was checked when it
    was written, and must not stop the stream now.
    """
    return [standing for row in await read_book(connection) if (standing := _understood(row, kinds)) is not None]


async def kinds_in_force(connection: "Executor | Pool", kinds: Mapping[str, DeviceKind]) -> dict[str, DeviceKind]:
    """The kinds with the rules that are in force now."""
    return with_book(kinds, [standing.written for standing in await load_book(connection, kinds)])


def entry_of(one: BookRule, file: str | None = None) -> Entry:
    """A rule as it shall stand in the book."""
    return Entry(
        key=one.rule.key,
        device_kind=one.device_kind,
        document=one.document(),
        data=one.as_data(),
        on_silence=one.rule.condition.silence_intervals is not None,
        file=file,
    )


def all_in_force(kinds: Mapping[str, DeviceKind], book: Iterable[BookRule]) -> Sequence[BookRule]:
    """Every rule that judges, in shadow or not: defaults and book, by kind."""
    return [BookRule(rule, kind.key) for kind in with_book(kinds, book).values() for rule in kind.rules]


def _understood(row: BookRow, kinds: Mapping[str, DeviceKind]) -> Standing | None:
    if row.device_kind not in kinds:
        return None
    try:
        return Standing(row, read_rule(orjson.loads(row.document), kinds))
    except WrongParametersError as error:
        log.warning("rule_not_understood", rule=row.key, why=str(error))
        return None
