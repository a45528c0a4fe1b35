"""The rule kind expected: what a lamp should do at its place and time, and what a reading says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.alert import Severity, Transition
from domain.instants import from_micros, to_micros
from domain.reading import Flag, MeasureValue, Reading
from rules.catalogue import load_rule_kinds
from rules.engine import Hearing, judge, next_hold_due, tick, uneventful
from rules.kinds.expected import Expected, Placed, Wrong
from rules.lighting import read_schedule
from rules.plan import Plan, make_plan
from rules.rejudge import calm_after
from rules.rule import Lapsing, Remembering, Rule, RuleOverrideError, Verdict
from rules.surroundings import Command, Placeable, Surroundings, put_in_place
from rules.tracks import Tracks, decode_tracks, encode_tracks

BEIJING = ZoneInfo("Asia/Shanghai")
SEASONS = [{"from": "01-01", "on": "18:00", "off": "06:00", "dim": [{"from": "23:30", "pct": 50}]}]
PLACE = Surroundings.near(107.507, 31.196, "Asia/Shanghai", read_schedule("city", SEASONS))
DARK = Expected(wrong=Wrong.DARK, measure="lamp_on", hold_s=1500)
BURNING = Expected(wrong=Wrong.BURNING, measure="lamp_on", hold_s=1500)
DIMMED = Expected(wrong=Wrong.DIMMED, measure="dim_pct", hold_s=1500)
UNHEARD = Hearing(None, None)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=BEIJING).astimezone(UTC)


def placed(condition: Expected, surroundings: Surroundings = PLACE) -> Placed:
    there = condition.placed(surroundings)
    assert isinstance(there, Placed)
    return there


def verdict(condition: Expected, when: str, **values: MeasureValue) -> Verdict | None:
    return verdict_there(condition, when, PLACE, values)


def verdict_there(
    condition: Expected, when: str, place: Surroundings, values: dict[str, MeasureValue]
) -> Verdict | None:
    judged = placed(condition, place).weigh(values, to_micros(at(when)), 0, None)
    return None if judged is None else judged[1][0]


def plan_of(*conditions: Expected, place: Surroundings | None = PLACE) -> Plan:
    rules = [Rule(f"streetlight.{one.wrong}", "", "", one) for one in conditions]
    return make_plan(rules, interval_s=900, validity_factor=1.5, overrides={}, surroundings=place)


def reading(when: str, flags: dict[str, str] | None = None, **values: MeasureValue) -> Reading:
    return Reading(1, at(when), at(when), values, flags or {}, 0, b"", None, None)


def steps_of(plan: Plan, readings: list[Reading], *, stored: bool = False) -> list[tuple[str, str]]:
    tracks, steps = Tracks(), list[Transition]()
    for one in readings:
        while (due := next_hold_due(plan, tracks)) is not None and due < one.at:
            steps += tick(plan, tracks, 1, due, UNHEARD)
        steps += judge(plan, tracks, one, UNHEARD)
        tracks = decode_tracks(encode_tracks(tracks)) if stored else tracks
    return [(step.at.astimezone(BEIJING).strftime("%d %H:%M"), f"{step.rule} {step.step}") for step in steps]


def test_it_is_found_and_keeps_its_promises() -> None:
    assert load_rule_kinds()["expected"] is Expected
    there = placed(DARK)
    assert isinstance(DARK, Placeable)
    assert not isinstance(DARK, Remembering)
    assert isinstance(there, Remembering)
    assert isinstance(there, Lapsing)
    assert isinstance(there, Placeable)
    assert there.kind == DARK.kind == "expected"


@pytest.mark.parametrize(
    ("when", "values", "said"),
    [
        ("01T12:00", {"lamp_on": True}, Verdict.GOOD),
        ("01T12:00", {"lamp_on": False}, Verdict.KEEP),
        ("01T21:00", {"lamp_on": False}, Verdict.BAD),
        ("01T21:00", {"lamp_on": True}, Verdict.GOOD),
        ("01T21:00", {"lamp_on": True, "power_w": 4.9}, Verdict.BAD),
        ("01T21:00", {"lamp_on": False, "power_w": 5.0}, Verdict.GOOD),
        ("01T18:19:59", {"lamp_on": False}, Verdict.KEEP),
        ("01T18:20", {"lamp_on": False}, Verdict.BAD),
        ("02T05:39:59", {"lamp_on": False}, Verdict.BAD),
        ("02T05:40", {"lamp_on": False}, Verdict.KEEP),
        ("01T23:30", {"lamp_on": False}, Verdict.BAD),
        ("01T21:00", {"dim_pct": 0}, None),
    ],
)
def test_dark_at_night_is_bad_and_only_burning_is_good(
    when: str, values: dict[str, MeasureValue], said: Verdict | None
) -> None:
    assert verdict(DARK, when, **values) is said


@pytest.mark.parametrize(
    ("when", "values", "said"),
    [
        ("01T12:00", {"lamp_on": True}, Verdict.BAD),
        ("01T12:00", {"lamp_on": False}, Verdict.GOOD),
        ("01T12:00", {"lamp_on": False, "power_w": 60}, Verdict.BAD),
        ("01T21:00", {"lamp_on": True}, Verdict.KEEP),
        ("01T21:00", {"lamp_on": False}, Verdict.GOOD),
        ("01T17:39:59", {"lamp_on": True}, Verdict.BAD),
        ("01T17:40", {"lamp_on": True}, Verdict.KEEP),
    ],
)
def test_burning_by_day_is_bad_and_only_off_is_good(
    when: str, values: dict[str, MeasureValue], said: Verdict | None
) -> None:
    assert verdict(BURNING, when, **values) is said


@pytest.mark.parametrize(
    ("when", "pct", "said"),
    [
        ("01T21:00", 100, Verdict.GOOD),
        ("01T21:00", 90, Verdict.BAD),
        ("01T23:20", 50, Verdict.KEEP),
        ("01T23:50", 50, Verdict.GOOD),
        ("01T23:50", 61, Verdict.BAD),
        ("01T23:50", 0, Verdict.KEEP),
        ("01T12:00", 100, Verdict.KEEP),
    ],
)
def test_how_bright_it_burns_goes_by_the_steps_of_the_night(when: str, pct: float, said: Verdict) -> None:
    assert verdict(DIMMED, when, dim_pct=pct) is said


def test_without_power_only_the_switch_counts() -> None:
    alone = Expected(wrong=Wrong.DARK, measure="lamp_on", power=None)
    assert alone.measures == ("lamp_on",)
    assert verdict(alone, "01T21:00", lamp_on=True, power_w=0) is Verdict.GOOD


def test_a_hold_does_not_elapse_past_the_next_switching_time() -> None:
    late = [reading("02T05:30", lamp_on=False), reading("02T07:00", lamp_on=False), reading("02T08:00", lamp_on=False)]
    assert steps_of(plan_of(DARK), late) == []
    lapse = placed(DARK).lapses(to_micros(at("02T05:30")))
    assert lapse == to_micros(at("02T05:40"))
    early = [reading("02T04:30", lamp_on=False), reading("02T04:45", lamp_on=False), reading("02T07:00", lamp_on=False)]
    assert steps_of(plan_of(DARK), early) == [("02 04:55", "streetlight.dark opened")]


def test_a_broken_lamp_is_one_alert_not_one_a_night() -> None:
    start = at("01T19:00")
    nights = [
        Reading(1, start + timedelta(minutes=15 * number), start, {"lamp_on": False}, {}, number, b"", None, None)
        for number in range(4 * 24 * 3)
    ]
    mended = reading("04T20:00", lamp_on=True, power_w=90)
    expected = [("01 19:25", "streetlight.dark opened"), ("04 20:00", "streetlight.dark cleared")]
    assert steps_of(plan_of(DARK, BURNING), [*nights, mended]) == expected
    assert steps_of(plan_of(DARK, BURNING), [*nights, mended], stored=True) == expected


def test_a_doubtful_value_is_not_judged_and_the_switch_then_tells() -> None:
    doubt = {"power_w": Flag.OUT_OF_RANGE.value}
    lit = [reading(f"01T{hour}:00", doubt, lamp_on=True, power_w=0) for hour in (20, 21, 22)]
    assert steps_of(plan_of(DARK), lit) == []


def test_what_is_clear_is_not_remembered_and_a_late_reading_finds_its_calm_moment() -> None:
    plan, tracks = plan_of(DARK), Tracks()
    readings = [reading(f"01T{hour}:00", lamp_on=hour >= 18) for hour in range(10, 24)]
    for one in readings:
        assert judge(plan, tracks, one, UNHEARD) == []
        assert not tracks
    calm = calm_after(plan, plan.watches[0], readings, at("01T12:30"))
    assert calm == at("01T18:00"), "what fires by day is known to be over only once the lamp burns"


def test_without_place_or_schedule_nothing_is_judged_and_it_says_why() -> None:
    schedule = PLACE.schedule
    for place, why in (
        (Surroundings(schedule=schedule), "Its asset has no position"),
        (Surroundings(107.5, 31.2), "No lighting schedule is in force"),
    ):
        assert DARK.placed(place) is DARK
        missing = DARK.missing(place)
        assert missing is not None
        assert missing.startswith(why)
        plan = plan_of(DARK, BURNING, place=place)
        assert uneventful(plan, reading("01T21:00", lamp_on=False), UNHEARD)
        assert uneventful(plan, reading("01T12:00", lamp_on=True), UNHEARD)
    assert DARK.missing(PLACE) is None
    assert put_in_place(Rule("a.b", "", "", DARK), None).condition is DARK
    assert DARK.judge({"lamp_on": False}) is None
    assert placed(DARK).judge({"lamp_on": False}) is None


def test_where_the_sun_does_not_set_nothing_is_decided() -> None:
    by_sun = read_schedule("north", [{"from": "01-01", "on": "sunset", "off": "sunrise"}])
    tromso = Surroundings.near(18.95, 69.65, "Europe/Oslo", by_sun)
    midsummer = to_micros(datetime(2026, 6, 21, 22, tzinfo=UTC))
    there = placed(DARK, tromso)
    assert there.weigh({"lamp_on": False}, midsummer, 0, None) == (False, [Verdict.KEEP], None)
    assert there.lapses(midsummer) is None


def test_a_command_prevails_until_it_ends() -> None:
    told = Command(to_micros(at("01T20:00")), to_micros(at("01T22:00")), 0.0)
    off = Surroundings(PLACE.longitude, PLACE.latitude, PLACE.zone, PLACE.schedule, told)
    said = [
        verdict_there(DARK, f"01T{when}", off, {"lamp_on": False})
        for when in ("19:00", "19:45", "21:00", "22:10", "22:20")
    ]
    assert said == [Verdict.BAD, Verdict.KEEP, Verdict.KEEP, Verdict.KEEP, Verdict.BAD]
    assert verdict_there(BURNING, "01T21:00", off, {"lamp_on": True}) is Verdict.BAD
    ends = [placed(DARK, off).lapses(to_micros(at(f"01T{when}"))) for when in ("19:00", "21:00", "23:00")]
    moments = [None if end is None else from_micros(end).astimezone(BEIJING).strftime("%H:%M") for end in ends]
    assert moments == ["19:40", "21:40", "05:40"]


def test_positions_near_each_other_are_one_place() -> None:
    schedule = PLACE.schedule
    assert Surroundings.near(107.51, 31.21, "Asia/Shanghai", schedule) == PLACE
    assert Surroundings.near(107.58, 31.21, "Asia/Shanghai", schedule) != PLACE


def test_overrides_change_its_numbers_at_the_same_place() -> None:
    changed = placed(DARK).overridden({"grace_s": 600, "burns_from_w": 8, "minor": {"hold_s": 60, "keep_s": 5}})
    assert isinstance(changed, Placed)
    assert (changed.rule.grace_s, changed.rule.burns_from_w) == (600, 8)
    assert [(level.severity, level.hold_s, level.keep_s) for level in changed.levels] == [(Severity.MINOR, 60, 5)]
    assert changed.surroundings is PLACE


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"grace_s": -1}, "grace_s must be above 0 and at most 14400, not -1"),
        ({"grace_s": 20000}, "grace_s must be above 0 and at most 14400, not 20000"),
        ({"burns_from_w": "5"}, "burns_from_w must be a number, not '5'"),
        ({"off_by_pct": 101}, "off_by_pct must be above 0 and at most 100, not 101"),
        ({"minor": {"limit": 2}}, "minor of an expected rule takes hold_s and keep_s, not limit"),
        ({"major": {"hold_s": 2}}, "no parameter 'major'; it has grace_s, burns_from_w, off_by_pct"),
        ({"wrong": "dark"}, "no parameter 'wrong'"),
    ],
)
def test_what_does_not_fit_is_refused(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(RuleOverrideError, match=told):
        DARK.overridden(parameters)


def test_its_revision_names_the_schedule_and_not_the_position() -> None:
    here = placed(DARK).as_data()
    there = placed(DARK, Surroundings.near(113.6, 23.6, "Asia/Shanghai", PLACE.schedule)).as_data()
    assert here == there
    assert here["schedule"] == {"name": "city", "seasons": [{**SEASONS[0], "dim": [{"from": "23:30", "pct": 50.0}]}]}
    assert "schedule" not in DARK.as_data()


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize(
    "values", [{"lamp_on": True, "dim_pct": 100.0}, {"lamp_on": True, "dim_pct": 50.0}, {"lamp_on": False}]
)
def test_a_reading_is_passed_by_just_where_judging_it_would_change_nothing(
    hour: int, values: dict[str, MeasureValue]
) -> None:
    plan = plan_of(DARK, BURNING, DIMMED)
    one = reading(f"05T{hour:02}:40", None, **values)
    tracks = Tracks()
    steps = judge(plan, tracks, one, UNHEARD)
    assert uneventful(plan, one, UNHEARD) is (not steps and not tracks)
