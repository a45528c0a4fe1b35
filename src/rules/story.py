"""Story: readings over time and the steps of alerts expected of them, played on the engine with its clock."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.instants import EPOCH
from domain.reading import MeasureValue, Reading
from rules.engine import Hearing, judge, next_hold_due, next_silence_due, tick
from rules.plan import Plan
from rules.surroundings import Surroundings
from rules.tracks import Tracks

STEPS: Final = (Step.OPENED, Step.ROSE, Step.FELL, Step.CLEARED)
"""What a story may expect: the steps that a stream in order makes."""

_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60))


class Shows(StrEnum):
    """What of a rule a story shows."""

    FIRE = "fire"
    HOLD = "hold"
    CLEAR = "clear"
    NO_FIRE = "no-fire"
    GAP = "gap"
    """Readings fail to come for longer than one stays valid."""


class Input(NamedTuple):
    """One reading; it is received at the time it tells of."""

    at: timedelta
    values: dict[str, MeasureValue]
    flags: dict[str, str]


class Happening(NamedTuple):
    """One step of one alert, with its time since the story began."""

    at: timedelta
    step: Step
    rule: str
    severity: Severity

    def __str__(self) -> str:
        """As a line for people."""
        return f"{told(self.at)} {self.step} {self.rule} {self.severity.name.lower()}"


@dataclass(frozen=True, slots=True)
class Story:
    """What one device tells, and what is expected of it."""

    name: str
    place: str
    """File and line, for people."""
    plan: Plan
    """The rules that judge the device, overrides included."""
    rule: str | None
    """The rule whose steps are compared; ``None``: all."""
    shows: Shows | None
    inputs: Sequence[Input]
    until: timedelta
    """Up to when the clock runs and the device could be heard."""
    expect: Sequence[Happening]
    begins: datetime = EPOCH
    """The moment from which its times count: what the sun says depends on it."""
    surroundings: Surroundings | None = None
    """Where the device stands; the plan's rules are put there already."""


def play(story: Story) -> list[Happening]:
    """What happens: every step of the rules that the story compares."""
    return [Happening(step.at - EPOCH, step.step, step.rule, step.severity) for step in transitions(story)]


def transitions(story: Story) -> list[Transition]:
    """Judge the inputs, and let the clock decide at every time something is due, as the service does.

    Times are those of a story that began with :data:`~domain.instants.EPOCH`.
    """
    tracks, begins = Tracks(), story.begins
    heard = Hearing(None, Coverage(begins, begins))
    steps: list[Transition] = []
    for number, one in enumerate(story.inputs):
        now = begins + one.at
        # What comes in at one moment is heard before the clock is asked.
        steps += _elapse(story.plan, tracks, heard, now - timedelta.resolution)
        reading = Reading(0, now, now, dict(one.values), dict(one.flags), number, b"", None, None)
        heard = heard._replace(coverage=Coverage(begins, now))
        steps += judge(story.plan, tracks, reading, heard)
        heard = heard._replace(heard_at=now)
    steps += _elapse(story.plan, tracks, heard, begins + story.until)
    shift = begins - EPOCH
    return [
        step._replace(onset=step.onset - shift, at=step.at - shift) for step in steps if story.rule in {None, step.rule}
    ]


def differences(expected: Sequence[Happening], happened: Sequence[Happening]) -> list[str]:
    """Every step as a line, ``-`` before what failed to happen and ``+`` before what was not expected; none if equal.

    Steps of several rules at one moment have no order among each other.
    """
    before, after = ([str(one) for one in sorted(side, key=_moment_and_rule)] for side in (expected, happened))
    if before == after:
        return []
    return [line for line in difflib.ndiff(before, after) if not line.startswith("?")]


def told(at: timedelta) -> str:
    """A time since the beginning as a story writes it: ``1h30m``, ``45s``."""
    rest, text = at, ""
    for unit, seconds in _UNITS:
        count, rest = divmod(rest, timedelta(seconds=seconds))
        text += f"{count}{unit}" if count else ""
    return f"{text}{rest.total_seconds():g}s" if rest or not text else text


def _elapse(plan: Plan, tracks: Tracks, heard: Hearing, until: datetime) -> list[Transition]:
    """Let the clock decide at each time that is due up to ``until``; each decision leaves one thing less to decide."""
    steps: list[Transition] = []
    while True:
        dues = (next_hold_due(plan, tracks), next_silence_due(plan, tracks, heard))
        due = min((each for each in dues if each is not None), default=None)
        if due is None or due > until:
            return steps
        since = due if heard.coverage is None else heard.coverage.since
        steps += tick(plan, tracks, 0, due, heard._replace(coverage=Coverage(since, due)))


def _moment_and_rule(one: Happening) -> tuple[timedelta, str]:
    return one.at, one.rule
