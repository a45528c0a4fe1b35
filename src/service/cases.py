"""Cases: transitions → alerts → tickets, inside the batch's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from devices.catalogue import load_group_rules
from domain.alert import AlertState, Step, Transition
from domain.alert_change import AlertChange, AlertKey, fold
from domain.flapping import FlappingBounds
from domain.ticket import Subject
from rules.rejudge import Amendment
from rules.rule import Rule
from service.amend import UNAMENDED, Amended, amend
from service.group_waits import group_waits
from service.known import Known
from service.shadow import Parted, part, settle_shadow
from store.alerts import AlertSetting, News, SavedAlert, clear_alerts, join_tickets, save_alerts, tell
from store.connection import Executor, Pool
from store.flapping import CALM, FLAPPING, Calmed, Flapping, mark_flapping, tickets_to_settle
from store.mutes import UNMUTED, Lifted, mute, note_wanted
from store.rule_revisions import Revision, revision_ids, revision_of
from store.silences import hush
from store.tickets import TicketChange, TicketNews, TicketWish, append_moves, change_tickets, lock_tickets, open_or_join
from tickets.decide import Consequence, Demand, Release, Rise, Stand, decide, hold_back

_NO_ALERTS: Final[dict[str, object]] = {"alerts": []}
_CALM: Final[dict[str, object]] = {"alerts": [], "why": CALM}


class Cases:
    """Settles transitions. Remembers only the ids of rule revisions, which never change once committed."""

    def __init__(self, zone: ZoneInfo, flapping: FlappingBounds | None = None) -> None:
        """Take the district's zone, for the date in case numbers; ``start`` before the first batch."""
        self._flapping = flapping or FlappingBounds()
        self._zone = zone
        self._revision_ids: dict[tuple[str, str], int] = {}

    async def start(self, pool: Pool, rules: Iterable[Rule], now: datetime) -> None:
        """Record the default rules as they are today, and remember the ids of their revisions."""
        async with pool.acquire() as connection, connection.transaction():
            defaults = [*rules, *load_group_rules().values()]
            self._revision_ids = await revision_ids(connection, [_revision(rule) for rule in defaults], now)

    async def settle(
        self,
        connection: Executor,
        transitions: Sequence[Transition],
        known: Mapping[int, Known],
        now: datetime,
        amendment: Amendment = UNAMENDED,
    ) -> None:
        """Store what the transitions did to alerts, and what follows for tickets.

        What late readings amend comes first: it lies before what the fresh ones did.
        """
        parted = part(fold([*amendment.transitions, *transitions]), amendment)
        if parted.shadow_changes or parted.shadow_amendment:
            await self._settle_shadow(connection, parted, known, now)
        if parted.changes or parted.amendment:
            await self._settle_shown(connection, parted.changes, known, now, parted.amendment)

    async def _settle_shown(
        self,
        connection: Executor,
        changes: Sequence[AlertChange],
        known: Mapping[int, Known],
        now: datetime,
        amendment: Amendment,
    ) -> None:
        found = [(change.key, _rule(known[change.key[0]], change.key[1])) for change in changes]
        rules = {key: rule for key, rule in found if rule is not None}
        ruled = [change for change in changes if change.key in rules]
        orphans = [change for change in changes if change.key not in rules]
        saved: dict[AlertKey, SavedAlert] = {}
        follows: list[Demand | Rise | Release] = []
        # Before the steps: what the batch's fresh readings did comes after what late ones change.
        amended = await amend(connection, amendment, now)
        if ruled:
            saved |= await self._save(connection, ruled, rules, known, now, amendment.retrospective)
        if orphans:
            saved |= await clear_alerts(connection, orphans, now)
            owned = [change for change in orphans if change.key in saved and saved[change.key].ticket_id is not None]
            follows += [Release(change.key, change.steps[-1].at) for change in owned]
        waits = group_waits(ruled, known, saved, now)
        if waits:
            await mute(connection, waits, now)
        muted = await _hush(connection, ruled, saved, now) if saved else set[int]()
        # Before the tickets: one behind which an alert flaps does not resolve.
        flapping = await self._mark_flapping(connection, ruled, now)
        wanted: list[int] = []
        for change in ruled:
            stand = _stand(known[change.key[0]], saved.get(change.key))
            following = decide(change, _consequence(rules[change.key]), stand)
            if following and saved[change.key].id in muted:
                following, held_back = hold_back(following)
                wanted += [saved[change.key].id] if held_back else []
            follows += following
        if wanted:
            await note_wanted(connection, wanted)
        for one in amended.contradicted:
            saved[one.key] = SavedAlert(one.id, one.ticket_id)
            if one.fired and one.ticket_id is not None:
                follows.append(Release(one.key, one.key[2]))
        news = await self._settle_tickets(connection, follows, saved, now, amended)
        told = [change for change in changes if change.key in saved]
        marks = {one.key for one in flapping} | {key for key, one in saved.items() if one.flapping}
        news += [("alert", _alert_news(change, saved[change.key], muted, marks)) for change in told]
        begun = {one.key[:2] for one in flapping if one.begun}
        # The newest alert speaks for its rule.
        speaking = {change.key[:2]: change for change in told if change.key[:2] in begun}
        news += [
            ("alert", _alert_news(change, saved[change.key], muted, marks) | {"step": FLAPPING})
            for change in speaking.values()
        ]
        await tell(connection, now, [*news, *amended.news()])

    async def lift(
        self, connection: Executor, lifted: Sequence[Lifted], known: Mapping[int, Known], now: datetime
    ) -> None:
        """Of alerts that are muted no longer, let those that still fire ask for their tickets.

        What they asked for while they were muted is made good by their gravest level, as a fresh demand. Their devices
        are locked by the caller.
        """
        follows: list[Demand | Rise | Release] = []
        for one in lifted:
            device = known[one.device_id]
            rule = _rule(device, one.rule)
            if one.state != AlertState.FIRING or rule is None or (one.ticket_id is not None and not one.rose):
                continue
            stand = Stand(one.ticket_id, one.asset_id, device.device.district, device.device.simulated)
            follows += decide(_as_fresh(one), _consequence(rule), stand)
        news: list[News] = []
        if follows:
            saved = {one.key: SavedAlert(one.id, one.ticket_id) for one in lifted}
            news = await self._settle_tickets(connection, follows, saved, now, Amended())
        await tell(connection, now, [*news, *(("alert", _lifted_news(one)) for one in lifted)])

    async def calm(self, connection: Executor, calmed: Sequence[Calmed], now: datetime) -> None:
        """Of alerts that flap no longer, let the tickets resolve that nothing else keeps open."""
        if not calmed:
            return
        tickets = await tickets_to_settle(connection, calmed)
        news: list[News] = []
        if tickets:
            await lock_tickets(connection, tickets)
            changed = await change_tickets(connection, {one: TicketChange(amended=True) for one in tickets}, now)
            news = await _record(connection, changed, dict.fromkeys(tickets, _CALM), now)
        last = {(one.device_id, one.rule): one for one in calmed}
        await tell(connection, now, [*news, *(("alert", _calm_news(one)) for one in last.values())])

    async def _mark_flapping(
        self, connection: Executor, changes: Sequence[AlertChange], now: datetime
    ) -> list[Flapping]:
        opened = {change.key[:2] for change in changes if any(step.step is Step.OPENED for step in change.steps)}
        return await mark_flapping(connection, sorted(opened), self._flapping, now) if opened else []

    async def _settle_shadow(
        self, connection: Executor, parted: Parted, known: Mapping[int, Known], now: datetime
    ) -> None:
        changes = [one for one in parted.shadow_changes if one.key[1] in known[one.key[0]].plan.rules]
        revisions = {one.key: _revision(known[one.key[0]].plan.rules[one.key[1]]) for one in changes}
        ids = await self._ids(connection, list(revisions.values()), now) if revisions else {}
        await settle_shadow(connection, parted, {k: ids[r.key, r.digest] for k, r in revisions.items()}, now)

    async def _save(
        self,
        connection: Executor,
        changes: Sequence[AlertChange],
        rules: Mapping[AlertKey, Rule],
        known: Mapping[int, Known],
        now: datetime,
        retrospective: AbstractSet[AlertKey],
    ) -> dict[AlertKey, SavedAlert]:
        revisions = {change.key: _revision(rules[change.key]) for change in changes}
        ids = await self._ids(connection, list(revisions.values()), now)
        settings = {
            change.key: AlertSetting(
                revision_id=ids[revisions[change.key].key, revisions[change.key].digest],
                asset_id=known[change.key[0]].device.asset_id,
                simulated=known[change.key[0]].device.simulated,
                retrospective=change.key in retrospective,
            )
            for change in changes
        }
        return await save_alerts(connection, changes, settings, now)

    async def _ids(
        self, connection: Executor, revisions: Sequence[Revision], now: datetime
    ) -> dict[tuple[str, str], int]:
        """Ids of revisions. Defaults are remembered since ``start``; a device's own are looked up: they are few."""
        missing = [one for one in revisions if (one.key, one.digest) not in self._revision_ids]
        return self._revision_ids | await revision_ids(connection, missing, now) if missing else self._revision_ids

    async def _settle_tickets(
        self,
        connection: Executor,
        follows: Sequence[Demand | Rise | Release],
        saved: Mapping[AlertKey, SavedAlert],
        now: datetime,
        amended: Amended,
    ) -> list[News]:
        """Open, join and change tickets; return what is to be told of them."""
        demands = [one for one in follows if isinstance(one, Demand)]
        owner = {key: one.ticket_id for key, one in saved.items() if one.ticket_id is not None}
        tickets: dict[Subject, int] = {}
        news: list[TicketNews] = []
        beside = {owner[one.alert] for one in follows if one.alert in owner and not isinstance(one, Demand)}
        beside |= amended.tickets
        if demands:
            day = now.astimezone(self._zone).date()
            tickets, news = await open_or_join(connection, _wishes(demands), day, now, beside)
            await join_tickets(connection, {one.alert: tickets[one.subject] for one in demands})
        else:
            await lock_tickets(connection, beside)
        await amended.mark_tickets(connection, now)
        opened = {one.id for one in news}
        owner |= {one.alert: tickets[one.subject] for one in demands}
        changes = _ticket_changes(follows, owner, opened)
        for ticket in amended.tickets:
            changes.setdefault(ticket, TicketChange()).amended = True
        if changes:
            news += await change_tickets(connection, changes, now)
        return await _record(connection, news, _move_details(follows, owner), now) if news else []


