"""Stream: put the readings of a batch into each device's order, tell new from known, judge them, merge the state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from domain.alert import Transition
from domain.coverage import Coverage
from domain.device import LifeCycle
from domain.instants import from_micros, to_micros
from domain.reading import Position, Reading
from rules.engine import Hearing, hear, judge, next_hold_due, next_silence_due, uneventful
from rules.tracks import Tracks, decode_tracks, encode_tracks
from service.known import Known
from service.parcel import Parcel
from store.readings import Identity
from store.states import DeviceState
from store.timers import Timer

_LARGEST_GAP: Final = 16_384
"""A counter that jumps further was reset or replaced. LoRaWAN 1.0 draws the line there too (MAX_FCNT_GAP)."""


@dataclass(slots=True)
class Stream:
    """What one device sent in this batch, in its order."""

    known: Known
    state: DeviceState
    source: str
    arrivals: list[tuple[Reading, Parcel]] = field(default_factory=list[tuple[Reading, Parcel]])
    fresh: list[Reading] = field(default_factory=list[Reading])
    """New, in order, to be judged."""
    certain: list[Reading] = field(default_factory=list[Reading])
    """Newer than the newest stored: new without asking, so they can be copied in."""
    doubtful: list[tuple[Reading, Parcel]] = field(default_factory=list[tuple[Reading, Parcel]])
    """Not newer than the newest, or overtaken by the clock: the database tells whether they are known."""
    late: list[Reading] = field(default_factory=list[Reading])
    """New, in order, and older than something decided already: what they touch is judged again (``service.late``)."""
    _tracks: Tracks | None = None

    @property
    def tracks(self) -> Tracks:
        """What the device's rules remember, read once; ``keep_tracks`` after a change."""
        if self._tracks is None:
            self._tracks = decode_tracks(self.state.tracks)
        return self._tracks

    def keep_tracks(self) -> None:
        """Put the tracks, as they are now, into the state."""
        self.state.tracks = encode_tracks(self.tracks)

    @property
    def decided(self) -> datetime | None:
        """How far ahead of the readings the clock has decided: an earlier reading comes too late for that."""
        fired = None if self.state.tracks is None else self.tracks.latest_fired
        return None if fired is None else from_micros(fired)


def sort_out(stream: Stream) -> None:
    """Order the arrivals by (time, digest) and part them; what is in hand twice, or is the newest, is a duplicate."""
    if len(stream.arrivals) > 1:
        stream.arrivals.sort(key=_place)
    stored, decided = stream.state.last, stream.decided
    last = stored
    for reading, parcel in stream.arrivals:
        if last is not None and reading.at == last.at and reading.digest == last.digest:
            parcel.is_double(reading)
        elif (stored is None or reading.at > stored.at) and (decided is None or reading.at >= decided):
            stream.fresh.append(reading)
            stream.certain.append(reading)
            last = Position(reading.at, reading.digest)
        else:
            stream.doubtful.append((reading, parcel))


def _place(arrival: tuple[Reading, Parcel]) -> tuple[datetime, int]:
    return arrival[0].at, arrival[0].digest


def settle_doubtful(streams: Iterable[Stream], new: set[Identity]) -> None:
    """Sort out the doubtful ones, now that the database told which were new.

    One whose place is behind the newest's is judged like a fresh one: two messages of one moment with different
    measures. Any other is late.
    """
    for stream in streams:
        if not stream.doubtful:
            continue
        same_time: list[Reading] = []
        stored, decided = stream.state.last, stream.decided
        for reading, parcel in stream.doubtful:
            identity = (reading.device_id, reading.at, reading.digest)
            if identity not in new:
                parcel.is_double(reading)
                continue
            new.discard(identity)
            place = Position(reading.at, reading.digest)
            if stored is None or (place > stored and (decided is None or reading.at >= decided)):
                same_time.append(reading)
            else:
                stream.late.append(reading)
                _take_late(stream.state, reading, overtaken=place > stored)
        stream.fresh = [*same_time, *stream.fresh]


def _take_late(state: DeviceState, reading: Reading, *, overtaken: bool) -> None:
    """Count and merge a late reading. ``overtaken``: the device's newest all the same; only the clock was ahead."""
    if overtaken:
        state.last = Position(reading.at, reading.digest)
        if reading.seq is not None:
            _count_missed(state, reading.seq)
            state.seq = reading.seq
    else:
        state.late += 1
        if reading.seq is not None and state.seq is not None and reading.seq < state.seq:
            # One of those thought missed has come after all.
            state.missed = max(0, state.missed - 1)
    state.readings += 1
    _merge(state, (reading,))


