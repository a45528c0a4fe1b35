"""Duties: one table of what is done to a ticket in each state, by whom and how soon; and a plan drawn from it.

Pure: the same seed, alert and fault give the same plan. The truth says when a fault ends; whoever says "handled" before
that says it falsely, and is found out.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from simulators.crews.paths import PathStep
from simulators.truth import FaultInstance

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
MOST_MOVES: Final = 30
"""A ticket that is refused again and again is left where it is."""


class State(StrEnum):
    """Where a ticket stands in the closed loop, as crews see it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    HANDLED = "handled"
    HANDLED_FALSELY = "handled falsely"
    CLOSED = "closed"


class Move(StrEnum):
    """What somebody does to a ticket."""

    ACKNOWLEDGE = "acknowledge"
    DISPATCH = "dispatch"
    ACCEPT = "accept"
    REFUSE = "refuse"
    HANDLE = "handle"
    HANDLE_FALSELY = "handle falsely"
    REWORK = "rework"
    CLOSE = "close"
    REPORT_AGAIN = "report again"
    """A citizen reports what has its ticket already."""


POSSIBLE: Final = frozenset((Move.ACKNOWLEDGE,))
"""What the service's API offers today; with the closed loop this grows."""


@dataclass(frozen=True, slots=True)
class Way:
    """One thing that may be done in a state."""

    move: Move
    then: State
    why: str
    share: float = 1.0
    """How often it is this and not what stands below it in the table."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Who acts in a state, how soon, and what they do."""

    by: str
    within_s: tuple[float, float]
    ways: tuple[Way, ...]


CREWS: Final = ("crew 1 维修一班", "crew 2 维修二班", "crew 3 维修三班")
CITIZEN: Final = "citizen 市民"
_CREW: Final = ""
"""Stands for the crew that the ticket was given to."""

DUTIES: Final[Mapping[State, Duty]] = {
    State.OPEN: Duty(
        "operator 值班员",
        (MINUTE_S, 20 * MINUTE_S),
        (Way(Move.ACKNOWLEDGE, State.ACKNOWLEDGED, "seen at the command centre"),),
    ),
    State.ACKNOWLEDGED: Duty(
        "dispatcher 派遣员",
        (2 * MINUTE_S, 15 * MINUTE_S),
        (Way(Move.DISPATCH, State.DISPATCHED, "sent to the keeper"),),
    ),
    State.DISPATCHED: Duty(
        _CREW,
        (5 * MINUTE_S, 40 * MINUTE_S),
        (
            Way(Move.REFUSE, State.ACKNOWLEDGED, "it lies outside our district", share=0.1),
            Way(Move.ACCEPT, State.ACCEPTED, "on the way"),
        ),
    ),
    State.ACCEPTED: Duty(
        _CREW,
        (30 * MINUTE_S, 6 * HOUR_S),
        (
            Way(Move.HANDLE_FALSELY, State.HANDLED_FALSELY, "reported as handled, and nothing was done", share=0.08),
            Way(Move.HANDLE, State.HANDLED, "mended"),
        ),
    ),
    State.HANDLED_FALSELY: Duty(
        "checker 核查员",
        (30 * MINUTE_S, 3 * HOUR_S),
        (Way(Move.REWORK, State.ACCEPTED, "found as bad as before"),),
    ),
    State.HANDLED: Duty(
        "checker 核查员", (30 * MINUTE_S, 8 * HOUR_S), (Way(Move.CLOSE, State.CLOSED, "found in order"),)
    ),
}
"""The table. A ticket that has none of these states is closed."""

REPORTED_AGAIN: Final = (0.15, 3)
"""So many tickets are reported by citizens, too, and so often at most."""
_AFTER_MENDING_S: Final = (2 * MINUTE_S, 15 * MINUTE_S)


def plan(seed: int, case: str, onset: datetime, fault: FaultInstance | None) -> tuple[PathStep, ...]:
    """Plan a ticket's whole life from the onset of its alert on; ``case`` is what tells it from every other."""
    dice = random.Random(f"{seed}/{case}/{onset.isoformat()}")
    crew = dice.choice(CREWS)
    steps = list(_walk(dice, crew, onset, fault))
    again, most = REPORTED_AGAIN
    if dice.random() < again:
        last = steps[-1].at
        for _ in range(dice.randint(1, most)):
            at = onset + (last - onset) * dice.random()
            steps.append(PathStep(at, Move.REPORT_AGAIN, CITIZEN, "reported from the street, though a ticket is open"))
    return tuple(sorted(steps, key=lambda step: step.at))


def _walk(dice: random.Random, crew: str, onset: datetime, fault: FaultInstance | None) -> Iterator[PathStep]:
    """Go through the table until the ticket is closed, or nobody mends what the truth leaves broken."""
    state, at = State.OPEN, onset
    for _ in range(MOST_MOVES):
        duty = DUTIES.get(state)
        if duty is None:
            return
        at += timedelta(seconds=dice.uniform(*duty.within_s))
        way = next(way for way in duty.ways if way.share >= 1.0 or dice.random() < way.share)
        if way.move is Move.HANDLE and fault is not None:
            if fault.ends is None:
                return
            # The fault ends when it is mended: who says so says it a little later.
            at = max(at, fault.ends + timedelta(seconds=dice.uniform(*_AFTER_MENDING_S)))
        elif way.move is Move.HANDLE_FALSELY and fault is not None and fault.ends is not None and at >= fault.ends:
            way = next(other for other in duty.ways if other.move is Move.HANDLE)
        yield PathStep(at, way.move, duty.by or crew, way.why)
        state = way.then
