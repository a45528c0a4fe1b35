"""Causes: every class of miss, false alarm and ticket trouble with one sentence why, as far as truth and facts tell."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from simulators.scoring.facts import Facts
from simulators.scoring.match import Answer, Judged, Matching, Outcome, Times, Verdict
from simulators.scoring.observed import ObservedTicket
from simulators.scoring.tickets import TicketVerdicts
from simulators.truth import FaultInstance

EXAMPLES: Final = 3
"""So many ids are named with each class; the rest is in the truth."""
AFTERMATH: Final = timedelta(days=2)
"""What a device says so long after its fault may still have to do with it: some report once a day."""
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0


class Trouble(StrEnum):
    """What went wrong between truth and service, gravest first."""

    MISSED = "missed"
    LATE = "late"
    INVENTED = "invented"
    FORBIDDEN = "forbidden"
    TICKET_MISSING = "ticket missing"
    TICKET_UNEXPECTED = "ticket unexpected"
    TICKET_DOUBLE = "ticket double"
    UNANSWERABLE = "not yet answerable"
    """No fault of the rules that exist."""


_Key = tuple[Trouble, str, str, str]
"""Trouble, fault (or kind), rule (or case class), why."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One class of trouble."""

    trouble: Trouble
    about: str
    """The fault, as ``manhole.opened``; of what nothing explains, the device kind; empty where it is any fault."""
    rule: str
    """The rule, of tickets the case class."""
    why: str
    """One sentence."""
    count: int
    examples: tuple[str, ...]
    """Ids of fault instances, alerts or tickets."""

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "trouble": self.trouble.value,
            "about": self.about,
            "rule": self.rule,
            "why": self.why,
            "count": self.count,
            "examples": list(self.examples),
        }


def explain(
    faults: Sequence[FaultInstance], matching: Matching, verdicts: TicketVerdicts, times: Times, facts: Facts
) -> tuple[Cause, ...]:
    """Put everything that went wrong into classes, the gravest and then the most frequent first."""
    classes: defaultdict[_Key, list[str]] = defaultdict(list)
    notes: defaultdict[_Key, dict[str, None]] = defaultdict(dict)
    history = _by_device(faults)
    heard = _heard(matching)
    for answer in matching.answers:
        key = _about_answer(answer, heard, times, facts)
        if key is not None:
            classes[key].append(answer.fault.id)
            notes[key][answer.fault.note] = None
    for judged in matching.judged:
        key = _about_alert(judged, history, times)
        if key is not None:
            classes[key].append(f"alert {judged.alert.id}")
    for key, example in _about_tickets(matching, verdicts):
        classes[key].append(example)
    ranks = list(Trouble)
    causes = [
        Cause(*key[:3], _noted(key[3], list(notes[key])), len(found), tuple(dict.fromkeys(found))[:EXAMPLES])
        for key, found in classes.items()
    ]
    return tuple(sorted(causes, key=lambda one: (ranks.index(one.trouble), -one.count, one.about, one.rule, one.why)))


def _about_answer(answer: Answer, heard: Mapping[str, Sequence[Judged]], times: Times, facts: Facts) -> _Key | None:
    fault, rule = answer.fault, answer.expected.rule
    if answer.future:
        if answer.found:
            return None
        why = f"answered by rule kind {fault.needs}, which is not there yet"
        return Trouble.UNANSWERABLE, fault.fault, rule, why
    if answer.outcome is Outcome.MISSED:
        return Trouble.MISSED, fault.fault, rule, _why_missed(answer, heard, times, facts)
    if answer.outcome is Outcome.LATE:
        return Trouble.LATE, fault.fault, rule, _why_late(answer, facts)
    return None


def _why_missed(answer: Answer, heard: Mapping[str, Sequence[Judged]], times: Times, facts: Facts) -> str:
    fault, expected = answer.fault, answer.expected
    first, last = times.window(fault)
    others = [
        judged.alert
        for judged in heard.get(expected.device, ())
        if first <= judged.alert.onset <= last and judged.verdict is not Verdict.CONTRADICTED
    ]
    same = [judged.alert for judged in heard.get(expected.device, ()) if judged.alert.rule == expected.rule]
    if any(first <= alert.onset <= last for alert in same):
        return "an alert was raised, and taken back as contradicted by a late reading"
    lasted = None if fault.ends is None else fault.ends - fault.begins
    about = facts.devices.get(expected.device)
    wait = facts.wait_of(expected.rule, expected.device)
    if lasted is not None and lasted < wait:
        return f"the fault ended before the rule's own wait of {_spoken(wait)} had passed"
    if not others and lasted is not None and about is not None and lasted < about.interval:
        return f"the device reports {_every(about.interval)}: the fault lay between two reports"
    if others:
        rules = ", ".join(sorted({alert.rule for alert in others}))
        return f"the device was heard and raised {rules} alone"
    if any(alert.onset < first and (alert.cleared_at is None or alert.cleared_at > fault.begins) for alert in same):
        return "an alert that nothing explains stood already, so no new one could be raised"
    return "no alert of this device in the time of the fault"


