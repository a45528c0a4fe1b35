"""Shadow: keeps what rules in shadow came to apart from alerts, tickets and news."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from domain.alert import SHADOW_MARK
from domain.alert_change import AlertChange, AlertKey
from rules.rejudge import Amendment
from store.connection import Executor
from store.shadow_alerts import (
    clear_shadow_alerts,
    contradict_shadow_alerts,
    correct_shadow_alerts,
    save_shadow_alerts,
)


class Parted(NamedTuple):
    """What a batch did, parted by whether anybody is shown it."""

    changes: list[AlertChange]
    amendment: Amendment
    shadow_changes: list[AlertChange]
    shadow_amendment: Amendment


def part(changes: list[AlertChange], amendment: Amendment) -> Parted:
    """Take out what is of rules in shadow: nearly always nothing."""
    shadow = [change for change in changes if _is_shadow(change.key)]
    late = [*(one.key for one in amendment.corrections), *(one.key for one in amendment.contradictions)]
    if not shadow and not any(_is_shadow(key) for key in late):
        return Parted(changes, amendment, [], Amendment())
    return Parted(
        [change for change in changes if not _is_shadow(change.key)],
        _of(amendment, shadow=False),
        shadow,
        _of(amendment, shadow=True),
    )


async def settle_shadow(
    connection: Executor,
    parted: Parted,
    revisions: Mapping[AlertKey, int],
    now: datetime,
) -> None:
    """Keep it. ``revisions``: the ids of the revisions of those whose rule is still in shadow; others only clear."""
    changes, amendment = parted.shadow_changes, parted.shadow_amendment
    if amendment.contradictions:
        await contradict_shadow_alerts(connection, [(_plain(key), at) for key, at in amendment.contradictions])
    if amendment.corrections:
        corrections = [(_plain(one.key), one.fired_at, one.cleared_at, one.peak) for one in amendment.corrections]
        await correct_shadow_alerts(connection, corrections)
    kept = [
        (AlertChange(_plain(one.key), one.steps), revisions[one.key], one.key in amendment.retrospective)
        for one in changes
        if one.key in revisions
    ]
    if kept:
        await save_shadow_alerts(connection, kept, now)
    ends = {_plain(one.key): one.steps[-1].at for one in changes if one.key not in revisions}
    if ends:
        await clear_shadow_alerts(connection, ends)


def _is_shadow(key: AlertKey) -> bool:
    return key[1].endswith(SHADOW_MARK)


def _plain(key: AlertKey) -> AlertKey:
    """The key with the rule's own name."""
    return key[0], key[1].removesuffix(SHADOW_MARK), key[2]


def _of(amendment: Amendment, *, shadow: bool) -> Amendment:
    return Amendment(
        transitions=[one for one in amendment.transitions if one.rule.endswith(SHADOW_MARK) is shadow],
        retrospective={key for key in amendment.retrospective if _is_shadow(key) is shadow},
        corrections=[one for one in amendment.corrections if _is_shadow(one.key) is shadow],
        contradictions=[one for one in amendment.contradictions if _is_shadow(one.key) is shadow],
    )
