"""Late: judge again, from storage, what late readings of a batch may have changed, and say what must be amended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from domain.alert import AlertState, Severity, Standing
from domain.device import LifeCycle
from domain.instants import from_micros, to_micros
from domain.reading import Position, Reading
from rules.engine import next_hold_due
from rules.plan import Watch
from rules.rejudge import Amendment, Span, Stood, calm_after, calm_before, compare, concerns, replay
from rules.rule import Timely
from rules.tracks import Tracks
from service.stream import Stream
from store.connection import Executor
from store.rule_revisions import revision_of
from store.spans import AlertRecord, Bound, alerts_since, readings_after, readings_before
from store.timers import Timer

_FIRST_PAGE: Final = 32
"""Readings asked for at first on each side: the calm moment is nearly always the very next reading."""
_PAGE_GROWS: Final = 8
_LARGEST_PAGE: Final = 4_096
_MOST_READ: Final = 20_000
"""Readings of one device at the most (and a page): two weeks of one a minute. A rule that was not calm for so long is
left as it stands, and the log says so."""
_MOST_AT_ONCE: Final = 100_000
"""Readings of one batch at the most (and a page of each device): some seconds, well within a statement's time."""
_DIGEST_LOWEST: Final = -(2**63)

log = structlog.get_logger()


@dataclass(slots=True)
class _Stretch:
    """What is read of one device around its late readings."""

    stream: Stream
    watches: list[Watch]
    """The rules that some late reading concerns."""
    readings: list[Reading]
    begun: bool = False
    """Whether it reaches back to the device's first reading."""
    ended: bool = False
    """Whether it reaches the device's newest reading."""
    stood: list[AlertRecord] = field(default_factory=list[AlertRecord])

    @property
    def first(self) -> datetime:
        return self.stream.late[0].at

    @property
    def last(self) -> datetime:
        return self.stream.late[-1].at

    def wants_earlier(self) -> bool:
        if self.begun or len(self.readings) > _MOST_READ:
            return False
        return any(self.calm_before(watch) is None for watch in self.watches)

    def wants_later(self) -> bool:
        if self.ended or len(self.readings) > _MOST_READ:
            return False
        return any(self.calm_after(watch) is None for watch in self.watches)

    @property
    def settled(self) -> Sequence[Reading]:
        """Those judged before this batch, and its late ones: what is fresh is judged after this, once.

        One of the newest moment is fresh and stored already (``service.stream.settle_doubtful``).
        """
        stored_already = self.stream.fresh[: len(self.stream.fresh) - len(self.stream.certain)]
        if not stored_already:
            return self.readings
        fresh = {(reading.at, reading.digest) for reading in stored_already}
        return [reading for reading in self.readings if (reading.at, reading.digest) not in fresh]

    def calm_before(self, watch: Watch) -> datetime | None:
        return calm_before(self.stream.known.plan, watch, self.settled, self.first, whole=self.begun)

    def calm_after(self, watch: Watch) -> datetime | None:
        return calm_after(self.stream.known.plan, watch, self.settled, self.last)


async def rejudge_late(
    connection: Executor, streams: Iterable[Stream], bound: timedelta
) -> tuple[Amendment, list[Timer]]:
    """Judge again what late readings touch; change the tracks of the streams, and return what must be amended.

    The late readings are in storage, the fresh ones of the batch not yet: they are judged after this. A reading that
    lay further back than ``bound`` when it was received is stored and changes no decision.
    """
    amended, timers = Amendment(), list[Timer]()
    stretches = [stretch for stream in streams if stream.late and (stretch := _stretch(stream, bound))]
    if not stretches:
        return amended, timers
    await _read_alerts(connection, stretches, {s.stream.state.device_id: s.first for s in stretches})
    touched = [stretch for stretch in stretches if _may_matter(stretch)]
    await _read_readings(connection, touched)
    if touched:
        await _read_alerts(
            connection, touched, {s.stream.state.device_id: min(s.first, s.readings[0].at) for s in touched}
        )
    for stretch in touched:
        stream = stretch.stream
        amended.add(_rejudge(stretch))
        stream.keep_tracks()
        hold_due = next_hold_due(stream.known.plan, stream.tracks)
        if hold_due is not None:
            timers.append(Timer(stream.state.device_id, hold_due, None))
    return amended, timers


