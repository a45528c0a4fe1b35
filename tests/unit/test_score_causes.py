"""Why: each class of miss, false alarm and ticket trouble gets the sentence that truth and facts bear out."""

from dataclasses import replace
from datetime import timedelta

from simulators.scoring.causes import Trouble
from simulators.scoring.facts import RuleFacts
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.truth import Expectation, FaultInstance, Purpose, RunInfo
from tests.support.scored import (
    BIN,
    COVER,
    FACTS,
    FULL,
    HOUR,
    LEAN,
    MINUTE,
    RUN,
    START,
    alert_for,
    fault,
    noticed,
    score_of,
)


def whys(
    faults: list[FaultInstance],
    alerts: list[ObservedAlert],
    tickets: list[ObservedTicket] | None = None,
    run: RunInfo = RUN,
) -> dict[Trouble, str]:
    """The one sentence of each trouble, without that about tickets that a missed alert brings along."""
    return {cause.trouble: cause.why for cause in score_of(faults, alerts, tickets, run).causes}


def test_a_fault_that_waits_for_a_rule_kind_is_told_apart_and_not_counted() -> None:
    faults = [fault(0, needs="group"), fault(1)]
    score = score_of(faults, [])
    assert (score.whole.expected.total, score.whole.expected.unanswerable, score.whole.expected.missed) == (1, 1, 1)
    assert [(cause.trouble, cause.why) for cause in score.causes if cause.trouble is Trouble.UNANSWERABLE] == [
        (Trouble.UNANSWERABLE, "answered by rule kind group, which is not there yet; Played by a test")
    ]


def test_what_is_expected_of_a_rule_that_exists_counts_whatever_else_the_fault_needs() -> None:
    one = fault(0, needs="group")
    both = replace(one, expect=(*one.expect, *fault(0).expect))
    told = score_of([both], []).whole.expected
    assert (told.total, told.missed, told.unanswerable) == (1, 1, 1)


def test_a_rule_over_several_devices_answers_on_any_of_them() -> None:
    one = fault(0, needs="group", devices=("manhole-0", "manhole-1", "manhole-2"))
    one = replace(one, expect=(replace(one.expect[0], rule="manhole.washed_open", ticket=False),))
    facts = replace(FACTS, rules={**FACTS.rules, "manhole.washed_open": RuleFacts()})
    elsewhere = replace(alert_for(one, 1), device="manhole-2")
    score = score_of([one], [elsewhere], facts=facts)
    assert (score.whole.expected.total, score.whole.expected.missed, score.whole.raised.right) == (1, 0, 1)
    assert score.causes == ()
    beside = replace(elsewhere, device="manhole-5")
    score = score_of([one], [beside], facts=facts)
    assert (score.whole.expected.missed, score.whole.raised.right) == (1, 0)


def test_a_fault_that_is_answered_ahead_of_its_rule_kind_is_no_false_alarm() -> None:
    one = fault(0, needs="group")
    score = score_of([one], [alert_for(one, 1)])
    assert (score.whole.expected.answered_ahead, score.whole.raised.right, score.causes) == (1, 1, ())


def test_what_was_not_due_when_the_run_ended_proves_nothing() -> None:
    one = fault(0, begins=RUN.end - MINUTE, ends=None)
    score = score_of([one], [])
    assert (score.whole.expected.total, score.whole.expected.undue, score.causes) == (0, 1, ())
    assert score.tickets == ()


def test_a_fault_between_two_reports() -> None:
    assert whys([fault(0)], [])[Trouble.MISSED] == (
        "the device reports once a day: the fault lay between two reports; Played by a test"
    )
    assert whys([fault(1, BIN, ends=START + 6 * HOUR + 30 * MINUTE)], [])[Trouble.MISSED].startswith(
        "the device reports every 1 h: "
    )


def test_a_fault_shorter_than_the_hold_of_the_rule() -> None:
    begins = START
    one = fault(
        0,
        ends=begins + timedelta(seconds=20),
        begins=begins,
        expect=(Expectation("manhole-0", LEAN, begins + MINUTE),),
    )
    assert whys([one], [])[Trouble.MISSED].startswith("the fault ended before the rule's own wait of 30 s had passed")


def test_a_silence_shorter_than_what_the_rule_allows() -> None:
    one = fault(1, BIN, ends=START + 10 * HOUR, expect=(Expectation("bin-1", "bin.offline", START + 10 * HOUR),))
    assert "wait of 6 h" in whys([one], [])[Trouble.MISSED]


def test_a_fault_that_another_rule_saw() -> None:
    one = fault(0)
    other = alert_for(one, 1, rule="manhole.battery")
    assert whys([one], [other])[Trouble.MISSED].startswith("the device was heard and raised manhole.battery alone")


def test_a_long_fault_without_any_alert() -> None:
    one = fault(1, BIN, ends=START + 30 * HOUR)
    assert whys([one], [])[Trouble.MISSED].startswith("no alert of this device in the time of the fault")


def test_an_alert_that_was_taken_back() -> None:
    one = fault(0)
    assert "contradicted" in whys([one], [replace(alert_for(one, 1), standing="contradicted")])[Trouble.MISSED]


def test_an_alert_that_nothing_explains_and_that_goes_on_firing() -> None:
    one = fault(1, BIN, ends=START + 30 * HOUR)
    stuck = replace(alert_for(one, 1), onset=START, fired_at=START, decided_at=START, cleared_at=None)
    found = whys([one], [stuck])
    assert "stood already" in found[Trouble.MISSED]
    assert found[Trouble.INVENTED] == "the alert began before the fault did: a clock is wrong, or it is chance"


