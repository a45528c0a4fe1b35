"""Spots: YAML read so that whatever is wrong can be told with file, line and what was expected."""

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode
from yaml.tokens import AliasToken

from domain.errors import InvalidInputError

_TIME: Final = re.compile(
    r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?|(?P<bare>\d+(?:\.\d+)?)"
)
_LONGEST: Final = timedelta(days=3660)
_SINGLE: Final = {
    "stories": "a story",
    "inputs": "an input",
    "expect": "an expected step",
    "rules": "a rule",
    "slots": "a slot",
    "seasons": "a season",
    "week": "a weekday",
    "complete_years": "a year",
}


def compose(path: Path, expected: str) -> "Spot":
    """Read a file. ``expected`` says to whoever hands in an empty one what a file of this sort has.

    Raises:
        InvalidInputError: it cannot be read, is no YAML, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # Aliases repeat what they name, so that a page of them is more than any memory holds, or name themselves.
        alias = next((each for each in yaml.scan(text, Loader=yaml.SafeLoader) if isinstance(each, AliasToken)), None)
        if alias is not None:
            line = alias.start_mark.line + 1
            raise InvalidInputError(
                f"{path}, line {line}: *{alias.value} must be written out; aliases are not read here"
            )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is no UTF-8 text: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = 0 if error.problem_mark is None else error.problem_mark.line + 1
        raise InvalidInputError(f"{path}, line {line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{path} is no YAML: {error}") from error
    except RecursionError as error:
        raise InvalidInputError(f"{path} is nested deeper than any rule or story") from error
    if node is None:
        raise InvalidInputError(f"{path} is empty; {expected}")
    return Spot(path, "the file", node)


class Spot(NamedTuple):
    """Something in a file, and the name by which a person finds it."""

    path: Path
    name: str
    node: Node

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.path}, line {self.node.start_mark.line + 1}"

    def wrong(self, expected: str) -> InvalidInputError:
        """The error that says what should have stood here."""
        found = f", not {self.node.value!r}" if isinstance(self.node, ScalarNode) else ""
        return InvalidInputError(f"{self.place}: {self.name} must be {expected}{found}")

    def entries(self) -> "dict[str, Spot]":
        """What a mapping holds, each name once."""
        if not isinstance(self.node, MappingNode):
            raise self.wrong("a mapping of names to values")
        found: dict[str, Spot] = {}
        for key, value in self.node.value:
            spot = Spot(self.path, f"the name in {self.name}", key)
            name = spot.text()
            if name in found:
                raise InvalidInputError(f"{spot.place}: {name} stands twice in {self.name}")
            found[name] = Spot(self.path, name, value)
        return found

    def fields(self, needed: Iterable[str], allowed: Iterable[str] = ()) -> "dict[str, Spot]":
        """What a mapping holds, which must have some names and may have others."""
        found, needed = self.entries(), tuple(needed)
        known = (*needed, *allowed)
        for name, spot in found.items():
            if name not in known:
                raise InvalidInputError(f"{spot.place}: {self.name} knows no {name}; it knows {', '.join(known)}")
        for name in needed:
            if name not in found:
                raise InvalidInputError(f"{self.place}: {self.name} needs {name}")
        return found

    def items(self) -> "list[Spot]":
        """What a list holds."""
        if not isinstance(self.node, SequenceNode):
            raise self.wrong("a list")
        single = _SINGLE[self.name]
        return [Spot(self.path, single, node) for node in self.node.value]

    def text(self) -> str:
        """A text that is not empty."""
        if not isinstance(self.node, ScalarNode) or not self.node.value.strip():
            raise self.wrong("a text")
        return str(self.node.value)

    def one_of(self, known: Iterable[str]) -> str:
        """One of several words."""
        known = tuple(known)
        if not isinstance(self.node, ScalarNode) or self.node.value not in known:
            raise self.wrong(f"one of {', '.join(known)}")
        return str(self.node.value)

    def known_as(self, what: str, known: Iterable[str]) -> str:
        """Its own name, which must be one of those known."""
        known = tuple(known)
        if self.name not in known:
            raise InvalidInputError(f"{self.place}: there is no {what} {self.name}; known are {', '.join(known)}")
        return self.name

    def scalar(self) -> object:
        """A number, true, false or a text."""
        if not isinstance(self.node, ScalarNode):
            raise self.wrong("one value")
        try:
            value: object = SafeConstructor().construct_document(self.node)  # pyright: ignore[reportUnknownMemberType]  # its stub leaves the node untyped
        except (yaml.YAMLError, ValueError) as error:
            raise self.wrong("a number, true, false or a text") from error
        return value

    def time(self) -> timedelta:
        """A time since some beginning."""
        match = _TIME.fullmatch(self.node.value) if isinstance(self.node, ScalarNode) else None
        if match is None or not match[0]:
            raise self.wrong("seconds, or a time such as 45s, 5m or 1h30m")
        parts = {name: float(value or 0) for name, value in match.groupdict().items()}
        try:
            at = timedelta(parts["d"], parts["s"] + parts["bare"], minutes=parts["m"], hours=parts["h"])
        except OverflowError:
            at = timedelta.max
        if at > _LONGEST:
            raise self.wrong("at most ten years")
        return at

    def data(self) -> object:
        """All of it as plain data.

        Raises:
            InvalidInputError: a name stands twice, or a value cannot be read.
        """
        if isinstance(self.node, MappingNode):
            return {name: each.data() for name, each in self.entries().items()}
        if isinstance(self.node, SequenceNode):
            return [Spot(self.path, self.name, node).data() for node in self.node.value]
        return self.scalar()

    def at(self, path: Iterable[str | int], *, name: bool = False) -> "Spot":
        """The place that a path leads to, or the last one on the way that is there; of its ``name``, not its value."""
        spot = self
        for step in path:
            inner = _inside(spot, step, name=name)
            if inner is None:
                return spot
            spot = inner
        return spot


def _inside(spot: Spot, step: str | int, *, name: bool) -> Spot | None:
    node = spot.node
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return Spot(spot.path, str(step), key if name and not isinstance(value, CollectionNode) else value)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return Spot(spot.path, spot.name, node.value[step])
    return None
