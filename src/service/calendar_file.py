"""Calendar files: YAML read into a working calendar; what is wrong is told with file, line and what was expected."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from yaml.nodes import ScalarNode

from domain.errors import InvalidInputError
from service.yaml_spots import Spot, compose
from worktime.calendar import Override, Season, Slot, WorkCalendar, check_seasons, check_slots

_FIELDS: Final = ("zone", "slots", "seasons", "week", "holidays", "days", "complete_years", "unknown_years")
_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SLOT: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH_DAY: Final = re.compile(r"\d{2}-\d{2}", re.ASCII)
_LEAP_YEAR: Final = 2000
_YEAR: Final = re.compile(r"(19|20|21)\d{2}", re.ASCII)
_MARKS: Final = ("working", "holiday")


def read_calendar(path: Path, zone: ZoneInfo) -> WorkCalendar:
    """Read a calendar; ``zone`` holds if the file names none.

    Raises:
        InvalidInputError: it cannot be read, or something in it is not what it must be.
    """
    top = compose(path, f"a calendar file has one or more of {', '.join(_FIELDS)}").fields((), allowed=_FIELDS)
    read = WorkCalendar(zone=read_zone(top["zone"]) if "zone" in top else zone)
    if "slots" in top:
        read = replace(read, slots=_slots(top["slots"]))
    if "seasons" in top:
        read = replace(read, seasons=_seasons(top["seasons"]))
    if "week" in top:
        read = replace(read, week=frozenset(_WEEK.index(each.one_of(_WEEK)) for each in top["week"].items()))
    if "holidays" in top and top["holidays"].one_of(("state_council", "none")) == "none":
        read = replace(read, notices=None)
    if "days" in top:
        read = replace(read, overrides=_days(top["days"].entries()))
    if "complete_years" in top:
        read = replace(read, complete_years=frozenset(_year(each) for each in top["complete_years"].items()))
    if "unknown_years" in top:
        guess = top["unknown_years"].one_of(("refuse", "weekdays")) == "weekdays"
        read = replace(read, weekdays_if_unknown=guess)
    return read


def read_zone(spot: Spot) -> ZoneInfo:
    """The time zone that stands there.

    Raises:
        InvalidInputError: there is none of that name.
    """
    try:
        return ZoneInfo(spot.text())
    except (KeyError, ValueError, OSError) as error:
        raise spot.wrong("a time zone such as Asia/Shanghai") from error


def _slots(spot: Spot) -> tuple[Slot, ...]:
    slots = tuple(_slot(each) for each in spot.items())
    if not slots:
        raise spot.wrong("a list of one slot or more")
    try:
        check_slots(slots)
    except InvalidInputError as error:
        raise InvalidInputError(f"{spot.place}: {error}") from error
    return slots


def _slot(spot: Spot) -> Slot:
    match = _SLOT.fullmatch(spot.node.value) if isinstance(spot.node, ScalarNode) else None
    if match is None:
        raise spot.wrong("hours such as 08:00-12:00")
    hour, minute, end_hour, end_minute = map(int, match.groups())
    return Slot(hour * 3600 + minute * 60, end_hour * 3600 + end_minute * 60)


def _seasons(spot: Spot) -> tuple[Season, ...]:
    seasons = tuple(_season(each) for each in spot.items())
    try:
        check_seasons(seasons)
    except InvalidInputError as error:
        raise InvalidInputError(f"{spot.place}: {error}") from error
    return seasons


def _season(spot: Spot) -> Season:
    parts = spot.fields(needed=("from", "to", "slots"))
    return Season(_month_day(parts["from"]), _month_day(parts["to"]), _slots(parts["slots"]))


def _month_day(spot: Spot) -> tuple[int, int]:
    text = spot.text()
    try:
        if _MONTH_DAY.fullmatch(text):
            day = date.fromisoformat(f"{_LEAP_YEAR}-{text}")
            return day.month, day.day
    except ValueError:
        pass
    raise spot.wrong("a month and a day such as 05-01")


def _days(spots: Mapping[str, Spot]) -> dict[date, Override]:
    return {_date(name, spot): _override(spot) for name, spot in spots.items()}


def _date(name: str, spot: Spot) -> date:
    try:
        if _DAY.fullmatch(name):
            return date.fromisoformat(name)
    except ValueError:
        pass
    raise InvalidInputError(f"{spot.place}: a day must be a date such as 2026-12-25, not {name!r}")


def _override(spot: Spot) -> Override:
    """A mark alone (``holiday``), or a mark with its reason and, if worked, with hours of its own."""
    if isinstance(spot.node, ScalarNode):
        return Override(working=spot.one_of(_MARKS) == "working")
    parts = spot.fields((), allowed=(*_MARKS, "slots"))
    marks = [mark for mark in _MARKS if mark in parts]
    if len(marks) != 1:
        raise InvalidInputError(f"{spot.place}: {spot.name} must be either working or holiday, with the reason")
    working = marks == ["working"]
    if "slots" in parts and not working:
        raise InvalidInputError(f"{parts['slots'].place}: a holiday has no slots")
    slots = _slots(parts["slots"]) if "slots" in parts else None
    return Override(working, parts[marks[0]].text(), slots)


def _year(spot: Spot) -> int:
    text = spot.text()
    if not _YEAR.fullmatch(text):
        raise spot.wrong("four digits, such as 2027")
    return int(text)