def judge_stream(stream: Stream, coverage: Mapping[str, Coverage]) -> tuple[list[Transition], Timer | None]:
    """Judge what is fresh, change the state, and say whether the ticker must look earlier than it would."""
    state = stream.state
    if not stream.fresh:
        return _only_hear(stream, coverage.get(stream.source))
    covered = coverage.get(stream.source)
    outcome: tuple[list[Transition], Timer | None] = ([], None)
    if stream.known.device.life_cycle is LifeCycle.SUSPENDED or _is_uneventful(stream, covered):
        for reading in stream.fresh:
            _hear(state, reading)
    else:
        outcome = _judge_closely(stream, covered)
    for reading in stream.fresh:
        if reading.seq is not None:
            _count_missed(state, reading.seq)
            state.seq = reading.seq
    newest = stream.fresh[-1]
    if state.last is None or newest.at > state.last.at or newest.digest > state.last.digest:
        state.last = Position(newest.at, newest.digest)
    state.source = stream.source
    state.readings += len(stream.fresh)
    _merge(state, stream.fresh)
    return outcome


def _only_hear(stream: Stream, covered: Coverage | None) -> tuple[list[Transition], Timer | None]:
    """Only known or late readings: the device was heard all the same, and a silence that fires ends."""
    state = stream.state
    if state.tracks is None or not stream.tracks.silences or stream.known.device.life_cycle is LifeCycle.SUSPENDED:
        for reading, _ in stream.arrivals:
            _hear(state, reading)
        return [], None
    plan, tracks = stream.known.plan, stream.tracks
    transitions: list[Transition] = []
    for reading, _ in stream.arrivals:
        transitions += hear(plan, tracks, reading, Hearing(state.heard_at, covered))
        _hear(state, reading)
    stream.keep_tracks()
    silence_due = next_silence_due(plan, tracks, Hearing(state.heard_at, covered))
    return transitions, None if silence_due is None else Timer(state.device_id, None, silence_due)


def _hear(state: DeviceState, reading: Reading) -> None:
    if state.heard_at is None or reading.received_at > state.heard_at:
        state.heard_at = reading.received_at


def _count_missed(state: DeviceState, seq: int) -> None:
    """Count what the device's own counter skipped; a jump too large, or back, is a counter that began anew."""
    if state.seq is not None and 0 < seq - state.seq - 1 <= _LARGEST_GAP:
        state.missed += seq - state.seq - 1


def _is_uneventful(stream: Stream, covered: Coverage | None) -> bool:
    """Whether nothing is pending or firing, and no reading begins anything: so it is with nearly every device."""
    state, plan = stream.state, stream.known.plan
    if state.tracks is not None or state.heard_at is None:
        return False
    heard_at = state.heard_at
    for reading in stream.fresh:
        if not uneventful(plan, reading, Hearing(heard_at, covered)):
            return False
        heard_at = reading.received_at
    return True


def _judge_closely(stream: Stream, covered: Coverage | None) -> tuple[list[Transition], Timer | None]:
    state, plan, tracks = stream.state, stream.known.plan, stream.tracks
    first_time = state.heard_at is None
    hold_before = next_hold_due(plan, tracks)
    silent_before = bool(tracks.silences)
    transitions: list[Transition] = []
    for reading in stream.fresh:
        transitions += judge(plan, tracks, reading, Hearing(state.heard_at, covered))
        _hear(state, reading)
    stream.keep_tracks()
    # Timers are lazy: what is due no earlier than before is already looked for.
    hold_due = next_hold_due(plan, tracks)
    if hold_due == hold_before:
        hold_due = None
    woken = first_time or (silent_before and not tracks.silences)
    silence_due = next_silence_due(plan, tracks, Hearing(state.heard_at, covered)) if woken else None
    if hold_due is None and silence_due is None:
        return transitions, None
    return transitions, Timer(state.device_id, hold_due, silence_due)


def _merge(state: DeviceState, readings: Iterable[Reading]) -> None:
    """Merge measure by measure by (time, digest): the newest value of each measure, whatever the order of arrival."""
    measures: dict[str, list[float | int | bool]] = orjson.loads(state.measures)
    for reading in readings:
        at, digest = to_micros(reading.at), reading.digest
        for measure, value in reading.values.items():
            held = measures.get(measure)
            if held is None or at > held[1] or (at == held[1] and digest > held[2]):
                measures[measure] = [value, at, digest]
    state.measures = orjson.dumps(measures)
