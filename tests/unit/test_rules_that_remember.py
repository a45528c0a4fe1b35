"""Rules on several readings, as stories in time: when they fire, hold, keep on and clear; what they refuse."""

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import load_group_rules
from domain.alert import Severity, Step, Transition
from domain.reading import MeasureValue, Reading
from rules.catalogue import load_rule_kinds
from rules.engine import Hearing, judge, tick
from rules.kinds.combined import Combined, Match
from rules.kinds.counter import Counter, Looks
from rules.kinds.rate import Direction, Rate
from rules.kinds.repeat import Repeat
from rules.kinds.stuck import Stuck
from rules.kinds.threshold import Threshold
from rules.kinds.window import Statistic, Window
from rules.levels import Side
from rules.plan import make_plan
from rules.rule import Condition, Level, Remembering, Rule, RuleOverrideError
from rules.samples import MOST
from rules.tracks import Tracks, decode_tracks, encode_tracks

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
MINOR = Severity.MINOR
OPENED, CLEARED = Step.OPENED, Step.CLEARED
WARN = (Level(MINOR, 10.0, 5.0),)


class Happened(NamedTuple):
    """One step, with the seconds since the beginning."""

    step: Step
    second: float


def play(
    condition: Condition, *inputs: tuple[float, float | dict[str, float]], validity_s: float = 90
) -> list[Happened]:
    """Judge (second, value of ``x`` or values), with the memory stored and read back between any two."""
    plan = make_plan((Rule("k.r", "", "", condition),), interval_s=validity_s, validity_factor=1.0, overrides={})
    tracks = Tracks()
    steps: list[Transition] = []
    for second, given_values in inputs:
        values: dict[str, MeasureValue] = dict(given_values) if isinstance(given_values, dict) else {"x": given_values}
        at = START + timedelta(seconds=second)
        steps += judge(plan, tracks, Reading(1, at, at, values, {}, int(second), b"", None, None), Hearing(None, None))
        tracks = decode_tracks(encode_tracks(tracks))
    last = START + timedelta(seconds=inputs[-1][0])
    steps += tick(plan, tracks, 1, last + timedelta(days=1), Hearing(None, None))
    return [Happened(step.step, (step.at - START).total_seconds()) for step in steps]


def test_a_level_keeps_on_until_readings_were_good_for_long_enough() -> None:
    keeps = Threshold("x", (Level(MINOR, 10.0, keep_s=60.0),))
    assert play(keeps, (0, 11), (30, 1), (60, 1), (89, 1)) == [(OPENED, 0)]
    assert play(keeps, (0, 11), (30, 1), (60, 1), (90, 1)) == [(OPENED, 0), (CLEARED, 90)]
    assert play(keeps, (0, 11), (30, 1), (60, 12), (90, 1), (120, 1)) == [(OPENED, 0)]
    # Nothing is known of a gap, so the good time begins anew after it.
    assert play(keeps, (0, 11), (30, 1), (150, 1), (180, 1)) == [(OPENED, 0)]


def test_rate_fires_on_a_steep_rise_and_not_on_a_slow_one() -> None:
    rate = Rate(measure="x", over_s=60.0, per_s=60.0, levels=WARN)
    assert play(rate, (0, 0), (30, 2), (60, 4), (90, 6)) == []
    assert play(rate, (0, 0), (30, 2), (60, 12)) == [(OPENED, 60)]
    assert play(rate, (0, 0), (30, 9), (60, 9), (90, 9)) == [(OPENED, 30), (CLEARED, 90)]
    # A fall is no rise; the first reading tells nothing.
    assert play(rate, (0, 50), (30, 0)) == []


def test_rate_falls_or_goes_either_way() -> None:
    falling = Rate(measure="x", over_s=60.0, per_s=60.0, direction=Direction.FALLING, levels=WARN)
    either = Rate(measure="x", over_s=60.0, per_s=60.0, direction=Direction.EITHER, levels=WARN)
    assert play(falling, (0, 50), (60, 39)) == play(either, (0, 50), (60, 39)) == [(OPENED, 60)]
    assert play(falling, (0, 39), (60, 50)) == []
    assert play(either, (0, 39), (60, 50)) == [(OPENED, 60)]


def test_rate_does_not_take_two_close_readings_for_a_trend() -> None:
    rate = Rate(measure="x", over_s=60.0, per_s=60.0, least_s=20.0, levels=WARN)
    assert play(rate, (0, 0), (1, 3)) == []
    assert play(rate, (0, 0), (1, 3), (20, 4)) == [(OPENED, 20)]