def _stretch(stream: Stream, bound: timedelta) -> _Stretch | None:
    if stream.known.device.life_cycle is LifeCycle.SUSPENDED:
        return None
    near = [reading for reading in stream.late if reading.received_at - reading.at <= bound]
    if len(near) < len(stream.late):
        too_late = len(stream.late) - len(near)
        log.info("late_not_judged", device=stream.known.device.name, readings=too_late, bound_days=bound.days)
        stream.late = near
    watches = [watch for watch in stream.known.plan.watches if any(concerns(watch, reading) for reading in near)]
    return _Stretch(stream, watches, list(near)) if watches else None


async def _read_alerts(connection: Executor, stretches: Sequence[_Stretch], since: Mapping[int, datetime]) -> None:
    by_device = {stretch.stream.state.device_id: stretch for stretch in stretches}
    for stretch in stretches:
        stretch.stood = []
    for record in await alerts_since(connection, since):
        by_device[record.device_id].stood.append(record)


def _may_matter(stretch: _Stretch) -> bool:
    """Keep the rules whose decisions a late reading may change.

    Where nothing stands and every late reading is good, nothing changes: that is the way of a healthy device which
    hands in its history.
    """
    standing = {record.rule for record in stretch.stood} | set(stretch.stream.tracks.rules)
    stretch.watches = [
        watch
        for watch in stretch.watches
        if watch.key in standing or any(_may_begin(watch, reading) for reading in stretch.stream.late)
    ]
    return bool(stretch.watches)


def _may_begin(watch: Watch, reading: Reading) -> bool:
    if isinstance(watch.condition, Timely):
        return not watch.condition.fine(reading.values, to_micros(reading.at)) and concerns(watch, reading)
    for measure, interval in watch.quiet.items():
        value = reading.values.get(measure)
        if value is not None and (interval is None or not interval[0] < value < interval[1]):
            return concerns(watch, reading)
    return False


def _all_read(stretches: Sequence[_Stretch]) -> bool:
    """Whether a batch has read as much as it may; what has found no calm moment by then is left alone."""
    return sum(len(stretch.readings) for stretch in stretches) > _MOST_AT_ONCE


async def _read_readings(connection: Executor, stretches: Sequence[_Stretch]) -> None:
    """Read on both sides of the late readings until every rule has found its calm moment, or there is no more."""
    await _fill(connection, stretches)
    page = _FIRST_PAGE
    while not _all_read(stretches):
        earlier = [stretch for stretch in stretches if stretch.wants_earlier()]
        later = [stretch for stretch in stretches if stretch.wants_later()]
        if not earlier and not later:
            return
        if earlier:
            bounds = [_place(stretch, stretch.readings[0]) for stretch in earlier]
            found = await readings_before(connection, bounds, page)
            for stretch in earlier:
                more = found[stretch.stream.state.device_id]
                stretch.readings = more + stretch.readings
                stretch.begun = len(more) < page
        if later:
            bounds = [_place(stretch, stretch.readings[-1]) for stretch in later]
            found = await readings_after(connection, bounds, page)
            for stretch in later:
                more = found[stretch.stream.state.device_id]
                stretch.readings = stretch.readings + more
                stretch.ended = len(more) < page
        page = min(page * _PAGE_GROWS, _LARGEST_PAGE)


