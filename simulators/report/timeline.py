"""The timeline: when faults lasted and when alerts began, one lane a fault, and below what nothing explains."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from simulators.report.svg import bar, picture, rule, text
from simulators.scoring.match import Judged, Outcome, Verdict
from simulators.scoring.score import Score
from simulators.truth import FaultInstance

WIDTH: Final = 960.0
_LABEL: Final = 250.0
_LANE: Final = 34.0
_TOP: Final = 26.0
MOST_MARKS: Final = 4000
"""More would neither be seen nor load quickly: then every so-manieth is drawn, and the page says so."""
_TICKS: Final = (
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=7),
    timedelta(days=30),
)
_MOST_TICKS: Final = 9
_TICK_ROOM: Final = 40.0
"""Half a label: nearer to the edge it would be cut off."""


class _Axis:
    """Times to places."""

    def __init__(self, begins: datetime, ends: datetime) -> None:
        """Take what the axis shows."""
        self.begins, self.ends = begins, max(ends, begins + timedelta(seconds=1))

    def x(self, at: datetime) -> float:
        """Where a time lies; what is outside lies at the edge."""
        inside = min(max(at, self.begins), self.ends)
        share = (inside - self.begins) / (self.ends - self.begins)
        return _LABEL + share * (WIDTH - _LABEL - 12)

    def ticks(self) -> list[datetime]:
        """Round times, not more than can be read."""
        span = self.ends - self.begins
        step = next((tick for tick in _TICKS if span / tick <= _MOST_TICKS), _TICKS[-1])
        midnight = self.begins.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight + -(-(self.begins - midnight) // step) * step
        return [first + number * step for number in range(int((self.ends - first) / step) + 1)]


def timeline(score: Score, titles: Mapping[str, tuple[str, str]]) -> str:
    """Draw faults as bars (red where one of their alerts is missing) and alerts as ticks below them."""
    axis = _Axis(score.run.start, score.run.end)
    by_fault: defaultdict[str, list[FaultInstance]] = defaultdict(list)
    for fault in score.truth:
        by_fault[fault.fault].append(fault)
    explained: defaultdict[str, list[Judged]] = defaultdict(list)
    invented: defaultdict[str, list[Judged]] = defaultdict(list)
    for judged in score.matching.judged:
        if judged.fault is not None:
            explained[judged.fault.fault].append(judged)
        elif judged.verdict is Verdict.INVENTED:
            invented[judged.alert.kind].append(judged)
    lanes = [*sorted(by_fault), *(f"{kind}: invented 误报" for kind in sorted(invented))]
    high = _TOP + len(lanes) * _LANE + 8
    every = max(1, -(-(len(score.truth) + len(score.matching.judged)) // MOST_MARKS))
    parts = _grid(axis, high)
    troubled = _troubled(score)
    for lane, key in enumerate(lanes):
        y = _TOP + lane * _LANE
        chinese = titles.get(key, ("", ""))[1]
        parts += [
            rule(_LABEL, y + _LANE - 3, WIDTH - 12, y + _LANE - 3, "grid"),
            text(f"{key}  {chinese}".rstrip(), _LABEL - 12, y + 18, "", "end"),
        ]
        for fault in by_fault.get(key, ())[::every]:
            left = axis.x(fault.begins)
            width = axis.x(fault.ends or axis.ends) - left
            style = troubled.get(fault.id, "quiet")
            parts.append(bar(left, y + 3, max(width, 1.5), 10, f"{style} clear", f"{fault.id} {fault.device or ''}"))
        alerts = explained[key] or invented[key.partition(":")[0]]
        for judged in alerts[::every]:
            about = f"alert {judged.alert.id} {judged.alert.device} {judged.alert.rule}: {judged.verdict.value}"
            parts.append(bar(axis.x(judged.alert.onset) - 0.75, y + 16, 1.5, 12, _STYLES[judged.verdict], about))
    told = "Upper bars: faults, red where an alert is missing. Ticks below: alerts at their onset."
    if every > 1:
        told += f" One of {every} is drawn."
    return picture(WIDTH, high, "Timeline of faults and alerts 故障与告警时间轴", told, parts)


def _grid(axis: _Axis, high: float) -> list[str]:
    parts: list[str] = []
    for at in axis.ticks():
        parts.append(rule(axis.x(at), _TOP - 6, axis.x(at), high - 6, "grid"))
        if axis.x(at) < WIDTH - _TICK_ROOM:
            parts.append(text(f"{at:%m-%d %H:%M}", axis.x(at), 14, "small", "middle"))
    return parts


_STYLES: Final[Mapping[Verdict, str]] = {
    Verdict.RIGHT: "met",
    Verdict.AGAIN: "quiet",
    Verdict.ALLOWED: "quiet",
    Verdict.FORBIDDEN: "forbidden",
    Verdict.INVENTED: "invented",
    Verdict.CONTRADICTED: "quiet",
    Verdict.OUTSIDE: "quiet",
}


def _troubled(score: Score) -> Mapping[str, str]:
    """How each fault that expects anything fared: its worst answer. Of what does not count there is nothing to say."""
    grades = (Outcome.MET, Outcome.LATE, Outcome.MISSED)
    worst: dict[str, int] = {}
    for answer in score.matching.answers:
        if answer.counts:
            worst[answer.fault.id] = max(worst.get(answer.fault.id, 0), grades.index(answer.outcome))
    return {fault: grades[grade].value for fault, grade in worst.items()}
