"""``streetwarden clock``: deadlines in working time, what has elapsed of them, and what a day is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from domain.errors import InvalidInputError
from service.calendar_file import read_calendar
from service.deadline_picture import draw
from service.settings import load_settings
from worktime.calendar import DayKind, WorkCalendar
from worktime.deadline import Pause, Term, deadline, elapsed, warn_at
from worktime.explain import Interval, explain
from worktime.limit import Limit, Unit, parse_limit

_clock: Final = typer.Typer(
    no_args_is_help=True,
    help="Working time (工作时): deadlines, what has elapsed, and which days and hours count.",
)

_LIMIT_HELP: Final = (
    "A number and urgent_hour (紧急工作时), natural_day (自然日), work_hour (工作时) or work_day (工作日)"
)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199
_NAMES: Final = {
    DayKind.WORKING: "working day",
    DayKind.MAKE_UP: "make-up day",
    DayKind.WEEKEND: "weekend",
    DayKind.HOLIDAY: "holiday",
}
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)

_CalendarOption = Annotated[
    Path | None, typer.Option("--calendar", metavar="FILE", help="Calendar file (YAML) with the district's own days.")
]
_ZoneOption = Annotated[
    str | None,
    typer.Option("--zone", help="IANA time zone; else the calendar file's, else STREETWARDEN_DISTRICT_TIMEZONE."),
]
_PauseOption = Annotated[
    list[str] | None,
    typer.Option("--pause", metavar="FROM/TO", help="The clock stands still between them (挂账); may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_clock, name="clock")


@_clock.command("deadline")
def print_deadline(
    start: Annotated[str, typer.Option("--from", help="When the clock starts, such as 2026-11-20T11:00+08:00.")],
    limit: Annotated[str, typer.Option("--limit", help=f"{_LIMIT_HELP}, such as 4work_hour.")],
    pause: _PauseOption = None,
    extend: Annotated[
        list[str] | None,
        typer.Option("--extend", metavar="LIMIT", help="An approved extension (延期); may be repeated."),
    ] = None,
    warn: Annotated[
        str | None,
        typer.Option("--warn", help="Also say when to warn: at a share of the limit (80%) or before it (1work_hour)."),
    ] = None,
    calendar: _CalendarOption = None,
    zone: _ZoneOption = None,
    draw_into: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE", help="Also draw the intervals, a row a day, as SVG.")
    ] = None,
) -> None:
    """Print a deadline on the first line, and under it every interval that was counted or skipped, and why."""
    begin = _moment("--from", start)
    allowed, extensions = parse_limit(limit), [parse_limit(each) for each in extend or ()]
    pauses = _pauses(pause)
    days = _calendar(calendar, zone)
    end = deadline(begin, allowed, days, pauses, extensions)
    early = None if warn is None else warn_at(Term(begin, allowed, pauses, extensions), _early(warn), days)
    told = f"{' and '.join(map(str, (allowed, *extensions)))} from {_local(begin, days.zone)}"
    intervals = explain(begin, end, allowed.unit, days, pauses)
    if draw_into is not None:
        _write(draw_into, draw(told, intervals, days.zone, early))
    typer.echo(_local(end, days.zone))
    if early is not None:
        typer.echo(f"warn at {_local(early, days.zone)}")
    typer.echo(f"{told} ({days.zone.key})")
    _print_intervals(intervals, days.zone)


@_clock.command("elapsed")
def print_elapsed(
    start: Annotated[str, typer.Option("--from", help="When the clock started, such as 2026-11-20T11:00+08:00.")],
    until: Annotated[str, typer.Option("--until", help="When to look at it.")],
    unit: Annotated[str, typer.Option("--unit", help=_LIMIT_HELP.removeprefix("A number and "))] = Unit.WORK_HOUR.key,
    pause: _PauseOption = None,
    calendar: _CalendarOption = None,
    zone: _ZoneOption = None,
) -> None:
    """Print the seconds that count between two moments on the first line, and under it every interval, and why."""
    begin, end = _moment("--from", start), _moment("--until", until)
    if end < begin:
        raise InvalidInputError(f"--until must not be before --from: {until} is before {start}")
    counted_in = _unit(unit)
    pauses = _pauses(pause)
    days = _calendar(calendar, zone)
    counted = elapsed(begin, end, counted_in, days, pauses)
    seconds, rest = divmod(counted, timedelta(seconds=1))
    typer.echo(f"{seconds}{f'.{rest.microseconds:06}' if rest else ''}")
    typer.echo(f"{_length(counted)} of {counted_in.key} from {_local(begin, days.zone)} ({days.zone.key})")
    _print_intervals(explain(begin, end, counted_in, days, pauses), days.zone)


@_clock.command("day")
def print_days(
    given: Annotated[list[str], typer.Argument(metavar="DATE…", help="Dates such as 2026-10-10.")],
    calendar: _CalendarOption = None,
) -> None:
    """Say of each date whether it is worked, why, and in which hours; a line each."""
    dates = [_date(text) for text in given]
    days = _calendar(calendar, None)
    for each in dates:
        day = days.day(each)
        what = day.why if day.why.startswith(_NAMES[day.kind]) else f"{_NAMES[day.kind]}: {day.why}"
        hours = f" ({', '.join(map(str, day.slots))})" if day.slots else ""
        typer.echo(f"{each.isoformat()} {each:%a} {what}{hours}")


def _moment(option: str, text: str) -> datetime:
    expected = f"{option} must be a time with its offset, such as 2026-11-20T11:00+08:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"{expected}, not {text!r}") from None
    if moment.tzinfo is None:
        raise InvalidInputError(f"{expected}, not {text!r}")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise InvalidInputError(f"{option} must lie between {_FIRST_YEAR} and {_LAST_YEAR}, not in {moment.year}")
    return moment


def _unit(text: str) -> Unit:
    for unit in Unit:
        if text in {unit.key, unit.name_zh}:
            return unit
    raise InvalidInputError(f"--unit must be one of {', '.join(unit.key for unit in Unit)}, not {text!r}")


def _pauses(given: Iterable[str] | None) -> list[Pause]:
    return [_pause(text) for text in given or ()]


def _pause(text: str) -> Pause:
    begin, slash, end = text.partition("/")
    if not slash:
        raise InvalidInputError(f"--pause must be FROM/TO, two times with their offsets, not {text!r}")
    return Pause(_moment("--pause", begin), _moment("--pause", end))


def _early(text: str) -> Fraction | Limit:
    if not text.endswith("%"):
        return parse_limit(text)
    try:
        share = Fraction(text[:-1]) / 100
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share < 1:
        raise InvalidInputError(f"--warn must be between 0% and 100%, or a limit such as 1work_hour, not {text!r}")
    return share


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"a day must be a date such as 2026-10-10, not {text!r}") from None


def _calendar(file: Path | None, zone: str | None) -> WorkCalendar:
    """The file's calendar, or the default one; an option that names a zone wins."""
    if zone is None:
        usual = load_settings().zone
        return WorkCalendar(zone=usual) if file is None else read_calendar(file, usual)
    try:
        named = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise InvalidInputError(f"--zone must be a time zone such as Asia/Shanghai, not {zone!r}") from None
    return WorkCalendar(zone=named) if file is None else replace(read_calendar(file, named), zone=named)


def _write(file: Path, picture: str) -> None:
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{file} cannot be written: {error.strerror}") from error


def _print_intervals(intervals: Sequence[Interval], zone: ZoneInfo) -> None:
    rows = [
        (
            each.sort.value,
            f"{each.begin.astimezone(zone):%a} {_local(each.begin, zone)}",
            f"{each.end.astimezone(zone):%a} {_local(each.end, zone)}",
            _length(each.length),
            f"{each.why} ({_length(each.lost)} not counted)" if each.lost else each.why,
        )
        for each in intervals
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
    for *cells, why in rows:
        padded = (
            cell.rjust(width) if cell is cells[3] else cell.ljust(width)
            for cell, width in zip(cells, widths, strict=True)
        )
        typer.echo("  ".join(("", *padded, why)))


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat()


def _length(time: timedelta) -> str:
    """As people say it: ``1h 30m``."""
    hours, rest = divmod(time, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    seconds = f"{rest.total_seconds():.6f}".rstrip("0").rstrip(".")
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{seconds}s" if rest else ""]
    return " ".join(filter(None, parts)) or "0s"