async def _record(
    connection: Executor, news: Sequence[TicketNews], details: Mapping[int, dict[str, object]], now: datetime
) -> list[News]:
    """Append the moves of tickets; return what is to be told of them."""
    await append_moves(connection, [(one.id, one.move, details.get(one.id, _NO_ALERTS)) for one in news], now)
    return [("ticket", {"number": one.number, "state": one.state, "move": one.move.value}) for one in news]


async def _hush(
    connection: Executor, changes: Sequence[AlertChange], saved: Mapping[AlertKey, SavedAlert], now: datetime
) -> set[int]:
    """Which are muted: by what muted them before, or by a silence, if they did more than clear."""
    speaking = [change for change in changes if any(step.step is not Step.CLEARED for step in change.steps)]
    floor = min((change.steps[0].at for change in speaking), default=now)
    ids = [saved[change.key].id for change in speaking]
    return await hush(connection, [one.id for one in saved.values()], ids, min(floor, now), now)


def _wishes(demands: Sequence[Demand]) -> list[TicketWish]:
    """One wish a subject, however many alerts demand it."""
    groups: dict[Subject, list[Demand]] = {}
    for demand in demands:
        groups.setdefault(demand.subject, []).append(demand)
    return [
        TicketWish(
            subject=subject,
            sort=group[0].consequence.sort.value,
            title=group[0].consequence.title,
            title_zh=group[0].consequence.title_zh,
            district=group[0].district,
            simulated=all(demand.simulated for demand in group),
            severity=min(demand.severity for demand in group),
            alerts=len(group),
        )
        for subject, group in groups.items()
    ]


