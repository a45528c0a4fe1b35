"""An oracle can be wrong, too: each way of making a service worse lowers the score where it must, and only there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from simulators.scoring.match import Verdict
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.scoring.score import Score
from tests.support.scored import BIN, FACTS, FULL, HOUR, LID, MINUTE, START, alert_for, noticed, score_of, week

Raised = tuple[list[ObservedAlert], list[ObservedTicket]]


def figures(score: Score) -> dict[str, object]:
    """Every figure that a mutation could touch."""
    return {
        "recall": score.whole.expected.recall,
        "found": score.whole.expected.found,
        "late": score.whole.expected.late,
        "precision": score.whole.raised.precision,
        "again": score.whole.raised.again,
        "forbidden": score.whole.raised.forbidden,
        "invented": score.whole.raised.invented,
        "tickets missing": score.tickets_missing,
        "tickets unexpected": score.tickets_unexpected,
        "tickets double": score.duplicate_tickets,
    }


PERFECT = {
    "recall": 1.0,
    "found": 1.0,
    "late": 0,
    "precision": 1.0,
    "again": 0,
    "forbidden": 0,
    "invented": 0,
    "tickets missing": 0,
    "tickets unexpected": 0,
    "tickets double": 0,
}


def rule_off(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    kept = [alert for alert in alerts if alert.rule != FULL]
    numbers = {alert.ticket for alert in kept}
    return kept, [ticket for ticket in tickets if ticket.number in numbers]


def threshold_raised(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    """Only every second bin is full enough now."""
    weak = {alert.id for alert in alerts if alert.rule == FULL and alert.id % 2}
    kept = [alert for alert in alerts if alert.id not in weak]
    numbers = {alert.ticket for alert in kept}
    return kept, [ticket for ticket in tickets if ticket.number in numbers]


def threshold_lowered(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    """Once a day a bin with which nothing is wrong at that time is full enough, below the level of tickets."""
    times = [START + 3 * HOUR + timedelta(days=day) for day in range(7)]
    template = next(alert for alert in alerts if alert.rule == FULL)
    more = [
        replace(template, id=1000 + n, device=f"bin-{n}", ticket=None, onset=at, fired_at=at, decided_at=at)
        for n, at in enumerate(times)
    ]
    return [*alerts, *more], tickets


def day_dropped(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    day = START.date() + timedelta(days=2)
    kept = [alert for alert in alerts if alert.onset.date() != day]
    numbers = {alert.ticket for alert in kept}
    return kept, [ticket for ticket in tickets if ticket.number in numbers]


def tickets_doubled(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    return alerts, tickets + [replace(ticket, number=f"{ticket.number}-2") for ticket in tickets]


def tickets_lost(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    return alerts, tickets[6:]


def shifted(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    """Everything three hours later than it was, as a clock that is wrong makes it: no fault lasts so long."""
    by = 3 * HOUR
    return [
        replace(alert, onset=alert.onset + by, fired_at=alert.fired_at + by, decided_at=alert.decided_at + by)
        for alert in alerts
    ], tickets


def of_another_device(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    neighbour = {name: f"{name[:-1]}{(int(name[-1]) + 1) % 8}" for name in FACTS.devices}
    return [replace(alert, device=neighbour[alert.device], ticket=None) for alert in alerts], []


def decided_late(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    return [replace(alert, decided_at=alert.decided_at + HOUR) for alert in alerts], tickets


def repeated(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    """The alert clears and comes again while the same ticket is open."""
    later = 20 * MINUTE
    return alerts + [
        replace(a, id=a.id + 1000, onset=a.onset + later, fired_at=a.fired_at + later, decided_at=a.decided_at + later)
        for a in alerts
    ], tickets


def contradicted(alerts: list[ObservedAlert], tickets: list[ObservedTicket]) -> Raised:
    return [replace(alert, standing="contradicted") for alert in alerts], tickets


@pytest.mark.parametrize(
    ("mutate", "changed"),
    [
        (rule_off, {"recall": 16 / 24, "found": 16 / 24, "tickets missing": 8}),
        (threshold_raised, {"recall": 20 / 24, "found": 20 / 24, "tickets missing": 4}),
        (threshold_lowered, {"precision": 24 / 31, "invented": 7}),
        (day_dropped, {"recall": 20 / 24, "found": 20 / 24, "tickets missing": 4}),
        (tickets_doubled, {"tickets double": 24}),
        (tickets_lost, {"tickets missing": 6}),
        (
            shifted,
            {
                "recall": 0.0,
                "found": 0.0,
                "precision": 0.0,
                "invented": 24,
                "tickets missing": 24,
                "tickets unexpected": 24,
            },
        ),
        (
            of_another_device,
            {"recall": 0.0, "found": 0.0, "precision": 0.0, "invented": 24, "tickets missing": 24},
        ),
        (decided_late, {"recall": 0.0, "late": 24}),
        (repeated, {"again": 24}),
        (contradicted, {"recall": 0.0, "found": 0.0, "precision": None, "tickets missing": 24}),
    ],
)
def test_a_worse_service_scores_worse_where_it_is_worse_and_nowhere_else(
    mutate: Callable[[list[ObservedAlert], list[ObservedTicket]], Raised], changed: dict[str, object]
) -> None:
    faults = week()
    alerts, tickets = noticed(faults)
    assert figures(score_of(faults, alerts, tickets)) == PERFECT
    assert figures(score_of(faults, *mutate(alerts, tickets))) == PERFECT | changed


def test_a_rule_that_is_off_lowers_its_own_fault_and_kind_alone() -> None:
    faults = week()
    raised = noticed(faults)
    before, after = score_of(faults, *raised), score_of(faults, *rule_off(*raised))
    worse = {row.key for row, other in zip(before.faults, after.faults, strict=True) if row != other}
    assert worse == {BIN}
    assert {row.key for row, other in zip(before.kinds, after.kinds, strict=True) if row != other} == {"bin"}
    [row] = [row for row in after.faults if row.key == BIN]
    assert (row.expected.recall, row.expected.missed) == (0.0, 8)


def test_a_day_that_is_dropped_lowers_no_other_day() -> None:
    faults = week()
    score = score_of(faults, *day_dropped(*noticed(faults)))
    missed = {answer.fault.begins.date() for answer in score.matching.answers if not answer.found}
    assert missed == {START.date() + timedelta(days=2)}


def test_late_decisions_lengthen_the_delay_and_nothing_else() -> None:
    faults = week()
    alerts, tickets = noticed(faults)
    before, after = score_of(faults, alerts, tickets), score_of(faults, *decided_late(alerts, tickets))
    assert (before.whole.expected.from_begin.p99, after.whole.expected.from_begin.p99) == (63.0, 3663.0)
    assert (before.whole.expected.beyond_wait.p50, after.whole.expected.beyond_wait.p50) == (63.0, 3663.0)


def test_a_forbidden_alert_is_blamed_on_its_fault_and_an_allowed_one_on_nobody() -> None:
    faults = week()
    alerts, tickets = noticed(faults)
    forbidden = alert_for(faults[0], 900, after=HOUR, rule="manhole.offline")
    allowed = alert_for(faults[0], 901, after=HOUR, rule="manhole.battery")
    score = score_of(faults, [*alerts, forbidden, allowed], tickets)
    assert figures(score) == PERFECT | {"precision": 24 / 25, "forbidden": 1}
    [judged] = [one for one in score.matching.judged if one.verdict is Verdict.FORBIDDEN]
    assert (judged.fault, judged.why) == (faults[0], "it goes on reporting")


def test_one_mutation_does_not_hide_another() -> None:
    faults = week()
    raised = tickets_doubled(*rule_off(*noticed(faults)))
    assert figures(score_of(faults, *raised)) == PERFECT | {
        "recall": 16 / 24,
        "found": 16 / 24,
        "tickets missing": 8,
        "tickets double": 16,
    }


def test_half_a_fault_is_half_a_recall() -> None:
    """A fault that asks for two alerts is not met by one of them."""
    faults = week()
    alerts, tickets = noticed(faults)
    both = replace(faults[0].expect[0], rule="manhole.tilt")
    faults[0] = replace(faults[0], expect=(*faults[0].expect, both))
    assert faults[0].expect[0].rule == LID
    assert figures(score_of(faults, alerts, tickets)) == PERFECT | {"recall": 24 / 25, "found": 24 / 25}
