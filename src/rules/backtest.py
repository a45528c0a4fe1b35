"""Backtest: judge what devices reported over a past time, measure by measure, on the engine that judges live.

Pure. Readings come as columns, in the devices' own order; what changes nothing while nothing pends is passed over
without being looked at one by one. The outcome is exactly that of judging each: ``tests/unit/test_backtest.py``.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from math import inf, isnan
from operator import sub
from typing import NamedTuple

from domain.alert import Severity, Step, Transition
from domain.alert_change import AlertChange, fold
from domain.coverage import Coverage
from domain.instants import from_micros, to_micros
from domain.reading import DEVICE, MeasureValue, Reading
from rules.engine import Hearing, elapse_holds, hear, judge, tick
from rules.plan import Plan
from rules.tracks import LevelTrack, RuleTrack, SilenceTrack, Tracks

_UNHEARD = Hearing(None, None)
"""Silence is judged apart, in the order in which readings were received."""


class Columns(NamedTuple):
    """Readings of one device in the order (time, digest); place by place, all columns speak of the same reading."""

    device_id: int
    at: "array[int]"
    """Event times, in microseconds since 1970."""
    received: "array[int]"
    """The same of receipt."""
    values: Mapping[str, "array[float]"]
    """Measure → its values; NaN where a reading has none. Booleans are 0 and 1."""
    flags: Sequence[Mapping[str, str] | None] | None
    """Of each reading; ``None`` where none of them has any."""

    def reading(self, place: int, booleans: frozenset[str]) -> Reading:
        """One of them, with the measures that are here."""
        values: dict[str, MeasureValue] = {}
        for measure, column in self.values.items():
            value = column[place]
            if not isnan(value):
                values[measure] = bool(value) if measure in booleans else value
        flags = self.flags[place] if self.flags is not None else None
        at, received = from_micros(self.at[place]), from_micros(self.received[place])
        return Reading(self.device_id, at, received, values, dict(flags) if flags else {}, 0, b"", None, None)


class Standing(NamedTuple):
    """An alert that fires when the time begins."""

    device_id: int
    rule: str
    onset: datetime
    fired_at: datetime
    severity: Severity


def _opening(standing: Standing) -> Transition:
    """Told again: its ticket stands, and others may join it."""
    device_id, rule, onset, fired_at, severity = standing
    return Transition(device_id, rule, onset, fired_at, Step.OPENED, severity, None, None, None)


@dataclass(slots=True)
class Course:
    """One device on its way through the time, judged by one plan."""

    device_id: int
    plan: Plan
    """Of rules on measures; those on silence are :class:`Silences`'."""
    booleans: frozenset[str]
    steps: list[Transition]
    """Where it adds what happens; may be shared."""
    _tracks: Tracks = field(default_factory=Tracks)

    def stand(self, standing: Standing) -> None:
        """Begin with an alert that fires already: it goes on, or clears, and is not found anew."""
        watch = self.plan.by_key.get(standing.rule)
        if watch is None:
            return
        onset, fired = to_micros(standing.onset), to_micros(standing.fired_at)
        levels = [
            LevelTrack(onset, fired, fired) if severity >= standing.severity else None for severity in watch.severities
        ]
        if any(levels):
            self._tracks.rules[standing.rule] = RuleTrack(levels=levels, onset=onset)
            self.steps.append(_opening(standing))

    def take(self, columns: Columns) -> None:
        """Judge the next readings of the device."""
        tracks, plan = self._tracks, self.plan
        causes = iter(_causes(plan, columns))
        count, place = len(columns.at), 0
        cause = next(causes, count)
        while place < count:
            if not tracks.rules:
                while cause < place:
                    cause = next(causes, count)
                place = cause
                if place == count:
                    return
            flags = columns.flags[place] if columns.flags is not None else None
            if not flags or DEVICE not in flags:
                self.steps += judge(plan, tracks, columns.reading(place, self.booleans), _UNHEARD)
            place += 1

    def end(self, until: datetime) -> None:
        """Let the clock decide what was due by the end."""
        elapse_holds(self.plan, self._tracks, self.device_id, until, self.steps)


def _causes(plan: Plan, columns: Columns) -> Iterable[int]:
    """Places of the readings that may begin something, in order; the others change nothing while nothing pends."""
    places: set[int] = set()
    for measure, (low, high) in (plan.quiet if plan.quiet_else is None else plan.quiet_else).items():
        column = columns.values.get(measure)
        if column is None:
            continue
        if low >= high:
            # A rule that remembers must see every value.
            places.update(place for place, value in enumerate(column) if not isnan(value))
        # A NaN compares false with everything: min and max pass it over, or return it where it stands in front.
        elif (low > -inf and not min(column) > low) or (high < inf and not max(column) < high):
            places.update(place for place, value in enumerate(column) if value <= low or value >= high)
    for condition in plan.timely:
        seen = {measure: columns.values[measure] for measure in condition.measures if measure in columns.values}
        for place, at in enumerate(columns.at):
            values = {measure: column[place] for measure, column in seen.items() if not isnan(column[place])}
            if not condition.fine(values, at):
                places.add(place)
    return sorted(places)


