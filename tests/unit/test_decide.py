"""Decide: what an alert's change means for tickets."""

from datetime import UTC, datetime, timedelta

from domain.alert import Severity, Step, Transition
from domain.alert_change import AlertChange, fold
from domain.ticket import Subject, TicketSort
from tickets.decide import Consequence, Demand, Release, Rise, Stand, decide, hold_back

ONSET = datetime(2026, 3, 1, tzinfo=UTC)
RULE = Consequence("E01-92", TicketSort.CASE, Severity.MAJOR, "Bin full", "垃圾满溢")
NEW = Stand(ticket_id=None, asset_id=9, district="511703", simulated=False)
OLD = Stand(ticket_id=4, asset_id=9, district="511703", simulated=False)


def change(*steps: tuple[Step, Severity]) -> AlertChange:
    made = [
        Transition(1, "bin.full", ONSET, ONSET + timedelta(seconds=n), step, severity, "fill_pct", 91.0, None)
        for n, (step, severity) in enumerate(steps)
    ]
    folded = fold(made)
    assert len(folded) == 1
    return folded[0]


def sorts(follows: list[Demand | Rise | Release]) -> list[type]:
    return [type(one) for one in follows]


def test_an_alarm_demands_a_ticket_for_its_subject() -> None:
    follows = decide(change((Step.OPENED, Severity.MAJOR)), RULE, NEW)
    assert sorts(follows) == [Demand]
    assert isinstance(follows[0], Demand)
    assert follows[0].subject == Subject(9, "E01-92")
    assert follows[0].severity is Severity.MAJOR


def test_a_warning_stays_an_alert_until_it_rises() -> None:
    assert decide(change((Step.OPENED, Severity.MINOR)), RULE, NEW) == []
    assert sorts(decide(change((Step.ROSE, Severity.MAJOR)), RULE, NEW)) == [Demand]


def test_without_an_asset_or_a_case_class_there_is_no_ticket() -> None:
    alarm = change((Step.OPENED, Severity.MAJOR))
    assert decide(alarm, None, NEW) == []
    assert decide(alarm, RULE, Stand(None, None, "511703", simulated=False)) == []


def test_what_opens_and_clears_in_one_batch_opens_a_ticket_and_releases_it() -> None:
    both = change((Step.OPENED, Severity.MAJOR), (Step.CLEARED, Severity.MAJOR))
    assert sorts(decide(both, RULE, NEW)) == [Demand, Release]


def test_a_clear_releases_only_what_has_a_ticket() -> None:
    cleared = change((Step.CLEARED, Severity.MAJOR))
    assert decide(cleared, RULE, NEW) == []
    assert sorts(decide(cleared, RULE, OLD)) == [Release]


def test_an_alert_that_rises_makes_its_ticket_rise() -> None:
    assert sorts(decide(change((Step.ROSE, Severity.CRITICAL)), RULE, OLD)) == [Rise]
    fell = change((Step.ROSE, Severity.CRITICAL), (Step.FELL, Severity.MAJOR), (Step.CLEARED, Severity.MAJOR))
    assert Release in sorts(decide(fell, RULE, OLD))


def test_folding_keeps_the_peak_the_last_word_and_what_spoke_for_it() -> None:
    folded = change((Step.OPENED, Severity.MINOR), (Step.ROSE, Severity.MAJOR), (Step.CLEARED, Severity.MAJOR))
    assert folded.opens
    assert folded.peak is Severity.MAJOR
    assert folded.cleared_at == ONSET + timedelta(seconds=2)
    assert folded.evidence.step is Step.ROSE


def test_what_is_muted_neither_asks_nor_raises_and_still_lets_go() -> None:
    demanding = decide(change((Step.OPENED, Severity.MAJOR), (Step.CLEARED, Severity.MAJOR)), RULE, NEW)
    assert sorts(demanding) == [Demand, Release]
    assert hold_back(demanding) == ([], True), "it cleared again: there is no ticket to let go of"
    rising = decide(change((Step.ROSE, Severity.CRITICAL), (Step.CLEARED, Severity.CRITICAL)), RULE, OLD)
    assert sorts(rising) == [Rise, Release]
    kept, wanted = hold_back(rising)
    assert (sorts(kept), wanted) == ([Release], False)
    assert hold_back([]) == ([], False)