def test_repeat_counts_bad_readings_among_the_last() -> None:
    repeat = Repeat(measure="x", times=2, of=3, levels=WARN)
    assert play(repeat, (0, 11), (10, 0), (20, 0), (30, 11)) == []
    assert play(repeat, (0, 11), (10, 0), (20, 11)) == [(OPENED, 20)]
    # Between clear level and limit it neither fires nor clears.
    assert play(repeat, (0, 11), (10, 11), (20, 6), (30, 6), (40, 0), (50, 0)) == [(OPENED, 10), (CLEARED, 50)]


def test_stuck_waits_for_a_change() -> None:
    stuck = Stuck(measure="x", levels=(Level(MINOR, 120.0),))
    assert play(stuck, (0, 5), (60, 5), (119, 5)) == []
    assert play(stuck, (0, 5), (60, 5), (120, 5), (150, 5), (180, 6)) == [(OPENED, 120), (CLEARED, 180)]
    # A gap says nothing of the sensor, nor does it end what fires.
    assert play(stuck, (0, 5), (60, 5), (160, 5), (200, 5)) == []
    assert play(stuck, (0, 5), (60, 5), (120, 5), (300, 5)) == [(OPENED, 120)]


def test_stuck_takes_a_small_change_for_none() -> None:
    stuck = Stuck(measure="x", tolerance=0.1, levels=(Level(MINOR, 60.0),))
    assert play(stuck, (0, 5.0), (30, 5.05), (60, 5.0)) == [(OPENED, 60)]
    assert play(stuck, (0, 5.0), (30, 5.2), (60, 5.2)) == []


@pytest.mark.parametrize(
    ("statistic", "clear", "inputs", "expected"),
    [
        (Statistic.MEAN, 8.0, [(0, 0), (30, 20), (60, 20), (90, 0), (120, 0)], [(OPENED, 30), (CLEARED, 120)]),
        (
            Statistic.MIN,
            None,
            [(0, 11), (30, 5), (60, 11), (90, 11), (120, 11)],
            [(OPENED, 0), (CLEARED, 30), (OPENED, 120)],
        ),
        (Statistic.MAX, 5.0, [(0, 0), (30, 11), (60, 0), (90, 0), (120, 0)], [(OPENED, 30), (CLEARED, 120)]),
        (Statistic.SUM, 5.0, [(0, 4), (30, 4), (60, 4), (90, 0), (120, 0)], [(OPENED, 60), (CLEARED, 120)]),
    ],
)
def test_window_judges_what_lies_in_it(
    statistic: Statistic,
    clear: float | None,
    inputs: list[tuple[float, float]],
    expected: list[tuple[Step, float]],
) -> None:
    window = Window(measure="x", window_s=60.0, statistic=statistic, levels=(Level(MINOR, 10.0, clear),))
    assert play(window, *inputs) == expected


def test_window_of_too_few_readings_decides_nothing() -> None:
    window = Window(measure="x", window_s=60.0, at_least=3, levels=WARN)
    assert play(window, (0, 11), (30, 11)) == []
    assert play(window, (0, 11), (30, 11), (60, 11)) == [(OPENED, 60)]


def test_a_dense_window_keeps_the_newest_readings() -> None:
    window = Window(measure="x", window_s=3600.0, statistic=Statistic.MAX, levels=WARN)
    inputs = [(0.0, 11.0), *((float(second), 0.0) for second in range(1, MOST + 1))]
    assert play(window, *inputs) == [(OPENED, 0), (CLEARED, MOST)]


def test_counter_that_runs_back() -> None:
    back = Counter(measure="x", looks=Looks.BACK, levels=(Level(MINOR, 0.5),))
    assert play(back, (0, 100), (60, 101), (120, 100.8), (180, 101)) == []
    assert play(back, (0, 100), (60, 99.5), (120, 99.5)) == [(OPENED, 60), (CLEARED, 120)]


def test_counter_that_begins_again_does_not_run_back() -> None:
    back = Counter(measure="x", looks=Looks.BACK, wraps_at=100_000.0, levels=(Level(MINOR, 0.5),))
    assert play(back, (0, 99_999.5), (60, 0.2)) == []
    assert play(back, (0, 99_999.5), (60, 99_000.0)) == [(OPENED, 60)]


def at_local(hour: float) -> float:
    """Seconds from the beginning (16:00 in Shanghai) to an hour of the next day there."""
    return (8 + hour) * 3600


