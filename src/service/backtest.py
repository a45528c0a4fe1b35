"""Backtest: judge what was stored over a past time by candidate rules and by those in force, and compare.

The engine is the live one (``rules.backtest``), the readings come as columns (``store.reading_columns``), day by day;
what is kept of a device from one day to the next is what its rules remember.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from devices.kind import DeviceKind
from devices.places import Schedules, goes_by_place, surroundings_of
from devices.plans import interval_of, plan_of
from devices.rule_book import SEVERAL, BookRule
from domain.alert import Severity, Transition
from domain.alert_change import AlertKey
from domain.coverage import Coverage
from domain.device import Device
from domain.errors import InvalidInputError
from domain.instants import EPOCH
from rules.backtest import Columns, Course, Found, Silences, Standing, found_in, parted, stretches
from rules.layers import GroupOverrides
from rules.plan import Plan
from rules.rule import Rule
from rules.surroundings import Surroundings
from store.backtest_views import Subject, first_unknown, kinds_of, standing_at, subjects_of
from store.connection import Pool
from store.known_devices import devices_by_id
from store.lighting_schedules import load_schedules
from store.reading_columns import Measured, heard_until, outages_between, read_columns
from store.rule_overrides import load_group_overrides
from tickets.decide import Consequence, Stand
from tickets.imagined import ImaginedTicket, imagine

_DAY: Final = timedelta(days=1)
_AT_ONCE: Final = 5_000
"""Devices looked up in one question."""
_LONGEST_WARM_UP: Final = timedelta(days=31)

Progress = Callable[[float, int], None]
"""Told which share is done, and how many readings were judged so far."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be tried, on whose readings, of which time."""

    since: datetime
    until: datetime
    """Alerts that fire from ``since`` until before this."""
    zone: str
    """The district's, for rules that go by the time of day."""
    rules: Sequence[BookRule] | None = None
    """Candidates; ``None``: the rules in force, and nothing to compare with."""
    kind: str | None = None
    devices: Sequence[str] | None = None
    """Names; ``None``: all of the kinds that the rules concern."""


class Judged(NamedTuple):
    """A device as the registry has it now, and what judges it."""

    device: Device
    plan: Plan


