"""YAML read with its lines: whatever is wrong in a file is told with file, line and name."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from domain.errors import InvalidInputError

Value = TypeVar("Value")

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[smhd])")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_EXAMPLE: Final = "a duration such as 90s, 10m, 3h or 2d"


class Place:
    """Where in a file something stands, and what it holds."""

    def __init__(self, file: str, name: str, node: Node) -> None:
        """Take the node, and the name by which a person finds it."""
        self.file = file
        self.name = name
        self.node = node

    def wrong(self, expected: str) -> InvalidInputError:
        """The error that says what should stand here."""
        line = self.node.start_mark.line + 1
        told = f", not {self.node.value!r}" if isinstance(self.node, ScalarNode) else ""
        return InvalidInputError(f"{self.file}, line {line}: {self.name} must be {expected}{told}")


Reader = Callable[[Place], Value]


class Table:
    """A mapping, taken apart name by name; what was not taken is a mistake."""

    def __init__(self, place: Place) -> None:
        """Read the names.

        Raises:
            InvalidInputError: it is no mapping, or has a name twice.
        """
        self._place = place
        self._entries: dict[str, Place] = {}
        self._asked: list[str] = []
        node = place.node
        if not isinstance(node, MappingNode):
            raise place.wrong("a mapping of names to values")
        for key, value in node.value:
            name = str(key.value)
            if name in self._entries:
                line = key.start_mark.line + 1
                raise InvalidInputError(f"{place.file}, line {line}: {name} stands twice in {place.name}")
            self._entries[name] = Place(place.file, name, value)

    def take(self, name: str, read: Reader[Value]) -> Value:
        """The value of a name that must be there.

        Raises:
            InvalidInputError: it is not, or is not what it must be.
        """
        found = self._find(name)
        if found is None:
            line = self._place.node.start_mark.line + 1
            raise InvalidInputError(f"{self._place.file}, line {line}: {self._place.name} needs {name}")
        return read(found)

    def get(self, name: str, read: Reader[Value], default: Value) -> Value:
        """The value of a name that may be left out.

        Raises:
            InvalidInputError: it is not what it must be.
        """
        found = self._find(name)
        return default if found is None else read(found)

    def end(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            InvalidInputError: a name is unknown; the message lists the known ones.
        """
        for name, place in self._entries.items():
            if name not in self._asked:
                line = place.node.start_mark.line + 1
                known = ", ".join(self._asked)
                raise InvalidInputError(
                    f"{place.file}, line {line}: {self._place.name} knows no {name}; it knows {known}"
                )

    def _find(self, name: str) -> Place | None:
        self._asked.append(name)
        return self._entries.get(name)


def read_yaml(path: Path, name: str) -> Table:
    """Read a file that holds one mapping; ``name`` is what it is called in messages.

    Raises:
        InvalidInputError: it cannot be read, or is no YAML.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is no UTF-8 text: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = 0 if error.problem_mark is None else error.problem_mark.line + 1
        raise InvalidInputError(f"{path}, line {line}: {error.problem}") from error
    if node is None:
        raise InvalidInputError(f"{path} is empty")
    return Table(Place(str(path), name, node))


def text(place: Place) -> str:
    """A line of text."""
    if not isinstance(place.node, ScalarNode) or not place.node.value.strip():
        raise place.wrong("a text")
    return str(place.node.value)


def whole(low: int, high: int) -> Reader[int]:
    """A whole number between two bounds."""

    def read(place: Place) -> int:
        try:
            value = int(text(place))
        except (ValueError, InvalidInputError):
            value = low - 1
        if not low <= value <= high:
            raise place.wrong(f"a whole number from {low} to {high}")
        return value

    return read


def number(low: float, high: float) -> Reader[float]:
    """A number between two bounds."""

    def read(place: Place) -> float:
        try:
            value = float(text(place))
        except (ValueError, InvalidInputError):
            value = low - 1.0
        if not low <= value <= high:
            raise place.wrong(f"a number from {low:g} to {high:g}")
        return value

    return read


def duration(place: Place) -> float:
    """Seconds."""
    seconds = to_seconds(text(place)) if isinstance(place.node, ScalarNode) else None
    if seconds is None:
        raise place.wrong(_EXAMPLE)
    return seconds


def to_seconds(told: str) -> float | None:
    """Seconds of ``90s``, ``10m``, ``3h``, ``2d``; ``None`` if it is none of these."""
    match = _DURATION.fullmatch(told.strip())
    return None if match is None else float(match["number"]) * _SECONDS[match["unit"]]


def moment(place: Place) -> datetime:
    """A time with its offset."""
    try:
        value = datetime.fromisoformat(text(place))
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise place.wrong("a time with its offset such as 2026-07-14T20:00:00+08:00")
    return value.astimezone(UTC)


def span(place: Place) -> tuple[float, float]:
    """Two durations, the shorter one first."""
    found = each(duration)(place)
    if len(found) != 2 or found[0] > found[1]:  # noqa: PLR2004  # a span has two ends
        raise place.wrong("two durations, the shorter one first, such as [1h, 4h]")
    return found[0], found[1]


def each(read: Reader[Value]) -> Reader[Sequence[Value]]:
    """A list of values."""

    def read_all(place: Place) -> Sequence[Value]:
        if not isinstance(place.node, SequenceNode):
            raise place.wrong("a list")
        return [read(Place(place.file, f"{place.name}[{index}]", node)) for index, node in enumerate(place.node.value)]

    return read_all


def table(read: Callable[[Table], Value]) -> Reader[Value]:
    """A mapping, read to its end."""

    def read_table(place: Place) -> Value:
        inside = Table(place)
        value = read(inside)
        inside.end()
        return value

    return read_table