@dataclass(slots=True)
class Silences:
    """When a device was heard, in the order of receipt, and the silences between."""

    device_id: int
    plan: Plan
    """Of rules on silence."""
    heard: Sequence[Coverage]
    """The stretches in which it could be heard, in order."""
    steps: list[Transition]
    """Where it adds what happens; may be shared."""
    _tracks: Tracks = field(default_factory=Tracks)
    _last: int | None = None
    _ahead: list[int] = field(default_factory=list[int])

    def stand(self, standing: Standing) -> None:
        """Begin with a silence that fires already."""
        if any(silence.key == standing.rule for silence in self.plan.silences):
            self._tracks.silences[standing.rule] = SilenceTrack(to_micros(standing.onset))
            self.steps.append(_opening(standing))

    def take(self, received: Iterable[int], until: datetime) -> None:
        """Take the receipts of readings of the next time, which ends at ``until``.

        No reading is received before its own time, so that all receipts before ``until`` are known by now; what came
        later waits.
        """
        end = to_micros(until)
        times = sorted([*self._ahead, *received])
        if times and times[-1] >= end:
            self._ahead = [time for time in times if time >= end]
            times = [time for time in times if time < end]
        else:
            self._ahead = []
        if not times:
            return
        first = times[0] if self._last is None else self._last
        shortest = min(silence.after for silence in self.plan.silences)
        if self._tracks.silences or times[0] - first > shortest or _longest_gap(times) > shortest:
            self._hear(times)
        self._last = max(times[-1], first)

    def end(self, until: datetime) -> None:
        """Let the clock decide what was due by the end."""
        self.take((), until)
        if self._last is not None:
            self._elapse(from_micros(self._last), until)

    def _hear(self, times: Iterable[int]) -> None:
        last = None if self._last is None else from_micros(self._last)
        for time in times:
            now = from_micros(time)
            if last is not None:
                # What comes in at one moment is heard before the clock is asked.
                self._elapse(last, from_micros(time - 1))
            if self._tracks.silences:
                reading = Reading(self.device_id, now, now, {}, {}, 0, b"", None, None)
                self.steps += hear(self.plan, self._tracks, reading, Hearing(last, None))
            last = now

    def _elapse(self, last: datetime, now: datetime) -> None:
        for stretch in self.heard:
            if stretch.until > last and stretch.since < now:
                until = min(now, stretch.until)
                hearing = Hearing(last, Coverage(stretch.since, until))
                self.steps += tick(self.plan, self._tracks, self.device_id, until, hearing)


def _longest_gap(times: Sequence[int]) -> int:
    return max(map(sub, islice(times, 1, None), times), default=0)


def parted(plan: Plan) -> tuple[Plan | None, Plan | None]:
    """The plan of the rules on measures and that of those on silence; ``None`` where there are none."""
    silent = {silence.key for silence in plan.silences}
    of_measures = replace(plan, silences=()) if plan.watches else None
    of_silence = None
    if silent:
        rules = {slot: rule for slot, rule in plan.rules.items() if slot in silent}
        of_silence = replace(plan, watches=(), by_key={}, quiet={}, rules=rules)
    return of_measures, of_silence


class Found(NamedTuple):
    """An alert that a backtest found."""

    change: AlertChange
    fired_at: datetime
    cleared_at: datetime | None
    """``None``: it fires to the end."""

    @property
    def device_id(self) -> int:
        """Whose it is."""
        return self.change.key[0]

    @property
    def rule(self) -> str:
        """The rule's key."""
        return self.change.key[1]

    @property
    def onset(self) -> datetime:
        """When its condition began."""
        return self.change.key[2]

    @property
    def peak(self) -> Severity:
        """The gravest it reached."""
        return self.change.peak

    def lasts_s(self, until: datetime) -> float:
        """How long it fires, in seconds; one that goes on, up to ``until``."""
        return ((self.cleared_at or until) - self.fired_at).total_seconds()


def found_in(steps: Iterable[Transition], since: datetime, until: datetime) -> list[Found]:
    """The alerts that fire first within [since, until), in the order in which they fire."""
    made = [Found(change, change.steps[0].at, change.cleared_at) for change in fold(steps) if change.opens]
    return sorted((one for one in made if since <= one.fired_at < until), key=_fired)


def _fired(found: Found) -> tuple[datetime, int, str]:
    return found.fired_at, found.device_id, found.rule


class Difference(NamedTuple):
    """Two sets of alerts side by side: those that lie over one of the other set's on the same device and rule."""

    both: list[tuple[Found, Found]]
    """Each alert of the first with the earliest of the second that it meets."""
    only_first: list[Found]
    only_second: list[Found]


def difference(first: Sequence[Found], second: Sequence[Found], until: datetime) -> Difference:
    """Compare two sets; alerts meet where they fire at the same time, however their onsets differ."""
    places: dict[tuple[int, str], list[Found]] = {}
    for one in second:
        places.setdefault((one.device_id, one.rule), []).append(one)
    both: list[tuple[Found, Found]] = []
    only_first: list[Found] = []
    met: set[tuple[int, str, datetime]] = set()
    for one in first:
        meeting = [other for other in places.get((one.device_id, one.rule), ()) if _meet(one, other, until)]
        met.update(other.change.key for other in meeting)
        if meeting:
            both.append((one, meeting[0]))
        else:
            only_first.append(one)
    return Difference(both, only_first, [other for other in second if other.change.key not in met])


def _meet(one: Found, other: Found, until: datetime) -> bool:
    # From the onset: with another hold, the same thing in the street fires at another time.
    return one.onset <= (other.cleared_at or until) and other.onset <= (one.cleared_at or until)


def stretches(outages: Iterable[tuple[datetime, datetime]], until: datetime, since: datetime) -> Iterator[Coverage]:
    """The stretches from ``since`` to ``until`` in which a source was heard: between its (began, ended) outages."""
    begins = since
    for began, ended in sorted(outages):
        if began > begins:
            yield Coverage(begins, min(began, until))
        begins = max(begins, ended)
    if begins < until:
        yield Coverage(begins, until)
