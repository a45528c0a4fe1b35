"""Score: how well the service noticed what truly happened, per fault, kind and case class. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from simulators.scoring.causes import Cause, explain
from simulators.scoring.facts import Facts
from simulators.scoring.figures import Expected, Raised
from simulators.scoring.match import LAG_S, TOLERANCE, Judged, Matching, Times, Verdict, match
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.scoring.tickets import TicketVerdicts, judge_tickets
from simulators.truth import FaultInstance, RunInfo


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, one kind, or the whole."""

    key: str
    instances: int
    expected: Expected
    raised: Raised
    """Of a fault: the alerts that it explains, allows or forbids; what is invented belongs to a kind alone."""

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {"key": self.key, "instances": self.instances} | self.expected.as_data() | self.raised.as_data()


@dataclass(frozen=True, slots=True)
class TicketRow:
    """One case class."""

    case_class: str
    demanded: int = 0
    came: int = 0
    missing: int = 0
    not_yet_answerable: int = 0
    unexpected: int = 0
    duplicates: int = 0

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that a run's truth says about the service."""

    run: RunInfo
    truth: tuple[FaultInstance, ...]
    times: Times
    whole: Row
    faults: tuple[Row, ...]
    kinds: tuple[Row, ...]
    tickets: tuple[TicketRow, ...]
    causes: tuple[Cause, ...]
    """Each class of miss, false alarm and ticket trouble, with a sentence why."""
    matching: Matching
    ticket_verdicts: TicketVerdicts

    @property
    def outside(self) -> int:
        """Alerts of other devices or times than the run's, which were left out."""
        return sum(judged.verdict is Verdict.OUTSIDE for judged in self.matching.judged)

    @property
    def duplicate_tickets(self) -> int:
        """Tickets that doubled another."""
        return len(self.ticket_verdicts.duplicates)

    @property
    def tickets_missing(self) -> int:
        """Demanded and not there."""
        return sum(row.missing for row in self.tickets)

    @property
    def tickets_unexpected(self) -> int:
        """There and not demanded."""
        return len(self.ticket_verdicts.unexpected)

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        run = self.run
        return {
            "scenario": run.scenario,
            "purpose": run.purpose.value,
            "seed": run.seed,
            "start": run.start.isoformat(),
            "end": run.end.isoformat(),
            "speed": run.speed,
            "service_clock_followed": self.times.lag is not None,
            "tolerance_s": self.times.tolerance.total_seconds(),
            "alerts_outside_the_run": self.outside,
            "whole": self.whole.as_data(),
            "duplicate_tickets": self.duplicate_tickets,
            "tickets_missing": self.tickets_missing,
            "tickets_unexpected": self.tickets_unexpected,
            "faults": [row.as_data() for row in self.faults],
            "kinds": [row.as_data() for row in self.kinds],
            "tickets": [row.as_data() for row in self.tickets],
            "causes": [cause.as_data() for cause in self.causes],
        }


def compute_score(
    run: RunInfo,
    faults: Iterable[FaultInstance],
    alerts: Iterable[ObservedAlert],
    tickets: Iterable[ObservedTicket],
    facts: Facts,
    *,
    tolerance: timedelta = TOLERANCE,
    lag_s: float = LAG_S,
) -> Score:
    """Compare what happened with what was raised. The order of the input does not matter."""
    known = sorted(faults, key=lambda fault: fault.id)
    times = Times.of(run, tolerance, lag_s)
    matching = match(known, alerts, times, facts)
    verdicts = judge_tickets(matching, tickets, times, facts)
    inside = [judged for judged in matching.judged if judged.verdict is not Verdict.OUTSIDE]
    whole = Row("all", len(known), Expected.of(matching.answers, facts), Raised.of(inside))
    return Score(
        run=run,
        truth=tuple(known),
        times=times,
        whole=whole,
        faults=_fault_rows(known, matching, inside, facts),
        kinds=_kind_rows(known, matching, inside, facts),
        tickets=_ticket_rows(verdicts),
        causes=explain(known, matching, verdicts, times, facts),
        matching=matching,
        ticket_verdicts=verdicts,
    )


def _fault_rows(
    faults: Sequence[FaultInstance], matching: Matching, inside: Sequence[Judged], facts: Facts
) -> tuple[Row, ...]:
    instances = Counter(fault.fault for fault in faults)
    explained: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in inside:
        if judged.fault is not None:
            explained[judged.fault.fault].append(judged)
    return tuple(
        Row(
            key,
            instances[key],
            Expected.of([answer for answer in matching.answers if answer.fault.fault == key], facts),
            Raised.of(explained[key]),
        )
        for key in sorted(instances)
    )


def _kind_rows(
    faults: Sequence[FaultInstance], matching: Matching, inside: Sequence[Judged], facts: Facts
) -> tuple[Row, ...]:
    instances = Counter(fault.kind for fault in faults)
    return tuple(
        Row(
            key,
            instances[key],
            Expected.of([answer for answer in matching.answers if answer.fault.kind == key], facts),
            Raised.of(judged for judged in inside if judged.alert.kind == key),
        )
        for key in sorted({*instances, *(judged.alert.kind for judged in inside)})
    )


def _ticket_rows(verdicts: TicketVerdicts) -> tuple[TicketRow, ...]:
    fair = [demand for demand in verdicts.demands if demand.counts]
    demanded = Counter(demand.case_class for demand in fair)
    came = Counter(demand.case_class for demand in fair if demand.tickets)
    future = Counter(demand.case_class for demand in verdicts.demands if demand.future)
    unexpected = Counter(ticket.case_class for ticket in verdicts.unexpected)
    duplicates = Counter(ticket.case_class for ticket in verdicts.duplicates)
    return tuple(
        TicketRow(
            case_class=key,
            demanded=demanded[key],
            came=came[key],
            missing=demanded[key] - came[key],
            not_yet_answerable=future[key],
            unexpected=unexpected[key],
            duplicates=duplicates[key],
        )
        for key in sorted({*demanded, *future, *unexpected, *duplicates})
    )
