"""Limits (时限): so many hours or days, of those that run on or of those that are worked."""

import re
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from domain.errors import InvalidInputError

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
WORK_HOURS_A_DAY: Final = 8
"""A work_day is eight work_hours whatever the slots of a day, so that a limit means the same in every season."""

_LONGEST_DAYS: Final = 3660


class Unit(Enum):
    """What a limit is counted in: its name, its name in the trade, its length, and whether only working time counts."""

    URGENT_HOUR = ("urgent_hour", "紧急工作时", HOUR_US, False)
    NATURAL_DAY = ("natural_day", "自然日", DAY_US, False)
    WORK_HOUR = ("work_hour", "工作时", HOUR_US, True)
    WORK_DAY = ("work_day", "工作日", WORK_HOURS_A_DAY * HOUR_US, True)

    def __init__(self, key: str, name_zh: str, length_us: int, working: bool) -> None:  # noqa: FBT001  # a member is a row of the table above
        self.key = key
        self.name_zh = name_zh
        self.length_us = length_us
        self.working = working


_UNITS: Final = {name: unit for unit in Unit for name in (unit.key, unit.name_zh)}
_LIMIT: Final = re.compile(rf"\s*(\d{{1,7}}(?:\.\d{{1,6}})?)\s*({'|'.join(_UNITS)})\s*", re.ASCII)


class Limit(NamedTuple):
    """How much time there is, exact to the microsecond."""

    micros: int
    unit: Unit

    @property
    def length(self) -> timedelta:
        """The time that must be counted until it has run out."""
        return timedelta(microseconds=self.micros)

    def __str__(self) -> str:
        """As ``parse_limit`` reads it."""
        return f"{Decimal(self.micros) / self.unit.length_us:f}{self.unit.key}"


def parse_limit(text: str) -> Limit:
    """Read a limit such as ``4work_hour``, ``2 work_day``, ``0.25urgent_hour`` or ``3自然日``.

    Raises:
        InvalidInputError: it is none; the message says what one looks like.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        known = ", ".join(unit.key for unit in Unit)
        raise InvalidInputError(f"{text!r} is no limit: it must be a number and one of {known}, such as 4work_hour")
    unit = _UNITS[match[2]]
    return make_limit(Decimal(match[1]), unit)


def make_limit(amount: Decimal | int, unit: Unit) -> Limit:
    """So many of a unit.

    Raises:
        InvalidInputError: it is nothing, or longer than ten years.
    """
    micros = int(Decimal(amount) * unit.length_us)
    longest = _LONGEST_DAYS * (Unit.WORK_DAY.length_us if unit.working else DAY_US)
    if micros <= 0:
        raise InvalidInputError(f"a limit must be more than nothing, not {amount}{unit.key}")
    if micros > longest:
        raise InvalidInputError(
            f"a limit must be at most {longest // unit.length_us}{unit.key}, not {amount}{unit.key}"
        )
    return Limit(micros, unit)
