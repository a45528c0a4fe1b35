"""Parameters: what any rule kind's typed fields accept, read from plain data and written back to it.

It goes by the types of the fields alone, so that a new rule kind needs nothing here.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import date, time
from enum import Enum, IntEnum
from types import UnionType
from typing import Any, Final, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

from rules.rule import Condition, RuleOverrideError

Path = tuple[str | int, ...]
"""Where something stands: ``("condition", "levels", 0, "limit")``."""

_LONGEST_S: Final = 366 * 86_400.0
"""Of any time that a rule may be told; a level may be held no longer on a single device either."""
_LONGEST_TEXT: Final = 200
_NOTHING: Final = object()


class Objection(NamedTuple):
    """What is wrong at one place."""

    path: Path
    expected: str
    """What should have stood there; or, with ``found`` left out, the whole complaint."""
    found: object = _NOTHING
    strange: bool = False
    """Nobody knows this name: the place is the name's own, not that of its value."""

    @property
    def name(self) -> str:
        """The last name on the way there; a place in a list is counted from one."""
        if not self.path:
            return "the rule"
        last = self.path[-1]
        return last if isinstance(last, str) else f"{self.path[-2]} no. {last + 1}"

    @property
    def complaint(self) -> str:
        """What was expected, and what was found instead; for where the place is told apart."""
        told = self.found is not _NOTHING and isinstance(self.found, str | int | float | None)
        return f"{self.expected}, not {self.found!r}" if told else self.expected

    def __str__(self) -> str:
        """The complaint as a sentence without its end."""
        return self.complaint if self.found is _NOTHING else f"{self.name} must be {self.complaint}"


class WrongParametersError(ValueError):
    """Data that no rule can be made of."""

    def __init__(self, objections: Sequence[Objection]) -> None:
        """Keep every objection."""
        super().__init__("; ".join(map(str, objections)))
        self.objections = tuple(objections)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What parameters may name."""

    kinds: Mapping[str, type[Condition]]
    """Rule kinds."""
    measures: tuple[str, ...]
    """Of the device kind."""


class Reading:
    """Reads one piece of data; goes on after the first mistake, so that a person sees them all."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Start without an objection."""
        self._vocabulary = vocabulary
        self.objections: list[Objection] = []

    @property
    def kinds(self) -> Mapping[str, type[Condition]]:
        """The rule kinds that may be named."""
        return self._vocabulary.kinds

    def object_to(self, path: Path, expected: str, found: object = _NOTHING) -> None:
        """Note what is wrong."""
        self.objections.append(Objection(path, expected, found))

    def condition(self, kind: str, data: object, path: Path) -> Condition | None:
        """A condition of a rule kind; ``None`` after an objection."""
        made: Any = self.fields_of(self._vocabulary.kinds[kind], data, path, f"a {kind} condition")
        return made if isinstance(made, Condition) else None

    def fields_of(self, of: type[Any], data: object, path: Path, what: str) -> object:
        """A dataclass from a mapping of its fields; ``None`` after an objection."""
        if not isinstance(data, Mapping):
            self.object_to(path, f"the parameters of {what}, by name", data)
            return None
        given = cast("Mapping[str, object]", data)
        before = len(self.objections)
        known = {each.name: each for each in fields(of) if each.init}
        self.know_names(given, known, path, what)
        hints = get_type_hints(of)
        values: dict[str, object] = {}
        for name, each in known.items():
            if name in given:
                values[name] = self.value(hints[name], given[name], (*path, name))
            elif _is_needed(each):
                self.object_to(path, f"{what} needs {name}")
        if len(self.objections) > before:
            return None
        try:
            return of(**values)
        except RuleOverrideError as error:
            about = str(error).partition(" ")[0]
            self.object_to((*path, about) if about in given else path, str(error))
            return None

    def know_names(self, given: Iterable[object], known: Iterable[str], path: Path, what: str) -> None:
        """Object to every name that nobody knows."""
        known = tuple(known)
        for name in given:
            if name not in known:
                complaint = f"{what} knows no {name}; it knows {', '.join(known)}"
                self.objections.append(Objection((*path, str(name)), complaint, strange=True))

    def value(self, hint: Any, data: object, path: Path) -> object:
        """A value of a type."""
        origin, args = get_origin(hint), get_args(hint)
        found: object = _NOTHING
        if origin in {Union, UnionType}:
            found = self._either(args, data, path)
        elif origin in {tuple, Sequence, list}:
            found = self._items(args, data, path)
        elif origin in {Mapping, dict}:
            found = self._entries(args[1], data, path)
        elif isinstance(hint, type):
            found = self._of_class(hint, data, path)
        if found is _NOTHING:
            message = f"{'.'.join(map(str, path))}: no rule file can tell a {hint}"
            raise TypeError(message)
        return found

    def _of_class(self, hint: type[Any], data: object, path: Path) -> object:
        if hint is Condition:
            return self._part(data, path)
        if is_dataclass(hint):
            return self.fields_of(hint, data, path, f"a {hint.__name__.lower()}")
        if issubclass(hint, Enum):
            return self._name_of(hint, data, path)
        return self._plain(hint, data, path) if hint in _PLAIN else _NOTHING

    def _either(self, args: Sequence[Any], data: object, path: Path) -> object:
        if data is None and type(None) in args:
            return None
        others = [each for each in args if each is not type(None)]
        for each in others:
            trial = Reading(self._vocabulary)
            found = trial.value(each, data, path)
            if not trial.objections or len(others) == 1:
                self.objections += trial.objections
                return found
        self.object_to(path, " or ".join(_PLAIN[each][0] for each in others if each in _PLAIN), data)
        return None

    def _items(self, args: Sequence[Any], data: object, path: Path) -> object:
        if not isinstance(data, list | tuple):
            self.object_to(path, "a list", data)
            return None
        given = cast("Sequence[object]", data)
        if len(args) > 1 and args[1] is not Ellipsis:
            if len(given) != len(args):
                self.object_to(path, f"a list of {len(args)}", len(given))
                return None
            return tuple(
                self.value(hint, each, (*path, n)) for n, (hint, each) in enumerate(zip(args, given, strict=True))
            )
        if not given:
            self.object_to(path, f"{path[-1]} needs at least one entry")
        return tuple(self.value(args[0], each, (*path, number)) for number, each in enumerate(given))

    def _entries(self, hint: Any, data: object, path: Path) -> object:
        if not isinstance(data, Mapping):
            self.object_to(path, "a mapping of names to values", data)
            return None
        given = cast("Mapping[str, object]", data)
        return {name: self.value(hint, each, (*path, name)) for name, each in given.items()}

    def _part(self, data: object, path: Path) -> object:
        """A condition within a condition says by ``kind`` what it is."""
        kinds = self._vocabulary.kinds
        given: Mapping[str, object] = cast("Mapping[str, object]", data) if isinstance(data, Mapping) else {}
        if given.get("kind") not in kinds:
            self.object_to(path, f"a condition with its kind, one of {', '.join(sorted(kinds))}", given.get("kind"))
            return None
        return self.condition(str(given["kind"]), {n: v for n, v in given.items() if n != "kind"}, path)

    def _name_of(self, hint: type[Enum], data: object, path: Path) -> object:
        names = names_of(hint)
        # A severity is a number wherever the API shows one.
        if isinstance(data, int) and not isinstance(data, bool) and issubclass(hint, IntEnum) and data in list(hint):
            return hint(data)
        if not isinstance(data, str) or data not in names:
            self.object_to(path, f"one of {', '.join(names)}", data)
            return None
        return names[data]

    def _plain(self, hint: type[Any], data: object, path: Path) -> object:
        expected, read = _PLAIN[hint]
        found = read(data)
        if found is None:
            self.object_to(path, expected, data)
        elif path[-1] == "measure" and found not in self._vocabulary.measures:
            self.object_to(path, f"a measure of the device kind ({', '.join(self._vocabulary.measures)})", data)
        elif str(path[-1]).endswith("_s") and not 0 <= found <= _LONGEST_S:
            self.object_to(path, f"seconds from 0 to {_LONGEST_S:.0f}", data)
        return found


