"""The figures of a backtest: counts, noisiest devices and grids, days, short alerts, differences; as JSON."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any, Final

from domain.device import Device
from rules.backtest import Found, difference
from service.backtest import Outcome, Side

MOST_LISTED: Final = 500
"""Alerts of each list in the figures; the counts are of all."""
MOST_NOISY: Final = 10


def figures_of(outcome: Outcome, zone: tzinfo, short_s: float, elapsed_s: float) -> dict[str, Any]:
    """Everything that was found. An alert that lasts less than ``short_s`` may have been a false one."""
    figures: dict[str, Any] = {
        "from": outcome.since.isoformat(),
        "to": outcome.until.isoformat(),
        "kinds": list(outcome.kinds),
        "devices": outcome.devices,
        "readings": outcome.readings,
        "seconds": round(elapsed_s, 2),
        "readings_per_second": round(outcome.readings / max(elapsed_s, 1e-9)),
        "short_s": short_s,
    }
    if outcome.second is None:
        return figures | {"in_force": _side(outcome.first, outcome.until, zone, short_s)}
    figures["candidate"] = _side(outcome.first, outcome.until, zone, short_s)
    figures["in_force"] = _side(outcome.second, outcome.until, zone, short_s)
    apart = difference(outcome.first.alerts, outcome.second.alerts, outcome.until)
    figures["difference"] = {
        "both": len(apart.both),
        "only_candidate": len(apart.only_first),
        "only_in_force": len(apart.only_second),
        "alerts_only_candidate": _listed(apart.only_first, outcome.first, outcome.until),
        "alerts_only_in_force": _listed(apart.only_second, outcome.second, outcome.until),
    }
    return figures


def _side(side: Side, until: datetime, zone: tzinfo, short_s: float) -> dict[str, Any]:
    short = [one for one in side.alerts if one.lasts_s(until) < short_s]
    devices = Counter(one.device_id for one in side.alerts)
    grids = Counter(grid for one in side.alerts if (grid := side.device(one.device_id).unit_grid) is not None)
    return {
        "alerts": len(side.alerts),
        "tickets": len(side.tickets),
        "joined": sum(ticket.joined for ticket in side.tickets),
        "short": len(short),
        "firing_at_end": sum(one.cleared_at is None for one in side.alerts),
        "rules": _by_rule(side.alerts, short),
        "per_day": _per_day(side.alerts, zone),
        "noisiest_devices": [
            {"device": side.device(device).name, "alerts": count} for device, count in _most(devices, side)
        ],
        "noisiest_grids": [
            {"unit_grid": grid, "alerts": count}
            for grid, count in sorted(grids.items(), key=lambda one: (-one[1], one[0]))[:MOST_NOISY]
        ],
        "alerts_listed": _listed(side.alerts, side, until),
    }


def _most(devices: "Counter[int]", side: Side) -> list[tuple[int, int]]:
    def place(one: tuple[int, int]) -> tuple[int, str]:
        return -one[1], side.device(one[0]).name

    return sorted(devices.items(), key=place)[:MOST_NOISY]


def _by_rule(alerts: Sequence[Found], short: Sequence[Found]) -> list[dict[str, Any]]:
    shorts = Counter(one.rule for one in short)
    rules = Counter(one.rule for one in alerts)
    gravest: dict[str, Counter[str]] = {}
    for one in alerts:
        gravest.setdefault(one.rule, Counter())[one.peak.name.lower()] += 1
    return [
        {"rule": rule, "alerts": count, "short": shorts[rule], "by_peak": dict(gravest[rule])}
        for rule, count in sorted(rules.items(), key=lambda one: (-one[1], one[0]))
    ]


def _per_day(alerts: Iterable[Found], zone: tzinfo) -> list[dict[str, Any]]:
    """By the district's day on which they fired."""
    days = Counter(one.fired_at.astimezone(zone).date() for one in alerts)
    return [{"day": day.isoformat(), "alerts": days[day]} for day in sorted(days)]


def _listed(alerts: Sequence[Found], side: Side, until: datetime) -> list[dict[str, Any]]:
    return [_told(one, side.device(one.device_id), until) for one in alerts[:MOST_LISTED]]


def _told(one: Found, device: Device, until: datetime) -> dict[str, Any]:
    return {
        "device": device.name,
        "rule": one.rule,
        "onset": one.onset.isoformat(),
        "fired_at": one.fired_at.isoformat(),
        "cleared_at": None if one.cleared_at is None else one.cleared_at.isoformat(),
        "lasts_s": round(one.lasts_s(until), 1),
        "peak": int(one.peak),
        "value": one.change.evidence.value,
    }
