"""Group waits: an alert that others of its group may join waits before it asks for a ticket of its own."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.alert import AlertState
from domain.alert_change import AlertChange, AlertKey
from domain.device import Device
from domain.mute import MuteReason
from rules.kinds.group import By, Group
from rules.rule import Rule
from service.known import Known
from store.alerts import SavedAlert
from store.mutes import MuteEntry


class _Wait(NamedTuple):
    rule: str
    by: By
    wait: timedelta


class GroupWaits:
    """Which alerts wait, and how long."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Of these rules those over groups count."""
        self._waits: dict[str, list[_Wait]] = {}
        for rule in rules:
            condition = rule.condition
            if isinstance(condition, Group) and condition.group_wait_s > 0:
                for member in condition.concerns:
                    wait = _Wait(rule.key, condition.by, timedelta(seconds=condition.group_wait_s))
                    self._waits.setdefault(member, []).append(wait)

    def entries(
        self,
        changes: Sequence[AlertChange],
        known: Mapping[int, Known],
        saved: Mapping[AlertKey, SavedAlert],
        now: datetime,
    ) -> list[MuteEntry]:
        """The mutes of alerts that begin to fire; they count from now: behind a backlog, a group's come all at once."""
        return [
            MuteEntry(saved[change.key].id, MuteReason.GROUP_WAIT, wait.rule, now + wait.wait)
            for change in changes
            if change.opens and change.state is AlertState.FIRING and saved[change.key].ticket_id is None
            for wait in self._waits.get(change.key[1], ())
            if _belongs(known[change.key[0]].device, wait.by)
        ]


def _belongs(device: Device, by: By) -> bool:
    if device.asset_id is None:
        return False
    match by:
        case By.CIRCUIT:
            return device.circuit is not None
        case By.SITE:
            return device.site is not None
        case By.GRID:
            return device.unit_grid is not None
        case By.NEAR:
            return True
