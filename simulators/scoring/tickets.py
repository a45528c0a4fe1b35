"""Tickets against the truth: which were demanded and came, which are missing, needless or double. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from simulators.scoring.facts import Facts
from simulators.scoring.match import Answer, Judged, Matching, Times, Verdict
from simulators.scoring.observed import ObservedTicket
from simulators.truth import FaultInstance

ANY_CLASS: Final = "any"
"""Stands for the case class where an expectation names none."""

_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Demand:
    """One fault asks for one ticket: however many of its alerts do, they meet in it."""

    fault: FaultInstance
    asset: str
    case_class: str
    answers: tuple[Answer, ...]
    tickets: tuple[ObservedTicket, ...]
    """Behind its alerts, oldest first."""

    @property
    def counts(self) -> bool:
        """Whether the service can be held to it."""
        return any(answer.counts for answer in self.answers)

    @property
    def future(self) -> bool:
        """Whether it waits for a rule that is not in force."""
        return all(answer.future for answer in self.answers)


@dataclass(frozen=True, slots=True)
class TicketVerdicts:
    """What the tickets are worth, each list in the order of its numbers."""

    demands: tuple[Demand, ...]
    unexpected: tuple[ObservedTicket, ...]
    """Nothing that happened asks for them."""
    duplicates: tuple[ObservedTicket, ...]
    """A ticket for the same asset and case class was open, or one for the same fault was there."""


def judge_tickets(matching: Matching, tickets: Iterable[ObservedTicket], times: Times, facts: Facts) -> TicketVerdicts:
    """Compare the tickets with what the truth demands."""
    by_number = {ticket.number: ticket for ticket in tickets}
    behind: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in matching.judged:
        if judged.alert.ticket is not None:
            behind[judged.alert.ticket].append(judged)
    demands = _demands(matching.answers, by_number, facts)
    scored = [
        ticket
        for ticket in sorted(by_number.values(), key=lambda ticket: ticket.number)
        if _belongs(ticket, behind[ticket.number], times, facts)
    ]
    welcome = _welcome(matching, demands)
    unexpected = [
        ticket
        for ticket in scored
        if ticket.number not in welcome
        and not any(judged.verdict is Verdict.CONTRADICTED for judged in behind[ticket.number])
        and not (not behind[ticket.number] and _asked_for(ticket, demands, times))
    ]
    twice = _overlapping(by_number.values(), {ticket.number for ticket in scored}) | _second_for_a_fault(demands)
    duplicates = [by_number[number] for number in sorted(twice)]
    return TicketVerdicts(tuple(demands), tuple(unexpected), tuple(duplicates))


def _demands(answers: Sequence[Answer], tickets: Mapping[str, ObservedTicket], facts: Facts) -> list[Demand]:
    """Gather the expectations that ask for a ticket, by fault, asset and case class."""
    groups: defaultdict[tuple[str, str, str], list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.expected.ticket:
            key = (answer.fault.id, _asset(answer, facts), answer.expected.case_class or ANY_CLASS)
            groups[key].append(answer)
    demands: list[Demand] = []
    for (_, asset, case_class), group in sorted(groups.items()):
        numbers = {alert.ticket for answer in group for alert in answer.alerts if alert.ticket is not None}
        found = [
            tickets[number]
            for number in numbers
            if number in tickets and case_class in {ANY_CLASS, tickets[number].case_class}
        ]
        found.sort(key=lambda ticket: (ticket.opened_at, ticket.number))
        demands.append(Demand(group[0].fault, asset, case_class, tuple(group), tuple(found)))
    return demands


def _asset(answer: Answer, facts: Facts) -> str:
    known = facts.asset_of(answer.expected.device)
    if known is not None:
        return known
    if answer.expected.device == answer.fault.device and answer.fault.asset is not None:
        return answer.fault.asset
    return answer.expected.device


def _belongs(ticket: ObservedTicket, behind: Sequence[Judged], times: Times, facts: Facts) -> bool:
    """Whether the ticket is of this run: by its alerts, or, where none is shown, by its asset and time."""
    if behind:
        return any(judged.verdict is not Verdict.OUTSIDE for judged in behind)
    if times.lag is None or not times.begins <= ticket.opened_at <= times.ends + times.tolerance + times.lag:
        return False
    return not facts.devices or ticket.asset in {device.asset for device in facts.devices.values()}


def _welcome(matching: Matching, demands: Sequence[Demand]) -> set[str]:
    """Tickets that an expected or an allowed alert accounts for."""
    numbers = {ticket.number for demand in demands for ticket in demand.tickets}
    return numbers | {
        judged.alert.ticket
        for judged in matching.judged
        if judged.alert.ticket is not None and judged.verdict is Verdict.ALLOWED
    }


def _asked_for(ticket: ObservedTicket, demands: Sequence[Demand], times: Times) -> bool:
    """Whether a fault asks for such a ticket at that time, though no alert behind it is shown."""
    lag = times.lag or times.tolerance
    for demand in demands:
        if demand.asset == ticket.asset and demand.case_class in {ANY_CLASS, ticket.case_class}:
            first, last = times.window(demand.fault)
            if first <= ticket.opened_at and (last == _FOREVER or ticket.opened_at <= last + lag):
                return True
    return False


def _overlapping(tickets: Iterable[ObservedTicket], scored: AbstractSet[str]) -> set[str]:
    """Tickets that opened while, or just when, another of the same asset and case class was open.

    Their times are compared with each other alone, so the service's clock need not follow the run. It is enough if one
    of two is of the run: a second ticket that no alert points to is the very trouble that is sought.
    """
    groups: defaultdict[tuple[str, str], list[ObservedTicket]] = defaultdict(list)
    for ticket in tickets:
        groups[ticket.asset, ticket.case_class].append(ticket)
    twice: set[str] = set()
    for group in groups.values():
        group.sort(key=lambda ticket: (ticket.opened_at, ticket.number))
        standing: list[ObservedTicket] = []
        for ticket in group:
            standing = [
                other
                for other in standing
                if (other.resolved_at or _FOREVER) > ticket.opened_at or other.opened_at == ticket.opened_at
            ]
            if standing and scored & {ticket.number, *(other.number for other in standing)}:
                twice.add(ticket.number)
            standing.append(ticket)
    return twice


def _second_for_a_fault(demands: Sequence[Demand]) -> set[str]:
    """Tickets that one fault opened though it had one; a ticket that is some other fault's first is none."""
    firsts = {demand.tickets[0].number for demand in demands if demand.tickets}
    return {ticket.number for demand in demands for ticket in demand.tickets[1:]} - firsts