def names_of(hint: type[Enum]) -> dict[str, Enum]:
    """The members of an enumeration by the names that people write."""
    if issubclass(hint, IntEnum):
        return {member.name.lower(): member for member in hint}
    return {str(member.value): member for member in hint}


def plain_fields(of: Any, *, without: Iterable[str] = ()) -> dict[str, object]:
    """A dataclass as plain data, from which :class:`Reading` makes an equal one; what is as by default is left out."""
    told: dict[str, object] = {}
    for each in fields(of):
        value: object = getattr(of, each.name)
        if each.init and each.name not in without and (_is_needed(each) or value != _default(each)):
            told[each.name] = plain(value)
    return told


def fields_by_name(of: Any) -> dict[str, object]:
    """The fields of a dataclass as they are."""
    return {each.name: getattr(of, each.name) for each in fields(of)}


def plain(value: object) -> object:
    """One value as plain data."""
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Condition):
        return {"kind": value.kind, **plain_fields(value)}
    if is_dataclass(value):
        return plain_fields(value)
    return _plain_data(value)


def _plain_data(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case tuple() | list():
            items = cast("Sequence[object]", value)
            return [plain(each) for each in items]
        case Mapping():
            entries = cast("Mapping[str, object]", value)
            return {name: plain(each) for name, each in entries.items()}
        case time() | date():
            return value.isoformat()
        case _:
            return value


def _is_needed(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _default(each: "Field[Any]") -> object:
    factory: Any = each.default_factory
    return each.default if each.default is not MISSING else factory()


def _number(data: object) -> float | None:
    if isinstance(data, bool) or not isinstance(data, int | float):
        return None
    try:
        number = float(data)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(data: object) -> int | None:
    number = _number(data)
    return int(number) if number is not None and number.is_integer() else None


def _text(data: object) -> str | None:
    return (
        data if isinstance(data, str) and data.strip() and data.isprintable() and len(data) <= _LONGEST_TEXT else None
    )


def _time(data: object) -> time | None:
    if isinstance(data, int) and not isinstance(data, bool) and 0 <= data < 24 * 60:
        # YAML 1.1 takes 22:30 without quotes for a number of base sixty.
        return time(data // 60, data % 60)
    try:
        read = time.fromisoformat(data) if isinstance(data, str) else None
    except ValueError:
        return None
    return None if read is None or read.tzinfo is not None else read


def _date(data: object) -> date | None:
    try:
        return data if isinstance(data, date) else date.fromisoformat(str(data))
    except ValueError:
        return None


def _truth(data: object) -> bool | None:
    return data if isinstance(data, bool) else None


_PLAIN: Final[Mapping[type[Any], tuple[str, Callable[[object], Any]]]] = {
    float: ("a number", _number),
    int: ("a whole number", _whole),
    bool: ("true or false", _truth),
    str: (f"a text of at most {_LONGEST_TEXT} printable characters", _text),
    time: ("a time of day such as 22:30", _time),
    date: ("a date such as 2026-03-01", _date),
}
