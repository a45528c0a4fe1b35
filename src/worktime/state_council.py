"""The days off and the make-up days (调休) of the State Council (国务院), as far as the library knows them."""

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from chinese_calendar import Holiday, holidays, workdays  # type: ignore[import-untyped]  # it comes without types


class Festival(NamedTuple):
    """What a day is off for, or is worked for."""

    name: str
    name_zh: str

    def __str__(self) -> str:
        """Both names."""
        return f"{self.name} {self.name_zh}"


class Notices(NamedTuple):
    """What a government's yearly notices say of the days that depart from the plain week."""

    days_off: Mapping[date, Festival]
    """Also the Saturdays and Sundays within a holiday."""
    make_up_days: Mapping[date, Festival]
    """Saturdays and Sundays that are worked."""
    years: frozenset[int]
    """Those with a notice."""


def _festivals(days: dict[date, str]) -> dict[date, Festival]:
    return {
        day: Festival(name, Holiday(name).chinese)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]  # set by its __new__, which no type checker follows
        for day, name in days.items()
    }


STATE_COUNCIL: Final = Notices(
    _festivals(holidays),
    _festivals(workdays),
    frozenset(day.year for day in holidays),
)
