"""Memory: groups as the store keeps them between two looks, and as the rules look at them."""

from collections.abc import Iterable, Mapping, Sequence

from devices.kind import DeviceKind
from rules.groups import Cleared, Fired, Groups, GroupState, Incident, Place, Whereabouts
from rules.kinds.group import By, Group
from rules.rule import Rule
from service.over_several import OverSeveral
from store.connection import Executor
from store.coordinator import ChangedAlert, count_devices
from store.group_alerts import GroupAlertRow, OpenIncidentRow, load_standing, places_of, standing_alerts


def transitions_of(
    rows: Iterable[ChangedAlert], rules: Iterable[Rule], kinds: Mapping[str, DeviceKind]
) -> list[Fired | Cleared]:
    """What the changed alerts say, for those that concern a group, in their order.

    It goes by how an alert stands, not by what happened to it: whoever reads it twice, or after it changed again,
    takes nothing that is not so.
    """
    concerned = {key for rule in rules if isinstance(rule.condition, Group) for key in rule.condition.concerns}
    return [_transition(row, kinds) for row in rows if row.rule in concerned]


def _transition(row: ChangedAlert, kinds: Mapping[str, DeviceKind]) -> Fired | Cleared:
    if not row.firing:
        return Cleared(row.id, row.cleared_at or row.fired_at)
    kind = kinds.get(row.kind)
    interval_s = row.interval_s or (0.0 if kind is None else kind.interval_s)
    where = Whereabouts(row.circuit, row.site, row.grid, row.longitude, row.latitude)
    return Fired(row.id, row.device_id, row.kind, row.rule, row.fired_at, interval_s, where)


async def only_news(connection: Executor, transitions: Sequence[Fired | Cleared]) -> list[Fired | Cleared]:
    """Leave out what changes nothing: what the coordinator itself writes into alerts brings each of them again."""
    standing = await standing_alerts(connection, [one.alert for one in transitions])
    return [one for one in transitions if isinstance(one, Cleared) == (one.alert in standing)]


async def recall(connection: Executor, several: OverSeveral, transitions: Sequence[Fired | Cleared]) -> Groups:
    """The groups that these transitions touch, as they were left."""
    rules = several.groups()
    by_key = {rule.key: rule for rule in rules}
    fired = [one for one in transitions if isinstance(one, Fired)]
    bare = Groups(rules, {})
    touched = {place for one in fired for place, _ in bare.places(one)}
    stored = await places_of(connection, [one.alert for one in transitions if isinstance(one, Cleared)])
    touched |= {Place(*key) for key in stored if key[0] in by_key}
    states = {place: GroupState() for place in sorted(touched)}
    await _count(connection, several, states)
    standing = await load_standing(connection, touched)
    incidents: dict[int, Incident] = {}
    for row in standing.incidents:
        incident = incidents[row.id] = _incident(row)
        states[incident.place].incidents.append(incident)
    for stand in standing.alerts:
        _put(states[Place(stand.rule, stand.name, stand.part)], incidents, stand)
    return Groups(rules, states)


async def _count(connection: Executor, several: OverSeveral, states: Mapping[Place, GroupState]) -> None:
    """Say how many devices each group has, where its rule wants to know."""
    for by in (By.CIRCUIT, By.SITE, By.GRID):
        asked: dict[Place, Group] = {}
        for place in states:
            condition = several.rules[place.rule].condition
            if isinstance(condition, Group) and condition.by is by and condition.share > 0:
                asked[place] = condition
        counted = await count_devices(connection, by.value, sorted({place.name for place in asked}))
        for place, condition in asked.items():
            kinds = {place.part} if place.part else several.kinds_judged_by(condition.members)
            states[place].size = sum(counted.get((place.name, kind), 0) for kind in kinds)


def _incident(row: OpenIncidentRow) -> Incident:
    where = Whereabouts(row.circuit, row.site, row.grid, row.longitude, row.latitude)
    lead = Fired(row.lead_alert, row.lead_device, row.lead_kind, row.lead_rule, row.lead_fired_at, 0.0, where)
    return Incident(Place(row.rule, row.name, row.part), lead, row.onset, row.opened_at, row.id)


def _put(state: GroupState, incidents: Mapping[int, Incident], row: GroupAlertRow) -> None:
    where = Whereabouts(row.circuit, row.site, row.grid, row.longitude, row.latitude)
    one = Fired(row.alert_id, row.device_id, row.kind, row.member_rule, row.fired_at, row.interval_s, where)
    if row.incident_id is None:
        state.free[one.alert] = one
    elif row.hidden:
        incidents[row.incident_id].hidden[one.alert] = one
    else:
        incidents[row.incident_id].add(one)


def rows_of(groups: Groups, alerts: Iterable[int]) -> list[GroupAlertRow]:
    """How these alerts stand, to be stored; the incidents have their numbers."""
    return [
        GroupAlertRow(
            one.alert,
            *place,
            one.device,
            one.kind,
            one.rule,
            one.at,
            one.interval_s,
            one.where.circuit,
            one.where.site,
            one.where.grid,
            one.where.longitude,
            one.where.latitude,
            incident_id=None if incident is None else incident.id,
            hidden=hidden,
        )
        for alert in alerts
        for place, one, incident, hidden in groups.stands(alert)
    ]
