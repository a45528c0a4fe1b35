"""Casting: a scenario and a seed decide who plays which fault, and when; a longer run begins like a shorter one."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from domain.errors import InvalidInputError
from simulators.city import City
from simulators.faultbook.catalogue import Listed
from simulators.faultbook.entry import CITY, DEVICE
from simulators.scenario import Cast, Scenario
from simulators.sensor import Sensor
from simulators.trouble import Trouble
from simulators.witness import Incident, shows_at

Name = TypeVar("Name", int, str)

_TRIES: Final = 50
"""Draws for one free device or group, before its turn is let go: then nearly all play something already."""


@dataclass(slots=True)
class _Stage:
    """Everybody, and who plays already."""

    city: City
    sensors: Sequence[Sensor]
    by_name: Mapping[str, int]
    by_kind: Mapping[str, Sequence[int]]
    busy: set[int] = field(default_factory=set[int])
    groups_busy: set[str] = field(default_factory=set[str])


def cast_incidents(
    scenario: Scenario,
    city: City,
    sensors: Sequence[Sensor],
    book: Mapping[str, Listed],
    *,
    seed: int,
    start_ms: int,
    end_ms: int,
) -> list[Incident]:
    """Draw all faults of a run, and let the devices take them on. Each device has one fault of its own at most.

    Raises:
        InvalidInputError: the scenario speaks of groups that the city does not have.
    """
    by_kind: dict[str, list[int]] = {}
    for index, sensor in enumerate(sensors):
        by_kind.setdefault(sensor.kind.key, []).append(index)
    by_name = {sensor.entry.name: index for index, sensor in enumerate(sensors)}
    stage = _Stage(city, sensors, by_name, by_kind)
    drawn: list[tuple[Listed, Sequence[int], Trouble, str | None]] = []
    for period, number, cast in _turns(scenario, (end_ms - start_ms) / 1000.0):
        listed = book[cast.fault]
        dice = random.Random(f"{seed}/{scenario.name}/{number}/{period}")
        begins_ms = start_ms + round(1000 * period * (cast.each_s or 0.0))
        for devices, group, at_ms, lasts_ms in _draw(stage, cast, listed, dice, scenario, begins_ms):
            if at_ms < end_ms:
                trouble = _trouble(stage, listed, devices, at_ms, lasts_ms)
                drawn.append((listed, devices, trouble, group))
    drawn.sort(key=lambda each: (each[2].begins_ms, each[0].name, each[1][:1]))
    suffering: dict[int, list[Trouble]] = {}
    for _, devices, trouble, _ in drawn:
        for device in devices:
            suffering.setdefault(device, []).append(trouble)
    for device, troubles in suffering.items():
        sensors[device].suffer(troubles)
    return [
        Incident(f"F{place:06d}", listed, [sensors[device] for device in devices], trouble, group)
        for place, (listed, devices, trouble, group) in enumerate(drawn, start=1)
    ]


def _turns(scenario: Scenario, lasts_s: float) -> Iterator[tuple[int, int, Cast]]:
    """Stretch by stretch, the lines of the scenario that play in it."""
    turns: list[tuple[float, int, int, Cast]] = []
    for number, cast in enumerate(scenario.casts):
        period = 0
        while period == 0 or (cast.each_s is not None and period * cast.each_s < lasts_s):
            turns.append((period * (cast.each_s or 0.0), number, period, cast))
            period += 1
    for _, number, period, cast in sorted(turns, key=lambda turn: turn[:3]):
        yield period, number, cast


def _draw(
    stage: _Stage, cast: Cast, listed: Listed, dice: random.Random, scenario: Scenario, begins_ms: int
) -> Iterator[tuple[Sequence[int], str | None, int, int]]:
    """Whom it befalls (devices, group), when, and for how long."""
    until_s = cast.until_s if cast.until_s is not None else (cast.each_s or scenario.duration_s)
    shortest, longest = cast.lasts_s or listed.entry.lasts_s
    for devices, group in _choose(stage, cast, listed, dice):
        at_ms = begins_ms + round(1000 * dice.uniform(cast.from_s, max(cast.from_s, until_s)))
        yield devices, group, at_ms, round(1000 * dice.uniform(shortest, longest))


def _choose(
    stage: _Stage, cast: Cast, listed: Listed, dice: random.Random
) -> Iterator[tuple[Sequence[int], str | None]]:
    scope = listed.entry.scope
    if scope == CITY:
        for _ in range(cast.count or 1):
            yield range(len(stage.sensors)), None
        return
    if scope == DEVICE:
        able = _able(stage, cast, listed, dice)
        wanted = cast.count if cast.count is not None else max(1, round((cast.share or 0.0) * len(able)))
        for _ in range(wanted if able else 0):
            device = _free(able, stage.busy, dice)
            if device is not None:
                yield (device,), None
        return
    names = sorted(_groups(stage, scope))
    wanted = cast.count if cast.count is not None else max(1, round((cast.share or 0.0) * len(names)))
    for _ in range(wanted):
        group = _free([f"{scope}:{name}" for name in names], stage.groups_busy, dice)
        if group is not None:
            members = _groups(stage, scope)[group.partition(":")[2]]
            yield _of_kind(stage, [stage.by_name[name] for name in members], listed), group


def _able(stage: _Stage, cast: Cast, listed: Listed, dice: random.Random) -> Sequence[int]:
    """The devices that could play it."""
    able: Sequence[int] = range(len(stage.sensors)) if listed.kind is None else stage.by_kind.get(listed.kind.key, ())
    if cast.inside is not None:
        sort, count = cast.inside
        groups = _groups(stage, sort)
        chosen = dice.sample(sorted(groups), min(count, len(groups)))
        able = _of_kind(stage, [stage.by_name[name] for group in chosen for name in groups[group]], listed)
    if listed.entry.on_change:
        able = [device for device in able if stage.sensors[device].habit.on_change]
    return able


def _of_kind(stage: _Stage, devices: Sequence[int], listed: Listed) -> Sequence[int]:
    return [device for device in devices if listed.kind is None or stage.sensors[device].kind is listed.kind]


def _groups(stage: _Stage, sort: str) -> Mapping[str, Sequence[str]]:
    groups = stage.city.groups.get(sort)
    if not groups:
        raise InvalidInputError(f"the city has no groups of the sort {sort!r}; it has {', '.join(stage.city.groups)}")
    return groups


def _free(names: Sequence[Name], busy: set[Name], dice: random.Random) -> Name | None:
    """Draw one that plays nothing yet, and note that it does now."""
    for _ in range(_TRIES):
        name = dice.choice(names)
        if name not in busy:
            busy.add(name)
            return name
    return None


def _trouble(stage: _Stage, listed: Listed, devices: Sequence[int], at_ms: int, lasts_ms: int) -> Trouble:
    entry = listed.entry
    trouble = Trouble(entry.effect, at_ms, at_ms + lasts_ms, clears=entry.clears)
    if entry.scope == DEVICE and entry.seen:
        seen_ms = shows_at(stage.sensors[devices[0]], trouble, listed)
        if seen_ms > trouble.ends_ms:
            return Trouble(entry.effect, at_ms, seen_ms, clears=entry.clears)
    return trouble
