"""Episodes: the stretches for which a device's events say that something is so, whatever order they came in.

Pure. An event speaks from its own time for as long as the rule says, or until an event of its class says that it ended.
Where the stretches of a rule's events touch, they are one episode, and one alert. Nothing is remembered from one look
to the next: the same events give the same episodes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.alert import Severity, Step, Transition
from domain.reading import Position


class Told(NamedTuple):
    """One event, as far as a rule on events cares."""

    at: datetime
    digest: int
    event_class: str
    ended: bool
    """Whether it says that what it names is over."""


class Episode(NamedTuple):
    """A stretch without a gap for which events speak."""

    begun_by: Position
    """The event that begins it; its time is the onset."""
    end: datetime
    ended_by: Position | None
    """The event that ends it; ``None``: the time it lasts is over."""

    @property
    def onset(self) -> datetime:
        """When it begins."""
        return self.begun_by.at

    def steps(self, device_id: int, rule: str, severity: Severity, horizon: datetime) -> list[Transition]:
        """What it makes of an alert, as far as time is decided: ``horizon``."""
        begun = Transition(
            device_id,
            rule,
            self.onset,
            self.onset,
            Step.OPENED,
            severity,
            None,
            None,
            (self.begun_by.at, self.begun_by.digest),
        )
        if self.end > horizon:
            return [begun]
        ended_by = None if self.ended_by is None else (self.ended_by.at, self.ended_by.digest)
        return [begun, begun._replace(at=self.end, step=Step.CLEARED, reading=ended_by)]


def episodes(events: Iterable[Told], classes: Sequence[str], lasts_s: float) -> list[Episode]:
    """The episodes of a rule on these classes, in order.

    An event that says it ended ends what began before its moment: where one moment tells of an end and of a new
    beginning, it goes on.
    """
    lasts = timedelta(seconds=lasts_s)
    ordered = sorted(event for event in set(events) if event.event_class in classes)
    ends: dict[str, list[Told]] = {}
    for event in ordered:
        if event.ended:
            ends.setdefault(event.event_class, []).append(event)
    found: list[Episode] = []
    for event in ordered:
        if event.ended:
            continue
        one = _alone(event, lasts, ends.get(event.event_class, ()))
        if not found or event.at > found[-1].end:
            found.append(one)
        elif one.end > found[-1].end:
            found[-1] = found[-1]._replace(end=one.end, ended_by=one.ended_by)
    return found


def _alone(event: Told, lasts: timedelta, ends: Sequence[Told]) -> Episode:
    """The stretch for which one event speaks."""
    begun_by = Position(event.at, event.digest)
    place = bisect_right(ends, event.at, key=lambda end: end.at)
    if place < len(ends) and ends[place].at <= event.at + lasts:
        return Episode(begun_by, ends[place].at, Position(ends[place].at, ends[place].digest))
    return Episode(begun_by, event.at + lasts, None)
