"""Story files: YAML read into stories; whatever is wrong is told with file, line and what was expected."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Measure
from domain.alert import Severity, Step
from domain.errors import InvalidInputError
from domain.reading import Flag, MeasureValue
from rules.plan import Plan, make_plan
from rules.rule import RuleOverrideError
from rules.story import STEPS, Happening, Input, Shows, Story

Value = TypeVar("Value")

_TIME: Final = re.compile(
    r"(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?|(?P<bare>\d+(?:\.\d+)?)"
)
_LONGEST: Final = timedelta(days=3660)
_FLAGS: Final = (Flag.OUT_OF_RANGE.value, Flag.WRONG_TYPE.value)
"""The flags that concern one value."""


def read_stories(path: Path) -> list[Story]:
    """Read every story of a file.

    Raises:
        InvalidInputError: it cannot be read, or something in it is not what it must be.
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
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{path} is no YAML: {error}") from error
    if node is None:
        raise InvalidInputError(f"{path} is empty; a story file has kind and stories")
    top = _Spot(path, "the file", node).fields(needed=("kind", "stories"))
    kinds = load_kinds()
    kind = kinds[top["kind"].one_of(kinds)]
    return [_story(kind, each) for each in top["stories"].items()]


class _Spot(NamedTuple):
    """Something in a file, and the name by which a person finds it."""

    path: Path
    name: str
    node: Node

    @property
    def place(self) -> str:
        return f"{self.path}, line {self.node.start_mark.line + 1}"

    def wrong(self, expected: str) -> InvalidInputError:
        found = f", not {self.node.value!r}" if isinstance(self.node, ScalarNode) else ""
        return InvalidInputError(f"{self.place}: {self.name} must be {expected}{found}")

    def entries(self) -> "dict[str, _Spot]":
        if not isinstance(self.node, MappingNode):
            raise self.wrong("a mapping of names to values")
        found: dict[str, _Spot] = {}
        for key, value in self.node.value:
            spot = _Spot(self.path, f"the name in {self.name}", key)
            name = spot.text()
            if name in found:
                raise InvalidInputError(f"{spot.place}: {name} stands twice in {self.name}")
            found[name] = _Spot(self.path, name, value)
        return found

    def fields(self, needed: Iterable[str], allowed: Iterable[str] = ()) -> "dict[str, _Spot]":
        found, needed = self.entries(), tuple(needed)
        known = (*needed, *allowed)
        for name, spot in found.items():
            if name not in known:
                raise InvalidInputError(f"{spot.place}: {self.name} knows no {name}; it knows {', '.join(known)}")
        for name in needed:
            if name not in found:
                raise InvalidInputError(f"{self.place}: {self.name} needs {name}")
        return found

    def items(self) -> "list[_Spot]":
        if not isinstance(self.node, SequenceNode):
            raise self.wrong("a list")
        single = {"stories": "a story", "inputs": "an input", "expect": "an expected step"}[self.name]
        return [_Spot(self.path, single, node) for node in self.node.value]

    def text(self) -> str:
        if not isinstance(self.node, ScalarNode) or not self.node.value.strip():
            raise self.wrong("a text")
        return str(self.node.value)

    def one_of(self, known: Iterable[str]) -> str:
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
        if not isinstance(self.node, ScalarNode):
            raise self.wrong("one value")
        try:
            value: object = SafeConstructor().construct_document(self.node)  # pyright: ignore[reportUnknownMemberType]  # its stub leaves the node untyped
        except (yaml.YAMLError, ValueError) as error:
            raise self.wrong("a number, true, false or a text") from error
        return value

    def time(self) -> timedelta:
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