def _why_late(answer: Answer, facts: Facts) -> str:
    assert answer.stood_at is not None
    alert = answer.alerts[0]
    if (rule := facts.rules.get(answer.expected.rule)) is not None and rule.silence_intervals is not None:
        return "silence counts from when the service last heard, and anew after an outage: it began to count later"
    about = facts.devices.get(answer.expected.device)
    sensing = alert.onset - answer.fault.begins
    deciding = answer.stood_at - alert.fired_at
    if deciding > max(sensing, timedelta(seconds=_HOUR_S / 60)):
        return "the service decided long after the alert was due: readings came late, or it was behind"
    if about is not None and sensing > timedelta(0):
        return f"the device, which reports {_every(about.interval)}, showed it late"
    return "the rule fired later than the truth allows"


def _about_alert(judged: Judged, history: Mapping[str, Sequence[FaultInstance]], times: Times) -> _Key | None:
    alert = judged.alert
    if judged.verdict is Verdict.FORBIDDEN and judged.fault is not None:
        needs = judged.fault.needs
        future = "" if needs is None else f"prevented by rule kind {needs}, which is not there yet"
        return Trouble.FORBIDDEN, judged.fault.fault, alert.rule, _joined(judged.why, future)
    if judged.verdict is Verdict.INVENTED:
        return Trouble.INVENTED, alert.kind, alert.rule, _why_invented(judged, history, times)
    return None


def _why_invented(judged: Judged, history: Mapping[str, Sequence[FaultInstance]], times: Times) -> str:
    alert = judged.alert
    of_device = history.get(alert.device, ())
    for fault in of_device:
        first, last = times.window(fault)
        if first <= alert.onset <= last:
            return f"{fault.fault} was under way, and the truth names no such effect of it"
    for fault in reversed(of_device):
        if fault.ends is not None and timedelta(0) < alert.onset - fault.ends <= AFTERMATH:
            return "another fault of the device had ended before this alert began"
    if any(timedelta(0) < fault.begins - alert.onset <= AFTERMATH for fault in of_device):
        return "the alert began before the fault did: a clock is wrong, or it is chance"
    return "nothing was wrong with the device"


def _about_tickets(matching: Matching, verdicts: TicketVerdicts) -> list[tuple[_Key, str]]:
    found: list[tuple[_Key, str]] = []
    for demand in verdicts.demands:
        if demand.counts and not demand.tickets:
            # Where the alert is missing, its own class says why; the ticket only follows.
            about, why = "", "the alert that would have opened it was missed"
            if any(answer.found for answer in demand.answers):
                about, why = demand.fault.fault, "the alert stands, and no ticket of this case class is behind it"
            found.append(((Trouble.TICKET_MISSING, about, demand.case_class, why), demand.fault.id))
    behind = _behind(matching)
    for ticket in verdicts.unexpected:
        alerts = behind.get(ticket.number, ())
        kinds = sorted({judged.alert.kind for judged in alerts}) or ["unknown"]
        key = Trouble.TICKET_UNEXPECTED, kinds[0], ticket.case_class, _why_unexpected(alerts)
        found.append((key, ticket.number))
    found.extend(
        ((Trouble.TICKET_DOUBLE, *_about_duplicate(ticket, verdicts)), ticket.number) for ticket in verdicts.duplicates
    )
    return found


def _why_unexpected(alerts: Sequence[Judged]) -> str:
    verdicts = {judged.verdict for judged in alerts}
    if not alerts:
        return "no alert that the API shows is behind it, and no fault asks for it"
    if verdicts <= {Verdict.INVENTED}:
        return "only invented alerts are behind it"
    if verdicts & {Verdict.FORBIDDEN}:
        return "an alert that must not be is behind it"
    return "the fault asks for an alert, not for a ticket"


def _about_duplicate(ticket: ObservedTicket, verdicts: TicketVerdicts) -> tuple[str, str, str]:
    for demand in verdicts.demands:
        if ticket in demand.tickets[1:]:
            why = "the fault had a ticket, which was closed, or was not found, when its alert came again"
            return demand.fault.fault, ticket.case_class, why
    return ticket.asset, ticket.case_class, "another ticket of this asset and case class was open"


def _behind(matching: Matching) -> Mapping[str, Sequence[Judged]]:
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in matching.judged:
        if judged.alert.ticket is not None:
            groups[judged.alert.ticket].append(judged)
    return groups


def _by_device(faults: Sequence[FaultInstance]) -> Mapping[str, Sequence[FaultInstance]]:
    """The faults that touch each device, in the order of their begin."""
    groups: defaultdict[str, list[FaultInstance]] = defaultdict(list)
    for fault in sorted(faults, key=lambda fault: (fault.begins, fault.id)):
        for device in {fault.device, *fault.devices} - {None}:
            groups[str(device)].append(fault)
    return groups


def _heard(matching: Matching) -> Mapping[str, Sequence[Judged]]:
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in matching.judged:
        if judged.verdict is not Verdict.OUTSIDE:
            groups[judged.alert.device].append(judged)
    return groups


def _noted(why: str, notes: Sequence[str]) -> str:
    """Add what the truth says of the fault itself; of several notes, the first as an example."""
    told = [note for note in notes if note]
    if not told:
        return why
    return _joined(why, told[0] if len(told) == 1 else f"for example: {told[0]}")


def _joined(*parts: str) -> str:
    return "; ".join(part.rstrip(".") for part in parts if part)


def _every(interval: timedelta) -> str:
    """How often that is, as people say it."""
    return "once a day" if interval == timedelta(days=1) else f"every {_spoken(interval)}"


def _spoken(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("d", _DAY_S), ("h", _HOUR_S), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
