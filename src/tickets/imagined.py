"""Imagined tickets: which tickets alerts would open, join and resolve; the deciding of the live service, in memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from domain.alert import Transition
from domain.alert_change import AlertChange, AlertKey
from domain.ticket import Subject
from tickets.decide import Consequence, Demand, Release, Rise, Stand, decide


@dataclass(slots=True)
class ImaginedTicket:
    """One open or resolved ticket."""

    subject: Subject
    opened_at: datetime
    alerts: list[AlertKey] = field(default_factory=list[AlertKey])
    """All that asked for it, the first one first."""
    resolved_at: datetime | None = None

    @property
    def joined(self) -> int:
        """Alerts that found it open and joined it."""
        return len(self.alerts) - 1


Asked = Callable[[AlertKey], tuple[Consequence | None, Stand]]
"""What an alert's rule demands, and where its device stands; the ticket in it is not looked at."""


def imagine(steps: Iterable[Transition], asked: Asked) -> list[ImaginedTicket]:
    """Take the steps of all alerts in the order of their times; return the tickets in the order in which they open."""
    tickets: list[ImaginedTicket] = []
    open_now: dict[Subject, int] = {}
    owner: dict[AlertKey, int] = {}
    firing: dict[int, set[AlertKey]] = {}
    for step in sorted(steps, key=_at):
        key = (step.device_id, step.rule, step.onset)
        consequence, stand = asked(key)
        place = owner.get(key)
        known = Stand(place, stand.asset_id, stand.district, stand.simulated)
        for follow in decide(AlertChange(key, (step,)), consequence, known):
            match follow:
                case Demand():
                    place = open_now.get(follow.subject)
                    if place is None:
                        place = open_now[follow.subject] = len(tickets)
                        tickets.append(ImaginedTicket(follow.subject, step.at))
                    owner[key] = place
                    tickets[place].alerts.append(key)
                    firing.setdefault(place, set()).add(key)
                case Rise():
                    pass
                case Release():
                    place = owner.pop(key)
                    firing[place].discard(key)
                    if not firing[place]:
                        tickets[place].resolved_at = step.at
                        del open_now[tickets[place].subject]
    return tickets


def _at(step: Transition) -> datetime:
    # Nothing else: steps of one moment stay in the order in which the engine made them.
    return step.at
