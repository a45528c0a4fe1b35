"""Lighting schedules: seasons and switching times are read exactly, and the nights they make are the right ones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.instants import from_micros, to_micros
from rules.lighting import Nights, Schedule, Switch, read_schedule
from rules.parameters import WrongParametersError

BY_SUN = [{"from": "01-01", "on": "sunset", "off": "sunrise"}]
BEIJING = ZoneInfo("Asia/Shanghai")
DAZHOU = (107.5, 31.2)
GUANGZHOU = (113.6, 23.6)


def nights(seasons: object, place: tuple[float, float] = DAZHOU, zone: str = "Asia/Shanghai") -> Nights:
    return Nights(*place, zone, read_schedule("city", seasons))


def at(text: str, zone: ZoneInfo = BEIJING) -> int:
    return to_micros(datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC))


def local(micros: int, zone: ZoneInfo = BEIJING) -> str:
    return from_micros(micros).astimezone(zone).strftime("%m-%d %H:%M")


def turns(of: Nights, day: str, zone: ZoneInfo = BEIJING) -> list[str]:
    """All switching times of the 24 hours from noon on."""
    now, end = at(f"{day}T12:00", zone), at(f"{day}T12:00", zone) + 86_400_000_000
    told: list[str] = []
    while (state := of.expected(now)) is not None and state.until < end:
        now = state.until
        after = of.expected(now)
        assert after is not None
        told.append(f"{local(now, zone)} {after.pct:g}")
    return told


@pytest.mark.parametrize(
    ("place", "day", "sunset", "sunrise"),
    [
        # Worked out by hand, from the sun's declination and the equation of time of the day (23.44°, -1.9 min and
        # -23.44°, +1.9 min at the solstices; 0°, -7.4 min at the equinox), the horizon at -0.833°.
        # cos H = (sin -0.833° - sin φ sin δ) / (cos φ cos δ); Beijing time = 12 h ± H/15 - (λ - 120°)/15 - equation.
        # 31.2° N, 107.5° E: H = 106.3° in June, 75.7° in December, 91.0° in March.
        (DAZHOU, "2026-06-21", "06-21 19:57", "06-22 05:47"),
        (DAZHOU, "2026-12-21", "12-21 17:51", "12-22 07:45"),
        (DAZHOU, "2026-03-20", "03-20 19:01", "03-21 06:53"),
        # 23.6° N, 113.6° E: H = 101.9° in June, 80.0° in December.
        (GUANGZHOU, "2026-06-21", "06-21 19:15", "06-22 05:40"),
        (GUANGZHOU, "2026-12-21", "12-21 17:44", "12-22 07:04"),
    ],
)
def test_sunset_and_sunrise_are_those_of_the_place_within_two_minutes(
    place: tuple[float, float], day: str, sunset: str, sunrise: str
) -> None:
    on, off = (turn.rpartition(" ")[0] for turn in turns(nights(BY_SUN, place), day))
    for found, known in ((on, sunset), (off, sunrise)):
        moments = [datetime.strptime(f"2026-{each}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC) for each in (found, known)]
        assert abs(moments[0] - moments[1]) <= timedelta(minutes=2), (found, known)


@pytest.mark.parametrize(("day", "sunset"), [("2020-07-03", "19:16"), ("2020-11-28", "17:40")])
def test_the_latest_and_earliest_sunset_of_a_year_are_those_that_guangzhou_was_told(day: str, sunset: str) -> None:
    # Published for the city for 2020: the latest on 3 July at 19:16:52, the earliest on 28 November at 17:40:22.
    on = nights(BY_SUN, (113.27, 23.13)).expected(at(f"{day}T22:00"))
    assert on is not None
    published = at(f"{day}T{sunset}") + 30_000_000
    assert abs(on.since - published) <= 120_000_000


def test_the_clock_and_steps_of_dimming_make_the_night() -> None:
    seasons = [{"from": "01-01", "on": "19:30", "off": "05:50", "dim": [{"from": "23:30", "pct": 50}]}]
    assert turns(nights(seasons), "2026-05-01") == ["05-01 19:30 100", "05-01 23:30 50", "05-02 05:50 0"]
    before, after = nights(seasons).expected(at("2026-05-02T00:00")), nights(seasons).expected(at("2026-05-02T05:50"))
    assert before is not None
    assert after is not None
    assert (before.on, before.pct, local(before.since)) == (True, 50, "05-01 23:30")
    assert (after.on, after.pct, local(after.since), local(after.until)) == (False, 0, "05-02 05:50", "05-02 19:30")


def test_offsets_shift_what_the_sun_says() -> None:
    shifted = [{"from": "01-01", "on": "sunset-10m", "off": "sunrise+5m"}]
    plain, moved = (nights(each).expected(at("2026-05-01T23:00")) for each in (BY_SUN, shifted))
    assert plain is not None
    assert moved is not None
    assert (plain.since - moved.since, moved.until - plain.until) == (600_000_000, 300_000_000)


def test_lamps_that_go_off_before_midnight_and_a_night_too_short_for_them() -> None:
    seasons = [{"from": "01-01", "on": "sunset", "off": "22:00"}]
    assert turns(nights(seasons), "2026-05-01")[-1] == "05-01 22:00 0"
    early = [{"from": "01-01", "on": "sunset", "off": "19:00"}, {"from": "10-01", "on": "sunset", "off": "19:00"}]
    assert turns(nights(early), "2026-06-21") == [], "the sun sets after they should be off: they stay dark"
    state = nights(early).expected(at("2026-06-21T21:00"))
    assert state is not None
    assert not state.on
    assert len(turns(nights(early), "2026-12-21")) == 2


def test_a_season_begins_with_the_night_of_its_day_and_the_last_one_goes_on_into_the_new_year() -> None:
    seasons = [
        {"from": "04-01", "on": "19:30", "off": "05:30"},
        {"from": "10-01", "on": "18:00", "off": "06:45"},
    ]
    year = nights(seasons)
    assert turns(year, "2026-03-31") == ["03-31 18:00 100", "04-01 06:45 0"]
    assert turns(year, "2026-04-01") == ["04-01 19:30 100", "04-02 05:30 0"]
    assert turns(year, "2026-09-30") == ["09-30 19:30 100", "10-01 05:30 0"]
    assert turns(year, "2026-12-31") == ["12-31 18:00 100", "01-01 06:45 0"]
    assert turns(year, "2027-01-01") == ["01-01 18:00 100", "01-02 06:45 0"]


def test_a_season_from_the_leap_day_begins_a_day_later_in_other_years() -> None:
    schedule = read_schedule(
        "leap",
        [{"from": "01-01", "on": "18:00", "off": "06:00"}, {"from": "02-29", "on": "19:00", "off": "06:00"}],
    )

    def on(day: date) -> str:
        return str(schedule.season(day).on)

    assert [on(date(2028, 2, 28)), on(date(2028, 2, 29))] == ["18:00", "19:00"]
    assert [on(date(2027, 2, 28)), on(date(2027, 3, 1))] == ["18:00", "19:00"]
    leap = Nights(*DAZHOU, "Asia/Shanghai", schedule)
    assert turns(leap, "2028-02-29") == ["02-29 19:00 100", "03-01 06:00 0"]


def test_beyond_the_polar_circle_nobody_can_tell_by_the_sun_but_by_the_clock() -> None:
    tromso, zone = (18.95, 69.65), "Europe/Oslo"
    assert nights(BY_SUN, tromso, zone).expected(at("2026-06-21T12:00")) is None
    assert nights(BY_SUN, tromso, zone).expected(at("2026-12-21T12:00")) is None
    assert nights(BY_SUN, tromso, zone).expected(at("2026-03-20T12:00")) is not None
    by_clock = [{"from": "01-01", "on": "20:00", "off": "06:00"}]
    assert nights(by_clock, tromso, zone).expected(at("2026-06-21T12:00")) is not None


def test_the_clock_is_the_zones_also_on_the_nights_on_which_it_changes() -> None:
    berlin, zone = (13.4, 52.5), ZoneInfo("Europe/Berlin")
    seasons = [{"from": "01-01", "on": "19:30", "off": "05:50", "dim": [{"from": "02:30", "pct": 40}]}]
    of = nights(seasons, berlin, "Europe/Berlin")
    # 2026-03-29: from 02:00 to 03:00; 02:30 is not there, and counts as 03:30. 2026-10-25: 02:30 is there twice.
    assert turns(of, "2026-03-28", zone) == ["03-28 19:30 100", "03-29 03:30 40", "03-29 05:50 0"]
    assert turns(of, "2026-10-24", zone) == ["10-24 19:30 100", "10-25 02:30 40", "10-25 05:50 0"]
    before, after = of.expected(at("2026-03-28T22:00", zone)), of.expected(at("2026-10-24T22:00", zone))
    assert before is not None
    assert after is not None
    steps = [from_micros(each.until).isoformat() for each in (before, after)]
    assert steps == ["2026-03-29T01:30:00+00:00", "2026-10-25T00:30:00+00:00"]


@pytest.mark.parametrize("longitude", [-179.9, -100.0, 0.0, 75.6, 135.0, 179.9])
def test_each_night_has_one_dusk_and_one_dawn_wherever_the_zone_has_its_noon(longitude: float) -> None:
    of = nights(BY_SUN, (longitude, 39.5))
    now, states = at("2026-05-01T12:00"), list[bool]()
    for _ in range(8):
        state = of.expected(now)
        assert state is not None
        assert state.since <= now < state.until
        assert state.until - state.since < 16 * 3_600_000_000
        states.append(state.on)
        now = state.until
    assert states == [states[0], not states[0]] * 4


def test_a_schedule_is_written_as_it_was_read() -> None:
    seasons: list[dict[str, object]] = [
        {"from": "03-01", "on": "sunset-10m", "off": "sunrise+5m", "dim": [{"from": "23:30", "pct": 50.0}]},
        {"from": "11-15", "on": "17:40", "off": "sunrise", "dim": []},
    ]
    schedule = read_schedule("city", seasons)
    assert schedule.as_data() == {"name": "city", "seasons": seasons}
    assert isinstance(schedule, Schedule)


def test_a_time_that_yaml_took_for_a_number_is_understood() -> None:
    assert read_schedule("x", [{"from": "01-01", "on": 1170, "off": "sunrise"}]).seasons[0].on == Switch(None, 1170)


@pytest.mark.parametrize(
    ("seasons", "told"),
    [
        ([], "seasons must be a list of at least one season"),
        ({"from": "01-01"}, "seasons must be a list of at least one season"),
        (["night"], "seasons no. 1 must be a season: from, on, off and perhaps dim, not 'night'"),
        ([{**BY_SUN[0], "form": 1}], "a season knows no form; it knows from, on, off, dim"),
        ([{**BY_SUN[0], "from": "02-30"}], "from must be a day of the year as month and day, such as 04-01"),
        ([{**BY_SUN[0], "from": "4-1"}], "from must be a day of the year as month and day, such as 04-01, not '4-1'"),
        ([{**BY_SUN[0], "on": "sunrise"}], "on must be a time of day such as 19:30, or sunset with at most 180 min"),
        ([{**BY_SUN[0], "off": "sunset"}], "off must be a time of day such as 19:30, or sunrise with at most 180 min"),
        ([{**BY_SUN[0], "on": "sunset-181m"}], "such as sunset-10m, not 'sunset-181m'"),
        ([{**BY_SUN[0], "on": "24:00"}], "on must be a time of day such as 19:30"),
        ([{"from": "01-01", "on": "19:30"}], "off must be a time of day such as 19:30"),
        ([{**BY_SUN[0], "dim": "23:30"}], "dim must be a list of {from, pct}, not '23:30'"),
        ([{**BY_SUN[0], "dim": [{"from": "23:30"}]}], "dim no. 1 must be a step of dimming: from and pct"),
        ([{**BY_SUN[0], "dim": [{"from": "23:30", "pct": 0}]}], "pct must be per cent above 0, at most 100, not 0"),
        (
            [{**BY_SUN[0], "dim": [{"from": "late", "pct": 5}]}],
            "from must be a time of day such as 19:30, or sunset or",
        ),
        ([{**BY_SUN[0], "dim": [{"from": "23:30", "pct": 5}] * 9}], "dim must be at most 8 steps, not 9"),
        (BY_SUN * 2, "seasons stand in the order of the year"),
        ([{**BY_SUN[0], "from": f"01-{day:02d}"} for day in range(1, 27)], "at most 24 seasons, not 26"),
    ],
)
def test_what_is_wrong_in_a_schedule_is_told_exactly(seasons: object, told: str) -> None:
    with pytest.raises(WrongParametersError) as caught:
        read_schedule("city", seasons)
    assert any(told in str(each) for each in caught.value.objections), str(caught.value)