@dataclass(slots=True)
class Side:
    """One set of rules, and what it made of the time."""

    kinds: Mapping[str, DeviceKind]
    steps: list[Transition] = field(default_factory=list[Transition])
    known: dict[int, Judged] = field(default_factory=dict[int, Judged])
    alerts: list[Found] = field(default_factory=list[Found])
    tickets: list[ImaginedTicket] = field(default_factory=list[ImaginedTicket])

    def device(self, device_id: int) -> Device:
        """As the registry has it now."""
        return self.known[device_id].device

    def asked(self, key: AlertKey) -> tuple[Consequence | None, Stand]:
        """What an alert's rule demands, and where its device stands now."""
        known = self.known[key[0]]
        rule, device = known.plan.rules[key[1]], known.device
        stand = Stand(None, device.asset_id, device.district, device.simulated)
        if rule.case_class is None:
            return None, stand
        return Consequence(rule.case_class, rule.sort, rule.ticket_from, rule.title, rule.title_zh), stand

    def settle(self, since: datetime, until: datetime) -> None:
        """Make alerts and tickets of the steps."""
        self.alerts = found_in(self.steps, since, until)
        self.tickets = [one for one in imagine(self.steps, self.asked) if since <= one.opened_at < until]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backtest found."""

    since: datetime
    until: datetime
    """As far as the clock went: never beyond now."""
    kinds: tuple[str, ...]
    devices: int
    readings: int
    first: Side
    """By the candidates; without any, by the rules in force."""
    second: Side | None
    """By the rules in force with the keys of the candidates."""


async def run_backtest(
    pool: Pool, in_force: Mapping[str, DeviceKind], wanted: Wanted, now: datetime, progress: Progress
) -> Outcome:
    """Judge the time anew.

    Raises:
        InvalidInputError: the time is empty, or a device or kind is not known.
    """
    until = min(wanted.until, now)
    if wanted.since >= until:
        raise InvalidInputError(f"the time is empty: it begins at {wanted.since} and ends at {until}")
    sides = _sides(in_force, wanted)
    kinds = await _kinds(pool, sides, wanted)
    readings, devices = 0, 0
    heard = await _heard(pool, wanted.since - _LONGEST_WARM_UP, until)
    for number, kind in enumerate(kinds):

        def told(share: float, more: int, done: int = number, before: int = readings) -> None:
            progress((done + share) / len(kinds), before + more)

        subjects = await subjects_of(pool, kind, wanted.devices)
        if not subjects:
            continue
        runs = [await _run(pool, side, side.kinds[kind], subjects, wanted.zone) for side in sides]
        readings += await _judge_kind(pool, in_force[kind], subjects, runs, (wanted, until, heard), told)
        devices += len(subjects)
    for side in sides:
        side.settle(wanted.since, until)
        await asyncio.sleep(0)
    progress(1.0, readings)
    second = sides[1] if len(sides) > 1 else None
    return Outcome(wanted.since, until, tuple(kinds), devices, readings, sides[0], second)


def _sides(in_force: Mapping[str, DeviceKind], wanted: Wanted) -> list[Side]:
    def of(kind: DeviceKind, rules: Iterable[Rule]) -> DeviceKind:
        return replace(kind, rules=tuple(rule for rule in rules if not rule.shadow))

    if wanted.rules is None:
        return [Side({key: of(kind, kind.rules) for key, kind in in_force.items()})]
    tried: dict[str, list[Rule]] = {}
    for one in wanted.rules:
        if one.device_kind == SEVERAL:
            raise InvalidInputError(f"{one.rule.key} spans devices: a backtest tries rules of single devices")
        tried.setdefault(one.device_kind, [])
        if one.enabled:
            # Also one that is to run in shadow: it is tried as if it were in force.
            tried[one.device_kind].append(replace(one.rule, shadow=False))
    keys = {one.rule.key for one in wanted.rules}
    candidates = {key: of(in_force[key], rules) for key, rules in tried.items()}
    present = {key: of(in_force[key], (rule for rule in in_force[key].rules if rule.key in keys)) for key in tried}
    return [Side(candidates), Side(present)]


async def _kinds(pool: Pool, sides: Sequence[Side], wanted: Wanted) -> list[str]:
    kinds = sorted(sides[0].kinds)
    if wanted.devices is not None:
        unknown = await first_unknown(pool, wanted.devices)
        if unknown is not None:
            raise InvalidInputError(f"there is no device {unknown}")
        own = await kinds_of(pool, wanted.devices)
        kinds = [kind for kind in kinds if kind in own]
    if wanted.kind is not None:
        kinds = [kind for kind in kinds if kind == wanted.kind]
    if not kinds:
        raise InvalidInputError("no device is of a kind that the rules are for")
    return kinds


Heard = tuple[Mapping[str, Sequence[tuple[datetime, datetime]]], Mapping[str, datetime]]


async def _heard(pool: Pool, since: datetime, until: datetime) -> Heard:
    return await outages_between(pool, since, until), await heard_until(pool)


@dataclass(slots=True)
class _Run:
    """One side's judging of one kind."""

    side: Side
    parted: dict[int, tuple[Plan | None, Plan | None]] = field(
        default_factory=dict[int, tuple[Plan | None, Plan | None]]
    )
    """By the plan's id: devices that are judged alike share one."""
    courses: dict[int, Course] = field(default_factory=dict[int, Course])
    silences: dict[int, Silences] = field(default_factory=dict[int, Silences])

    def plans(self) -> list[Plan]:
        """Those on measures."""
        return [plan for plan, _ in self.parted.values() if plan is not None]


async def _run(pool: Pool, side: Side, kind: DeviceKind, subjects: Sequence[Subject], zone: str) -> _Run:
    """Look the devices up, and give each the plan of its kind's rules with the overrides that concern it."""
    run = _Run(side)
    plans: dict[tuple[float, bytes, Surroundings | None], Plan] = {}
    placed = goes_by_place(kind)
    ids = [one.device_id for one in subjects]
    async with pool.acquire() as connection:
        groups = GroupOverrides(await load_group_overrides(connection))
        schedules = Schedules.read(row[:3] for row in await load_schedules(connection))
        for first in range(0, len(ids), _AT_ONCE):
            for device in (await devices_by_id(connection, ids[first : first + _AT_ONCE])).values():
                around = surroundings_of(device, schedules, zone) if placed else None
                alike = interval_of(kind, device), groups.settle(kind.rules, device), around
                plan = plans.get(alike)
                if plan is None:
                    plan = plans[alike] = plan_of(kind, *alike)
                    run.parted[id(plan)] = parted(plan)
                side.known[device.id] = Judged(device, plan)
    return run