def _ticket_changes(
    follows: Sequence[Demand | Rise | Release], owner: Mapping[AlertKey, int], opened: set[int]
) -> dict[int, TicketChange]:
    changes: dict[int, TicketChange] = {}
    for one in follows:
        ticket = owner[one.alert]
        if isinstance(one, Demand) and ticket in opened:
            # A ticket opened in this batch counts its first alerts itself.
            continue
        change = changes.setdefault(ticket, TicketChange())
        match one:
            case Demand():
                change.joined += 1
            case Rise():
                pass
            case Release():
                change.released += 1
                continue
        change.severity = one.severity if change.severity is None else min(change.severity, one.severity)
    return changes


def _move_details(
    follows: Sequence[Demand | Rise | Release], owner: Mapping[AlertKey, int]
) -> dict[int, dict[str, object]]:
    """Ticket → which alerts were behind its move."""
    alerts: dict[int, list[dict[str, object]]] = {}
    for one in follows:
        device_id, rule, onset = one.alert
        behind: dict[str, object] = {"device_id": device_id, "rule": rule, "onset": onset.isoformat()}
        alerts.setdefault(owner[one.alert], []).append(behind)
    return {ticket: {"alerts": told} for ticket, told in alerts.items()}


def _rule(known: Known, key: str) -> Rule | None:
    """A rule of the device's own plan, or one over several devices."""
    return known.plan.rules.get(key) or known.several.rules.get(key)


