"""Balances: windows of the district's day, volumes between readings, and how many windows make an alert."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import load_group_rules
from domain.alert import Severity, Step
from rules.balances import Metered, Role, Sum, Window, ZoneState, add_up, step, window_after
from rules.catalogue import load_rule_kinds
from rules.kinds.balance import Balance
from rules.plan import make_plan
from rules.rule import Rule, RuleOverrideError, Verdict

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 11, 24, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURLY = Balance(
    measure="volume_m3",
    counter=True,
    severity=Severity.MAJOR,
    limit_m3h=1.0,
    limit_share=0.1,
    clear_m3h=0.5,
    windows=2,
    window_s=3600,
    gap_s=5400.0,
)
FLOW = Balance(measure="flow_m3h", counter=False, severity=Severity.MAJOR, limit_m3h=1.0, window_s=3600, gap_s=1900.0)


def window(number: int = 0) -> Window:
    return Window(START + number * HOUR, START + (number + 1) * HOUR)


def counted(role: Role, per_hour: float, minutes: range = range(-60, 180, 60), begin: float = 100.0) -> Metered:
    """A counter that was read so and so often."""
    return Metered(role, [(START + timedelta(minutes=at), begin + per_hour * at / 60) for at in minutes])


def test_windows_begin_at_the_districts_midnight() -> None:
    assert window_after(START, 86_400, SHANGHAI) == Window(START, START + timedelta(days=1))
    assert window_after(START + timedelta(seconds=1), 86_400, SHANGHAI).start == START + timedelta(days=1)
    assert window_after(START + timedelta(minutes=61), 3600, SHANGHAI) == window(2)


def test_a_day_whose_clocks_change_is_one_window_all_the_same() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = window_after(datetime(2026, 3, 28, 23, tzinfo=UTC), 86_400, berlin)
    assert spring.hours == 23
    autumn = window_after(datetime(2026, 10, 24, 22, tzinfo=UTC), 86_400, berlin)
    assert autumn.hours == 25
    assert window_after(spring.end, 86_400, berlin).start == spring.end


@given(st.sampled_from([60, 900, 3600, 7200, 86_400]), st.integers(0, 800 * 86_400))
def test_windows_follow_each_other_without_a_gap(window_s: int, seconds: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    one = window_after(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), window_s, zone)
    assert one.start < one.end
    assert window_after(one.end, window_s, zone).start == one.end


def test_what_counters_say_between_their_readings_lies_on_a_line() -> None:
    meters = [counted(Role.IN, 10.0, range(-20, 120, 40)), counted(Role.OUT, 4.0), counted(Role.OUT, 3.5, begin=0.0)]
    total = add_up(HOURLY, window(), meters)
    assert total is not None
    assert total == pytest.approx((10.0, 7.5))


def test_flow_is_summed_up_over_the_time() -> None:
    points = [(START + timedelta(minutes=at), 6.0 if at < 30 else 12.0) for at in range(0, 90, 30)]
    assert add_up(FLOW, window(), [Metered(Role.IN, points)]) == pytest.approx((10.5, 0.0))


def test_a_window_is_not_judged_without_all_of_its_meters() -> None:
    inlet = counted(Role.IN, 10.0)
    silent = Metered(Role.OUT, [])
    too_late = counted(Role.OUT, 1.0, range(60, 180, 60))
    long_gap = counted(Role.OUT, 1.0, range(-60, 180, 120))
    turned_back = Metered(Role.OUT, [(START, 9.0), (START + HOUR / 2, 3.0), (START + HOUR, 9.5)])
    for meter in (silent, too_late, long_gap, turned_back):
        assert add_up(HOURLY, window(), [inlet, meter]) is None
    assert add_up(HOURLY, window(), [counted(Role.OUT, 1.0)]) is None, "a zone without an inlet has no balance"


def test_both_limits_must_be_reached_and_it_clears_lower() -> None:
    assert HOURLY.verdict(20.0, 17.0, 1.0) is Verdict.BAD
    assert HOURLY.verdict(20.0, 18.5, 1.0) is Verdict.KEEP, "1.5 m³/h, but only 7.5 %"
    assert HOURLY.verdict(2.0, 1.2, 1.0) is Verdict.KEEP, "40 %, but only 0.8 m³/h"
    assert HOURLY.verdict(2.0, 1.6, 1.0) is Verdict.GOOD
    assert HOURLY.verdict(2.0, 9.0, 1.0) is Verdict.GOOD, "more out than in is another fault"


BAD, KEEP, GOOD, UNKNOWN = Sum(20.0, 10.0), Sum(20.0, 19.3), Sum(20.0, 20.0), None


@pytest.mark.parametrize(
    ("totals", "steps"),
    [
        ([BAD, BAD], [(1, Step.OPENED, 0)]),
        ([BAD, GOOD, BAD], []),
        ([BAD, KEEP, BAD], []),
        ([BAD, UNKNOWN, BAD], [(2, Step.OPENED, 0)]),
        ([UNKNOWN, UNKNOWN], []),
        ([BAD, BAD, GOOD, BAD, GOOD, KEEP, GOOD], [(1, Step.OPENED, 0)]),
        ([BAD, BAD, GOOD, UNKNOWN, GOOD, BAD, BAD], [(1, Step.OPENED, 0), (4, Step.CLEARED, 0), (6, Step.OPENED, 5)]),
    ],
)
def test_windows_in_a_row_open_and_clear(totals: list[Sum | None], steps: list[tuple[int, Step, int]]) -> None:
    state = ZoneState()
    told: list[tuple[int, Step, int]] = []
    for number, total in enumerate(totals):
        state, done = step(HOURLY, state, window(number), total)
        if done is not None:
            assert done[2] == window(number).end
            told.append((number, done[0], (done[1] - START) // HOUR))
    assert told == steps


def test_impossible_parameters_are_refused_and_possible_ones_set() -> None:
    assert HOURLY.overridden({"limit_m3h": 2, "windows": 3}).verdict(20.0, 18.5, 1.0) is Verdict.KEEP
    for wrong in (
        {"window_s": 7000},
        {"windows": 0},
        {"clear_m3h": 2.0},
        {"limit_share": 2},
        {"measure": 1},
        {"gap_s": "x"},
    ):
        with pytest.raises(RuleOverrideError):
            HOURLY.overridden(wrong)


def test_the_engine_is_never_asked_and_the_default_is_a_balance() -> None:
    rule = load_group_rules()["gas_meter.zone_loss"]
    assert isinstance(rule.condition, Balance)
    assert load_rule_kinds()["balance"] is Balance
    plan = make_plan([Rule("zone", "", "", HOURLY)], interval_s=900.0, validity_factor=1.5, overrides={})
    assert (plan.watches, plan.silences, plan.quiet) == ((), (), {})
