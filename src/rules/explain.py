"""Explain: how each rule of a device stands now, by what it saw, who set its parameters, and what comes next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from domain.alert import Severity
from domain.instants import from_micros
from domain.reading import MeasureValue
from rules.engine import Hearing, next_silence_due, speaks_until
from rules.layers import Layered, Refusal
from rules.plan import Plan, SilenceWatch, Watch
from rules.rule import Memory, Rule, Verdict
from rules.tracks import LevelTrack, RuleTrack, Tracks

KIND: Final = "kind"
"""The weakest layer: the rule as the device's kind has it."""
BOOK: Final = "book"
"""The rule as people wrote it, in a rule file or over the API: it takes the place of the kind's."""


class Standing(StrEnum):
    """How a rule, or one of its levels, stands on a device."""

    CLEAR = "clear"
    PENDING = "pending"
    """The condition holds; its hold has not elapsed."""
    FIRING = "firing"


class Seen(NamedTuple):
    """The newest value of one measure, and the reading it came with."""

    measure: str
    value: MeasureValue
    at: datetime
    received_at: datetime | None
    """``None``: the reading is no longer kept."""
    flag: str | None
    """Why it was not judged, if it was in doubt."""
    valid_until: datetime


class Evidence(NamedTuple):
    """The last reading that spoke for the alert."""

    value: MeasureValue
    at: datetime


class LevelNow(NamedTuple):
    """One level of a rule and how far it is."""

    severity: Severity
    limit: float
    clear: float | None
    hold_s: float
    keep_s: float
    state: Standing
    onset: datetime | None = None
    """Since when it has been bad."""
    bad_at: datetime | None = None
    """Time of the last reading that said so."""
    speaks_until: datetime | None = None
    """Until when that reading speaks for it; the hold elapses only before."""
    held_s: float | None = None
    """How much of the hold has passed."""
    fires_at: datetime | None = None
    """While pending: when it fires if nothing else comes; ``None``: without another bad reading it never does."""
    fired_at: datetime | None = None
    good_since: datetime | None = None
    """While it fires: since when readings have been good, if they must be for a time."""


class SilenceNow(NamedTuple):
    """How a rule on silence stands."""

    heard_at: datetime | None
    source: str | None
    covered_since: datetime | None
    """Since when the source was heard without a break, by all workers; ``None``: it is not heard."""
    covered_until: datetime | None
    """Silence is found up to here."""
    wait_s: float
    due_at: datetime | None
    """When it fires if nothing comes."""
    firing_since: datetime | None


class Written(NamedTuple):
    """The whole rule as one of those has it who write whole rules."""

    scope: str
    """``KIND`` or ``BOOK``."""
    name: str
    rule: Rule


class Setting(NamedTuple):
    """What one layer has for a parameter."""

    scope: str
    """``KIND``, ``BOOK`` or a scope of overrides."""
    name: str
    value: object


class Difference(NamedTuple):
    """One parameter that some layer sets."""

    parameter: str
    """As overrides name it; a level's field as ``major.limit``."""
    value: object
    set_by: Setting
    weaker: Sequence[Setting]
    """What the weaker layers have, weakest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleNow:
    """One rule on one device at one moment."""

    rule: Rule
    parameters: Mapping[str, object]
    """All of them, as they are in force."""
    differences: Sequence[Difference]
    refused: Sequence[Refusal]
    """Layers that no longer fit the rule and are left out."""
    state: Standing
    severity: Severity | None
    """The gravest level that fires."""
    onset: datetime | None
    """Of the alert, while it fires: with device and rule its identity."""
    levels: Sequence[LevelNow]
    seen: Sequence[Seen]
    """Newest values of its measures; one that never came is missing."""
    evidence: Evidence | None
    overdue: bool
    """Whether the newest values are bad and nothing is pending: parameters changed since they were judged."""
    silence: SilenceNow | None
    memory: Memory
    """What a rule over several readings keeps of those before."""
    unjudged: str | None = None
    """Why it cannot judge where the device stands; ``None``: it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What is known of a device at a moment."""

    now: datetime
    tracks: Tracks
    seen: Mapping[str, Seen]
    """Measure → newest value."""
    hearing: Hearing
    source: str | None
    raised: Mapping[str, tuple[datetime, Severity]] = field(default_factory=dict[str, tuple[datetime, Severity]])
    """Slot → onset and severity of the alert that fires: of a rule that the engine never asks nothing else tells."""


def explain_rule(plan: Plan, layered: Layered, written: Sequence[Written], present: Present) -> RuleNow:
    """How one rule of a device stands; ``written`` is the rule before any override, weakest first, at least once."""
    key = layered.rule.slot
    watch = plan.by_key.get(key)
    silence = next((one for one in plan.silences if one.key == key), None)
    track = present.tracks.rules.get(key)
    if watch is None or track is None or len(track.levels) != len(watch.holds):
        # The engine takes a track that does not fit the rule for gone, too.
        track = None
    levels = _levels(plan, watch, layered.rule, track, present.now)
    silent = None if silence is None else _silence(plan, silence, present)
    firing = [level.severity for level in levels if level.state is Standing.FIRING]
    onset = None if track is None or track.onset is None else from_micros(track.onset)
    if silent is not None and silent.firing_since is not None and silence is not None:
        firing, onset = [silence.severity], silent.firing_since
    if watch is None and silence is None and key in present.raised:
        onset, severity = present.raised[key]
        firing = [severity]
    pending = any(level.state is Standing.PENDING for level in levels)
    seen = [present.seen[measure] for measure in layered.rule.condition.measures if measure in present.seen]
    return RuleNow(
        rule=layered.rule,
        parameters=parameters_of(layered.rule.condition.as_data()),
        differences=list(differences(written, layered)),
        refused=layered.refused,
        state=Standing.FIRING if firing else Standing.PENDING if pending else Standing.CLEAR,
        severity=min(firing, default=None),
        onset=onset,
        levels=levels,
        seen=seen,
        evidence=None if track is None else _evidence(track),
        overdue=not firing and not pending and _is_bad(layered.rule, seen),
        silence=silent,
        memory=track.memory if track is not None and track.kind == layered.rule.condition.kind else None,
    )


def parameters_of(data: Mapping[str, Any]) -> dict[str, object]:
    """A condition's data under the names that overrides use: levels by severity, parts by number."""
    told: dict[str, object] = {}
    for name, value in data.items():
        if name == "levels":
            told |= {Severity(level["severity"]).name.lower(): _level_fields(level) for level in value}
        elif name == "parts":
            told[name] = {str(number): parameters_of(part) for number, part in enumerate(value, start=1)}
        else:
            told[name] = value
    return told


