"""Lighting: schedules of streetlights by season (季节性开闭灯时间), and when sun and schedule switch a lamp."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from math import acos, cos, degrees, radians, sin
from typing import Final, NamedTuple, cast
from zoneinfo import ZoneInfo

from astral.julian import julianday_to_juliancentury
from astral.sun import eq_of_time, sun_declination

from domain.instants import EPOCH, to_micros
from rules.parameters import Objection, Path, WrongParametersError

_DAY: Final = 86_400_000_000
_MINUTE: Final = 60_000_000
_DAY_MINUTES: Final = 24 * 60
_TURN_DEG: Final = 360.0
_EPOCH_JULIAN: Final = 2_440_587.5
_HORIZON_DEG: Final = -0.833
"""The sun rises and sets when its upper edge touches the horizon, lifted by the air: half a degree of refraction and a
quarter of a degree of radius."""
_NIGHTS: Final = 64
"""Nights remembered of one place; a live lamp needs two, a past year asks for each in turn."""

_SUN: Final = re.compile(r"(sunrise|sunset)(?:([+-])(\d{1,3})m)?")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DATE: Final = re.compile(r"(\d\d)-(\d\d)")
_LEAP_YEAR: Final = 2000
_FARTHEST_MINUTES: Final = 180
_MOST_SEASONS: Final = 24
_MOST_DIMS: Final = 8


class Sun(StrEnum):
    """What a switching time goes by, if not by the clock."""

    RISE = "sunrise"
    SET = "sunset"


class Switch(NamedTuple):
    """When something is switched."""

    sun: Sun | None
    minutes: int
    """After that; without the sun, after midnight."""

    def __str__(self) -> str:
        """As a schedule writes it."""
        if self.sun is None:
            return f"{self.minutes // 60:02d}:{self.minutes % 60:02d}"
        return f"{self.sun}{self.minutes:+d}m" if self.minutes else self.sun.value


class Dim(NamedTuple):
    """From when on in the night a lamp burns at so many per cent (半夜灯)."""

    since: Switch
    pct: float


class Season(NamedTuple):
    """How lamps are switched from a day of the year on, until the next season begins."""

    begins: tuple[int, int]
    """Month and day."""
    on: Switch
    off: Switch
    dims: tuple[Dim, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A lighting schedule: its seasons in the order of the year."""

    name: str
    seasons: tuple[Season, ...]

    def season(self, on: date) -> Season:
        """The season of the night that begins on a day; before the first of the year, the last one goes on."""
        begun = [season for season in self.seasons if season.begins <= (on.month, on.day)]
        return begun[-1] if begun else self.seasons[-1]

    def as_data(self) -> dict[str, object]:
        """JSON-able; :func:`read_schedule` makes an equal one of its seasons."""
        return {
            "name": self.name,
            "seasons": [
                {
                    "from": f"{season.begins[0]:02d}-{season.begins[1]:02d}",
                    "on": str(season.on),
                    "off": str(season.off),
                    "dim": [{"from": str(dim.since), "pct": dim.pct} for dim in season.dims],
                }
                for season in self.seasons
            ],
        }


def read_schedule(name: str, seasons: object) -> Schedule:
    """Read the seasons of a schedule.

    Raises:
        WrongParametersError: with every objection, each at its place.
    """
    objections: list[Objection] = []
    read = [_season(entry, ("seasons", number), objections) for number, entry in enumerate(_list(seasons, objections))]
    if len(read) > _MOST_SEASONS:
        objections.append(Objection(("seasons",), f"at most {_MOST_SEASONS} seasons", len(read)))
    whole = [season for season in read if season is not None]
    for number, (before, after) in enumerate(pairwise(whole), start=1):
        if after.begins <= before.begins:
            objections.append(Objection(("seasons", number, "from"), "seasons stand in the order of the year"))
    if objections:
        raise WrongParametersError(objections)
    return Schedule(name, tuple(whole))


class Night(NamedTuple):
    """One night at one place, in microseconds since 1970."""

    on: int
    off: int
    """Not after ``on`` where the night is too short for the schedule: the lamp stays dark."""
    dims: tuple[tuple[int, float], ...]
    """From when on at how many per cent, in order."""


class Expected(NamedTuple):
    """What a lamp should do at a moment."""

    on: bool
    pct: float
    """100 unless the schedule dims it; 0 while it is off."""
    since: int
    """When it was last switched or dimmed, in microseconds since 1970; ``until``: when it is next."""
    until: int


