"""Own alarms: what one look at ourselves means for the alerts about ourselves; pure, so that any case can be tried."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from devices.own_kind import OUTAGE, OWN_KIND, SESSION_LOST
from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage, OutageCause
from store.own_alarms import Outage, OwnAlert

_SEVERITY = {rule.key: rule.condition.levels[0].severity for rule in OWN_KIND.rules}


class Sight(NamedTuple):
    """What one look shows, all of it seen under one lock."""

    device: int
    """Our own."""
    now: datetime
    gap: timedelta
    """So long without a heartbeat is an outage."""
    deaf_since: datetime | None
    """Last heartbeat of a worker that is not connected, and has not been for longer than ``gap``; ``None``: all are."""
    heard: Coverage | None
    """Where every worker has heard every source; ``None`` if one has not yet heard."""
    outages: Sequence[Outage]
    """Recorded, and told by no alert yet."""
    alerts: Sequence[OwnAlert]
    """Those that fire, and the recent ones."""


def alarm(sight: Sight) -> list[Transition]:
    """What follows for the alerts."""
    return [*_outage(sight), *_lost_sessions(sight)]


def _outage(sight: Sight) -> list[Transition]:
    """One alert, however many workers, sources and devices are cut off; it lasts until all workers hear again."""
    steps: list[Transition] = []
    firing = next((alert for alert in sight.alerts if alert.rule == OUTAGE and alert.cleared_at is None), None)
    if firing is not None:
        onset, fired_at = firing.onset, firing.fired_at
    else:
        began = [outage.began for outage in sight.outages if _is_news(outage, sight.alerts)]
        if not began and sight.deaf_since is None:
            return []
        onset = min(began) if began else (sight.deaf_since or sight.now)
        fired_at = min(onset + sight.gap, max(onset, sight.now))
        steps.append(_step(sight, OUTAGE, onset, fired_at, Step.OPENED))
    heard = sight.heard
    if sight.deaf_since is None and heard is not None and heard.until > fired_at:
        again = heard.since if heard.since > onset else heard.until
        steps.append(_step(sight, OUTAGE, onset, max(fired_at, again), Step.CLEARED))
    return steps


def _is_news(outage: Outage, alerts: Sequence[OwnAlert]) -> bool:
    """Whether no alert has told of this time: each worker and source has a record of its own of one and the same."""
    return outage.cause is OutageCause.SILENT and not any(
        alert.rule == OUTAGE
        and alert.cleared_at is not None
        and alert.onset <= outage.ended
        and alert.cleared_at >= outage.began
        for alert in alerts
    )


def _lost_sessions(sight: Sight) -> list[Transition]:
    """One alert until a person has acknowledged it: what was lost does not come back by itself."""
    steps: list[Transition] = []
    waiting = False
    for alert in sight.alerts:
        if alert.rule != SESSION_LOST or alert.cleared_at is not None:
            continue
        if alert.acknowledged_at is None:
            waiting = True
        else:
            ended = max(alert.fired_at, alert.acknowledged_at)
            steps.append(_step(sight, SESSION_LOST, alert.onset, ended, Step.CLEARED))
    lost = [outage for outage in sight.outages if outage.cause is OutageCause.FORGOTTEN]
    if lost and not waiting:
        noticed = max(outage.ended for outage in lost)
        onset = min(outage.began for outage in lost)
        if any(alert.rule == SESSION_LOST and alert.onset == onset for alert in sight.alerts):
            # Forgotten again before a heartbeat came back: another loss, so another alert.
            onset = noticed
        steps.append(_step(sight, SESSION_LOST, onset, noticed, Step.OPENED))
    return steps


def _step(sight: Sight, rule: str, onset: datetime, at: datetime, step: Step) -> Transition:
    severity: Severity = _SEVERITY[rule]
    return Transition(sight.device, rule, onset, at, step, severity, None, None, None)
