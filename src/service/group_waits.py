"""Group waits: an alert that others of its group may join waits before it asks for a ticket of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.alert import AlertState
from domain.alert_change import AlertChange, AlertKey
from domain.mute import MuteReason
from service.known import Known
from store.alerts import SavedAlert
from store.mutes import MuteEntry


def group_waits(
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
        for wait in known[change.key[0]].several.waits(change.key[1], known[change.key[0]].device)
    ]
