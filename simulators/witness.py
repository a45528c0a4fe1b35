"""Witness: writes a fault down as truth: which alerts must follow and by when, which may, and which must not.

It looks at the device's own reports, one after the other, and at the rules' limits and holds; of the engine that
judges for the service it knows nothing. What no report shows, no service can see, and is not expected.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.alert import Severity
from domain.instants import EPOCH
from rules.rule import Rule, Verdict
from simulators.faultbook.catalogue import Listed
from simulators.faultbook.network import NETWORK
from simulators.sensor import Sensor
from simulators.trouble import Delivery, Trouble
from simulators.truth import Allowed, Expectation, FaultInstance, Forbidden
from simulators.weather import Weather

SLACK_S: Final = 60.0
"""So much later than the last report needed may an alert stand: the way of a message, and a look of the clock."""

_LOOKED_AT: Final = 2_000
"""Reports of one device that are looked at for one rule; a fault that shows later is none that a scenario plays."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a witness goes by: the run's weather and bounds, and how fast devices report when they are drilled."""

    weather: Weather
    start_ms: int
    end_ms: int


class Incident(NamedTuple):
    """One fault, once: what plays, on whom, and when."""

    id: str
    listed: Listed
    sensors: Sequence[Sensor]
    trouble: Trouble
    group: str | None = None


class _Fired(NamedTuple):
    severity: Severity
    at_ms: int
    """When the level fires, or can be known to: no earlier than the message arrives that shows it."""


def write_down(incident: Incident, sight: Sight) -> FaultInstance:
    """Write down one fault. Every sensor must have taken all its troubles on before."""
    listed, trouble = incident.listed, incident.trouble
    entry = listed.entry
    sensors = incident.sensors if entry.scope != "city" else ()
    expect: list[Expectation] = []
    forbid: list[Forbidden] = []
    allow: list[Allowed] = []
    ends_ms = trouble.ends_ms
    for sensor in sensors:
        told = _Told(sensor, listed, trouble, sight)
        told.look()
        expect += told.expect
        forbid += told.forbid
        allow += told.allow
        ends_ms = max(ends_ms, told.ends_ms)
    if entry.wants is not None:
        for sensor in sensors if entry.scope == "device" else sensors[:1]:
            by = _instant(trouble.begins_ms + round(1000 * entry.within_s))
            expect.append(Expectation(sensor.entry.name, entry.wants.format(kind=sensor.kind.key), by))
    first = sensors[0].entry if sensors else None
    # What is expected of a rule kind that does not exist must not hide what is expected of one that does.
    return FaultInstance(
        id=incident.id,
        fault=listed.name,
        kind=NETWORK if listed.kind is None else listed.kind.key,
        device=None if first is None else first.name,
        asset=None if first is None else first.asset,
        begins=_instant(trouble.begins_ms),
        ends=_instant(ends_ms) if ends_ms < sight.end_ms else None,
        devices=tuple(sensor.entry.name for sensor in sensors),
        group=incident.group,
        expect=tuple(expect),
        forbid=tuple(forbid),
        allow=tuple(allow),
        needs=entry.needs,
        note=entry.note,
    )


