"""The path of each ticket as crews and citizens planned and went it: ``tickets.jsonl`` in the folder of a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from domain.errors import InvalidInputError
from simulators.truth import Instant

PATHS_FILE: Final = "tickets.jsonl"

_EXACT: Final = ConfigDict(extra="forbid", strict=True)


class Deed(StrEnum):
    """What became of a planned move."""

    DONE = "done"
    NOT_POSSIBLE = "not possible yet"
    """The API does not offer it."""
    NOT_DUE = "not due"
    """The crews went home before."""
    FAILED = "failed"
    """The service refused; why, stands beside it."""


@dataclass(frozen=True, slots=True)
class PathStep:
    """One move of a ticket."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    at: Instant
    """In the time of the city."""
    move: str
    by: str
    why: str
    deed: Deed = Deed.NOT_DUE


@dataclass(frozen=True, slots=True)
class TicketPath:
    """One ticket and its moves, in order."""

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    ticket: str
    case_class: str
    asset: str
    fault: str | None
    """The fault instance behind it, if the truth knows one."""
    path: tuple[PathStep, ...]


_PATH: Final = TypeAdapter(TicketPath)


def write_paths(folder: Path, paths: Iterable[TicketPath]) -> int:
    """Write ``tickets.jsonl`` into the folder of a run and return how many lines it has.

    Raises:
        InvalidInputError: the file cannot be written.
    """
    target = folder / PATHS_FILE
    lines = [orjson.dumps(path, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for path in paths]
    try:
        target.write_bytes(b"".join(lines))
    except OSError as error:
        raise InvalidInputError(f"{target} cannot be written: {error.strerror}") from error
    return len(lines)


def read_paths(folder: Path) -> list[TicketPath]:
    """Read ``tickets.jsonl`` from the folder of a run.

    Raises:
        InvalidInputError: the file cannot be read, or a line is no path; the message names file and line.
    """
    source = folder / PATHS_FILE
    try:
        lines = source.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidInputError(f"{source} cannot be read: {error.strerror}") from error
    paths: list[TicketPath] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                paths.append(_PATH.validate_json(line))
            except ValidationError as error:
                first = error.errors(include_url=False, include_context=False)[0]
                where = ".".join(str(part) for part in first["loc"])
                raise InvalidInputError(f"{source}, line {number}: {where}: {first['msg']}") from error
    return paths
