"""What holds of a score whatever the city and whatever the service: order, monotony, nothing counted twice or lost."""

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.scoring.match import Outcome, Verdict
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.truth import FaultInstance
from tests.support.scored import BIN, COVER, HOUR, ROW, RUN, START, alert_for, fault, noticed, score_of, week


def some_fault(number: int, name: str, minutes: int, lasts: int, needs: str | None) -> FaultInstance:
    begins = START + timedelta(minutes=minutes)
    return fault(number, name, begins=begins, ends=begins + timedelta(minutes=lasts), needs=needs)


FAULTS = st.lists(
    st.builds(
        some_fault,
        st.integers(0, 30),
        st.sampled_from((COVER, BIN, ROW)),
        st.integers(0, 12_000),
        st.integers(0, 600),
        st.sampled_from((None, None, None, "group")),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


def some_alert(number: int, name: str, minutes: int, lasts: int, standing: str, ticket: int | None) -> ObservedAlert:
    about = alert_for(fault(number, name, begins=START), 0)
    onset = START + timedelta(minutes=minutes)
    return replace(
        about,
        id=number * 100_000 + minutes,
        onset=onset,
        fired_at=onset,
        decided_at=onset + timedelta(seconds=1),
        cleared_at=None if lasts > 500 else onset + timedelta(minutes=lasts),
        standing=standing,
        ticket=None if ticket is None else f"T-{ticket}",
    )


ALERTS = st.lists(
    st.builds(
        some_alert,
        st.integers(0, 30),
        st.sampled_from((COVER, BIN, ROW)),
        st.integers(-300, 13_000),
        st.integers(0, 600),
        st.sampled_from(("upheld", "upheld", "upheld", "contradicted")),
        st.none() | st.integers(0, 5),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


def some_ticket(number: int, device: int, minutes: int, lasts: int) -> ObservedTicket:
    opened = START + timedelta(minutes=minutes)
    closed = None if lasts > 500 else opened + timedelta(minutes=lasts)
    return ObservedTicket(f"T-{number}", f"A-manhole-{device}", "0101-1", opened, closed)


TICKETS = st.lists(
    st.builds(some_ticket, st.integers(0, 5), st.integers(0, 3), st.integers(0, 12_000), st.integers(0, 600)),
    max_size=6,
    unique_by=lambda one: one.number,
)


@given(FAULTS, ALERTS, TICKETS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_is_nothing(
    faults: list[FaultInstance], alerts: list[ObservedAlert], tickets: list[ObservedTicket], dice: Random
) -> None:
    before = score_of(faults, alerts, tickets)
    dice.shuffle(faults)
    dice.shuffle(alerts)
    dice.shuffle(tickets)
    assert score_of(faults, alerts, tickets) == before


@given(FAULTS, ALERTS, TICKETS)
def test_everything_is_counted_once(
    faults: list[FaultInstance], alerts: list[ObservedAlert], tickets: list[ObservedTicket]
) -> None:
    score = score_of(faults, alerts, tickets)
    whole = score.whole
    assert len(score.matching.judged) == len(alerts)
    assert len(score.matching.answers) == sum(len(one.expect) for one in faults)
    counted = whole.expected.total + whole.expected.undue + whole.expected.unanswerable
    assert counted == len(score.matching.answers)
    for name in ("met", "late", "missed", "unanswerable", "undue"):
        assert getattr(whole.expected, name) == sum(getattr(row.expected, name) for row in score.faults), name
        assert getattr(whole.expected, name) == sum(getattr(row.expected, name) for row in score.kinds), name
    for name in ("right", "again", "allowed", "forbidden", "invented", "contradicted"):
        assert getattr(whole.raised, name) == sum(getattr(row.raised, name) for row in score.kinds), name
    for row in (whole, *score.faults, *score.kinds):
        for share in (row.expected.recall, row.expected.found, row.raised.precision):
            assert share is None or 0.0 <= share <= 1.0


@given(FAULTS, ALERTS, st.data())
def test_a_right_alert_never_lowers_recall_nor_what_is_found(
    faults: list[FaultInstance], alerts: list[ObservedAlert], data: st.DataObject
) -> None:
    before = score_of(faults, alerts)
    chosen = data.draw(st.sampled_from(faults or week()))
    score = score_of(faults, [*alerts, alert_for(chosen, 10**9)])
    for old, new in zip(before.matching.answers, score.matching.answers, strict=True):
        assert not (old.outcome is Outcome.MET and new.outcome is not Outcome.MET)
        assert new.found or not old.found
    if chosen in faults:
        # It may come when the run is over, or find an earlier fault's alert there; false it can never be.
        [judged] = [one for one in score.matching.judged if one.alert.id == 10**9]
        assert judged.verdict in {Verdict.RIGHT, Verdict.AGAIN, Verdict.OUTSIDE}


@given(FAULTS, ALERTS)
def test_an_alert_that_nothing_explains_touches_precision_alone(
    faults: list[FaultInstance], alerts: list[ObservedAlert]
) -> None:
    before = score_of(faults, alerts)
    stray = replace(alert_for(fault(0, begins=START), 10**9), rule="manhole.co")
    after = score_of(faults, [*alerts, stray])
    assert after.whole.expected == before.whole.expected
    assert after.whole.raised.invented == before.whole.raised.invented + 1
    assert (after.whole.raised.precision or 0.0) <= (
        1.0 if before.whole.raised.precision is None else before.whole.raised.precision
    )


@given(FAULTS, ALERTS)
def test_what_the_service_took_back_is_as_good_as_never_raised(
    faults: list[FaultInstance], alerts: list[ObservedAlert]
) -> None:
    kept = [one for one in alerts if one.standing == "upheld"]
    with_them, without = score_of(faults, alerts).whole, score_of(faults, kept).whole
    assert with_them.expected == without.expected
    assert replace(with_them.raised, contradicted=0) == without.raised


@settings(max_examples=30)
@given(FAULTS)
def test_a_service_that_notices_everything_and_nothing_else_is_perfect(faults: list[FaultInstance]) -> None:
    long_enough = [
        one for one in faults if one.ends is not None and one.ends <= RUN.end and one.ends - one.begins > HOUR
    ]
    alerts, tickets = noticed(long_enough)
    score = score_of(long_enough, alerts, [replace(one, resolved_at=one.opened_at) for one in tickets])
    assert score.whole.expected.recall in {1.0, None}
    assert score.whole.raised.precision in {1.0, None}
    assert (score.tickets_missing, score.tickets_unexpected) == (0, 0)
