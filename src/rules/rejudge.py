"""Rejudge: judge a stretch of one rule's stream again, now that late readings have found their place in it.

Pure. At a calm moment a rule is clear whatever came long before: after a reading that is good beyond the clear level of
every level, or for as long as it must keep on. Between two such moments the stream alone decides; so a late reading can
change no more than the span between the last one before it and the first one after it that remembers nothing of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.alert import AlertState, Severity, Standing, Step, Transition
from domain.alert_change import AlertChange, AlertKey, fold
from domain.instants import to_micros
from domain.reading import DEVICE, Position, Reading
from rules.engine import Hearing, elapse_holds, judge
from rules.plan import Plan, Watch
from rules.rule import Verdict
from rules.tracks import LevelTrack, RuleTrack, Tracks

_UNHEARD = Hearing(None, None)
"""Silence is a fact of reception, which no late reading changes: it is not judged again."""


class Span(NamedTuple):
    """The stretch of one rule's stream that late readings may have changed, in event time."""

    after: datetime | None
    """The last calm moment before them; ``None``: the stream's beginning."""
    until: datetime | None
    """The first calm moment after them; ``None``: the stream's end, where the present state is decided too."""


class Stood(NamedTuple):
    """An alert inside a span, as it stood before."""

    onset: datetime
    state: AlertState
    standing: Standing
    severity: Severity
    peak: Severity
    fired_at: datetime
    cleared_at: datetime | None
    has_ticket: bool = False


class Correction(NamedTuple):
    """An alert that the stream in order bears out, with other times or another peak than it had."""

    key: AlertKey
    fired_at: datetime
    cleared_at: datetime | None
    """``None``: its steps tell."""
    peak: Severity


class Contradiction(NamedTuple):
    """An alert that the stream in order would not have raised."""

    key: AlertKey
    reading: Position
    """The late reading that says so."""


@dataclass(slots=True)
class Amendment:
    """What late readings change in what was decided before."""

    transitions: list[Transition] = field(default_factory=list[Transition])
    """Steps of alerts that are new, fire again, rise, fall or clear."""
    retrospective: set[AlertKey] = field(default_factory=set[AlertKey])
    """Alerts that are new: found late (追溯)."""
    corrections: list[Correction] = field(default_factory=list[Correction])
    contradictions: list[Contradiction] = field(default_factory=list[Contradiction])

    def add(self, other: "Amendment") -> None:
        """Take in what another rule or device amends."""
        self.transitions += other.transitions
        self.retrospective |= other.retrospective
        self.corrections += other.corrections
        self.contradictions += other.contradictions

    def __bool__(self) -> bool:
        """Whether anything is amended."""
        return bool(self.transitions or self.corrections or self.contradictions)


def concerns(watch: Watch, reading: Reading) -> bool:
    """Whether a rule would judge a reading: it holds one of its measures, without a flag, of a device in service."""
    if reading.flags and DEVICE in reading.flags:
        return False
    return any(name in reading.values and name not in reading.flags for name in watch.condition.measures)


def calm_before(
    plan: Plan, watch: Watch, readings: Sequence[Reading], before: datetime, *, whole: bool
) -> datetime | None:
    """The last moment before ``before`` at which the rule is certainly clear, or ``None`` if these do not tell.

    ``whole``: they begin with the device's first reading; else earlier ones may be remembered.
    """
    if _by_one_reading(watch):
        return _last_good(watch, readings, before)
    since = None if whole or not readings else readings[0].at
    last: datetime | None = None
    for moment in _calm_moments(plan, watch, readings, since):
        if moment >= before:
            break
        last = moment
    return last


def calm_after(plan: Plan, watch: Watch, readings: Sequence[Reading], after: datetime) -> datetime | None:
    """The first moment after ``after`` at which the rule is certainly clear and remembers nothing of ``after``.

    ``None`` if these do not tell. Of several readings of one moment the last decides, so that moment counts only once a
    later one is seen.
    """
    later = [reading for reading in readings if reading.at > after]
    moments = _good_moments(watch, later) if _by_one_reading(watch) else _calm_moments(plan, watch, later, after)
    return next(moments, None)


def _by_one_reading(watch: Watch) -> bool:
    """Whether one good reading makes it clear at once: so it is with most rules, and nothing need be played."""
    return watch.remembering is None and not any(watch.keeps)


def _last_good(watch: Watch, readings: Sequence[Reading], before: datetime) -> datetime | None:
    passed: datetime | None = None
    for reading in reversed(readings):
        if reading.at >= before or reading.at == passed or not concerns(watch, reading):
            continue
        if _is_good(watch, reading):
            return reading.at
        passed = reading.at
    return None


def _good_moments(watch: Watch, readings: Iterable[Reading]) -> Iterator[datetime]:
    good: datetime | None = None
    for reading in readings:
        if good is not None and reading.at > good:
            yield good
            good = None
        if concerns(watch, reading):
            good = reading.at if _is_good(watch, reading) else None


def _is_good(watch: Watch, reading: Reading) -> bool:
    values = reading.values
    if reading.flags:
        values = {name: value for name, value in values.items() if name not in reading.flags}
    judged = watch.condition.judge(values)
    return judged is not None and all(verdict is Verdict.GOOD for verdict in judged[1])


