"""A scenario's time is the same in every process that is told it, and is read as it is written."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scenario_time import FASTEST, ScenarioTime, read_scenario_time
from service.clock import AnchoredClock, SimulatedClock, SystemClock
from service.commands.run import Neighbours
from service.settings import load_settings

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
WALL = datetime(2026, 11, 25, 3, tzinfo=UTC)

moments = st.integers(-10_000, 30_000_000).map(lambda minutes: NEW_YEAR + timedelta(minutes=minutes))
speeds = st.sampled_from([0.5, 1.0, 60.0, 600.0, 86_400.0])


@given(moments, speeds, st.none() | moments)
def test_it_is_read_as_it_was_written(start: datetime, speed: float, anchor: datetime | None) -> None:
    scenario = ScenarioTime(start, speed, anchor)
    assert read_scenario_time(str(scenario)) == scenario


@given(moments, speeds, st.integers(-100_000, 100_000))
def test_the_walls_time_of_a_moment_is_that_at_which_it_comes(start: datetime, speed: float, seconds: int) -> None:
    scenario = ScenarioTime(start, speed, WALL)
    moment = start + timedelta(seconds=seconds)
    assert abs(scenario.at(scenario.wall_at(moment)) - moment) <= timedelta(microseconds=speed)


def test_speed_and_anchor_may_be_left_out() -> None:
    assert read_scenario_time("2026-01-01T08:00:00+08:00") == ScenarioTime(NEW_YEAR, 1.0)
    assert read_scenario_time("2026-01-01T00:00:00Z*60") == ScenarioTime(NEW_YEAR, 60.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "2026-01-01T00:00:00*60",
        "2026-01-01T00:00:00Z*0",
        "2026-01-01T00:00:00Z*1e9",
        f"{NEW_YEAR}*{FASTEST + 1}",
        "2026-01-01T00:00:00Z*60@soon",
        "2026-01-01T00:00:00Z*60@2026-01-01T00:00:00",
    ],
)
def test_what_is_no_scenarios_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 2026-01-01T00:00:00Z\*60"):
        read_scenario_time(text)


def test_what_is_not_anchored_has_no_place_in_the_walls_time() -> None:
    with pytest.raises(ValueError, match="anchored"):
        ScenarioTime(NEW_YEAR, 1.0).wall_at(NEW_YEAR)


def test_clocks_that_were_started_at_different_times_agree_if_they_are_anchored() -> None:
    scenario = ScenarioTime(NEW_YEAR, 60.0, WALL)
    wall = WALL - timedelta(seconds=10)

    def now() -> datetime:
        return wall

    first = AnchoredClock(scenario, now)
    assert first.now() == NEW_YEAR - timedelta(minutes=10)
    wall = WALL + timedelta(seconds=30)
    second = AnchoredClock(scenario, now)
    assert first.now() == second.now() == NEW_YEAR + timedelta(minutes=30)


def test_a_setting_with_an_anchor_makes_an_anchored_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(load_settings().clock(), SystemClock)
    monkeypatch.setenv("STREETWARDEN_SIM_CLOCK", "2026-01-01T00:00:00Z*60")
    assert isinstance(load_settings().clock(), SimulatedClock)
    assert load_settings().clock_speed == 60.0
    monkeypatch.setenv("STREETWARDEN_SIM_CLOCK", "2026-01-01T00:00:00Z*60@2026-11-25T03:00:00Z")
    assert isinstance(load_settings().clock(), AnchoredClock)
    assert load_settings().anchored_sim_clock() == "2026-01-01T00:00:00Z*60@2026-11-25T03:00:00Z"


def test_what_is_started_together_is_told_one_anchored_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREETWARDEN_SIM_CLOCK", "2026-01-01T00:00:00Z*60")
    told = Neighbours("db", "mq", load_settings().anchored_sim_clock()).environment()["STREETWARDEN_SIM_CLOCK"]
    anchor = read_scenario_time(told).anchor
    assert anchor is not None
    assert abs(datetime.now(UTC) - anchor) < timedelta(minutes=1)
    monkeypatch.delenv("STREETWARDEN_SIM_CLOCK")
    assert load_settings().anchored_sim_clock() is None
    assert "STREETWARDEN_SIM_CLOCK" not in Neighbours("db", "mq").environment()
