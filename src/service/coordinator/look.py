"""Look: reads what changed behind the cursor, decides, and writes the decision and the cursor in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from devices.kind import DeviceKind
from domain.alert import Severity, Step, Transition
from domain.mute import MuteReason
from domain.ticket import Move
from rules.groups import Groups, Incident
from rules.kinds.group import Group
from rules.rule import Rule
from service.cases import Cases
from service.coordinator.memory import only_news, recall, rows_of, transitions_of
from service.coordinator.outcome import Outcome, head_step, source_of
from service.known import KnownDevices
from store.connection import Executor
from store.coordinator import ChangedAlert, Cursor, lock_cursor, move_cursor, read_changed, read_firing
from store.group_alerts import forget_free, forget_other_rules, replace_standing
from store.incidents import (
    NewIncident,
    close_incidents,
    head_keys,
    join_incidents,
    new_ids,
    open_incidents,
    open_of_other_rules,
    owned_tickets,
    recount,
    take_heads,
)
from store.mutes import MuteEntry, end_source, mute, sources_beside
from store.tickets import append_moves
from store.zones import look_at_zones

_AT_ONCE: Final = 1000
"""Alerts of one transaction: their devices are locked meanwhile, so that no batch waits long."""


class GroupLook:
    """Decides over groups. Keeps nothing: what it must know is read with the cursor and written with it."""

    def __init__(
        self,
        kinds: Mapping[str, DeviceKind],
        known: KnownDevices,
        cases: Cases,
        at_once: int = _AT_ONCE,
    ) -> None:
        """Take what alerts and tickets are made with; the rules are those of the book, asked for each time."""
        self._followed: Mapping[str, Rule] | None = None
        self._conditions: Mapping[str, Group] = {}
        self._kinds = kinds
        self._known = known
        self._cases = cases
        self._at_once = at_once

    async def look(self, connection: Executor, now: datetime) -> int:
        """Decide over what changed next; return how many alerts were read."""
        async with connection.transaction():
            cursor = await lock_cursor(connection)
            rows = await read_changed(connection, cursor, self._at_once)
            if not rows:
                return 0
            await self._decide(connection, rows, now)
            await move_cursor(connection, Cursor(rows[-1].changed, rows[-1].id))
            return len(rows)

    async def follow_book(self, connection: Executor, now: datetime) -> None:
        """Where rules are others than at the last look: drop those that are no more, and decide anew by the others.

        An incident that is open goes on under a changed rule. What fires and belongs to none is decided over again, so
        that a change does not wait for the next alert.
        """
        rules = (await self._known.over_several(connection)).rules
        before = self._followed
        if before == rules:
            return
        await self.drop_other_rules(connection, now)
        if before is None:
            return
        others = [one for mine, theirs in ((rules, before), (before, rules)) for one in _beside(mine, theirs)]
        await look_at_zones(connection, sorted({rule.key for rule in others}), now)
        concerned = {key for rule in others if isinstance(rule.condition, Group) for key in rule.condition.concerns}
        after = 0
        while concerned:
            async with connection.transaction():
                await lock_cursor(connection)
                rows = await read_firing(connection, sorted(concerned), after, self._at_once)
                if not rows:
                    break
                await forget_free(connection, [row.id for row in rows])
                await self._decide(connection, rows, now)
            after = rows[-1].id
        self._followed = rules

    async def _decide(self, connection: Executor, rows: Sequence[ChangedAlert], now: datetime) -> None:
        several = await self._known.over_several(connection)
        rules = several.groups()
        self._conditions = _conditions_of(rules)
        transitions = await only_news(connection, transitions_of(rows, rules, self._kinds))
        if not transitions:
            return
        groups = await recall(connection, several, transitions)
        outcome = Outcome()
        for transition in transitions:
            outcome.enter(groups.take(transition))
        await self._carry_out(connection, groups, outcome, now)
        alerts = sorted({one.alert for one in transitions} | outcome.alerts)
        await replace_standing(connection, alerts, rows_of(groups, alerts))

    async def drop_other_rules(self, connection: Executor, now: datetime) -> None:
        """Close what is open under rules that are no more; what it held back stands by itself again."""
        several = await self._known.over_several(connection)
        rules = sorted(rule.key for rule in several.groups())
        async with connection.transaction():
            await lock_cursor(connection)
            await forget_other_rules(connection, rules)
            left = await open_of_other_rules(connection, rules)
            if left:
                ids = left
                keys = await head_keys(connection, ids)
                known = await self._known.load_by_id(connection, sorted({key[0] for key in keys.values()}))
                steps = [
                    Transition(*key, now, Step.CLEARED, Severity.NOTICE, None, None, None) for key in keys.values()
                ]
                await self._cases.settle(connection, steps, known, now)
                await close_incidents(connection, [(incident, now) for incident in ids])
                for incident in ids:
                    await self._let_go(connection, f"incident:{incident}", now)
                await recount(connection, ids, now)
            for rule in await sources_beside(connection, MuteReason.GROUP_WAIT, rules):
                await end_source(connection, MuteReason.GROUP_WAIT, rule, now)
        if self._followed is None:
            self._followed = several.rules

    async def _carry_out(self, connection: Executor, groups: Groups, outcome: Outcome, now: datetime) -> None:
        """Store what was decided. Devices are locked first, then alerts, then tickets: the order of a batch."""
        if not outcome.touched:
            return
        await self._store_opened(connection, groups, outcome.opened, now)
        await self._mute(connection, outcome, now)
        if outcome.joined:
            await join_incidents(connection, [(alert, _id(incident)) for alert, incident in outcome.joined.items()])
        await self._settle_heads(connection, outcome, now)
        if outcome.joined:
            await self._link(connection, sorted(outcome.joined), now)
        if outcome.closed:
            await close_incidents(
                connection, [(_id(incident), incident.closed_at or now) for incident in outcome.closed]
            )
            for incident in outcome.closed:
                await self._let_go(connection, source_of(incident), now)
        await recount(connection, [_id(incident) for incident in outcome.touched], now)

    async def _store_opened(
        self, connection: Executor, groups: Groups, opened: Sequence[Incident], now: datetime
    ) -> None:
        if not opened:
            return
        for incident, number in zip(opened, await new_ids(connection, len(opened)), strict=True):
            incident.id = number
        new = [
            NewIncident(
                _id(incident),
                *incident.place,
                severity=self._severity(incident),
                lead_alert=incident.lead.alert,
                lead_device=incident.lead.device,
                onset=incident.onset,
                opened_at=incident.opened_at,
                size=groups.states[incident.place].size,
            )
            for incident in opened
        ]
        await open_incidents(connection, new, now)

    async def _mute(self, connection: Executor, outcome: Outcome, now: datetime) -> None:
        """Hold back what the incidents have taken on; who is let go of waits once more, whether it clears by itself."""
        entries = [
            MuteEntry(alert, reason, source_of(incident), None) for alert, (reason, incident) in outcome.muted.items()
        ]
        for alert, incident in outcome.released.items():
            wait_s = self._conditions[incident.place.rule].group_wait_s
            if wait_s:
                until = now + timedelta(seconds=wait_s)
                entries.append(MuteEntry(alert, MuteReason.GROUP_WAIT, incident.place.rule, until))
        if entries:
            await mute(connection, entries, now)

    async def _settle_heads(self, connection: Executor, outcome: Outcome, now: datetime) -> None:
        """Raise and clear the incidents' own alerts, and with them their tickets."""
        steps = [
            head_step(incident, Step.OPENED, incident.opened_at, self._severity(incident))
            for incident in outcome.opened
        ]
        steps += [
            head_step(incident, Step.CLEARED, incident.closed_at or now, self._severity(incident))
            for incident in outcome.closed
        ]
        if not steps:
            return
        known = await self._known.load_by_id(connection, sorted({step.device_id for step in steps}))
        await self._cases.settle(connection, steps, known, now)
        heads = [
            (_id(incident), (incident.lead.device, incident.place.rule, incident.onset)) for incident in outcome.opened
        ]
        if heads:
            await take_heads(connection, heads)

    @staticmethod
    async def _link(connection: Executor, alerts: Sequence[int], now: datetime) -> None:
        """Tickets that members had already are not taken away: somebody may be on the way. They name the incident's."""
        owned = await owned_tickets(connection, alerts)
        if owned:
            moves: list[tuple[int, Move, dict[str, object]]] = [
                (one.ticket_id, Move.LINKED, {"incident": one.incident_id, "ticket": one.number}) for one in owned
            ]
            await append_moves(connection, moves, now)

    @staticmethod
    async def _let_go(connection: Executor, source: str, now: datetime) -> None:
        for reason in (MuteReason.INCIDENT, MuteReason.INHIBITION):
            await end_source(connection, reason, source, now)

    def _severity(self, incident: Incident) -> Severity:
        return self._conditions[incident.place.rule].severity


def _beside(rules: Mapping[str, Rule], others: Mapping[str, Rule]) -> list[Rule]:
    """Those of the rules that the others have not, or otherwise."""
    return [rule for key, rule in rules.items() if others.get(key) != rule]


def _conditions_of(rules: Sequence[Rule]) -> dict[str, Group]:
    return {rule.key: rule.condition for rule in rules if isinstance(rule.condition, Group)}


def _id(incident: Incident) -> int:
    assert incident.id is not None  # given before anything refers to it
    return incident.id
