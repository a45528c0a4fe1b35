"""Times and durations as people write them on a command line."""

from datetime import UTC, datetime
from typing import Final

from domain.errors import InvalidInputError
from domain.scenario_time import ScenarioTime, read_scenario_time
from simulators.yaml_table import to_seconds

NOW: Final = "now"


def read_moment(told: str, now: datetime) -> datetime:
    """Read ``now`` or a time with its offset.

    Raises:
        InvalidInputError: it is neither.
    """
    if told == NOW:
        return now
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInputError(f"{told!r} is no time: now, or one with its offset such as 2026-07-14T20:00:00+08:00")
    return moment.astimezone(UTC)


def read_duration(told: str) -> float:
    """Read seconds of ``90s``, ``10m``, ``3h``, ``2d``.

    Raises:
        InvalidInputError: it is none of these, or nothing.
    """
    seconds = to_seconds(told)
    if not seconds:
        raise InvalidInputError(f"{told!r} is no duration such as 90s, 10m, 3h or 2d")
    return seconds


def read_shared_clock(told: str) -> ScenarioTime:
    """Read a simulated clock that another process lives by, too.

    Raises:
        InvalidInputError: it is malformed, or without an anchor nobody shares it.
    """
    try:
        scenario = read_scenario_time(told)
    except ValueError as error:
        raise InvalidInputError(f"the simulated clock {error}") from error
    if scenario.anchor is None:
        raise InvalidInputError(
            "this simulated clock begins anew in every process, so nobody shares it; streetwarden-sim clock prints one "
            "with an anchor, for STREETWARDEN_SIM_CLOCK of every process"
        )
    return scenario