def test_an_alert_that_was_right_and_stands_answers_the_next_fault() -> None:
    first = fault(1, BIN, begins=START, ends=START + HOUR)
    second = replace(
        fault(9, BIN, begins=START + 2 * HOUR),
        device="bin-1",
        devices=("bin-1",),
        expect=(replace(fault(1, BIN).expect[0], by=START + 3 * HOUR),),
    )
    alert = replace(alert_for(first, 1), cleared_at=None)
    score = score_of([first, second], [alert])
    assert score.whole.expected.recall == 1.0
    assert score.whole.expected.from_begin.count == 1  # how long the second took, it cannot tell
    cleared = replace(alert, cleared_at=START + HOUR)
    assert score_of([first, second], [cleared]).whole.expected.recall == 0.5


def test_late_because_of_the_device_and_late_because_of_the_service() -> None:
    one = fault(1, BIN)
    assert whys([one], [alert_for(one, 1, after=HOUR)])[Trouble.LATE].startswith(
        "the device, which reports every 1 h, showed it late"
    )
    prompt = alert_for(one, 1)
    behind = replace(prompt, decided_at=prompt.decided_at + 5 * HOUR)
    assert whys([one], [behind])[Trouble.LATE].startswith("the service decided long after")


def test_a_silence_that_is_noticed_late_counted_from_later() -> None:
    begins = START + HOUR
    expected = Expectation("bin-1", "bin.offline", begins + 6 * HOUR)
    one = fault(1, BIN, begins=begins, ends=None, expect=(expected,))
    assert whys([one], [alert_for(one, 1, after=8 * HOUR)])[Trouble.LATE].startswith("silence counts from when")


def test_the_time_of_deciding_counts_only_where_the_clock_followed() -> None:
    one = fault(1, BIN)
    prompt = alert_for(one, 1)
    behind = replace(prompt, decided_at=prompt.decided_at + 5 * HOUR)
    real_clock = replace(RUN, speed=600.0)
    assert score_of([one], [behind], run=real_clock).whole.expected.recall == 1.0
    followed = replace(real_clock, sim_clock="2026-07-01T00:00:00Z*600")
    assert score_of([one], [behind], run=followed).whole.expected.recall == 0.0
    # Two real seconds are twenty minutes at this speed: they are not held against the service.
    a_little = replace(prompt, decided_at=prompt.decided_at + 19 * MINUTE)
    assert score_of([one], [a_little], run=followed).whole.expected.from_begin.most == 62.0


def test_invented_for_three_reasons() -> None:
    one = fault(0)
    after = alert_for(one, 1, after=5 * HOUR)
    assert whys([one], [after])[Trouble.INVENTED] == ("another fault of the device had ended before this alert began")
    beside = alert_for(one, 1, rule="manhole.co")
    assert whys([one], [beside])[Trouble.INVENTED] == (
        "manhole.opened was under way, and the truth names no such effect of it"
    )
    assert whys([], [beside])[Trouble.INVENTED] == "nothing was wrong with the device"


def test_forbidden_alerts_say_what_the_truth_says() -> None:
    one = fault(0, needs="group")
    alert = alert_for(one, 1, rule="manhole.offline")
    assert whys([one], [alert])[Trouble.FORBIDDEN] == (
        "it goes on reporting; prevented by rule kind group, which is not there yet"
    )


def test_tickets_that_are_missing_needless_and_double() -> None:
    one = fault(0)
    [alert], [ticket] = noticed([one])
    assert whys([one], [alert])[Trouble.TICKET_MISSING] == (
        "the alert stands, and no ticket of this case class is behind it"
    )
    assert whys([one], [])[Trouble.TICKET_MISSING] == "the alert that would have opened it was missed"
    assert whys([], [alert], [ticket])[Trouble.TICKET_UNEXPECTED] == "only invented alerts are behind it"
    quiet = replace(one, expect=(replace(one.expect[0], ticket=False),))
    assert whys([quiet], [alert], [ticket])[Trouble.TICKET_UNEXPECTED] == (
        "the fault asks for an alert, not for a ticket"
    )
    again = replace(alert, id=2, ticket="T-9", onset=alert.onset + HOUR, cleared_at=None)
    second = replace(ticket, number="T-9", opened_at=START + 3 * HOUR, resolved_at=None)
    score = score_of([one], [alert, again], [ticket, second])
    assert [(c.about, c.rule, c.examples) for c in score.causes] == [(COVER, "0101-1", ("T-9",))]
    assert score.duplicate_tickets == 1


def test_classes_are_counted_named_by_example_and_ordered_by_gravity() -> None:
    faults = [fault(number, BIN, ends=None, note=f"Note {number}.") for number in range(5)]
    stray = alert_for(fault(5), 1)
    first, second, *_ = score_of(faults, [stray]).causes
    assert (first.trouble, first.count, first.rule) == (Trouble.MISSED, 5, FULL)
    assert first.examples == ("F000000", "F000001", "F000002")
    assert first.why.endswith("; for example: Note 0")
    assert (second.trouble, second.about, second.examples) == (Trouble.INVENTED, "manhole", ("alert 1",))


def test_other_devices_and_other_times_are_left_out() -> None:
    one = fault(0)
    alert = alert_for(one, 1)
    foreign = replace(alert, id=2, device="manhole-elsewhere")
    before = replace(alert, id=3, onset=START - HOUR)
    score = score_of([one], [alert, foreign, before])
    assert (score.outside, score.whole.raised.precision) == (2, 1.0)


def test_a_score_can_be_written_down() -> None:
    data = score_of([fault(0)], [], run=replace(RUN, purpose=Purpose.TUNING)).as_data()
    assert data["purpose"] == "tuning"
    assert isinstance(data["whole"], dict)
    assert data["whole"]["missed"] == 1
