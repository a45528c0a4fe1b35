"""Why: how a rule stands on a device, said in a plain sentence or two."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from domain.mute import Mute
from domain.reading import MeasureValue
from rules.explain import LevelNow, RuleNow, Seen, SilenceNow, Standing
from rules.kinds.event import Event


def why(rule: RuleNow, now: datetime, muted: Sequence[Mute] = ()) -> str:
    """What the rule saw, what comes next, and what keeps its alert quiet."""
    said = [_of_silence(rule.silence)] if rule.silence is not None else list(_of_readings(rule, now))
    if muted:
        said.append(f"It asks for no ticket: {', '.join(_of_mute(mute) for mute in muted)}.")
    return " ".join(said)


def _of_readings(rule: RuleNow, now: datetime) -> Iterator[str]:
    if isinstance(rule.rule.condition, Event):
        yield _of_event(rule, rule.rule.condition)
        return
    if not rule.rule.condition.measures:
        yield "No reading decides it: the service itself reports it."
        return
    if rule.unjudged is not None:
        yield rule.unjudged
        return
    firing = [level for level in rule.levels if level.state is Standing.FIRING]
    pending = [level for level in rule.levels if level.state is Standing.PENDING]
    if firing:
        yield _of_firing(rule, min(firing, key=lambda level: level.severity))
    for level in pending:
        yield _of_pending(rule, level, now)
    if not firing and not pending:
        yield _of_clear(rule)
    for one in rule.seen:
        yield from _of_newest(one, rule, now)


def _of_event(rule: RuleNow, condition: Event) -> str:
    classes = " or ".join(condition.classes)
    ends = f"clears at one that says it ended, or {value_of(condition.lasts_s)} s after the last"
    if rule.onset is not None and rule.state is Standing.FIRING:
        return f"An event {classes} came at {time_of(rule.onset)}: it fires and {ends}."
    return f"No reading decides it, but events: one of class {classes} fires it, and it {ends}."


def _of_firing(rule: RuleNow, level: LevelNow) -> str:
    beyond = "short of its limit" if level.clear is None else f"beyond its clear level {value_of(level.clear)}"
    ends = f"clears with the first reading {beyond}"
    if level.keep_s:
        ends = f"clears once readings were {beyond} for {value_of(level.keep_s)} s"
        if level.good_since is not None:
            ends += f", which they have been since {time_of(level.good_since)}"
    fired = "" if level.fired_at is None else f" since {time_of(level.fired_at)}"
    return f"{_was(rule)} ({_named(rule, level)}): it fires{fired} and {ends}."


def _of_pending(rule: RuleNow, level: LevelNow, now: datetime) -> str:
    what = (
        f"{_was(rule)} ({_named(rule, level)}, held for {value_of(level.held_s or 0.0)} of {value_of(level.hold_s)} s)"
    )
    if level.fires_at is not None and level.fires_at > now:
        return f"{what}: it fires at {time_of(level.fires_at)} if no reading short of the limit comes before."
    if level.fires_at is not None:
        return f"{what}: its hold ended at {time_of(level.fires_at)}, and the clock is about to decide it."
    speaks = "" if level.speaks_until is None else f" {time_of(level.speaks_until)}"
    if level.speaks_until is not None and level.speaks_until < now:
        return f"{what}: that reading spoke until{speaks} only, so the next bad one begins the hold anew."
    return f"{what}: that reading speaks until{speaks} only; without another bad one by then it does not fire."


def _of_clear(rule: RuleNow) -> str:
    if not rule.seen:
        return f"No reading of {' or '.join(rule.rule.condition.measures)} has come yet."
    values = ", ".join(f"{one.measure} was {value_of(one.value)} at {time_of(one.at)}" for one in rule.seen)
    limits = ", ".join(_named(rule, level) for level in rule.levels)
    if rule.overdue:
        return f"{values}, which is bad ({limits}), but was judged when it was not: the next reading decides."
    if rule.memory is not None:
        return f"{values}; with the readings before it no level holds ({limits})."
    return f"{values}: no level holds ({limits})."


def _of_newest(one: Seen, rule: RuleNow, now: datetime) -> Iterator[str]:
    """What else the newest value tells: it was in doubt, ends nothing, or has grown old."""
    if one.flag is not None:
        yield f"The newest {one.measure} was not judged: it is in doubt ({one.flag})."
    elif rule.state is not Standing.CLEAR and rule.evidence is not None and one.at > rule.evidence.at:
        yield f"The newest {one.measure}, {value_of(one.value)} at {time_of(one.at)}, does not end it."
    if rule.state is Standing.CLEAR and one.valid_until < now:
        yield f"No other {one.measure} came before {time_of(one.valid_until)}: what holds since is not known."


def _of_silence(silence: SilenceNow) -> str:
    if silence.heard_at is None:
        return "It was never heard: what never spoke is not silent."
    heard = f"It was last heard at {time_of(silence.heard_at)}"
    if silence.firing_since is not None:
        return f"{heard}: it fires since {time_of(silence.firing_since)}, and the next message ends it."
    if silence.covered_since is None or silence.covered_until is None or silence.due_at is None:
        return f"{heard}. Its source {silence.source} is not heard now, so no silence is found."
    anew = f", and its source is heard since {time_of(silence.covered_since)}"
    counts = anew if silence.covered_since > silence.heard_at else ""
    return (
        f"{heard}{counts}: it fires at {time_of(silence.due_at)}, after {value_of(silence.wait_s)} s, if nothing comes "
        f"before and its source is heard until then (so far until {time_of(silence.covered_until)})."
    )


def _of_mute(mute: Mute) -> str:
    until = "" if mute.until is None else f", until {time_of(mute.until)}"
    return f"{mute.reason.replace('_', ' ')} {mute.source} since {time_of(mute.since)}{until}"


def _was(rule: RuleNow) -> str:
    measures = rule.rule.condition.measures
    if rule.evidence is None:
        return f"{measures[0]} was bad"
    # A rule on several measures keeps one value: whose, the newest values tell.
    whose = next((one.measure for one in rule.seen if (one.value, one.at) == rule.evidence), measures[0])
    return f"{whose} was {value_of(rule.evidence.value)} at {time_of(rule.evidence.at)}"


def _named(rule: RuleNow, level: LevelNow) -> str:
    name = level.severity.name.lower()
    # What is put together of parts, or goes by what is expected, is reached when that is so; its limit says nothing.
    return name if {"parts", "wrong"} & rule.parameters.keys() else f"{name}: limit {value_of(level.limit)}"


def value_of(value: MeasureValue) -> str:
    """A value for people: a meter's counter in full."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"


def time_of(moment: datetime) -> str:
    """A time for people: RFC 3339, without a fraction where there is none."""
    return moment.isoformat().replace("+00:00", "Z")
