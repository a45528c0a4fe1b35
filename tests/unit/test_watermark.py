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
    watermark.holds_until(heard(1.5), at(2), 2.0)
    assert watermark.holds_until(heard(1.5), at(10), 10.0) == at(1.5)
    assert watermark.holds_until(heard(1.5), at(17), 17.0) == at(17)


def test_before_anything_was_ever_heard_it_waits() -> None:
    watermark = mark()
    assert watermark.holds_until({}, at(1), 1.0) is None
    assert watermark.holds_until({}, at(15), 15.0) is None
    assert watermark.holds_until({}, at(16), 16.0) == at(16)
