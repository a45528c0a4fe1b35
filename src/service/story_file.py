"""Story files: YAML read into stories; whatever is wrong is told with file, line and what was expected."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import available_timezones

from yaml.nodes import MappingNode, SequenceNode

from devices.catalogue import load_kinds
from devices.kind import DeviceKind, Measure
from devices.rule_book import BookRule, with_book
from domain.alert import Severity, Step
from domain.errors import InvalidInputError
from domain.instants import EPOCH
from domain.reading import Flag, MeasureValue
from rules.lighting import Schedule, read_schedule
from rules.parameters import WrongParametersError
from rules.plan import Plan, make_plan
from rules.rule import RuleOverrideError
from rules.story import STEPS, Happening, Input, Shows, Story
from rules.surroundings import Surroundings
from service.rule_file import read_rules
from service.yaml_spots import Spot, compose

Value = TypeVar("Value")

_ZONE: Final = "Asia/Shanghai"
_FLAGS: Final = (Flag.OUT_OF_RANGE.value, Flag.WRONG_TYPE.value)
"""The flags that concern one value."""


def read_stories(path: Path) -> list[Story]:
    """Read every story of a file.

    Raises:
        InvalidInputError: it cannot be read, or something in it is not what it must be.
    """
    top = compose(path, "a story file has kind and stories").fields(needed=("kind", "stories"), allowed=("rules",))
    kinds = load_kinds()
    kind = kinds[top["kind"].one_of(kinds)]
    if "rules" in top:
        kind = with_book({kind.key: kind}, _rules(path, top["rules"]))[kind.key]
    return [_story(kind, each) for each in top["stories"].items()]


def _rules(path: Path, spot: Spot) -> list[BookRule]:
    """The rules of the files that a story file names, as they would judge: out of shadow."""
    named = spot.items() if isinstance(spot.node, SequenceNode) else [spot]
    # A rule file lies where the story file says, wherever the command is run.
    book = [rule for each in named for rule in read_rules(path.parent / each.text())]
    return [replace(one, rule=replace(one.rule, shadow=False)) for one in book]


def _story(kind: DeviceKind, spot: Spot) -> Story:
    parts = spot.fields(
        needed=("name", "inputs", "until", "expect"),
        allowed=("rule", "shows", "interval_s", "overrides", "start", "place", "lighting"),
    )
    surroundings = _surroundings(parts)
    plan = _plan(kind, parts, surroundings)
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
        begins=_optional(parts, "start", _moment) or EPOCH,
        surroundings=surroundings,
    )


def _moment(spot: Spot) -> datetime:
    try:
        moment = datetime.fromisoformat(spot.text())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise spot.wrong("a time with its offset, such as 2026-03-01T12:00:00+08:00")
    return moment.astimezone(UTC)


def _surroundings(parts: Mapping[str, Spot]) -> Surroundings | None:
    if "place" not in parts:
        if "lighting" in parts:
            raise parts["lighting"].wrong("left out where place is: nobody knows where the lamp stands")
        return None
    place = parts["place"].fields(needed=("longitude", "latitude"), allowed=("zone",))
    longitude, latitude = _degrees(place["longitude"], 180), _degrees(place["latitude"], 90)
    zone = _optional(place, "zone", _zone)
    schedule = _optional(parts, "lighting", _schedule)
    return Surroundings.near(longitude, latitude, zone or _ZONE, schedule)


def _zone(spot: Spot) -> str:
    name = spot.text()
    if name not in available_timezones():
        raise spot.wrong("a time zone such as Asia/Shanghai")
    return name


def _degrees(spot: Spot, most: int) -> float:
    value = spot.scalar()
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise spot.wrong(f"degrees from -{most} to {most}")
    return float(value)


def _schedule(spot: Spot) -> Schedule:
    try:
        return read_schedule("story", spot.data())
    except WrongParametersError as error:
        first = error.objections[0]
        # The path begins with the name of the list itself.
        raise InvalidInputError(f"{spot.at(first.path[1:]).place}: {first}") from error


def _optional(parts: Mapping[str, Spot], name: str, read: Callable[[Spot], Value]) -> Value | None:
    return read(parts[name]) if name in parts else None


def _plan(kind: DeviceKind, parts: Mapping[str, Spot], surroundings: Surroundings | None) -> Plan:
    interval = _optional(parts, "interval_s", Spot.time)
    if interval is not None and not interval:
        raise parts["interval_s"].wrong("more than no time")
    overrides: dict[str, dict[str, object]] = {}
    keys = [rule.key for rule in kind.rules]
    for rule, spot in parts["overrides"].entries().items() if "overrides" in parts else ():
        overrides[spot.known_as("rule", keys)] = {name: _parameter(each) for name, each in spot.entries().items()}
        try:
            _made(kind, interval, {rule: overrides[rule]}, None)
        except RuleOverrideError as error:
            raise InvalidInputError(f"{spot.place}: {rule}: {error}") from error
    return _made(kind, interval, overrides, surroundings)


def _made(
    kind: DeviceKind,
    interval: timedelta | None,
    overrides: Mapping[str, Mapping[str, object]],
    surroundings: Surroundings | None,
) -> Plan:
    return make_plan(
        kind.rules,
        interval_s=kind.interval_s if interval is None else interval.total_seconds(),
        validity_factor=kind.validity_factor,
        overrides=overrides,
        surroundings=surroundings,
    )


def _parameter(spot: Spot) -> object:
    if isinstance(spot.node, MappingNode):
        return {name: each.scalar() for name, each in spot.entries().items()}
    return spot.scalar()


def _input(kind: DeviceKind, spot: Spot) -> Input:
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


def _value(measure: Measure, spot: Spot) -> MeasureValue:
    value = spot.scalar()
    if measure.boolean:
        if isinstance(value, bool):
            return value
        raise spot.wrong("true or false")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise spot.wrong(f"a number of {measure.unit}")
    return value


def _happening(plan: Plan, rule: str | None, spot: Spot) -> Happening:
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