def _story(kind: DeviceKind, spot: _Spot) -> Story:
    parts = spot.fields(
        needed=("name", "inputs", "until", "expect"), allowed=("rule", "shows", "interval_s", "overrides")
    )
    plan = _plan(kind, parts)
    rule = _optional(parts, "rule", lambda each: each.one_of(plan.rules))
    inputs = [_input(kind, each) for each in parts["inputs"].items()]
    last = timedelta(-1)
    for one, each in zip(inputs, parts["inputs"].items(), strict=True):
        if one.at <= last:
            raise InvalidInputError(f"{each.place}: inputs must stand in the order of their times, each at its own")
        last = one.at
    until = parts["until"].time()
    if until < last:
        raise parts["until"].wrong("no earlier than the last input")
    return Story(
        name=parts["name"].text(),
        place=spot.place,
        plan=plan,
        rule=rule,
        shows=_optional(parts, "shows", lambda each: Shows(each.one_of(Shows))),
        inputs=inputs,
        until=until,
        expect=[_happening(plan, rule, each) for each in parts["expect"].items()],
    )


def _optional(parts: Mapping[str, _Spot], name: str, read: Callable[[_Spot], Value]) -> Value | None:
    return read(parts[name]) if name in parts else None


def _plan(kind: DeviceKind, parts: Mapping[str, _Spot]) -> Plan:
    interval = _optional(parts, "interval_s", _Spot.time)
    if interval is not None and not interval:
        raise parts["interval_s"].wrong("more than no time")
    overrides: dict[str, dict[str, object]] = {}
    keys = [rule.key for rule in kind.rules]
    for rule, spot in parts["overrides"].entries().items() if "overrides" in parts else ():
        overrides[spot.known_as("rule", keys)] = {name: _parameter(each) for name, each in spot.entries().items()}
        try:
            _made(kind, interval, {rule: overrides[rule]})
        except RuleOverrideError as error:
            raise InvalidInputError(f"{spot.place}: {rule}: {error}") from error
    return _made(kind, interval, overrides)


def _made(kind: DeviceKind, interval: timedelta | None, overrides: Mapping[str, Mapping[str, object]]) -> Plan:
    return make_plan(
        kind.rules,
        interval_s=kind.interval_s if interval is None else interval.total_seconds(),
        validity_factor=kind.validity_factor,
        overrides=overrides,
    )


def _parameter(spot: _Spot) -> object:
    if isinstance(spot.node, MappingNode):
        return {name: each.scalar() for name, each in spot.entries().items()}
    return spot.scalar()


def _input(kind: DeviceKind, spot: _Spot) -> Input:
    parts = spot.fields(needed=("at",), allowed=("values", "flags"))
    if len(parts) == 1:
        raise InvalidInputError(f"{spot.place}: {spot.name} needs values or flags")
    measures = {measure.name: measure for measure in kind.measures}
    values: dict[str, MeasureValue] = {}
    flags: dict[str, str] = {}
    for each in parts["values"].entries().values() if "values" in parts else ():
        measure = measures[each.known_as("measure", measures)]
        value = values[measure.name] = _value(measure, each)
        if not measure.low <= value <= measure.high:
            flags[measure.name] = Flag.OUT_OF_RANGE.value  # as the service flags it
    for each in parts["flags"].entries().values() if "flags" in parts else ():
        flags[each.known_as("measure", measures)] = each.one_of(_FLAGS)
    return Input(parts["at"].time(), values, flags)


def _value(measure: Measure, spot: _Spot) -> MeasureValue:
    value = spot.scalar()
    if measure.boolean:
        if isinstance(value, bool):
            return value
        raise spot.wrong("true or false")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise spot.wrong(f"a number of {measure.unit}")
    return value


def _happening(plan: Plan, rule: str | None, spot: _Spot) -> Happening:
    always = ("at", "step", "severity")
    parts = spot.fields((*always, "rule") if rule is None else always, () if rule is None else ("rule",))
    named = _optional(parts, "rule", lambda each: each.one_of(plan.rules if rule is None else [rule])) or rule
    assert named is not None
    severities = {severity.name.lower(): severity for severity in Severity}
    return Happening(
        at=parts["at"].time(),
        step=Step(parts["step"].one_of(STEPS)),
        rule=named,
        severity=severities[parts["severity"].one_of(severities)],
    )
