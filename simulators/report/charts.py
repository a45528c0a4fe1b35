"""Charts of a score: how long noticing took, and what share of each fault was noticed and of each kind was right."""

from collections.abc import Mapping, Sequence
from typing import Final

from simulators.report.svg import bar, picture, rule, text
from simulators.report.words import count, share
from simulators.scoring.figures import delay_of
from simulators.scoring.match import Answer
from simulators.scoring.score import Row

WIDTH: Final = 960.0
_LINE: Final = 26.0
_LABEL: Final = 330.0
_FIGURE: Final = 110.0
_HIGH: Final = 170.0
"""Of the tallest column."""
_STEPS_S: Final = (
    (5.0, "5 s"),
    (15.0, "15 s"),
    (60.0, "1 min"),
    (300.0, "5 min"),
    (900.0, "15 min"),
    (3600.0, "1 h"),
    (10_800.0, "3 h"),
    (43_200.0, "12 h"),
    (86_400.0, "1 d"),
    (259_200.0, "3 d"),
)
"""Upper bounds of the histogram's columns; steps grow, as what people call soon and late does."""


def delay_histogram(answers: Sequence[Answer]) -> str:
    """Columns of how many alerts stood how long after the fault began."""
    seconds = [
        delay_of(answer).total_seconds() for answer in answers if answer.counts and answer.found and not answer.carried
    ]
    bounds = [bound for bound, _ in _STEPS_S]
    columns = [0] * (len(bounds) + 1)
    for value in seconds:
        columns[sum(value > bound for bound in bounds)] += 1
    labels = [f"≤ {name}" for _, name in _STEPS_S] + [f"> {_STEPS_S[-1][1]}"]
    most = max([*columns, 1])
    room = (WIDTH - 40) / len(columns)
    parts = [rule(20, _HIGH + 30, WIDTH - 20, _HIGH + 30, "axis")]
    for place, (number, label) in enumerate(zip(columns, labels, strict=True)):
        left, height = 20 + place * room, _HIGH * number / most
        parts += [
            bar(left + 6, _HIGH + 30 - height, room - 12, height, "met", f"{label}: {number}"),
            text(label, left + room / 2, _HIGH + 48, "small", "middle"),
        ]
        if number:
            parts.append(text(count(number), left + room / 2, _HIGH + 24 - height, "", "middle"))
    told = f"{len(seconds)} alerts, by the time from the fault's begin until the alert stood."
    return picture(WIDTH, _HIGH + 60, "Detection delay 发现时延", told, parts)


def recall_bars(rows: Sequence[Row], titles: Mapping[str, tuple[str, str]]) -> str:
    """One bar a fault: met, late, missed; those with nothing due are left out."""
    shown = [row for row in rows if row.expected.total]
    parts: list[str] = []
    for line, row in enumerate(shown):
        told = row.expected
        y = line * _LINE + 6
        parts += _label(row.key, titles, y)
        pieces = ((told.met, "met"), (told.late, "late"), (told.missed, "missed"))
        parts += _stack(pieces, told.total, y)
        parts.append(text(f"{share(told.recall)} / {told.total}", WIDTH - 8, y + 15, "figure", "end"))
    return picture(WIDTH, max(1, len(shown)) * _LINE + 8, "Recall per fault 各类故障查全率", _described(shown), parts)


def precision_bars(rows: Sequence[Row], titles: Mapping[str, tuple[str, str]]) -> str:
    """One bar a kind: right, forbidden, invented."""
    shown = [row for row in rows if row.raised.precision is not None]
    parts: list[str] = []
    for line, row in enumerate(shown):
        told = row.raised
        y = line * _LINE + 6
        total = told.right + told.forbidden + told.invented
        parts += _label(row.key, titles, y)
        parts += _stack(((told.right, "met"), (told.forbidden, "forbidden"), (told.invented, "invented")), total, y)
        parts.append(text(f"{share(told.precision)} / {total}", WIDTH - 8, y + 15, "figure", "end"))
    told_all = "; ".join(f"{row.key} {share(row.raised.precision)}" for row in shown)
    return picture(WIDTH, max(1, len(shown)) * _LINE + 8, "Precision per kind 各类设备查准率", told_all, parts)


def _label(key: str, titles: Mapping[str, tuple[str, str]], y: float) -> list[str]:
    chinese = titles.get(key, ("", ""))[1]
    return [text(f"{key}  {chinese}".rstrip(), _LABEL - 12, y + 15, "", "end")]


def _stack(pieces: Sequence[tuple[int, str]], total: int, y: float) -> list[str]:
    """Pieces of one bar, side by side."""
    room = WIDTH - _LABEL - _FIGURE - 20
    left = _LABEL
    drawn: list[str] = []
    for number, name in pieces:
        width = room * number / total
        if number:
            drawn.append(bar(left, y, max(width, 1.5), _LINE - 6, name, f"{name}: {number}"))
        left += width
    return drawn


def _described(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row.key} {share(row.expected.recall)} of {row.expected.total}" for row in rows)