def _level_fields(level: Mapping[str, Any]) -> dict[str, object]:
    fields = {name: value for name, value in level.items() if name != "severity"}
    return {**fields, "keep_s": level.get("keep_s", 0.0)}


def differences(written: Sequence[Written], layered: Layered) -> Iterator[Difference]:
    """Every parameter that is not the kind's alone, with the layer that prevails and what the weaker ones have."""
    stack = [
        *_whole(written),
        *((layer.scope.value, layer.name, dict(_flat(layer.parameters))) for layer in layered.taken),
    ]
    set_somewhere = sorted({name for _, _, values in stack[1:] for name in values})
    for parameter in set_somewhere:
        *weaker, last = [
            Setting(scope, name, values[parameter]) for scope, name, values in stack if parameter in values
        ]
        yield Difference(parameter, last.value, last, weaker)


def _whole(written: Sequence[Written]) -> Iterator[tuple[str, str, dict[str, object]]]:
    """All parameters of the weakest, and those in which each further one departs from the one before."""
    # Where a rule became one of another kind, what it was before has no parameters in common with it.
    alike = [one for one in written if one.rule.condition.kind == written[-1].rule.condition.kind]
    before: dict[str, object] = {}
    for scope, name, rule in alike:
        values = dict(_flat(parameters_of(rule.condition.as_data())))
        yield (
            scope,
            name,
            {each: value for each, value in values.items() if each not in before or before[each] != value},
        )
        before = values


def _flat(parameters: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            inner: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType]  # JSON from outside
            yield from _flat(inner, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _levels(plan: Plan, watch: Watch | None, rule: Rule, track: RuleTrack | None, now: datetime) -> list[LevelNow]:
    if watch is None:
        # On silence, or reported: nothing is held.
        return []
    tracks = [None] * len(watch.holds) if track is None else track.levels
    return [
        _level(plan, watch, LevelNow(*_numbers(rule, place), Standing.CLEAR), place, level, now)
        for place, level in enumerate(tracks)
    ]


def _numbers(rule: Rule, place: int) -> tuple[Severity, float, float | None, float, float]:
    level = rule.condition.levels[place]
    return level.severity, level.limit, level.clear, level.hold_s, level.keep_s


def _level(plan: Plan, watch: Watch, clear: LevelNow, place: int, level: LevelTrack | None, now: datetime) -> LevelNow:
    if level is None:
        return clear
    onset, hold = from_micros(level.onset), timedelta(microseconds=watch.holds[place])
    speaks = from_micros(speaks_until(plan, watch, level))
    fires_at = onset + hold
    firing = level.fired is not None
    held = min(max(min(now, speaks) - onset, timedelta(0)), hold)
    return clear._replace(
        state=Standing.FIRING if firing else Standing.PENDING,
        onset=onset,
        bad_at=from_micros(level.seen),
        speaks_until=speaks,
        held_s=(hold if firing else held).total_seconds(),
        fires_at=None if firing or fires_at > speaks else fires_at,
        fired_at=None if level.fired is None else from_micros(level.fired),
        good_since=None if level.calm is None else from_micros(level.calm),
    )


def _silence(plan: Plan, silence: SilenceWatch, present: Present) -> SilenceNow:
    hearing = present.hearing
    track = present.tracks.silences.get(silence.key)
    alone = Plan((), {}, {}, (silence,), plan.validity, {})
    covered = hearing.coverage
    return SilenceNow(
        heard_at=hearing.heard_at,
        source=present.source,
        covered_since=None if covered is None else covered.since,
        covered_until=None if covered is None else covered.until,
        wait_s=silence.wait.total_seconds(),
        due_at=None if track is not None or covered is None else next_silence_due(alone, Tracks(), hearing),
        firing_since=None if track is None else from_micros(track.onset),
    )


def _evidence(track: RuleTrack) -> Evidence | None:
    if track.value is None or track.reading is None:
        return None
    return Evidence(track.value, from_micros(track.reading[0]))


def _is_bad(rule: Rule, seen: Sequence[Seen]) -> bool:
    """Whether the newest values alone are bad by the parameters in force; a rule that remembers needs more."""
    judged = rule.condition.judge({one.measure: one.value for one in seen if one.flag is None})
    return judged is not None and Verdict.BAD in judged[1]