class Nights:
    """The nights at one place under one schedule; computed when asked for, and remembered for a while.

    Night number n begins at the mean solar noon of day n since 1970, whatever the zone's clock says then, so that
    each has one dusk and one dawn.
    """

    def __init__(
        self, longitude: float, latitude: float, zone: str, schedule: Schedule, *, dimming: bool = True
    ) -> None:
        """Take place and schedule; without ``dimming`` a lamp is only switched on and off."""
        self._latitude = latitude
        self._noon = _DAY // 2 - round(longitude / _TURN_DEG * _DAY)
        self._zone = ZoneInfo(zone)
        self._schedule = schedule
        self._dimming = dimming
        self._nights: dict[int, Night | None] = {}
        self._last: Expected | None = None

    def expected(self, at: int) -> Expected | None:
        """What a lamp should do; ``None`` where the sun does not rise or set (极昼极夜), so that nobody can tell."""
        last = self._last
        if last is not None and last.since <= at < last.until:
            # Lamps of one place ask about nearly the same moment, one after the other.
            return last
        number = (at - self._noon) // _DAY
        before, night, after = (self._night(each) for each in (number - 1, number, number + 1))
        if before is None or night is None or after is None:
            return None
        turns = [turn for one in (before, night, after) for turn in _turns(one)]
        begun = max((turn for turn in turns if turn[0] <= at), default=None)
        next_ = min((turn for turn in turns if turn[0] > at), default=None)
        since = at - _DAY if begun is None else begun[0]
        until = at + _DAY if next_ is None else next_[0]
        pct = 0.0 if begun is None else begun[1]
        found = Expected(pct > 0, pct, since, until)
        if begun is not None and next_ is not None:
            self._last = found
        return found

    def _night(self, number: int) -> Night | None:
        if number not in self._nights:
            if len(self._nights) >= _NIGHTS:
                self._nights.clear()
            self._nights[number] = self._compute(number)
        return self._nights[number]

    def _compute(self, number: int) -> Night | None:
        begins = number * _DAY + self._noon
        day = EPOCH.date() + timedelta(days=number)
        season = self._schedule.season(day)
        try:
            on, off = self._instant(season.on, begins), self._instant(season.off, begins)
            steps = season.dims if self._dimming else ()
            dims = sorted((self._instant(dim.since, begins), dim.pct) for dim in steps)
        except ValueError:
            # No arc has such a cosine: the sun does not reach the horizon on that day.
            return None
        return Night(on, off, tuple(dim for dim in dims if on < dim[0] < off))

    def _instant(self, switch: Switch, begins: int) -> int:
        if switch.sun is None:
            return self._by_the_clock(switch.minutes, begins)
        return _sun_at_horizon(self._latitude, begins, switch.sun) + switch.minutes * _MINUTE

    def _by_the_clock(self, minutes: int, begins: int) -> int:
        """The first time after the night's beginning at which the zone's clock shows so many minutes.

        One that a change of the clocks skips is an hour later by the new clock, one that it repeats is the first.
        """
        local = (EPOCH + timedelta(microseconds=begins)).astimezone(self._zone).date()
        shown = (
            to_micros(datetime.combine(day, time(minutes // 60, minutes % 60), self._zone).astimezone(UTC))
            for day in (local, local + timedelta(days=1))
        )
        return next(at for at in shown if at >= begins)


def _sun_at_horizon(latitude: float, begins: int, which: Sun) -> int:
    """When the sun sets or rises in the night that begins at a mean solar noon.

    Not by astral's ``sunrise`` and ``sunset``, which look within a day of UTC: where the sun rises about midnight UTC,
    as it does in the west of China in winter, they find none on the days on which it crosses that midnight.

    Raises:
        ValueError: it does not.
    """
    noon, side = (begins, 1) if which is Sun.SET else (begins + _DAY, -1)
    at = noon + side * _DAY // 4
    # Each round is some hundred times closer: declination changes by a minute of arc an hour.
    for _ in range(3):
        century = julianday_to_juliancentury(_EPOCH_JULIAN + at / _DAY)
        declination, lies = radians(sun_declination(century)), radians(latitude)
        height = sin(radians(_HORIZON_DEG)) - sin(lies) * sin(declination)
        arc = degrees(acos(height / (cos(lies) * cos(declination))))
        at = noon + round(side * arc / _TURN_DEG * _DAY - eq_of_time(century) * _MINUTE)
    return at


def _turns(night: Night) -> Iterable[tuple[int, float]]:
    """When a lamp changes, and to how many per cent."""
    if night.off <= night.on:
        return []
    return [(night.on, 100.0), *night.dims, (night.off, 0.0)]


def _list(data: object, objections: list[Objection]) -> Sequence[object]:
    entries = cast("Sequence[object]", data) if isinstance(data, list | tuple) else ()
    if not entries:
        objections.append(Objection(("seasons",), "a list of at least one season", data))
    return entries


def _season(data: object, path: Path, objections: list[Objection]) -> Season | None:
    if not isinstance(data, Mapping):
        objections.append(Objection(path, "a season: from, on, off and perhaps dim", data))
        return None
    given = cast("Mapping[str, object]", data)
    before = len(objections)
    objections += [
        Objection((*path, name), f"a season knows no {name}; it knows from, on, off, dim")
        for name in given
        if name not in {"from", "on", "off", "dim"}
    ]
    begins = _month_day(given.get("from"), (*path, "from"), objections)
    on = _switch(given.get("on"), Sun.SET, (*path, "on"), objections)
    off = _switch(given.get("off"), Sun.RISE, (*path, "off"), objections)
    dims = _dims(given.get("dim") or (), (*path, "dim"), objections)
    if len(objections) > before or begins is None or on is None or off is None:
        return None
    return Season(begins, on, off, dims)


def _dims(data: object, path: Path, objections: list[Objection]) -> tuple[Dim, ...]:
    if not isinstance(data, list | tuple):
        objections.append(Objection(path, "a list of {from, pct}", data))
        return ()
    entries = cast("Sequence[object]", data)
    if len(entries) > _MOST_DIMS:
        objections.append(Objection(path, f"at most {_MOST_DIMS} steps", len(entries)))
    dims: list[Dim] = []
    for number, entry in enumerate(entries):
        here = (*path, number)
        if not isinstance(entry, Mapping) or set(cast("Mapping[str, object]", entry)) != {"from", "pct"}:
            objections.append(Objection(here, "a step of dimming: from and pct", entry))
            continue
        given = cast("Mapping[str, object]", entry)
        since = _switch(given["from"], None, (*here, "from"), objections)
        pct = given["pct"]
        if isinstance(pct, bool) or not isinstance(pct, int | float) or not 0 < pct <= 100:  # noqa: PLR2004  # per cent
            objections.append(Objection((*here, "pct"), "per cent above 0, at most 100", pct))
        elif since is not None:
            dims.append(Dim(since, float(pct)))
    return tuple(dims)


def _month_day(data: object, path: Path, objections: list[Objection]) -> tuple[int, int] | None:
    match = _DATE.fullmatch(data) if isinstance(data, str) else None
    try:
        return None if match is None else _checked(int(match[1]), int(match[2]))
    except ValueError:
        match = None
    finally:
        if match is None:
            objections.append(Objection(path, "a day of the year as month and day, such as 04-01", data))
    return None


def _checked(month: int, day: int) -> tuple[int, int]:
    # In a leap year, so that a season may begin on 29 February; in other years it begins a day later.
    there = date(_LEAP_YEAR, month, day)
    return there.month, there.day


def _switch(data: object, sun: Sun | None, path: Path, objections: list[Objection]) -> Switch | None:
    """A time of day, or the sun that fits: lamps go on by sunset and off by sunrise; dimming may go by either."""
    if isinstance(data, int) and not isinstance(data, bool) and 0 <= data < _DAY_MINUTES:
        # YAML 1.1 takes 19:30 without quotes for a number of base sixty.
        return Switch(None, data)
    text = data if isinstance(data, str) else ""
    by_clock, by_sun = _CLOCK.fullmatch(text), _SUN.fullmatch(text)
    if by_clock is not None:
        return Switch(None, int(by_clock[1]) * 60 + int(by_clock[2]))
    if by_sun is not None and sun in {None, by_sun[1]} and int(by_sun[3] or 0) <= _FARTHEST_MINUTES:
        minutes = int(by_sun[3] or 0)
        return Switch(Sun(by_sun[1]), -minutes if by_sun[2] == "-" else minutes)
    told = "sunset or sunrise" if sun is None else sun.value
    example = f"{sun or Sun.SET}-10m"
    expected = f"a time of day such as 19:30, or {told} with at most {_FARTHEST_MINUTES} minutes, such as {example}"
    objections.append(Objection(path, expected, data))
    return None
