"""The picture of a deadline: a row a day, with what was counted, what was not, and where the limit ends."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from domain.errors import InvalidInputError
from worktime.explain import Interval, Sort

_WIDTH: Final = 720
_LEFT: Final = 92
_RIGHT: Final = _WIDTH - 20
_TOP: Final = 58
_ROW: Final = 26
_BAR: Final = 16
_MOST_ROWS: Final = 62
_A_DAY: Final = timedelta(days=1)
_DAY_S: Final = 86_400
_INK: Final = "#1f2933"
_FAINT: Final = "#9aa5b1"
_LOOKS: Final = {Sort.COUNTED: ("#1769aa", 1), Sort.PAUSED: ("#b98900", 0.45), Sort.SKIPPED: (_FAINT, 0.2)}
_DUE: Final = "#b42318"
_WARN: Final = "#d9620b"


class _Part(NamedTuple):
    """What of an interval lies in one day, in seconds of its wall clock."""

    begin: int
    end: int
    of: Interval


class _Row(NamedTuple):
    first: date
    last: date
    parts: list[_Part]

    @property
    def idle(self) -> str | None:
        """Why none of it counts, if that has one reason and it is no pause."""
        reasons = {part.of.why for part in self.parts}
        idle = all(part.of.sort is Sort.SKIPPED for part in self.parts)
        return reasons.pop() if idle and len(reasons) == 1 else None


def draw(title: str, intervals: Sequence[Interval], zone: ZoneInfo, warning: datetime | None = None) -> str:
    """Draw the intervals, which end with the deadline.

    Raises:
        InvalidInputError: they take more days than a picture can show.
    """
    rows = _rows(intervals, zone)
    if len(rows) > _MOST_ROWS:
        raise InvalidInputError(f"a picture shows at most {_MOST_ROWS} days, not {len(rows)}")
    height = _TOP + _ROW * len(rows) + 12
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" role="img"'
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="19" font-size="13" font-weight="bold">{escape(title)}</text>',
        *_axis(height),
    ]
    for place, row in enumerate(rows):
        shapes += _lane(row, _TOP + _ROW * place)
    marks = [(intervals[0].begin, _INK, "start"), (intervals[-1].end, _DUE, "due")]
    if warning is not None:
        marks.insert(1, (warning, _WARN, "warn"))
    for moment, colour, word in marks:
        shapes += _mark(moment.astimezone(zone), colour, word, rows)
    return "\n".join([*shapes, "</svg>", ""])


def _rows(intervals: Iterable[Interval], zone: ZoneInfo) -> list[_Row]:
    """A row a day; days off that follow one another for one reason share one."""
    days: dict[date, list[_Part]] = {}
    for each in intervals:
        for day, part in _cut(each, zone):
            days.setdefault(day, []).append(part)
    rows: list[_Row] = []
    for day, parts in days.items():
        row = _Row(day, day, parts)
        if rows and row.idle is not None and row.idle == rows[-1].idle:
            rows[-1] = rows[-1]._replace(last=day)
        else:
            rows.append(row)
    return rows


def _cut(interval: Interval, zone: ZoneInfo) -> Iterator[tuple[date, _Part]]:
    begin, end = (moment.astimezone(zone) for moment in (interval.begin, interval.end))
    day = begin.date()
    while day <= end.date():
        low = _second(begin.time()) if day == begin.date() else 0
        high = _second(end.time()) if day == end.date() else _DAY_S
        if low < high:
            yield day, _Part(low, high, interval)
        day += _A_DAY


def _axis(height: int) -> Iterator[str]:
    for hour in range(0, 25, 2):
        x = _x(hour * 3600)
        yield f'<path d="M{x:.1f} {_TOP - 8}V{height - 8}" stroke="{_FAINT}" stroke-opacity="0.3" fill="none"/>'
        yield f'<text x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle" font-size="10">{hour:02}</text>'


def _lane(row: _Row, top: int) -> Iterator[str]:
    name = f"{row.first:%a %m-%d}" if row.first == row.last else f"{row.first:%m-%d} to {row.last:%m-%d}"
    yield f'<text x="12" y="{top + _BAR - 4}" font-size="11">{name}</text>'
    if row.idle is not None:
        yield f'<text x="{_x(8 * 3600):.1f}" y="{top + _BAR - 4}" fill="#52606d">{escape(row.idle)}</text>'
        return
    for part in row.parts:
        colour, opacity = _LOOKS[part.of.sort]
        x, width = _x(part.begin), _x(part.end) - _x(part.begin)
        yield (
            f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{colour}" fill-opacity="{opacity}">'
            f"<title>{escape(part.of.why)}</title></rect>"
        )


def _mark(moment: datetime, colour: str, word: str, rows: Sequence[_Row]) -> Iterator[str]:
    day, second = moment.date(), _second(moment.time())
    if day > rows[-1].last:  # midnight at the end, which is 24:00 of the last row
        day, second = rows[-1].last, _DAY_S
    for place, row in enumerate(rows):
        if row.first <= day <= row.last:
            x, top = _x(second), _TOP + _ROW * place
            yield f'<path d="M{x:.1f} {top - 4}V{top + _BAR + 4}" stroke="{colour}" stroke-width="2" fill="none"/>'
            yield (
                f'<text x="{x + 5:.1f}" y="{top + _BAR - 4}" fill="{colour}" font-weight="bold" font-size="11" '
                f'stroke="#ffffff" stroke-width="3" paint-order="stroke">{word} {moment:%H:%M}</text>'
            )


def _x(second: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * second / _DAY_S


def _second(face: time) -> int:
    return face.hour * 3600 + face.minute * 60 + face.second
