"""Event rules: what a batch's events, and the clock, make of the alerts of rules on events.

The stored events are all that is remembered: around what is new, the episodes are told from them anew and compared with
the alerts that stand, whether the new ones came in order or late.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from domain.alert import AlertState, Severity, Standing, Step, Transition
from domain.alert_change import fold
from domain.device import LifeCycle
from domain.reading import Position
from rules.episodes import Told, episodes
from rules.kinds.event import Event
from rules.rejudge import Amendment, compare
from service.known import Known
from service.late import as_stood
from store.connection import Executor
from store.event_rules import event_alerts_since, events_since, firing_event_alerts
from store.readings import StoredEvent
from store.rule_revisions import revision_of
from store.spans import AlertRecord
from store.timers import Timer

log = structlog.get_logger()


@dataclass(slots=True)
class _Concern:
    """A rule of one device, and the new events of its classes."""

    known: Known
    rule: str
    condition: Event
    new: list[Position] = field(default_factory=list[Position])
    stood: list[AlertRecord] = field(default_factory=list[AlertRecord])

    @property
    def device_id(self) -> int:
        return self.known.device.id

    @property
    def reaches_to(self) -> datetime:
        """What lies before has no part in what the new events begin."""
        return min(self.new).at - timedelta(seconds=self.condition.lasts_s)

    @property
    def since(self) -> datetime:
        """The beginning of the episode that reaches so far, or that moment itself."""
        upheld = (record.onset for record in self.stood if record.standing == Standing.UPHELD.value)
        return min([self.reaches_to, *upheld])


class Looked(NamedTuple):
    """What the clock decided of events, and when it next does."""

    transitions: Sequence[Transition]
    due: Mapping[int, datetime]


async def judge_events(
    connection: Executor,
    events: Iterable[StoredEvent],
    known: Mapping[int, Known],
    bound: timedelta,
    amendment: Amendment,
    timers: list[Timer],
) -> None:
    """Add to ``amendment`` what events that are new, and stored by now, change; and to ``timers`` when they end.

    Their devices are locked. An event that came later than ``bound`` is stored and judges nothing.
    """
    concerns = _concerns(events, known, bound)
    if not concerns:
        return
    since: dict[int, datetime] = {}
    for one in concerns.values():
        since[one.device_id] = min(since.get(one.device_id, one.reaches_to), one.reaches_to)
    for record in await event_alerts_since(connection, since):
        concern = concerns.get((record.device_id, record.rule))
        if concern is not None and (record.cleared_at is None or record.cleared_at >= concern.reaches_to):
            concern.stood.append(record)
    for one in concerns.values():
        since[one.device_id] = min(since[one.device_id], one.since)
    stored = await events_since(connection, since, bound)
    for one in concerns.values():
        _judge(one, [Told(*event) for event in stored[one.device_id]], amendment, timers)


def _concerns(
    events: Iterable[StoredEvent], known: Mapping[int, Known], bound: timedelta
) -> dict[tuple[int, str], _Concern]:
    concerns: dict[tuple[int, str], _Concern] = {}
    for event in events:
        device = known[event.device_id]
        if device.device.life_cycle is LifeCycle.SUSPENDED or event.received_at - event.at > bound:
            continue
        for slot, condition in _rules(device):
            if event.event_class in condition.classes:
                one = concerns.setdefault((event.device_id, slot), _Concern(device, slot, condition))
                one.new.append(Position(event.at, event.digest))
    return concerns


def _rules(known: Known) -> Iterator[tuple[str, Event]]:
    for slot, rule in known.plan.rules.items():
        if isinstance(rule.condition, Event):
            yield slot, rule.condition


def _judge(one: _Concern, stored: Sequence[Told], amendment: Amendment, timers: list[Timer]) -> None:
    condition, since, floor = one.condition, one.since, _decided_otherwise(one)
    told = [event for event in stored if event.event_class in condition.classes and event.at >= since]
    stood, new = one.stood, sorted(one.new)
    if floor is not None:
        told = [event for event in told if event.at > floor]
        stood = [record for record in stood if record.onset > floor]
        new = [position for position in new if position.at > floor]
        if not new:
            name = one.known.device.name
            log.info("late_left_alone", device=name, rule=one.rule, why="the rule has changed since")
            return
    # What is not over by the newest event is for the clock to end, once nothing waits that may prolong it.
    horizon = max([*(event.at for event in told), *(record.cleared_at for record in stood if record.cleared_at)])
    found = episodes(told, condition.classes, condition.lasts_s)
    steps = [step for each in found for step in each.steps(one.device_id, one.rule, condition.severity, horizon)]
    changes = fold(steps)
    amended = compare(changes, map(as_stood, stood), (one.device_id, one.rule), new)
    fresh = set(new)
    old = max((event.at for event in told if (event.at, event.digest) not in fresh), default=None)
    amended.retrospective = {key for key in amended.retrospective if old is not None and old >= key[2]}
    ending = {record.onset: record.peak for record in stood if _fires(record)}
    cleared = {change.key for change in changes if ending.get(change.key[2]) == change.peak}
    # Of one that fired and is over now, its last step says so: that is no correction.
    amended.corrections = [each for each in amended.corrections if each.key not in cleared]
    amendment.add(amended)
    if found and found[-1].end > horizon:
        timers.append(Timer(one.device_id, found[-1].end, None))


def _fires(record: AlertRecord) -> bool:
    return record.state == AlertState.FIRING.value and record.standing == Standing.UPHELD.value


def _decided_otherwise(one: _Concern) -> datetime | None:
    """Up to when alerts were decided by the rule as it was then: the rule as it is now has no say in that."""
    present = revision_of(one.rule, one.known.plan.rules[one.rule].as_data()).digest
    ends = [record.cleared_at for record in one.stood if record.revision != present and record.cleared_at]
    return max(ends, default=None)


async def look_at_events(
    connection: Executor, known: Mapping[int, Known], now: datetime, until: datetime, bound: timedelta
) -> Looked:
    """End what is over by ``until``, at the time it was over; and what no rule stands behind any more, now.

    Their devices are locked.
    """
    transitions, due = list[Transition](), dict[int, datetime]()
    # Where no rule on events ever was, that is known already: every look comes by here.
    judged = any(one.by_events for one in known.values())
    firing = await firing_event_alerts(connection, known) if judged else ()
    if not firing:
        return Looked(transitions, due)
    since: dict[int, datetime] = {}
    for device_id, _, onset in firing:
        since[device_id] = min(since.get(device_id, onset), onset)
    stored = await events_since(connection, since, bound)
    for device_id, rule, onset in firing:
        device = known[device_id]
        if device.device.life_cycle is LifeCycle.SUSPENDED:
            continue
        condition = None if device.device.life_cycle is LifeCycle.RETIRED else dict(_rules(device)).get(rule)
        told = [Told(*event) for event in stored[device_id] if event.at >= onset]
        found = [] if condition is None else episodes(told, condition.classes, condition.lasts_s)
        severity = Severity.NOTICE if condition is None else condition.severity
        begun = Transition(device_id, rule, onset, onset, Step.OPENED, severity, None, None, None)
        if not found or found[0].onset != onset:
            transitions.append(begun._replace(at=max(onset, now), step=Step.CLEARED))
        elif found[0].end <= until:
            transitions += found[0].steps(device_id, rule, severity, until)[1:]
        else:
            due[device_id] = min(due.get(device_id, found[0].end), found[0].end)
    return Looked(transitions, due)
