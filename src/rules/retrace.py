"""Retrace: how one rule came to stand as it stood at a moment: reading by reading, what each said and what followed.

Pure. The readings are judged again by the engine that judged them live; between them its clock decides what was due.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from domain.alert import Severity, Step, Transition
from domain.instants import from_micros, to_micros
from domain.reading import DEVICE, MeasureValue, Reading
from rules.engine import Hearing, elapse_holds, judge, speaks_until
from rules.plan import Plan, Watch
from rules.rejudge import clear_all, concerns, plan_alone
from rules.rule import Verdict
from rules.tracks import LevelTrack, Tracks
from rules.why import time_of, value_of

_UNHEARD: Final = Hearing(None, None)


class Outcome(StrEnum):
    """What became of a level at a moment."""

    BEGAN = "began"
    """It became bad, and its hold runs."""
    BEGAN_ANEW = "began_anew"
    """It was bad again after a time in which no reading spoke: the hold runs from here."""
    BROKE = "broke"
    """A reading ended the hold before it had elapsed."""
    OPENED = "opened"
    ROSE = "rose"
    FELL = "fell"
    CLEARED = "cleared"


class Happened(NamedTuple):
    """One thing that happened to the rule."""

    at: datetime
    what: Outcome
    severity: Severity
    sentence: str


class Look(NamedTuple):
    """One reading that concerned the rule, or would have."""

    at: datetime
    received_at: datetime
    values: Mapping[str, MeasureValue]
    """Of the rule's measures, those it holds."""
    verdicts: Sequence[tuple[Severity, Verdict]]
    """Of each level, mildest first; none where it was not judged."""
    flags: Mapping[str, str]
    """Of its values, those that were not judged, and why."""
    not_judged: str | None
    """Why nothing of it was."""


class Retraced(NamedTuple):
    """How a rule went up to a moment."""

    looks: list[Look]
    happened: list[Happened]
    tracks: Tracks
    """What it remembers then."""


def retrace(plan: Plan, watch: Watch, readings: Iterable[Reading], after: datetime | None, until: datetime) -> Retraced:
    """Judge the readings from the calm moment ``after`` on, in order, and let the clock go on up to ``until``.

    Earlier ones are only what the rule remembers then; ``None``: they begin with the device's first.
    """
    own, tracks = plan_alone(plan, watch), Tracks()
    looks: list[Look] = []
    happened: list[Happened] = []
    device = 0
    for reading in readings:
        if reading.at > until:
            break
        device = reading.device_id
        if not any(name in reading.values for name in watch.condition.measures):
            continue
        if after is not None and reading.at <= after:
            if watch.remembering is not None and concerns(watch, reading):
                judge(own, tracks, reading, _UNHEARD)
                clear_all(watch, tracks)
            continue
        looks.append(_look(own, watch, tracks, reading))
        if looks[-1].not_judged is not None:
            continue
        steps: list[Transition] = []
        elapse_holds(own, tracks, device, reading.at, steps)
        before = _levels(watch, tracks)
        steps += judge(own, tracks, reading, _UNHEARD)
        happened += _of_holds(own, watch, before, _levels(watch, tracks), looks[-1])
        happened += [_of_step(watch, step) for step in steps]
    steps = []
    elapse_holds(own, tracks, device, until, steps)
    return Retraced(looks, sorted([*happened, *(_of_step(watch, step) for step in steps)], key=_at), tracks)


def _at(one: Happened) -> datetime:
    return one.at


def _look(plan: Plan, watch: Watch, tracks: Tracks, reading: Reading) -> Look:
    values = {name: reading.values[name] for name in watch.condition.measures if name in reading.values}
    doubtful = {name: reading.flags[name] for name in values if name in reading.flags}
    look = Look(reading.at, reading.received_at, values, (), doubtful, None)
    if DEVICE in reading.flags:
        return look._replace(not_judged=f"the device was {reading.flags[DEVICE]}")
    judged = {name: value for name, value in values.items() if name not in doubtful}
    if not judged:
        return look._replace(not_judged=", ".join(f"{name} is {flag}" for name, flag in doubtful.items()))
    verdicts = _verdicts(plan, watch, tracks, judged, to_micros(reading.at))
    return look._replace(verdicts=list(zip(watch.severities, verdicts, strict=False)))


def _verdicts(
    plan: Plan, watch: Watch, tracks: Tracks, values: Mapping[str, MeasureValue], now: int
) -> Sequence[Verdict]:
    if watch.remembering is None:
        judged = watch.condition.judge(values)
        return () if judged is None else judged[1]
    track = tracks.rules.get(watch.key)
    # A condition may change its memory in place, and this is only a look.
    memory = deepcopy(track.memory) if track is not None and track.kind == watch.remembering.kind else None
    weighed = watch.remembering.weigh(values, now, plan.validity, memory)
    return () if weighed is None else weighed[1]


def _levels(watch: Watch, tracks: Tracks) -> list[LevelTrack | None]:
    track = tracks.rules.get(watch.key)
    return [None] * len(watch.holds) if track is None else deepcopy(track.levels)


def _of_holds(
    plan: Plan,
    watch: Watch,
    before: Sequence[LevelTrack | None],
    after: Sequence[LevelTrack | None],
    look: Look,
) -> Iterator[Happened]:
    verdicts = dict(look.verdicts)
    said = ", ".join(f"{name} {value_of(value)}" for name, value in look.values.items())
    for severity, hold, was, now in zip(watch.severities, watch.holds, before, after, strict=True):
        seconds, name = value_of(hold / 1e6), severity.name.lower()
        waited = was is not None and was.fired is None
        if waited and was is not None and (now is None or now.onset != was.onset):
            bad = value_of((to_micros(look.at) - was.onset) / 1e6)
            if now is not None:
                spoke = time_of(from_micros(speaks_until(plan, watch, was)))
                sentence = (
                    f"{name}: no reading spoke after {spoke}, before the hold of {seconds} s had elapsed; a reading "
                    f"({said}) began it anew at {time_of(look.at)}"
                )
                yield Happened(look.at, Outcome.BEGAN_ANEW, severity, sentence)
                continue
            lies = "between limit and clear level" if verdicts.get(severity) is Verdict.KEEP else "good"
            sentence = (
                f"{name}: it was bad for {bad} s of the {seconds} s hold; at {time_of(look.at)} a reading ({said}), "
                f"{lies}, ended it: the next bad one begins the hold anew"
            )
            yield Happened(look.at, Outcome.BROKE, severity, sentence)
        elif was is None and now is not None and now.fired is None:
            sentence = f"{name}: bad from {time_of(look.at)} on ({said}); the hold of {seconds} s began"
            yield Happened(look.at, Outcome.BEGAN, severity, sentence)


def _of_step(watch: Watch, step: Transition) -> Happened:
    name = step.severity.name.lower()
    match step.step:
        case Step.OPENED:
            since = "" if step.onset == step.at else f", bad since {time_of(step.onset)}"
            sentence = f"{name}: it fired at {time_of(step.at)}{since}"
        case Step.ROSE:
            sentence = f"{name}: it rose at {time_of(step.at)}"
        case Step.FELL:
            sentence = f"{name}: it fell to this at {time_of(step.at)}"
        case _:
            sentence = f"{name}: it cleared at {time_of(step.at)}"
    if step.value is not None:
        sentence += f" ({watch.measure} {value_of(step.value)})"
    return Happened(step.at, Outcome(step.step.value), step.severity, sentence)
