"""Pictures of stories: the signal, the limits, the holds that ran and the alerts that fired over one axis of time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from xml.sax.saxutils import escape

from domain.alert import Severity, Step, Transition
from domain.instants import EPOCH
from rules.rule import Marked
from rules.story import Story, told, transitions

_WIDTH: Final = 720
_LEFT: Final = 132
_RIGHT: Final = _WIDTH - 20
_PANEL: Final = 110
_LANE: Final = 24
_TITLE: Final = 30
_INK: Final = "#1f2933"
_FAINT: Final = "#9aa5b1"
_SIGNAL: Final = "#1769aa"
_MOST_TICKS: Final = 9
_STEPS: Final = [
    *(timedelta(seconds=each) for each in (1, 5, 10, 20, 30)),
    *(timedelta(minutes=each) for each in (1, 2, 5, 10, 20, 30)),
    *(timedelta(hours=each) for each in (1, 2, 3, 6, 12, 24)),
]
"""Of the axis of time."""
_LABEL: Final = 30
"""Width of a value's label: where the one before stands too near, a point goes without."""
_COLOURS: Final = {
    Severity.CRITICAL: "#b42318",
    Severity.MAJOR: "#d9620b",
    Severity.MINOR: "#b98900",
    Severity.NOTICE: "#52606d",
}


def draw(story: Story) -> str:
    """The picture of a story as an SVG document, ending with a newline."""
    steps = transitions(story)
    paper = _Paper(story.until)
    top = _TITLE
    for measure in _measures(story):
        paper.add(_panel(story, measure, paper, top))
        top += _PANEL
    if top == _TITLE:
        paper.add(_heard(story, paper, top))
        top += _LANE
    paper.add(_lanes(steps, paper, top))
    return paper.document(story.name, top + 2 * _LANE)


class _Paper:
    """What is drawn, and where a time lies on it."""

    def __init__(self, until: timedelta) -> None:
        self._until = until
        self._parts: list[str] = []

    def add(self, parts: Iterable[str]) -> None:
        self._parts += parts

    def x(self, at: timedelta) -> str:
        return f"{_LEFT + (_RIGHT - _LEFT) * (at / self._until):.1f}"

    def document(self, title: str, bottom: int) -> str:
        height = bottom + 34
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" role="img" font-family="sans-serif" font-size="12" fill="{_INK}">'
        )
        body = [
            f"<title>{escape(title)}</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="12" y="19" font-size="13" font-weight="bold">{escape(title)}</text>',
            *self._parts,
            *self._axis(bottom),
        ]
        return "\n".join([head, *body, "</svg>", ""])

    def _axis(self, bottom: int) -> Iterator[str]:
        yield f'<path d="M{_LEFT} {bottom}H{_RIGHT}" stroke="{_INK}" fill="none"/>'
        step = next((each for each in _STEPS if self._until / each <= _MOST_TICKS), self._until / _MOST_TICKS)
        for number in range(int(self._until / step) + 1):
            at = step * number
            x = self.x(at)
            yield f'<path d="M{x} {bottom}v5" stroke="{_INK}" fill="none"/>'
            yield f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{told(at)}</text>'


def _measures(story: Story) -> list[str]:
    """Those that the rule looks at and the inputs tell of; of all rules, if the story compares all."""
    rules = story.plan.rules.values() if story.rule is None else [story.plan.rules[story.rule]]
    looked_at = dict.fromkeys(measure for rule in rules for measure in rule.condition.measures)
    return [measure for measure in looked_at if any(measure in one.values for one in story.inputs)]


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    top: int

    def y(self, value: float) -> str:
        return f"{self.top + 12 + (_PANEL - 28) * (self.high - value) / ((self.high - self.low) or 1.0):.1f}"


