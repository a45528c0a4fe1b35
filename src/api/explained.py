"""Explain at a moment: how one rule of a device stood then, judged anew from the readings that are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from api.models.device_rules import name_of
from api.rule_desk import load_book
from devices.kind import DeviceKind
from devices.places import Schedules, goes_by_place, surroundings_of
from devices.plans import interval_of, plan_of
from devices.rule_book import with_book
from domain.alert import Severity
from domain.coverage import Coverage
from domain.errors import NotFoundError
from domain.instants import from_micros, to_micros
from domain.reading import DEVICE, Reading
from rules.backtest import stretches
from rules.engine import Hearing, tick
from rules.explain import BOOK, KIND, Present, RuleNow, Seen, Standing, Written, explain_rule
from rules.layers import GroupOverrides, lay
from rules.plan import Plan, Watch
from rules.rejudge import calm_before
from rules.retrace import Happened, Look, Outcome, Retraced, retrace
from rules.surroundings import put_in_place
from rules.tracks import Tracks
from rules.why import time_of, why
from store.connection import Executor, Pool
from store.device_rules import JudgedDevice, OpenAlert, by_group, judged_device
from store.lighting_schedules import load_schedules
from store.moments import AlertThen, alerts_at, heard_at, mutes_at
from store.reading_columns import heard_until, outages_between
from store.rule_book import BookRow
from store.spans import Bound, readings_before

_FIRST_PAGE: Final = 200
_MOST_READ: Final = 5_000
"""Readings looked at; a rule that was not calm within so many is explained from there on, and that is said."""
_SHOWN: Final = 100
"""Readings told of: the last ones."""
_LONGEST_SILENCE: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Moment:
    """How one rule stood at a moment."""

    found: JudgedDevice
    """The device with the alerts and mutes of that moment."""
    rule: RuleNow
    book: Sequence[BookRow]
    alerts: Sequence[AlertThen]
    looks: Sequence[Look]
    happened: Sequence[Happened]
    whole: bool
    """Whether it is told from a moment on at which the rule was certainly clear."""
    why: str


async def explain_moment(
    pool: Pool, kinds: Mapping[str, DeviceKind], device: str, rule: str, at: datetime, zone: str
) -> Moment:
    """Explain one rule of a device as it stood at a moment, by the parameters that it has today.

    Raises:
        NotFoundError: there is no such device, or its kind has no such rule.
    """
    found = await judged_device(pool, device)
    if found is None:
        raise NotFoundError(f"There is no device {device}.")
    book = [(one.row, one.written) for one in await load_book(pool, kinds) if one.row is not None]
    kind = with_book(kinds, [written for _, written in book]).get(found.device.kind)
    named = () if kind is None else [one for one in kind.rules if one.key == rule]
    # One that is tried in shadow has the key of the one in force, which is what is asked for.
    chosen = min(named, key=lambda one: one.shadow, default=None)
    if kind is None or chosen is None:
        raise NotFoundError(f"A {found.device.kind} has no rule {rule}.")
    groups = GroupOverrides(by_group(found.overrides))
    around = None
    if goes_by_place(kind):
        schedules = Schedules.read(row[:3] for row in await load_schedules(pool))
        around = surroundings_of(found.device, schedules, zone)
    plan = plan_of(kind, interval_of(kind, found.device), groups.settle(kind.rules, found.device), around)
    watch = plan.by_key.get(chosen.slot)
    async with pool.acquire() as connection:
        readings, after, whole = await _readings(connection, plan, watch, found.device.id, at)
        hearing = Hearing(
            await heard_at(connection, found.device.id, at, at - _LONGEST_SILENCE),
            await _covered(pool, found.source, at),
        )
        alerts = await alerts_at(connection, found.device.id, rule, at)
        fired = [one for one in alerts if one.fired_at <= at]
        mutes = await mutes_at(connection, [one.id for one in fired], at)
    traced = Retraced([], [], Tracks())
    if watch is not None:
        traced = retrace(plan, watch, readings, after, at)
    else:
        tick(plan, traced.tracks, found.device.id, at, hearing)
    opened = [OpenAlert(*one[:4], *one[5:9]) for one in fired]
    then = found._replace(heard_at=hearing.heard_at, coverage=hearing.coverage, alerts=opened, mutes=mutes)
    present = Present(
        now=at,
        tracks=traced.tracks,
        seen=_seen(readings, plan.validity),
        hearing=hearing,
        source=found.source,
        raised={one.rule: (one.onset, Severity(one.severity)) for one in opened},
    )
    written = [Written(KIND, kind.key, one) for one in kinds[kind.key].rules if one.key == rule]
    written += [Written(BOOK, name_of(row), chosen) for row, one in book if one.rule == chosen]
    laid = lay(chosen, groups.layers(rule, found.device))
    now = explain_rule(plan, replace(laid, rule=put_in_place(laid.rule, around)), written, present)
    muted = mutes.get(opened[-1].id, ()) if opened else ()
    sentences = [why(now, at, muted), *_history(now, traced.happened), *_came_later(alerts, at)]
    rows = [row for row, _ in book]
    return Moment(then, now, rows, alerts, traced.looks[-_SHOWN:], traced.happened, whole, " ".join(sentences))


async def _readings(
    connection: Executor, plan: Plan, watch: Watch | None, device: int, at: datetime
) -> tuple[list[Reading], datetime | None, bool]:
    """The readings up to a moment, back to a calm one; that one, and whether the rule is certainly known from there."""
    end = Bound(device, at + timedelta.resolution, -(2**63))
    page = _FIRST_PAGE
    while True:
        readings = (await readings_before(connection, [end], page))[device]
        begun = len(readings) < page
        if watch is None:
            return readings, None, True
        # Not the last calm moment: some readings before belong to the picture.
        horizon = readings[-min(len(readings), _SHOWN)].at if readings else at
        after = calm_before(plan, watch, readings, horizon, whole=begun)
        if begun or after is not None:
            return readings, after, True
        if page >= _MOST_READ:
            after = calm_before(plan, watch, readings, at, whole=False)
            return readings, after, after is not None
        page = min(page * 5, _MOST_READ)


async def _covered(pool: Pool, source: str | None, at: datetime) -> Coverage | None:
    """The stretch in which the source was heard at a moment."""
    if source is None:
        return None
    until = (await heard_until(pool)).get(source)
    if until is None:
        return None
    outages = (await outages_between(pool, at - _LONGEST_SILENCE, at)).get(source, ())
    covered = list(stretches(outages, min(at, until), at - _LONGEST_SILENCE))
    return covered[-1] if covered else None


def _seen(readings: Sequence[Reading], validity: int) -> dict[str, Seen]:
    """The newest value of each measure."""
    return {
        measure: Seen(
            measure,
            value,
            one.at,
            one.received_at,
            one.flags.get(measure) or one.flags.get(DEVICE),
            from_micros(to_micros(one.at) + validity),
        )
        for one in readings
        for measure, value in one.values.items()
    }


def _history(now: RuleNow, happened: Sequence[Happened]) -> list[str]:
    """Why it did not fire although it was bad: what last broke a hold, if it has not fired since."""
    if now.state is Standing.FIRING:
        return []
    last = next((one for one in reversed(happened) if one.what is not Outcome.BEGAN), None)
    broken = last is not None and last.what in {Outcome.BROKE, Outcome.BEGAN_ANEW, Outcome.CLEARED}
    return [f"{last.sentence[0].upper()}{last.sentence[1:]}."] if last is not None and broken else []


def _came_later(alerts: Sequence[AlertThen], at: datetime) -> list[str]:
    """The alert that it led to."""
    return [
        f"It led to alert {one.id}, which fired at {time_of(one.fired_at)}"
        + ("." if one.ticket is None else f" and belongs to ticket {one.ticket}.")
        for one in alerts
        if one.fired_at > at
    ]
