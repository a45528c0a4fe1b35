"""The engine: gives conditions time. clear → pending → firing → clear, decided by readings and by the clock alike.

Pure: the same tracks, readings and times give the same transitions, whoever calls and whenever. What the clock
decides is decided at the time it was due, not at the time somebody looked: a tick only makes a decision timely.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from domain.alert import Severity, Step, Transition
from domain.coverage import Coverage
from domain.instants import from_micros, to_micros
from domain.reading import MeasureValue, Reading
from rules.plan import Plan, SilenceWatch, Watch
from rules.rule import Memory, Verdict
from rules.tracks import LevelTrack, RuleTrack, SilenceTrack, Tracks


class Hearing(NamedTuple):
    """When a device was last heard, and since when and until when we could have heard it."""

    heard_at: datetime | None
    coverage: Coverage | None


def uneventful(plan: Plan, reading: Reading, hearing: Hearing) -> bool:
    """Whether a reading of a device with nothing pending or firing changes nothing: the way of nearly every reading.

    A doubt (a flag) or the smallest cause makes it eventful; :func:`judge` then looks closely.
    """
    if reading.flags:
        return False
    for silence in plan.silences:
        if hearing.heard_at is not None and reading.received_at - hearing.heard_at > silence.wait:
            return False
    quiet = plan.quiet
    if plan.quiet_else is not None:
        quiet, at = plan.quiet_else, to_micros(reading.at)
        if not all(condition.fine(reading.values, at) for condition in plan.timely):
            return False
    for measure, value in reading.values.items():
        interval = quiet.get(measure)
        if interval is not None and not interval[0] < value < interval[1]:
            return False
    return True


def judge(plan: Plan, tracks: Tracks, reading: Reading, hearing: Hearing) -> list[Transition]:
    """Judge the next reading of a device's stream; ``tracks`` is changed in place.

    ``hearing`` is that from before this reading. Values under a flag are not judged.
    """
    steps: list[Transition] = []
    if tracks:
        _drop_gone_silences(plan, tracks, reading.device_id, reading.received_at, steps)
        elapse_holds(plan, tracks, reading.device_id, reading.at, steps)
    for silence in plan.silences:
        late = hearing.heard_at is not None and reading.received_at - hearing.heard_at > silence.wait
        if late or silence.key in tracks.silences:
            _end_silence(tracks, silence, reading, hearing, steps)
    values = reading.values
    if reading.flags:
        values = {measure: value for measure, value in values.items() if measure not in reading.flags}
    now: int | None = None
    for watch in plan.watches:
        track = tracks.rules.get(watch.key)
        if track is None and _is_quiet(watch, values):
            continue
        now = to_micros(reading.at) if now is None else now
        _judge_watch(plan, tracks, watch, track, values, reading, now, steps)
    return steps


def hear(plan: Plan, tracks: Tracks, reading: Reading, hearing: Hearing) -> list[Transition]:
    """Let a reading that is not judged end the silences that fire: whatever it says, the device was heard."""
    steps: list[Transition] = []
    for silence in plan.silences:
        if silence.key in tracks.silences:
            _end_silence(tracks, silence, reading, hearing, steps)
    return steps


def tick(plan: Plan, tracks: Tracks, device_id: int, now: datetime, hearing: Hearing) -> list[Transition]:
    """Let the clock decide what was due up to ``now``: holds that elapsed, silences that became too long."""
    steps: list[Transition] = []
    _drop_gone_silences(plan, tracks, device_id, now, steps)
    elapse_holds(plan, tracks, device_id, now, steps)
    for silence in plan.silences:
        if silence.key not in tracks.silences:
            _begin_silence(tracks, silence, device_id, now, hearing, steps)
    return steps


def elapse_holds(plan: Plan, tracks: Tracks, device_id: int, until: datetime, steps: list[Transition]) -> None:
    """Fire every pending level whose hold ended by ``until`` while its last bad reading was still valid."""
    if not tracks.rules:
        return
    limit = to_micros(until)
    for key, track in list(tracks.rules.items()):
        watch = plan.by_key.get(key)
        if watch is None or len(watch.holds) != len(track.levels):
            _drop(tracks, key, device_id, limit, steps)
            continue
        for level in track.levels:
            if level is not None and level.fired is None:
                break
        else:
            continue
        due = sorted(
            (level.onset + hold, place)
            for place, (level, hold) in enumerate(zip(track.levels, watch.holds, strict=True))
            if level is not None
            and level.fired is None
            and level.onset + hold <= min(limit, speaks_until(plan, watch, level))
        )
        for at, place in due:
            before = _severity(watch, track)
            level = track.levels[place]
            if level is not None:
                level.fired = at
            _report(watch, track, device_id, before, at, steps)


def _drop_gone_silences(plan: Plan, tracks: Tracks, device_id: int, now: datetime, steps: list[Transition]) -> None:
    if tracks.silences:
        kept = {silence.key for silence in plan.silences}
        for key in [key for key in tracks.silences if key not in kept]:
            _drop_silence(tracks, key, device_id, now, steps)


def next_hold_due(plan: Plan, tracks: Tracks) -> datetime | None:
    """When the clock alone could next fire a level, or ``None``."""
    due = [
        level.onset + hold
        for key, track in tracks.rules.items()
        if (watch := plan.by_key.get(key)) is not None and _fits(plan, key, track)
        for level, hold in zip(track.levels, watch.holds, strict=True)
        if level is not None and level.fired is None and level.onset + hold <= speaks_until(plan, watch, level)
    ]
    return from_micros(min(due)) if due else None


def next_silence_due(plan: Plan, tracks: Tracks, hearing: Hearing) -> datetime | None:
    """When the clock alone could next raise a silence, or ``None``."""
    if not plan.silences or hearing.heard_at is None:
        return None
    since = _listening_since(hearing)
    due = [since + silence.after for silence in plan.silences if silence.key not in tracks.silences]
    return from_micros(min(due)) if due else None


def _is_quiet(watch: Watch, values: Mapping[str, MeasureValue]) -> bool:
    for measure, interval in watch.quiet.items():
        value = values.get(measure)
        if value is not None and (interval is None or not interval[0] < value < interval[1]):
            return False
    return True


def _judge_watch(
    plan: Plan,
    tracks: Tracks,
    watch: Watch,
    track: RuleTrack | None,
    values: Mapping[str, MeasureValue],
    reading: Reading,
    now: int,
    steps: list[Transition],
) -> None:
    judged = _verdicts(plan, watch, track, values, now)
    if judged is None:
        return
    value, verdicts, memory = judged
    if track is None:
        track = tracks.rules[watch.key] = RuleTrack(levels=[None] * len(watch.holds))
    track.memory, track.kind = memory, None if memory is None else watch.condition.kind
    before: Severity | None = None
    changed = False
    for place, verdict in enumerate(verdicts):
        level = track.levels[place]
        if level is None and verdict is not Verdict.BAD:
            continue
        after = _advance(plan, watch, place, level, verdict, now)
        if after is not level:
            # A level that stays as it is leaves the severity as it is: most of what fires goes on firing.
            before = before if changed else _severity(watch, track)
            changed = True
            track.levels[place] = after
    clear = track.is_clear
    # What is shown as evidence is the last reading that spoke for the alert; when it clears, the one that ended it.
    if clear or Verdict.BAD in verdicts:
        track.value, track.reading = value, (now, reading.digest)
    if changed:
        _report(watch, track, reading.device_id, before, now, steps)
    if clear:
        if memory is None:
            del tracks.rules[watch.key]
        else:
            track.value = track.reading = None


def _verdicts(
    plan: Plan, watch: Watch, track: RuleTrack | None, values: Mapping[str, MeasureValue], now: int
) -> tuple[MeasureValue, Sequence[Verdict], Memory] | None:
    remembering = watch.remembering
    if remembering is None:
        judged = watch.condition.judge(values)
        return None if judged is None else (*judged, None)
    # A rule that became one of another kind starts anew: its former memory would be misread.
    memory = track.memory if track is not None and track.kind == remembering.kind else None
    return remembering.weigh(values, now, plan.validity, memory)


def _advance(
    plan: Plan, watch: Watch, place: int, level: LevelTrack | None, verdict: Verdict, now: int
) -> LevelTrack | None:
    match verdict:
        case Verdict.GOOD:
            return _calm_down(level, now, watch.keeps[place], plan.validity)
        case Verdict.KEEP:
            if level is None or level.fired is None:
                return None
            level.calm = None
            return level
        case Verdict.BAD:
            if level is None or (level.fired is None and now > speaks_until(plan, watch, level)):
                # First bad reading, or the first after a gap in which the state was unknown: the hold starts here.
                return LevelTrack(onset=now, seen=now, fired=now if watch.holds[place] == 0 else None)
            level.seen, level.calm = now, None
            return level


def _calm_down(level: LevelTrack | None, now: int, keep: int, validity: int) -> LevelTrack | None:
    """What a good reading leaves of a level: nothing, unless it fires and must keep on for a time."""
    if keep == 0 or level is None or level.fired is None:
        return None
    if level.calm is None or level.calm_seen is None or now > level.calm_seen + validity:
        level.calm = now
    level.calm_seen = now
    return None if now - level.calm >= keep else level


def speaks_until(plan: Plan, watch: Watch, level: LevelTrack) -> int:
    """Until when the last bad reading of a level speaks for it."""
    until = level.seen + plan.validity
    lapse = None if watch.lapsing is None else watch.lapsing.lapses(level.seen)
    return until if lapse is None else min(until, lapse)


def _severity(watch: Watch, track: RuleTrack) -> Severity | None:
    gravest: Severity | None = None
    for severity, level in zip(watch.severities, track.levels, strict=True):
        if level is not None and level.fired is not None and (gravest is None or severity < gravest):
            gravest = severity
    return gravest


def _report(
    watch: Watch, track: RuleTrack, device_id: int, before: Severity | None, at: int, steps: list[Transition]
) -> None:
    """Add the step, if any, that leads from severity ``before`` to the present one."""
    after = _severity(watch, track)
    if after == before:
        return
    if before is None:
        track.onset = min(level.onset for level in track.levels if level is not None and level.fired is not None)
        step = Step.OPENED
    elif after is None:
        step = Step.CLEARED
    else:
        step = Step.ROSE if after < before else Step.FELL
    severity = after if after is not None else before
    if track.onset is None or severity is None:
        return
    steps.append(
        Transition(
            device_id=device_id,
            rule=watch.key,
            onset=from_micros(track.onset),
            at=from_micros(at),
            step=step,
            severity=severity,
            measure=watch.measure,
            value=track.value,
            reading=None if track.reading is None else (from_micros(track.reading[0]), track.reading[1]),
        )
    )
    if after is None:
        track.onset = None


def _fits(plan: Plan, key: str, track: RuleTrack) -> bool:
    """Whether the rule still exists with as many levels as when the track was stored; else it is as good as gone."""
    watch = plan.by_key.get(key)
    return watch is not None and len(watch.holds) == len(track.levels)


def abandon(tracks: Tracks, device_id: int, now: datetime) -> list[Transition]:
    """Clear all that a device raised: it was taken out of service for good."""
    steps: list[Transition] = []
    at = to_micros(now)
    for key in list(tracks.rules):
        _drop(tracks, key, device_id, at, steps)
    for key in list(tracks.silences):
        _drop_silence(tracks, key, device_id, now, steps)
    return steps


def _drop_silence(tracks: Tracks, key: str, device_id: int, now: datetime, steps: list[Transition]) -> None:
    onset = from_micros(tracks.silences.pop(key).onset)
    steps.append(Transition(device_id, key, onset, max(onset, now), Step.CLEARED, Severity.NOTICE, None, None, None))


def _drop(tracks: Tracks, key: str, device_id: int, at: int, steps: list[Transition]) -> None:
    """Forget a rule that no longer judges this device; what it raised clears now."""
    track = tracks.rules.pop(key)
    if track.onset is not None:
        onset, now = from_micros(track.onset), from_micros(at)
        steps.append(Transition(device_id, key, onset, now, Step.CLEARED, Severity.NOTICE, None, None, None))


def _listening_since(hearing: Hearing) -> int:
    """From when silence counts: the last message, or the start of the present coverage if that is later."""
    heard = 0 if hearing.heard_at is None else to_micros(hearing.heard_at)
    return heard if hearing.coverage is None else max(heard, to_micros(hearing.coverage.since))


def _begin_silence(
    tracks: Tracks, silence: SilenceWatch, device_id: int, now: datetime, hearing: Hearing, steps: list[Transition]
) -> None:
    if hearing.heard_at is None or hearing.coverage is None:
        return
    onset = _listening_since(hearing) + silence.after
    if onset <= to_micros(min(now, hearing.coverage.until)):
        tracks.silences[silence.key] = SilenceTrack(onset)
        began = from_micros(onset)
        steps.append(Transition(device_id, silence.key, began, began, Step.OPENED, silence.severity, None, None, None))


def _end_silence(
    tracks: Tracks, silence: SilenceWatch, reading: Reading, hearing: Hearing, steps: list[Transition]
) -> None:
    device_id, key = reading.device_id, silence.key
    if key not in tracks.silences:
        # Nobody looked in time: the silence was real all the same, and is told before it is ended.
        _begin_silence(tracks, silence, device_id, reading.received_at, hearing, steps)
    track = tracks.silences.pop(key, None)
    if track is not None:
        onset, identity = from_micros(track.onset), (reading.at, reading.digest)
        ended = max(reading.received_at, onset)
        steps.append(Transition(device_id, key, onset, ended, Step.CLEARED, silence.severity, None, None, identity))
