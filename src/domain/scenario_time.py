"""Scenario time: where in a scenario we are, computed from the wall's time, alike in every process that knows the text.

``2026-01-01T00:00:00Z*60`` begins whenever a process starts; ``2026-01-01T00:00:00Z*60@2026-11-25T03:00:00Z`` is
anchored: at three o'clock of the wall's time it is midnight in the scenario, for everybody.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

FASTEST: Final = 100_000.0
"""A day in less than a second: beyond it not even an empty city could be played."""

_TEXT: Final = re.compile(r"(?P<start>[^*@]+)(?:\*(?P<speed>[0-9.]+))?(?:@(?P<anchor>[^*@]+))?")


class ScenarioTime(NamedTuple):
    """A beginning, a speed, and the moment of the wall's time at which it begins."""

    start: datetime
    """Aware UTC: the scenario's time at the anchor."""
    speed: float
    """Scenario seconds a second."""
    anchor: datetime | None = None
    """Aware UTC, the wall's; ``None``: each process counts from its own start."""

    def at(self, wall: datetime) -> datetime:
        """The scenario's time when the wall shows ``wall``: before the anchor it lies before the start."""
        return self.start + (wall - (self.anchor or wall)) * self.speed

    def wall_at(self, moment: datetime) -> datetime:
        """What the wall shows at a moment of the scenario.

        Raises:
            ValueError: it is not anchored.
        """
        if self.anchor is None:
            raise ValueError("a scenario's time that is not anchored has no place in the wall's time")
        return self.anchor + timedelta(seconds=(moment - self.start).total_seconds() / self.speed)

    def anchored(self, wall: datetime) -> "ScenarioTime":
        """The same, begun at ``wall`` unless it has an anchor already."""
        return self if self.anchor is not None else self._replace(anchor=wall)

    def __str__(self) -> str:
        anchor = "" if self.anchor is None else f"@{_shown(self.anchor)}"
        return f"{_shown(self.start)}*{self.speed:g}{anchor}"


def read_scenario_time(text: str) -> ScenarioTime:
    """Read ``start*speed@anchor``, of which speed and anchor may be left out.

    Raises:
        ValueError: it is malformed; the message says how it should look.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise _malformed()
    try:
        start = datetime.fromisoformat(match["start"])
        anchor = None if match["anchor"] is None else datetime.fromisoformat(match["anchor"])
        speed = float(match["speed"] or 1)
    except ValueError:
        raise _malformed() from None
    aware = start.tzinfo is not None and (anchor is None or anchor.tzinfo is not None)
    if not aware or not 0 < speed <= FASTEST:
        raise _malformed()
    return ScenarioTime(start.astimezone(UTC), speed, None if anchor is None else anchor.astimezone(UTC))


def _malformed() -> ValueError:
    return ValueError(
        "should be a time with its offset, a speed and, for several processes, an anchor in the wall's time, such as "
        "2026-01-01T00:00:00Z*60 or 2026-01-01T00:00:00Z*60@2026-11-25T03:00:00Z"
    )


def _shown(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
