"""JSON built from a fuzzer's choices: the right words in the wrong places, which random bytes hardly ever make."""

from collections.abc import Sequence
from typing import Final, Protocol

import orjson

_DEEPEST: Final = 6
_MOST: Final = 6
_ODD: Final[tuple[object, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    -1e308,
    5e-324,
    2**63 - 1,
    2**64 - 1,
    -(2**63),
    1764057600,
    1764057600000,
    1764057600.25,
    10**15,
    2**28,
    -(2**28),
    "",
    "\0",
    "2026-11-25T08:00:00Z",
    "2026-11-25T08:00:00",
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
    "urn:dev:mac:24e1240000000001:",
    "online",
    "AQIDBA==",
    "x" * 300,
)


class Choices(Protocol):
    """What makes the choices: atheris or hypothesis."""

    def below(self, bound: int) -> int:
        """A whole number from 0 to ``bound`` - 1."""
        ...

    def text(self) -> str:
        """Some short text of any characters that UTF-8 can write."""
        ...

    def number(self) -> float:
        """Some finite number."""
        ...


def shaped(choices: Choices, words: Sequence[str]) -> bytes:
    """One JSON document."""
    return orjson.dumps(_value(choices, words, _DEEPEST))


def _value(choices: Choices, words: Sequence[str], levels: int) -> object:
    match choices.below(8 if levels else 5):
        case 0 | 1:
            return _ODD[choices.below(len(_ODD))]
        case 2:
            return words[choices.below(len(words))]
        case 3:
            return choices.number()
        case 4:
            return choices.text()
        case 5:
            return [_value(choices, words, levels - 1) for _ in range(choices.below(_MOST))]
        case _:
            return {_key(choices, words): _value(choices, words, levels - 1) for _ in range(choices.below(_MOST))}


def _key(choices: Choices, words: Sequence[str]) -> str:
    place = choices.below(len(words) + 1)
    return words[place] if place < len(words) else choices.text()