def test_flow_through_the_night() -> None:
    night = Counter(measure="x", looks=Looks.NIGHT_FLOW, levels=(Level(MINOR, 0.1, 0.05),))
    leaking = [(at_local(hour), 100 + 0.2 * hour) for hour in (0.0, 1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 12.0)]
    assert play(night, *leaking) == [(OPENED, at_local(3.0))]
    # By day, use is nobody's business; at night, the flow before two does not count.
    used_by_day = [(at_local(hour), value) for hour, value in ((0, 0.0), (1.9, 9.0), (2.1, 9.0), (3.5, 9.0), (5, 12.0))]
    assert play(night, *used_by_day) == []
    # The next night says otherwise.
    mended = [*leaking, (at_local(26.0), 150.0), (at_local(27.0), 150.0)]
    assert play(night, *mended) == [(OPENED, at_local(3.0)), (CLEARED, at_local(27.0))]


def test_a_night_may_lie_beyond_midnight() -> None:
    night = Counter(
        measure="x",
        looks=Looks.NIGHT_FLOW,
        night_from=time(23),
        night_to=time(1),
        least_s=1800.0,
        levels=(Level(MINOR, 0.1),),
    )
    assert play(night, (at_local(-1.0), 0.0), (at_local(0.5), 1.0)) == [(OPENED, at_local(0.5))]


def test_the_clocks_go_back_in_the_night() -> None:
    """Berlin, 2026-10-25: from two to four are three hours. 0.25 in them is less than 0.1 an hour."""
    night = Counter(measure="x", looks=Looks.NIGHT_FLOW, zone="Europe/Berlin", levels=(Level(MINOR, 0.1),))
    begins = (datetime(2026, 10, 25, 0, 0, tzinfo=UTC) - START).total_seconds()
    assert play(night, (begins, 0.0), (begins + 3 * 3600 - 1, 0.25)) == []
    assert play(night, (begins, 0.0), (begins + 3 * 3600 - 1, 0.31)) == [(OPENED, begins + 3 * 3600 - 1)]


HOT = Threshold("hot", (Level(MINOR, 10.0, 5.0),))
DRY = Threshold("dry", (Level(MINOR, 10.0, 5.0),))


def test_all_parts_hold_together_though_told_apart() -> None:
    both = Combined(match=Match.ALL, parts=(HOT, DRY))
    assert play(both, (0, {"hot": 11}), (30, {"dry": 11})) == [(OPENED, 30)]
    assert play(both, (0, {"hot": 11}), (30, {"dry": 1})) == []
    # What was said too long ago is not known any more; what fires is not ended by that.
    assert play(both, (0, {"hot": 11}), (91, {"dry": 11})) == []
    assert play(both, (0, {"hot": 11, "dry": 11}), (300, {"dry": 11}), (310, {"dry": 1})) == [
        (OPENED, 0),
        (CLEARED, 310),
    ]


def test_any_part_is_enough() -> None:
    either = Combined(match=Match.ANY, parts=(HOT, DRY), hold_s=20.0)
    assert play(either, (0, {"hot": 1}), (10, {"dry": 11})) == [(OPENED, 30)]
    assert play(either, (0, {"hot": 11, "dry": 11}), (30, {"hot": 1}), (40, {"dry": 1})) == [
        (OPENED, 20),
        (CLEARED, 40),
    ]
    assert play(either, (0, {"hot": 11}), (10, {"hot": 1, "dry": 1})) == []


def test_a_memory_of_another_kind_is_not_misread() -> None:
    plans = [
        make_plan((Rule("k.r", "", "", condition),), interval_s=60.0, validity_factor=1.5, overrides={})
        for condition in (
            Combined(match=Match.ALL, parts=(Threshold("x", WARN), Threshold("x", WARN))),
            Window(measure="x", window_s=60.0, levels=WARN),
            Threshold("x", WARN),
            Repeat(measure="x", times=1, of=2, levels=WARN),
        )
    ]
    tracks = Tracks()
    happened: list[Step] = []
    for second, plan in enumerate(plans):
        at = START + timedelta(seconds=second)
        reading = Reading(1, at, at, {"x": 11.0}, {}, second, b"", None, None)
        happened += [one.step for one in judge(plan, tracks, reading, Hearing(None, None))]
        tracks = decode_tracks(encode_tracks(tracks))
    assert happened == [OPENED]
    assert tracks.rules["k.r"].kind == "repeat"


EXAMPLES: list[Remembering] = [
    Rate(measure="x", over_s=60.0, levels=WARN),
    Repeat(measure="x", times=2, of=3, levels=WARN),
    Stuck(measure="x", levels=WARN),
    Window(measure="x", window_s=60.0, levels=WARN),
    Counter(measure="x", looks=Looks.BACK, levels=WARN),
    Combined(match=Match.ALL, parts=(HOT, DRY)),
]


