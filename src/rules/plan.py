"""Plan: the rules that judge one sort of device, made ready once and shared by all devices alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf

from domain.alert import Severity
from domain.instants import seconds_to_micros
from rules.rule import Condition, Lapsing, Reach, Remembering, Rule, Timely
from rules.surroundings import Surroundings, put_in_place


@dataclass(frozen=True, slots=True)
class Watch:
    """One rule on measures, with its holds in microseconds."""

    key: str
    condition: Condition
    holds: tuple[int, ...]
    severities: tuple[Severity, ...]
    measure: str
    """The measure named in transitions."""
    quiet: Mapping[str, tuple[float, float] | None]
    """Measure → the open interval in which this rule need not be asked; ``None``: always ask."""
    keeps: tuple[int, ...] = ()
    """Per level, the microseconds for which readings must be good before it clears."""
    remembering: Remembering | None = None
    """The condition, if it remembers."""
    lapsing: Lapsing | None = None
    """The condition, if its verdicts end at times of day."""
    reach_s: float = 0.0
    """Seconds that its memory reaches back."""
    reach_readings: int = 1
    """Readings that its memory reaches back to, the present one included."""


@dataclass(frozen=True, slots=True)
class SilenceWatch:
    """One rule on silence."""

    key: str
    after: int
    """Microseconds without a message."""
    wait: timedelta
    """The same, for the quick look at every reading."""
    severity: Severity


@dataclass(frozen=True, slots=True)
class Plan:
    """What a device is judged by."""

    watches: tuple[Watch, ...]
    by_key: Mapping[str, Watch]
    quiet: Mapping[str, tuple[float, float]]
    """Measure → the open interval in which no rule need be asked; a measure no rule looks at is missing."""
    silences: tuple[SilenceWatch, ...]
    validity: int
    """Microseconds for which a reading stays valid."""
    rules: Mapping[str, Rule]
    """The rules as they apply, overrides included, by slot: the key, of a rule in shadow with a mark."""
    timely: tuple[Timely, ...] = ()
    """The conditions that a healthy reading must be shown together with its time."""
    quiet_else: Mapping[str, tuple[float, float]] | None = None
    """As ``quiet``, by the other rules; ``None``: there are no timely ones."""


def make_plan(
    rules: Sequence[Rule],
    *,
    interval_s: float,
    validity_factor: float,
    overrides: Mapping[str, Mapping[str, object]],
    surroundings: Surroundings | None = None,
) -> Plan:
    """Apply a device's overrides to the rules of its kind, put them in its place, and sort them by what wakes them.

    Raises:
        RuleOverrideError: an override does not fit its rule.
    """
    applied = [put_in_place(_apply(rule, overrides.get(rule.slot)), surroundings) for rule in rules]
    # What concerns neither a measure nor silence is decided by whoever reports it.
    validity_s = validity_factor * interval_s
    watches = [_watch(rule, validity_s) for rule in applied if rule.condition.measures]
    silences = [
        SilenceWatch(
            key=rule.slot,
            after=seconds_to_micros(intervals * interval_s),
            wait=timedelta(seconds=intervals * interval_s),
            severity=rule.condition.levels[0].severity,
        )
        for rule in applied
        if (intervals := rule.condition.silence_intervals) is not None
    ]
    timely = tuple(watch.condition for watch in watches if isinstance(watch.condition, Timely))
    return Plan(
        watches=tuple(watches),
        by_key={watch.key: watch for watch in watches},
        quiet=_quiet(watches),
        silences=tuple(silences),
        validity=seconds_to_micros(validity_s),
        rules={rule.slot: rule for rule in applied},
        timely=timely,
        quiet_else=_quiet([one for one in watches if not isinstance(one.condition, Timely)]) if timely else None,
    )


def _apply(rule: Rule, parameters: Mapping[str, object] | None) -> Rule:
    return rule if not parameters else replace(rule, condition=rule.condition.overridden(parameters))


def _quiet(watches: Sequence[Watch]) -> dict[str, tuple[float, float]]:
    """Merge what the rules say of each measure: quiet only where all are."""
    merged: dict[str, tuple[float, float]] = {}
    for watch in watches:
        for measure, interval in watch.quiet.items():
            low, high = merged.get(measure, (-inf, inf))
            merged[measure] = (inf, -inf) if interval is None else (max(low, interval[0]), min(high, interval[1]))
    return merged


def _watch(rule: Rule, validity_s: float) -> Watch:
    condition = rule.condition
    levels = condition.levels
    remembering = condition if isinstance(condition, Remembering) else None
    reach = Reach(0.0, 1) if remembering is None else remembering.reach(validity_s)
    return Watch(
        key=rule.slot,
        condition=condition,
        holds=tuple(seconds_to_micros(level.hold_s) for level in levels),
        severities=tuple(level.severity for level in levels),
        measure=condition.measures[0],
        quiet={measure: condition.quiet_within(measure) for measure in condition.measures},
        keeps=tuple(seconds_to_micros(level.keep_s) for level in levels),
        remembering=remembering,
        lapsing=condition if isinstance(condition, Lapsing) else None,
        reach_s=reach.seconds,
        reach_readings=reach.readings,
    )
