"""BalanceLook: judges the windows of zones from stored readings, each once, and raises and clears their alerts."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from domain.alert import Severity, Step, Transition
from domain.alert_change import AlertKey
from rules.balances import Metered, Role, Sum, Window, ZoneState, add_up, step, window_after
from rules.kinds.balance import Balance
from service.cases import Cases
from service.known import KnownDevices
from store.connection import Executor
from store.zones import (
    LOOK_AGAIN,
    MeterRow,
    ZoneRow,
    forget_zone,
    look_later,
    meters_of,
    move_on,
    name_ticket,
    next_due,
    record_window,
)


class BalanceLook:
    """Looks at one zone a transaction. Keeps nothing: how far a zone was judged is written with the judgement."""

    def __init__(self, zone: ZoneInfo, known: KnownDevices, cases: Cases) -> None:
        """Take the district's time zone; the rules are those of the book's kind ``balance``, asked for each time."""
        self._zone = zone
        self._known = known
        self._cases = cases

    async def look(self, connection: Executor, now: datetime) -> bool:
        """Judge the next window that is due; say whether a zone was due."""
        async with connection.transaction():
            zone = await next_due(connection, now)
            if zone is None:
                return False
            rule = (await self._known.over_several(connection)).rules.get(zone.rule)
            condition = None if rule is None or zone.removed else rule.condition
            if not isinstance(condition, Balance):
                await self._let_go(connection, zone, now)
                return True
            window = window_after(
                max(zone.members_since, zone.judged_until or zone.members_since), condition.window_s, self._zone
            )
            if window.end > now:
                await look_later(connection, zone.name, window.end)
                return True
            gap = timedelta(seconds=condition.gap_s)
            meters = await meters_of(connection, zone.name, condition.measure, window.start - gap, window.end + gap)
            total = add_up(condition, window, map(_metered, meters))
            if total is None and now < window.end + timedelta(seconds=condition.wait_s):
                # Readings may yet come: of meters that report once a day, those around an edge always do.
                await look_later(connection, zone.name, now + LOOK_AGAIN)
                return True
            await self._judge(connection, zone, condition, window, total, meters, now)
            return True

    async def _judge(
        self,
        connection: Executor,
        zone: ZoneRow,
        condition: Balance,
        window: Window,
        total: Sum | None,
        meters: list[MeterRow],
        now: datetime,
    ) -> None:
        await record_window(connection, zone.name, window, total, now)
        state, done = step(condition, ZoneState(zone.firing_since, zone.run, zone.run_since), window, total)
        head = zone.head_device
        if done is not None and total is not None:
            what, onset, at = done
            head = head if head is not None else next(m.device_id for m in meters if m.role == Role.IN)
            lost = (total.inflow - total.outflow) / window.hours
            await self._tell(connection, (head, zone.rule, onset), what, at, condition, lost, now)
            if what is Step.OPENED:
                await name_ticket(connection, (head, zone.rule, onset), zone.name)
            else:
                head = None
        moved = zone._replace(
            judged_until=window.end,
            run=state.run,
            run_since=state.run_since,
            firing_since=state.firing_since,
            head_device=head,
        )
        # Windows that were over long ago follow at once.
        await move_on(connection, moved, now)

    async def _let_go(self, connection: Executor, zone: ZoneRow, now: datetime) -> None:
        """Nobody judges it any more: what fires clears."""
        if zone.firing_since is not None and zone.head_device is not None:
            await self._tell(
                connection, (zone.head_device, zone.rule, zone.firing_since), Step.CLEARED, now, None, None, now
            )
        if zone.removed:
            await forget_zone(connection, zone.name)
        else:
            idle = zone._replace(run=0, run_since=None, firing_since=None, head_device=None)
            await move_on(connection, idle, now + LOOK_AGAIN)

    async def _tell(
        self,
        connection: Executor,
        key: AlertKey,
        what: Step,
        at: datetime,
        condition: Balance | None,
        lost: float | None,
        now: datetime,
    ) -> None:
        severity = Severity.NOTICE if condition is None else condition.severity
        measure = None if lost is None else "flow_m3h"
        known = await self._known.load_by_id(connection, [key[0]])
        await self._cases.settle(connection, [Transition(*key, at, what, severity, measure, lost, None)], known, now)


def _metered(row: MeterRow) -> Metered:
    return Metered(Role(row.role), list(zip(row.at, row.values, strict=True)))
