"""Watermark: the clock decides up to now while nothing waits, and no further than heard while a backlog is settled."""

from datetime import UTC, datetime, timedelta

from domain.coverage import Coverage, Stretches
from service.watermark import Watermark

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def heard(seconds: float) -> Stretches:
    return {"native": Coverage(START, at(seconds)), "senml": Coverage(START, at(seconds + 0.1))}


def mark() -> Watermark:
    return Watermark(timedelta(seconds=3))


def test_with_nothing_waiting_holds_elapse_up_to_now() -> None:
    watermark = mark()
    watermark.holds_until(heard(0), at(1), 1.0)
    assert watermark.holds_until(heard(1.5), at(2), 2.0) == at(2)


def test_while_a_backlog_is_worked_off_they_elapse_as_far_as_was_heard() -> None:
    watermark = mark()
    watermark.holds_until(heard(0), at(60), 1.0)
    assert watermark.holds_until(heard(20), at(61), 2.0) == at(20)
    assert watermark.holds_until(heard(40), at(62), 3.0) == at(40)
    assert watermark.holds_until(heard(61), at(63), 4.0) == at(63)


def test_what_an_earlier_process_heard_is_no_word_of_this_one() -> None:
    watermark = mark()
    assert watermark.holds_until(heard(0), at(1), 1.0) == at(0)
    assert watermark.holds_until(heard(0), at(2), 2.0) == at(0)
    assert watermark.holds_until(heard(1), at(2), 2.5) == at(2)


def test_a_broker_that_stays_away_does_not_keep_a_hold_from_elapsing() -> None:
    watermark = mark()
    watermark.holds_until(heard(0), at(1), 1.0)
    told = [watermark.holds_until(heard(1.5), at(second), float(second), connected=False) for second in range(2, 19)]
    assert told[3:15] == [at(1.5)] * 12
    assert told[-1] == at(18)


def test_before_anything_was_ever_heard_it_waits() -> None:
    watermark = mark()
    told = [watermark.holds_until({}, at(second), float(second)) for second in range(1, 17)]
    assert told == [None] * 15 + [at(16)]


def test_a_worker_that_was_held_up_hears_first_what_waited_meanwhile() -> None:
    watermark = mark()
    watermark.holds_until(heard(0), at(1), 1.0)
    watermark.holds_until(heard(1.5), at(2), 2.0)
    assert watermark.holds_until(heard(1.5), at(62), 62.0) == at(1.5)
    assert watermark.holds_until(heard(20), at(63), 63.0) == at(20)


def test_a_backlog_without_heartbeats_is_heard_first_however_long_it_is() -> None:
    watermark = mark()
    told = [watermark.holds_until(heard(0), at(second), float(second), backlog=True) for second in range(1, 60)]
    assert set(told) == {at(0)}


def test_a_broker_that_is_back_hands_over_what_it_kept_before_the_clock_goes_on() -> None:
    watermark = mark()
    for second in range(1, 40):
        watermark.holds_until(heard(0), at(second), float(second), connected=False)
    assert watermark.holds_until(heard(0), at(40), 40.0, connected=True) == at(0)
