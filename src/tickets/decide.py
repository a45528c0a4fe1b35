"""Decide: what an alert's change means for tickets. Pure; the store keeps the promise of one open ticket a subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.alert import AlertState, Severity, Step
from domain.alert_change import AlertChange, AlertKey
from domain.ticket import Subject, TicketSort


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a rule demands when it fires."""

    case_class: str
    sort: TicketSort
    ticket_from: Severity
    """Only from this severity on."""
    title: str
    title_zh: str


@dataclass(frozen=True, slots=True)
class Demand:
    """An alert asks for a ticket: open one for the subject, or join the one that is open."""

    alert: AlertKey
    subject: Subject
    severity: Severity
    consequence: Consequence
    district: str
    simulated: bool
    at: datetime
    """Event time of the step that asked."""


@dataclass(frozen=True, slots=True)
class Rise:
    """An alert that has its ticket became graver."""

    alert: AlertKey
    ticket_id: int
    severity: Severity
    at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """An alert that has, or has just asked for, a ticket has cleared."""

    alert: AlertKey
    at: datetime


@dataclass(frozen=True, slots=True)
class Stand:
    """Where an alert and its device stand."""

    ticket_id: int | None
    """The ticket it already belongs to."""
    asset_id: int | None
    """The asset its device is fitted to."""
    district: str
    simulated: bool


def decide(change: AlertChange, consequence: Consequence | None, stand: Stand) -> list[Demand | Rise | Release]:
    """What follows from an alert's change, in order. Nothing for an alert without a case class or an asset."""
    cleared = change.state is AlertState.CLEARED
    follows: list[Demand | Rise | Release] = []
    if stand.ticket_id is not None:
        # Whatever became of the fitting or the rule meanwhile: what has a ticket must also let go of it.
        if any(step.step is Step.ROSE for step in change.steps):
            follows.append(Rise(change.key, stand.ticket_id, change.peak, change.evidence.at))
    elif consequence is None or stand.asset_id is None:
        return []
    else:
        grave = [step for step in change.steps if step.severity <= consequence.ticket_from]
        if grave and not (cleared and len(change.steps) == 1):
            subject = Subject(stand.asset_id, consequence.case_class)
            follows.append(
                Demand(change.key, subject, change.peak, consequence, stand.district, stand.simulated, grave[0].at)
            )
    if cleared and (stand.ticket_id is not None or follows):
        follows.append(Release(change.key, change.steps[-1].at))
    return follows


def hold_back(follows: Sequence[Demand | Rise | Release]) -> tuple[list[Demand | Rise | Release], bool]:
    """What of an alert's consequences stands while it is muted, and whether it wanted a ticket.

    It asks for none and raises none; a ticket that it has already is released as ever. What is held back is made good
    when the last mute ends, if the alert still fires then.
    """
    if any(isinstance(one, Demand) for one in follows):
        return [], True
    return [one for one in follows if isinstance(one, Release)], False