async def _fill(connection: Executor, stretches: Sequence[_Stretch]) -> None:
    """Read what lies between the late readings themselves: from the first one's moment on."""
    page = _FIRST_PAGE
    open_ = list(stretches)
    for stretch in open_:
        stretch.readings = []
    while open_ and not _all_read(stretches):
        bounds = [
            _place(stretch, stretch.readings[-1])
            if stretch.readings
            else Bound(stretch.stream.state.device_id, stretch.first, _DIGEST_LOWEST)
            for stretch in open_
        ]
        found = await readings_after(connection, bounds, page)
        for stretch in open_:
            more = found[stretch.stream.state.device_id]
            stretch.readings += more
            stretch.ended = len(more) < page
        open_ = [
            stretch
            for stretch in open_
            if not stretch.ended and stretch.readings[-1].at <= stretch.last and len(stretch.readings) <= _MOST_READ
        ]
        page = min(page * _PAGE_GROWS, _LARGEST_PAGE)


def _place(stretch: _Stretch, reading: Reading) -> Bound:
    return Bound(stretch.stream.state.device_id, reading.at, reading.digest)


def _rejudge(stretch: _Stretch) -> Amendment:
    amended = Amendment()
    tracks = stretch.stream.tracks
    for watch in stretch.watches:
        after, until = stretch.calm_before(watch), stretch.calm_after(watch)
        if (after is None and not stretch.begun) or (until is None and not stretch.ended):
            name = stretch.stream.known.device.name
            log.warning("late_left_alone", device=name, rule=watch.key, why="not calm within the readings looked at")
            continue
        outcome = _rejudge_rule(stretch, watch, Span(after, until), tracks)
        if outcome is not None:
            amended.add(outcome)
    return amended


def _rejudge_rule(stretch: _Stretch, watch: Watch, span: Span, tracks: Tracks) -> Amendment | None:
    stream = stretch.stream
    stood = [record for record in stretch.stood if record.rule == watch.key and _inside(record.onset, span)]
    present = revision_of(watch.key, stream.known.plan.rules[watch.key].as_data()).digest
    # One that fires from before the span is not calm by the rule that raised it, whatever the present one says.
    firing = [one for one in stretch.stood if one.rule == watch.key and one.state == AlertState.FIRING.value]
    astray = span.until is None and any(one not in stood for one in firing)
    if astray or any(record.revision != present for record in (*stood, *firing)):
        # Decided by the rule as it was then; the rule as it is now has no say in that.
        log.info("late_left_alone", device=stream.known.device.name, rule=watch.key, why="the rule has changed since")
        return None
    horizon = _horizon(stream, stood, tracks, watch)
    device_id = stream.state.device_id
    changes, track = replay(stream.known.plan, watch, stretch.settled, device_id, span, horizon)
    if span.until is None:
        if track is None:
            tracks.rules.pop(watch.key, None)
        else:
            tracks.rules[watch.key] = track
    concerned = [Position(one.at, one.digest) for one in stream.late if concerns(watch, one)]
    return compare(changes, [as_stood(record) for record in stood], (device_id, watch.key), concerned)


def _inside(onset: datetime, span: Span) -> bool:
    return (span.after is None or onset > span.after) and (span.until is None or onset <= span.until)


def _horizon(stream: Stream, stood: Sequence[AlertRecord], tracks: Tracks, watch: Watch) -> datetime:
    """How far the clock had decided: the newest reading, and whatever fired after it."""
    decided = [record.fired_at for record in stood]
    decided += [reading.at for reading in stream.late]
    if stream.state.last is not None:
        decided.append(stream.state.last.at)
    track = tracks.rules.get(watch.key)
    if track is not None and (fired := track.latest_fired) is not None:
        decided.append(from_micros(fired))
    horizon = max(decided)
    # What is fresh in this batch has its say before the clock.
    return min(horizon, stream.fresh[0].at) if stream.fresh else horizon


def as_stood(record: AlertRecord) -> Stood:
    """An alert's row, as the comparison takes it."""
    return Stood(
        record.onset,
        AlertState(record.state),
        Standing(record.standing),
        Severity(record.severity),
        Severity(record.peak),
        record.fired_at,
        record.cleared_at,
        record.has_ticket,
    )
