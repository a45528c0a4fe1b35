"""Clock health: what the days of a device's clock say."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.clock_health import ClockDay, ClockVerdict, clock_health

FIRST = date(2026, 3, 1)


def days(*lows: float, high: float = 1.0, refused: int = 0) -> list[ClockDay]:
    return [ClockDay(FIRST + timedelta(days=number), 5, low, low + high, refused) for number, low in enumerate(lows)]


def test_nothing_known_is_no_verdict() -> None:
    assert clock_health([]).verdict is ClockVerdict.UNKNOWN


def test_a_clock_as_late_as_its_network_is_good() -> None:
    assert clock_health(days(0.3, 1.2, 0.4)).verdict is ClockVerdict.GOOD


def test_local_time_sent_as_utc_is_recognised_ahead_and_its_reverse_behind() -> None:
    ahead = clock_health(days(-8 * 3600.0 + 0.4, refused=5))
    assert (ahead.verdict, ahead.offset_s, ahead.refused) == (ClockVerdict.SHIFTED, 8 * 3600.0 - 0.4, 5)
    assert clock_health(days(8 * 3600.0 + 20)).verdict is ClockVerdict.SHIFTED


def test_an_old_history_in_one_message_is_no_shift() -> None:
    assert clock_health(days(0.5, high=8 * 3600.0)).verdict is ClockVerdict.GOOD


def test_ahead_and_behind_by_anything_else() -> None:
    assert clock_health(days(-40.0)).verdict is ClockVerdict.AHEAD
    assert clock_health(days(1900.0)).verdict is ClockVerdict.BEHIND


def test_a_clock_that_gains_three_seconds_a_day_drifts() -> None:
    health = clock_health(days(10.0, 7.0, 4.0, 1.0, -2.0))
    assert (health.verdict, health.drift_s_per_day) == (ClockVerdict.DRIFTING, 3.0)
    assert clock_health(days(10.0, 7.0, 4.0)).drift_s_per_day is None


@given(st.floats(-1, 1), st.integers(0, 9), st.floats(10, 5000))
def test_one_day_of_held_back_messages_does_not_bend_the_drift(slope: float, odd: int, held: float) -> None:
    lows = [20.0 - slope * number for number in range(10)]
    lows[odd] += held
    found = clock_health(days(*lows)).drift_s_per_day
    assert found is not None
    assert abs(found - slope) < 0.2 * held / 5 + 0.5
