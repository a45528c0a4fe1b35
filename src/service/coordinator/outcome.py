"""Outcome: what the decisions of one look come to, put together for the store; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.alert import Severity, Step, Transition
from domain.mute import MuteReason
from rules.groups import Closed, Decision, Fired, Incident, Joined, Left, Opened


@dataclass(slots=True)
class Outcome:
    """What follows from the decisions of one look, in their order."""

    opened: list[Incident] = field(default_factory=list[Incident])
    closed: list[Incident] = field(default_factory=list[Incident])
    touched: list[Incident] = field(default_factory=list[Incident])
    """All of which something changed, each once."""
    joined: dict[int, Incident] = field(default_factory=dict[int, Incident])
    """Alert → the incident that it joined last."""
    muted: dict[int, tuple[MuteReason, Incident]] = field(default_factory=dict[int, tuple[MuteReason, Incident]])
    """Alerts that are part of an open incident since this look, or hidden by it."""
    released: dict[int, Incident] = field(default_factory=dict[int, Incident])
    """Alerts that still fire, and the incident that let go of them."""

    def enter(self, decisions: Iterable[Decision]) -> None:
        """Add what was decided next."""
        for decision in decisions:
            incident = decision.incident
            if incident not in self.touched:
                self.touched.append(incident)
            match decision:
                case Opened(_, parts, hidden):
                    self.opened.append(incident)
                    for one in parts:
                        self._join(one, incident, MuteReason.INCIDENT)
                    for one in hidden:
                        self._join(one, incident, MuteReason.INHIBITION)
                case Joined(_, one, is_hidden):
                    self._join(one, incident, MuteReason.INHIBITION if is_hidden else MuteReason.INCIDENT)
                case Left(_, alert):
                    self.muted.pop(alert, None)
                    self.released.pop(alert, None)
                case Closed(_, released):
                    self._close(incident, released)

    @property
    def alerts(self) -> set[int]:
        """Alerts that stand otherwise than before."""
        return {*self.joined, *self.released}

    def _join(self, one: Fired, incident: Incident, reason: MuteReason) -> None:
        self.joined[one.alert] = incident
        self.muted[one.alert] = (reason, incident)
        self.released.pop(one.alert, None)

    def _close(self, incident: Incident, released: Iterable[Fired]) -> None:
        self.closed.append(incident)
        for one in released:
            self.muted.pop(one.alert, None)
            self.released[one.alert] = incident


_SOURCE: Final = "incident:"


def source_of(incident: Incident) -> str:
    """Under which name an incident mutes alerts."""
    return f"{_SOURCE}{incident.id}"


def head_step(incident: Incident, step: Step, at: datetime, severity: Severity) -> Transition:
    """A step of the incident's own alert; it hangs on the device of the lead."""
    return Transition(incident.lead.device, incident.place.rule, incident.onset, at, step, severity, None, None, None)