@pytest.mark.parametrize("condition", EXAMPLES, ids=lambda one: one.kind)
def test_every_kind_is_offered_and_remembers(condition: Remembering) -> None:
    assert load_rule_kinds()[condition.kind] is type(condition)
    assert isinstance(condition, Remembering)
    assert condition.quiet_within(condition.measures[0]) is None
    assert condition.silence_intervals is None
    assert condition.judge({}) is None
    assert condition.weigh({"other": 1.0}, 0, 1, None) is None
    assert condition.as_data()["levels"]


@pytest.mark.parametrize(
    ("condition", "override", "message"),
    [
        (EXAMPLES[0], {"over_s": 0}, "over_s must be a number from 1 to 604800, not 0"),
        (EXAMPLES[0], {"over_s": "1"}, "over_s must be a number, not '1'"),
        (EXAMPLES[0], {"window_s": 1}, "no parameter 'window_s'; it has over_s, per_s, least_s and the levels"),
        (EXAMPLES[1], {"times": 4}, "times must not be more than of: 4 of 3"),
        (EXAMPLES[1], {"times": 1.5}, "times must be a whole number from 1 to 100, not 1.5"),
        (EXAMPLES[3], {"minor": {"keep_s": -1}}, "keep_s must lie between 0 and"),
        (EXAMPLES[3], {"major": {"limit": 1}}, "no parameter 'major'"),
        (EXAMPLES[5], {"major": {"limit": 1}}, "major of a combined rule takes hold_s and keep_s, not limit"),
        (EXAMPLES[5], {"parts": {"3": {}}}, "under their numbers, 1 to 2, not '3'"),
        (EXAMPLES[5], {"hold_s": 1}, "no parameter 'hold_s'"),
    ],
)
def test_an_override_that_cannot_be_is_refused(condition: Condition, override: dict[str, object], message: str) -> None:
    with pytest.raises(RuleOverrideError, match=message.replace("(", r"\(")):
        condition.overridden(override)


def test_overrides_change_what_they_name() -> None:
    assert EXAMPLES[1].overridden({"times": 3.0, "minor": {"limit": 20, "keep_s": 5}}) == Repeat(
        measure="x", times=3, of=3, levels=(Level(MINOR, 20.0, 5.0, keep_s=5.0),)
    )
    assert EXAMPLES[5].overridden({"major": {"hold_s": 9}, "parts": {"2": {"minor": {"limit": 3}}}}) == Combined(
        match=Match.ALL, parts=(HOT, Threshold("dry", (Level(MINOR, 3.0, 5.0),))), hold_s=9.0
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Counter(measure="x", looks=Looks.BACK, zone="Nowhere/Town", levels=WARN),
        lambda: Counter(measure="x", looks=Looks.NIGHT_FLOW, least_s=7201.0, levels=WARN),
        lambda: Combined(match=Match.ALL, parts=(HOT,)),
        lambda: Combined(match=Match.ALL, parts=(HOT, Stuck(measure="x", levels=WARN))),
    ],
)
def test_what_can_never_be_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(RuleOverrideError):
        make()


@given(
    st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.0, 6.0, 11.0, 30.0])), min_size=1, max_size=25),
    st.sampled_from(EXAMPLES[:5]),
)
def test_nothing_older_than_the_reach_makes_a_difference(gaps: list[tuple[int, float]], condition: Remembering) -> None:
    """The verdict on the last reading is the same whether all before it were seen or only those within reach."""
    stream: list[tuple[int, float]] = []
    for gap, value in gaps:
        stream.append(((stream[-1][0] if stream else 0) + gap * 1_000_000, value))
    validity = 60_000_000
    reach = condition.reach(60.0)
    last = stream[-1][0]
    near = [one for one in stream if last - one[0] <= reach.seconds * 1_000_000]
    remembered = stream[-max(len(near), reach.readings) :]

    def verdicts(inputs: list[tuple[int, float]]) -> object:
        memory, said = None, None
        for at, value in inputs:
            weighed = condition.weigh({"x": value}, at, validity, memory)
            assert weighed is not None
            _, said, memory = weighed
        return said

    assert verdicts(remembered) == verdicts(stream), (condition, stream, remembered)


def test_side_below_looks_the_other_way() -> None:
    low = Window(measure="x", window_s=60.0, side=Side.BELOW, levels=(Level(MINOR, 3.0, 4.0),))
    assert play(low, (0, 5), (30, 1), (60, 0)) == [(OPENED, 30)]


def test_a_rule_without_levels_is_not_told_to_have_some() -> None:
    group = load_group_rules()["streetlight.circuit_dark"].condition
    with pytest.raises(RuleOverrideError, match=r"no parameter 'minor'; it has metres, .*, clear_share$"):
        group.overridden({"minor": {"limit": 1}})