async def _judge_kind(
    pool: Pool,
    kind: DeviceKind,
    subjects: Sequence[Subject],
    runs: Sequence[_Run],
    time: tuple[Wanted, datetime, Heard],
    told: Progress,
) -> int:
    wanted, until, heard = time
    booleans = frozenset(measure.name for measure in kind.measures if measure.boolean)
    measures = sorted({name for run in runs for plan in run.plans() for name in plan.quiet})
    columns = [Measured(name, name in booleans) for name in measures]
    whose = kind.key if wanted.devices is None else [one.device_id for one in subjects]
    begin = wanted.since - _warm_up(runs)
    days = list(_days(begin, until))
    _prepare(runs, subjects, heard, begin, until)
    for row in await standing_at(pool, kind.key, begin):
        _stand(runs, Standing(*row[:4], Severity(row[4])), booleans)
    readings = 0
    for number, (first, last) in enumerate(days):
        seen = 0
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            async for told_by in read_columns(connection, columns, first, last, whose):
                taken = Columns(*told_by)
                for run in runs:
                    _take(run, taken, booleans, last)
                readings += len(taken.at)
                seen += 1
                told((number + min(1.0, seen / max(1, len(subjects)))) / len(days), readings)
        told((number + 1) / len(days), readings)
    for run in runs:
        for course in run.courses.values():
            course.end(until)
        for silences in run.silences.values():
            silences.end(until)
    return readings


def _take(run: _Run, columns: Columns, booleans: frozenset[str], until: datetime) -> None:
    device = columns.device_id
    known = run.side.known.get(device)
    if known is None:  # registered since the run began
        return
    plan = run.parted[id(known.plan)][0]
    if plan is not None:
        _course(run, device, plan, booleans).take(columns)
    silences = run.silences.get(device)
    if silences is not None:
        silences.take(columns.received, until)


def _course(run: _Run, device: int, plan: Plan, booleans: frozenset[str]) -> Course:
    course = run.courses.get(device)
    if course is None:
        course = run.courses[device] = Course(device, plan, booleans, run.side.steps)
    return course


def _stand(runs: Sequence[_Run], standing: Standing, booleans: frozenset[str]) -> None:
    for run in runs:
        known = run.side.known.get(standing.device_id)
        if known is None:
            continue
        plan = run.parted[id(known.plan)][0]
        if plan is not None and standing.rule in plan.by_key:
            _course(run, standing.device_id, plan, booleans).stand(standing)
        elif standing.device_id in run.silences:
            run.silences[standing.device_id].stand(standing)


def _prepare(runs: Sequence[_Run], subjects: Sequence[Subject], heard: Heard, begin: datetime, until: datetime) -> None:
    """Give each device that a rule on silence looks at the stretches in which its source was heard."""
    outages, last = heard
    covered: dict[str, list[Coverage]] = {
        source: list(stretches(outages.get(source, ()), min(until, end), begin)) for source, end in last.items()
    }
    for run in runs:
        for subject in subjects:
            plan = run.parted[id(run.side.known[subject.device_id].plan)][1]
            if plan is not None and subject.source in covered:
                run.silences[subject.device_id] = Silences(
                    subject.device_id, plan, covered[subject.source], run.side.steps
                )


def _warm_up(runs: Sequence[_Run]) -> timedelta:
    """How long before the time readings are judged, too: so long something may have pended, or been remembered."""
    longest = 0.0
    for run in runs:
        for plan, silent in run.parted.values():
            if plan is not None:
                holds = max((hold for watch in plan.watches for hold in watch.holds), default=0)
                reach = max((watch.reach_s for watch in plan.watches), default=0.0)
                readings = max((watch.reach_readings for watch in plan.watches), default=1)
                longest = max(longest, (readings * plan.validity + holds) / 1e6 + reach)
            if silent is not None:
                longest = max(longest, *(one.wait.total_seconds() for one in silent.silences))
    return min(timedelta(seconds=longest), _LONGEST_WARM_UP)


def _days(begin: datetime, until: datetime) -> Iterable[tuple[datetime, datetime]]:
    """The UTC days of the time: each is one table."""
    first = EPOCH + _DAY * math.floor((begin - EPOCH) / _DAY)
    while first < until:
        yield max(first, begin).astimezone(UTC), min(first + _DAY, until).astimezone(UTC)
        first += _DAY