class _Told:
    """What one fault means for one device."""

    def __init__(self, sensor: Sensor, listed: Listed, trouble: Trouble, sight: Sight) -> None:
        self._sensor = sensor
        self._entry = listed.entry
        self._trouble = trouble
        self._sight = sight
        self.expect: list[Expectation] = []
        self.forbid: list[Forbidden] = []
        self.allow: list[Allowed] = []
        self.ends_ms = trouble.ends_ms

    def look(self) -> None:
        """Go through the rules of the device's kind."""
        sensor, entry = self._sensor, self._entry
        raises = set(entry.raises)
        allows = {rule.format(kind=sensor.kind.key) for rule in (*entry.allows, *entry.scheduled)}
        for rule in sensor.kind.rules:
            if rule.condition.silence_intervals is not None:
                self._look_for_silence(rule, expected=rule.key in raises, allowed=rule.key in allows)
            elif rule.key in raises:
                self._look_for_values(rule)
            elif rule.key in allows:
                self._allow(rule)
            elif (why := entry.forbids.get(rule.key, entry.forbids.get("*"))) is not None:
                self.forbid.append(Forbidden(sensor.entry.name, rule.key, why))
        # What is not of the kind is of a rule over several devices, whose alert hangs on one of them.
        others = sorted(allows - {rule.key for rule in sensor.kind.rules})
        self.allow += [Allowed(sensor.entry.name, key) for key in others]

    def _look_for_values(self, rule: Rule) -> None:
        fired = self._firing(_as_fitted(rule, self._sensor))
        if not fired:
            # No report showed it, or not for long enough. Whether one is raised then says nothing.
            self._allow(rule)
            return
        gravest = min(each.severity for each in fired)
        ticket = rule.case_class is not None and gravest <= rule.ticket_from
        stands_ms = min(each.at_ms for each in fired) + round(1000 * SLACK_S)
        self.expect.append(
            Expectation(
                self._sensor.entry.name, rule.key, _instant(stands_ms), rule.case_class if ticket else None, ticket
            )
        )

    def _firing(self, rule: Rule) -> list[_Fired]:
        """The levels that fire, by the reports that the device makes while the fault lasts."""
        condition, weather = rule.condition, self._sight.weather
        seen = [
            (measured_ms, arrives_ms, judged[1])
            for measured_ms, arrives_ms in self._measured()
            if (judged := condition.judge(self._sensor.measure(measured_ms, weather))) is not None
        ]
        over_ms = self._next_word_ms()
        valid_ms = round(self._sensor.expected_ms * self._sensor.kind.validity_factor)
        fired: list[_Fired] = []
        for place, level in enumerate(condition.levels):
            seen_so = [(measured, arrives, verdicts[place]) for measured, arrives, verdicts in seen]
            at_ms = _fires(seen_so, round(1000 * level.hold_s), valid_ms, over_ms)
            if at_ms is not None:
                fired.append(_Fired(level.severity, at_ms))
        return fired

    def _measured(self) -> Iterator[tuple[int, int]]:
        """What is measured while the fault lasts, and when it arrives; only what arrives before the run ends."""
        sensor, trouble = self._sensor, self._trouble
        before_ms = _last_report(sensor, trouble.begins_ms)
        for _ in range(_LOOKED_AT):
            report_ms = sensor.next_report(before_ms)
            arrives_ms = _arrival(sensor, report_ms)
            for measured_ms in sensor.samples(before_ms, report_ms):
                spoke = not any(each.silent(measured_ms) for each in sensor.troubles)
                if trouble.begins_ms <= measured_ms < trouble.ends_ms and spoke and arrives_ms is not None:
                    yield measured_ms, arrives_ms
            if report_ms >= min(trouble.ends_ms, self._sight.end_ms):
                return
            before_ms = report_ms

    def _next_word_ms(self) -> int:
        """When it is heard next after the fault."""
        report_ms = self._sensor.next_report(self._trouble.ends_ms - 1)
        for _ in range(_LOOKED_AT):
            if _arrival(self._sensor, report_ms) is not None:
                break
            report_ms = self._sensor.next_report(report_ms)
        return report_ms

    def _look_for_silence(self, rule: Rule, *, expected: bool, allowed: bool) -> None:
        """A rule on silence: the time between the last word before and the first one after decides."""
        sensor, trouble, effect = self._sensor, self._trouble, self._trouble.effect
        if effect.silent_after_s is None and effect.delivery in {Delivery.ONCE, Delivery.TWICE}:
            if allowed:
                self._allow(rule)
            elif "*" in self._entry.forbids:
                self.forbid.append(Forbidden(sensor.entry.name, rule.key, self._entry.forbids["*"]))
            return
        silent_ms = trouble.begins_ms + round(1000 * (effect.silent_after_s or 0.0))
        heard_ms = _last_heard(sensor, silent_ms)
        again_ms = trouble.ends_ms if effect.delivery is Delivery.HELD else self._next_word_ms()
        if effect.silent_after_s is not None or effect.delivery is Delivery.LOST:
            self.ends_ms = max(self.ends_ms, again_ms)
        wait_ms = round((_as_fitted(rule, sensor).condition.silence_intervals or 0.0) * sensor.expected_ms)
        onset_ms, slack_ms = heard_ms + wait_ms, round(1000 * SLACK_S)
        if again_ms <= onset_ms - slack_ms:
            why = f"It was silent for {_hours(again_ms - heard_ms)} h; the rule waits for {_hours(wait_ms)} h."
            self.forbid.append(Forbidden(sensor.entry.name, rule.key, why))
        elif expected and heard_ms >= self._sight.start_ms and again_ms >= onset_ms + slack_ms:
            ticket = rule.case_class is not None and rule.condition.levels[0].severity <= rule.ticket_from
            self.expect.append(
                Expectation(
                    sensor.entry.name,
                    rule.key,
                    _instant(onset_ms + slack_ms),
                    rule.case_class if ticket else None,
                    ticket,
                )
            )
        else:
            self._allow(rule)

    def _allow(self, rule: Rule) -> None:
        self.allow.append(Allowed(self._sensor.entry.name, rule.key))


