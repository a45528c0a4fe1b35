"""Groups: which alerts of several devices are one incident. Pure: a fold over transitions, one after the other.

Whoever reads transitions hands them over in the order of their commits. Since each is taken by itself, it makes no
difference how they were split into batches, or what was stored and read back between two of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import asin, cos, radians, sin, sqrt
from typing import Final, NamedTuple

from rules.kinds.group import By, Group
from rules.rule import Rule

_EARTH_M: Final = 6_371_000.0


class Whereabouts(NamedTuple):
    """Where the asset of a device lies, and what it belongs to."""

    circuit: str | None = None
    site: str | None = None
    grid: str | None = None
    longitude: float | None = None
    latitude: float | None = None


class Fired(NamedTuple):
    """An alert that fires."""

    alert: int
    device: int
    kind: str
    """Of the device."""
    rule: str
    at: datetime
    """Event time at which it fired."""
    interval_s: float
    """Expected seconds between two reports of the device."""
    where: Whereabouts


class Cleared(NamedTuple):
    """An alert that fires no more, for whatever reason."""

    alert: int
    at: datetime


class Place(NamedTuple):
    """One group of one rule."""

    rule: str
    name: str
    """Of the circuit, site or grid; empty for ``near``, which has no borders."""
    part: str = ""
    """The device kind, where the rule tells kinds apart."""


@dataclass(slots=True, eq=False)
class Incident:
    """Alerts of several devices that have one cause (关联事件)."""

    place: Place
    lead: Fired
    """The alert on whose device it hangs."""
    onset: datetime
    """When the first of them fired."""
    opened_at: datetime
    """When enough of them fired."""
    id: int | None = None
    """Where it is stored; ``None``: it began just now."""
    parts: dict[int, Fired] = field(default_factory=dict[int, Fired])
    """Those that fire and count."""
    hidden: dict[int, Fired] = field(default_factory=dict[int, Fired])
    """Those that fire and are inhibited by it."""
    closed_at: datetime | None = None
    _firing: dict[int, int] = field(default_factory=dict[int, int])
    """Device → how many of its alerts count: a large incident is not counted anew at every step."""

    def add(self, one: Fired) -> None:
        """Another alert that counts."""
        self.parts[one.alert] = one
        self._firing[one.device] = self._firing.get(one.device, 0) + 1

    def remove(self, alert: int) -> bool:
        """One fires no more; whether it was part of it."""
        one = self.parts.pop(alert, None)
        if one is None:
            return False
        left = self._firing.pop(one.device) - 1
        if left:
            self._firing[one.device] = left
        return True

    @property
    def devices(self) -> int:
        """How many devices fire."""
        return len(self._firing)


@dataclass(slots=True)
class GroupState:
    """One group between two transitions."""

    size: int = 0
    """Devices in it; 0 where nobody counts them."""
    free: dict[int, Fired] = field(default_factory=dict[int, Fired])
    """Alerts that fire and belong to no incident."""
    incidents: list[Incident] = field(default_factory=list[Incident])
    """Those that are open: one, or for ``near`` several."""


class Stand(NamedTuple):
    """Where an alert that fires stands in one group."""

    place: Place
    one: Fired
    incident: Incident | None
    hidden: bool


class Opened(NamedTuple):
    """An incident begins."""

    incident: Incident
    parts: tuple[Fired, ...]
    hidden: tuple[Fired, ...]


class Joined(NamedTuple):
    """An alert becomes part of an incident, or is hidden by it."""

    incident: Incident
    one: Fired
    hidden: bool


class Left(NamedTuple):
    """An alert of an incident has cleared."""

    incident: Incident
    alert: int


class Closed(NamedTuple):
    """An incident ends; what still fires stands by itself again."""

    incident: Incident
    released: tuple[Fired, ...]


Decision = Opened | Joined | Left | Closed


def place_of(rule: Rule, condition: Group, kind: str, where: Whereabouts) -> Place | None:
    """The group of this rule to which a device belongs; ``None``: to none."""
    known = where != Whereabouts(circuit=where.circuit)
    names = {By.CIRCUIT: where.circuit, By.SITE: where.site, By.GRID: where.grid, By.NEAR: "" if known else None}
    name = names[condition.by]
    return None if name is None else Place(rule.key, name, kind if condition.same_kind else "")


class Groups:
    """All groups that some transitions touch. Rules are asked in the order of their keys; an alert has one incident."""

    def __init__(self, rules: Iterable[Rule], states: Mapping[Place, GroupState]) -> None:
        """Go on from the states as they were stored; only the rules of kind ``group`` count."""
        by_key = {rule.key: (rule, rule.condition) for rule in rules if isinstance(rule.condition, Group)}
        self._rules = [(rule, condition) for _, (rule, condition) in sorted(by_key.items())]
        self._conditions = {rule.key: condition for rule, condition in self._rules}
        self.states = dict(states)
        self._where: dict[int, set[Place]] = {}
        for place, state in self.states.items():
            for alert in state.free:
                self._where.setdefault(alert, set()).add(place)
            for incident in state.incidents:
                for alert in (*incident.parts, *incident.hidden):
                    self._where.setdefault(alert, set()).add(place)

    def take(self, transition: Fired | Cleared) -> list[Decision]:
        """What follows from the next transition. One that was taken before changes nothing."""
        if isinstance(transition, Cleared):
            return self._clear(transition)
        if transition.alert in self._where:
            return []
        return self._fire(transition)

    def places(self, one: Fired) -> list[tuple[Place, Group]]:
        """The groups that an alert concerns."""
        return [
            (place, condition)
            for rule, condition in self._rules
            if one.rule in condition.concerns and (place := place_of(rule, condition, one.kind, one.where)) is not None
        ]

    def stands(self, alert: int) -> list[Stand]:
        """Where an alert stands now; nowhere if it fires no more."""
        return [_stand(place, self.states[place], alert) for place in sorted(self._where.get(alert, ()))]

    def _fire(self, one: Fired) -> list[Decision]:
        for place, condition in self.places(one):
            state = self.states.setdefault(place, GroupState())
            decision = _fire(place, condition, state, one)
            if decision is None:
                self._where.setdefault(one.alert, set()).add(place)
                continue
            claimed = [*decision.parts, *decision.hidden] if isinstance(decision, Opened) else [one]
            for each in claimed:
                for other in self._where.get(each.alert, set()) - {place}:
                    self.states[other].free.pop(each.alert, None)
                self._where[each.alert] = {place}
            return [decision]
        return []

    def _clear(self, cleared: Cleared) -> list[Decision]:
        decisions: list[Decision] = []
        for place in sorted(self._where.pop(cleared.alert, ())):
            decisions += _clear(self._conditions[place.rule], self.states[place], cleared)
        return decisions


def _stand(place: Place, state: GroupState, alert: int) -> Stand:
    if alert in state.free:
        return Stand(place, state.free[alert], None, hidden=False)
    incident = next(one for one in state.incidents if alert in one.parts or alert in one.hidden)
    hidden = alert in incident.hidden
    return Stand(place, (incident.hidden if hidden else incident.parts)[alert], incident, hidden)


def _fire(place: Place, condition: Group, state: GroupState, one: Fired) -> Opened | Joined | None:
    for incident in state.incidents:
        if _near(condition, incident.lead, one):
            hidden = one.rule not in condition.members
            if hidden:
                incident.hidden[one.alert] = one
            else:
                incident.add(one)
            return Joined(incident, one, hidden)
    state.free[one.alert] = one
    if one.rule not in condition.members:
        return None
    parts = _enough(condition, state, one)
    if not parts:
        return None
    return _open(place, condition, state, parts)


def _open(place: Place, condition: Group, state: GroupState, parts: Sequence[Fired]) -> Opened:
    first = condition.every[0] if condition.every else condition.members
    incident = Incident(
        place,
        lead=next(one for one in parts if one.rule in first),
        onset=parts[0].at,
        opened_at=parts[-1].at,
    )
    for one in parts:
        incident.add(one)
    # What the cause made fire besides, not what was wrong before.
    hidden = [
        one
        for one in state.free.values()
        if one.rule not in condition.members
        and (incident.onset - one.at).total_seconds() <= condition.window_s(one.interval_s)
        and _near(condition, incident.lead, one)
    ]
    incident.hidden = {one.alert: one for one in hidden}
    for alert in (*incident.parts, *incident.hidden):
        del state.free[alert]
    state.incidents.append(incident)
    return Opened(incident, tuple(parts), tuple(hidden))


def _enough(condition: Group, state: GroupState, new: Fired) -> list[Fired]:
    """The alerts that make an incident together with the new one, in the order of their times; empty: too few."""
    needed = condition.devices_needed(state.size)
    if len(state.free) < needed:
        return []
    window = condition.window_s(new.interval_s)
    around = sorted(
        (
            one
            for one in state.free.values()
            if one.rule in condition.members
            and abs((one.at - new.at).total_seconds()) <= window
            and _near(condition, new, one)
        ),
        key=lambda one: (one.at, one.alert),
    )
    # Commits do not come in the order of event times, so the new one may be the first, the last or between.
    last = 0
    for first, start in enumerate(around):
        if start.at > new.at:
            break
        while last < len(around) and (around[last].at - start.at).total_seconds() <= window:
            last += 1
        together = around[first:last]
        if len(together) < needed:
            continue
        if len({one.device for one in together}) >= needed and _one_of_each(condition, together):
            return together
    return []


def _one_of_each(condition: Group, together: Sequence[Fired]) -> bool:
    fired = {one.rule for one in together}
    return all(not fired.isdisjoint(rules) for rules in condition.every)


def _clear(condition: Group, state: GroupState, cleared: Cleared) -> list[Decision]:
    if state.free.pop(cleared.alert, None) is not None:
        return []
    for incident in state.incidents:
        if incident.hidden.pop(cleared.alert, None) is not None:
            return [Left(incident, cleared.alert)]
        if not incident.remove(cleared.alert):
            continue
        if incident.devices >= condition.devices_kept(state.size):
            return [Left(incident, cleared.alert)]
        return [Left(incident, cleared.alert), _close(state, incident, cleared.at)]
    return []


def _close(state: GroupState, incident: Incident, at: datetime) -> Closed:
    released = {**incident.parts, **incident.hidden}
    incident.closed_at = max(at, incident.opened_at)
    incident.parts, incident.hidden = {}, {}
    state.incidents.remove(incident)
    state.free.update(released)
    return Closed(incident, tuple(released.values()))


def _near(condition: Group, one: Fired, other: Fired) -> bool:
    if condition.by is not By.NEAR:
        return True
    here, there = one.where, other.where
    if here.longitude is None or here.latitude is None or there.longitude is None or there.latitude is None:
        return (here.site is not None and here.site == there.site) or (
            here.grid is not None and here.grid == there.grid
        )
    return _metres(here.longitude, here.latitude, there.longitude, there.latitude) <= condition.metres


def _metres(longitude: float, latitude: float, other_longitude: float, other_latitude: float) -> float:
    """Great-circle distance."""
    north, north_other = radians(latitude), radians(other_latitude)
    half = sin((north_other - north) / 2) ** 2
    half += cos(north) * cos(north_other) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * _EARTH_M * asin(sqrt(min(1.0, half)))