def _calm_moments(plan: Plan, watch: Watch, readings: Iterable[Reading], since: datetime | None) -> Iterator[datetime]:
    """The moments at which a rule is clear, whatever it thought before ``since``; ``None``: there was nothing before.

    It is played twice, from clear and from firing on every level: no other past ends later than these two. Both begin
    once the rule's memory holds nothing but what is played.
    """
    alone = plan_alone(plan, watch)
    reach, warm = timedelta(seconds=watch.reach_s), since is None or watch.remembering is None
    from_clear, from_firing = Tracks(), Tracks()
    moment: datetime | None = None
    concerned = 0
    for reading in readings:
        if moment is not None and reading.at > moment:
            if warm and _is_clear(from_clear, watch) and _is_clear(from_firing, watch):
                yield moment
            moment = None
        if not concerns(watch, reading):
            continue
        if not concerned or not warm:
            _fire_all(watch, from_firing, reading.at)
            clear_all(watch, from_clear)
        concerned += 1
        moment = reading.at
        if not warm and since is not None:
            warm = reading.at - since > reach and concerned >= watch.reach_readings
        judge(alone, from_clear, reading, _UNHEARD)
        judge(alone, from_firing, reading, _UNHEARD)


def _is_clear(tracks: Tracks, watch: Watch) -> bool:
    track = tracks.rules.get(watch.key)
    return track is None or track.is_clear


def clear_all(watch: Watch, tracks: Tracks) -> None:
    """Forget what a rule thought of its levels, and keep what it remembers."""
    track = tracks.rules.get(watch.key)
    if track is not None:
        track.levels, track.onset = [None] * len(watch.holds), None


def _fire_all(watch: Watch, tracks: Tracks, at: datetime) -> None:
    now = to_micros(at)
    track = tracks.rules.setdefault(watch.key, RuleTrack(levels=[]))
    track.levels, track.onset = [LevelTrack(now, now, now) for _ in watch.holds], now


def plan_alone(plan: Plan, watch: Watch) -> Plan:
    """A plan of this rule only."""
    return Plan((watch,), {watch.key: watch}, {}, (), plan.validity, plan.rules)


def replay(
    plan: Plan, watch: Watch, readings: Iterable[Reading], device_id: int, span: Span, horizon: datetime
) -> tuple[list[AlertChange], RuleTrack | None]:
    """Judge a span in order; return its alerts, and what the rule remembers at the end.

    ``readings`` are in order and cover the span, and before it what the rule remembers then. ``horizon`` is how far
    the clock had decided before: a hold that ended by then fires, a later one is the ticker's.
    """
    alone = plan_alone(plan, watch)
    tracks = Tracks()
    steps: list[Transition] = []
    for reading in readings:
        if span.after is not None and reading.at <= span.after:
            if watch.remembering is not None and concerns(watch, reading):
                judge(alone, tracks, reading, _UNHEARD)
                clear_all(watch, tracks)
            continue
        if span.until is not None and reading.at > span.until:
            break
        if concerns(watch, reading):
            steps += judge(alone, tracks, reading, _UNHEARD)
    if span.until is None:
        elapse_holds(alone, tracks, device_id, horizon, steps)
    return fold(steps), tracks.rules.get(watch.key)


def compare(
    changes: Iterable[AlertChange], stood: Iterable[Stood], rule: tuple[int, str], late: Sequence[Position]
) -> Amendment:
    """Compare the alerts of a span judged in order with those that stood; say what must change.

    ``rule`` is (device, rule key), ``late`` the late readings, in order, at least one.
    """
    amended = Amendment()
    left = {alert.onset: alert for alert in stood}
    for change in changes:
        was = left.pop(change.key[2], None)
        if was is None:
            amended.transitions += change.steps
            amended.retrospective.add(change.key)
        else:
            _amend(amended, change, was)
    for was in left.values():
        if was.standing is Standing.UPHELD:
            amended.contradictions.append(Contradiction((*rule, was.onset), _witness(was, late)))
    return amended


def _amend(amended: Amendment, change: AlertChange, was: Stood) -> None:
    firing, fired = change.state is AlertState.FIRING, was.state is AlertState.FIRING
    upheld = was.standing is Standing.UPHELD
    stood = fired and upheld
    graver = change.peak < was.peak and not was.has_ticket
    if firing and not stood:
        amended.transitions += change.steps
    elif graver and upheld:
        # It may ask for the ticket that it did not have: all its steps speak, as if it were seen for the first time.
        amended.transitions += change.steps
    elif firing and was.severity is not change.severity:
        step = Step.ROSE if change.severity < was.severity else Step.FELL
        amended.transitions.append(change.evidence._replace(step=step))
    elif stood and not firing:
        amended.transitions.append(change.steps[-1])
    fired_at = change.steps[0].at
    if not upheld or (was.fired_at, was.cleared_at, was.peak) != (fired_at, change.cleared_at, change.peak):
        cleared_at = None if stood else change.cleared_at
        amended.corrections.append(Correction(change.key, fired_at, cleared_at, change.peak))


def _witness(was: Stood, late: Sequence[Position]) -> Position:
    """The late reading that speaks against an alert: the last one by the time it fired, else the first of all."""
    before = [position for position in late if position.at <= was.fired_at]
    return before[-1] if before else late[0]