def _panel(story: Story, measure: str, paper: _Paper, top: int) -> Iterator[str]:
    points = [(one.at, float(one.values[measure])) for one in story.inputs if measure in one.values]
    marks = _marks(story, measure)
    every = [value for _, value in points] + [value for value, _ in marks]
    scale = _Scale(min(every), max(every), top)
    yield f'<text x="12" y="{top + 24}" fill="{_SIGNAL}" font-weight="bold">{escape(measure)}</text>'
    for value, severity in marks:
        y, colour = scale.y(value), _COLOURS[severity]
        yield f'<path d="M{_LEFT} {y}H{_RIGHT}" stroke="{colour}" stroke-dasharray="5 4" fill="none"/>'
        yield f'<text x="{_LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end" fill="{colour}">{value:g}</text>'
    line = " ".join(f"{paper.x(at)},{scale.y(value)}" for at, value in points)
    yield f'<polyline points="{line}" stroke="{_SIGNAL}" stroke-opacity="0.45" fill="none"/>'
    shown: tuple[float, float] | None = None
    for at, value in points:
        x, y = paper.x(at), scale.y(value)
        yield f'<circle cx="{x}" cy="{y}" r="3" fill="{_SIGNAL}"/>'
        if shown is None or (value != shown[1] and float(x) - shown[0] >= _LABEL):
            # The first one stands beside the axis, where the limits are written.
            anchor = "start" if shown is None else "middle"
            yield f'<text x="{x}" y="{float(y) - 6:.1f}" text-anchor="{anchor}" font-size="10">{value:g}</text>'
            shown = float(x), value


def _marks(story: Story, measure: str) -> list[tuple[float, Severity]]:
    rules = story.plan.rules.values() if story.rule is None else [story.plan.rules[story.rule]]
    return [
        mark
        for rule in rules
        if isinstance(rule.condition, Marked) and rule.condition.measures[0] == measure
        for mark in rule.condition.marks()
    ]


def _heard(story: Story, paper: _Paper, top: int) -> Iterator[str]:
    yield f'<text x="12" y="{top + 16}" fill="{_SIGNAL}" font-weight="bold">heard</text>'
    for one in story.inputs:
        yield f'<circle cx="{paper.x(one.at)}" cy="{top + 12}" r="3" fill="{_SIGNAL}"/>'


def _lanes(steps: Sequence[Transition], paper: _Paper, top: int) -> Iterator[str]:
    """One lane for the holds, one for the alerts."""
    yield f'<text x="12" y="{top + 16}">hold</text>'
    yield f'<text x="12" y="{top + _LANE + 16}">alert</text>'
    for one in steps:
        if one.step is Step.OPENED and one.onset < one.at:
            begins, ends = paper.x(one.onset - EPOCH), paper.x(one.at - EPOCH)
            width = float(ends) - float(begins)
            yield (
                f'<rect x="{begins}" y="{top + 6}" width="{width:.1f}" height="{_LANE - 12}" fill="{_FAINT}" '
                f'fill-opacity="0.5" stroke="{_FAINT}"/>'
            )
    for one, until in _stretches(steps):
        begins = paper.x(one.at - EPOCH)
        right = f"{_RIGHT}" if until is None else paper.x(until)
        y = top + _LANE + 4
        yield (
            f'<rect x="{begins}" y="{y}" width="{max(2.0, float(right) - float(begins)):.1f}" height="{_LANE - 8}" '
            f'fill="{_COLOURS[one.severity]}"/>'
        )
        word = one.severity.name.lower()
        yield f'<text x="{float(begins) + 4:.1f}" y="{y + 12}" font-size="10" fill="#ffffff">{word}</text>'


def _stretches(steps: Sequence[Transition]) -> Iterator[tuple[Transition, timedelta | None]]:
    """Each severity that fired, with when it gave way to another or cleared; ``None``: not within the story."""
    for number, one in enumerate(steps):
        if one.step is not Step.CLEARED:
            later = (each.at - EPOCH for each in steps[number + 1 :] if each.rule == one.rule)
            yield one, next(later, None)