def _revision(rule: Rule) -> Revision:
    return revision_of(rule.key, rule.as_data())


def _consequence(rule: Rule) -> Consequence | None:
    if rule.case_class is None:
        return None
    return Consequence(rule.case_class, rule.sort, rule.ticket_from, rule.title, rule.title_zh)


def _stand(known: Known, saved: SavedAlert | None) -> Stand:
    device = known.device
    ticket = None if saved is None else saved.ticket_id
    return Stand(ticket, device.asset_id, device.district, device.simulated)


def _as_fresh(one: Lifted) -> AlertChange:
    """A muted alert as one that just fired, or that has its ticket and just rose, at its gravest."""
    step = Step.OPENED if one.ticket_id is None else Step.ROSE
    opened = Transition(one.device_id, one.rule, one.onset, one.fired_at, step, one.worst, None, None, None)
    return AlertChange(one.key, (opened,))


def _lifted_news(one: Lifted) -> dict[str, object]:
    return {"id": one.id, "rule": one.rule, "state": one.state, "severity": one.severity, "step": UNMUTED}


def _calm_news(one: Calmed) -> dict[str, object]:
    return {"id": one.id, "rule": one.rule, "state": one.state, "severity": one.severity, "step": CALM}


def _alert_news(
    change: AlertChange, saved: SavedAlert, muted: AbstractSet[int], flapping: AbstractSet[AlertKey]
) -> dict[str, object]:
    news: dict[str, object] = {
        "id": saved.id,
        "rule": change.key[1],
        "state": change.state.value,
        "severity": int(change.severity),
        "step": change.steps[-1].step.value,
    }
    marks = {"muted": saved.id in muted, "flapping": change.key in flapping}
    return news | {name: True for name, is_so in marks.items() if is_so}