def _fires(seen: Sequence[tuple[int, int, Verdict]], hold_ms: int, valid_ms: int, over_ms: int) -> int | None:
    """When a level fires that was seen so; ``over_ms``: then the device says that all is well again.

    A hold elapses by the clock, for as long as the last reading is valid.
    """
    since: tuple[int, int] | None = None
    last_ms = 0
    for measured_ms, arrives_ms, verdict in (*seen, (over_ms, over_ms, Verdict.GOOD)):
        if since is not None and since[0] + hold_ms <= min(measured_ms, last_ms + valid_ms):
            return max(since[0] + hold_ms, since[1])
        if verdict is not Verdict.BAD:
            since = None
        elif since is None:
            since = (measured_ms, arrives_ms)
        last_ms = measured_ms
    return None


def shows_at(sensor: Sensor, trouble: Trouble, listed: Listed) -> int:
    """When a fault that begins then would have been seen by every rule that it raises, were it to last."""
    full_ms = trouble.begins_ms + round(1000 * trouble.effect.ramp_s)
    told_at_once = sensor.habit.on_change and trouble.effect.noticed
    shown_ms = full_ms if told_at_once else sensor.next_planned(full_ms)
    waits = [0.0]
    for rule in sensor.kind.rules:
        if rule.key in listed.entry.raises:
            intervals = rule.condition.silence_intervals
            if intervals is not None:
                shown_ms = full_ms
                waits.append((intervals + 0.5) * sensor.expected_ms / 1000.0)
            else:
                waits.append(max(level.hold_s for level in rule.condition.levels))
    return shown_ms + round(1000 * (max(waits) + 2.0 * SLACK_S))


def _as_fitted(rule: Rule, sensor: Sensor) -> Rule:
    """The rule as it judges this device: a cover that was fitted at an angle is judged from there."""
    override = sensor.overrides.get(rule.key)
    return rule if override is None else replace(rule, condition=rule.condition.overridden(override))


def _last_report(sensor: Sensor, before_ms: int) -> int:
    """When it reported last before a time, for whatever reason."""
    last = sensor.last_planned(before_ms)
    while (then := sensor.next_report(last)) < before_ms:
        last = then
    return last


def _last_heard(sensor: Sensor, before_ms: int) -> int:
    """When its last word arrived that it said before a time."""
    last = _last_report(sensor, before_ms)
    for _ in range(_LOOKED_AT):
        if _arrival(sensor, last) is not None:
            break
        last = _last_report(sensor, last)
    return last


def _arrival(sensor: Sensor, report_ms: int) -> int | None:
    """When a report arrives; ``None``: never."""
    arrives_ms: int | None = report_ms
    for trouble in sensor.troubles:
        if not trouble.active(report_ms):
            continue
        if trouble.silent(report_ms) or trouble.effect.delivery is Delivery.LOST:
            return None
        if trouble.effect.delivery is Delivery.HELD:
            arrives_ms = max(arrives_ms or 0, trouble.ends_ms)
        elif trouble.effect.delivery is Delivery.SWAPPED:
            arrives_ms = max(arrives_ms or 0, sensor.next_report(report_ms))
    return arrives_ms


def _instant(at_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=at_ms)


def _hours(milliseconds: int) -> str:
    return f"{milliseconds / 3_600_000:.1f}"
