"""``streetwarden clock``: what it prints, and what it says of input that it cannot take."""

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from domain.errors import InvalidInputError
from service import cli
from service.commands import clock
from tests.support.documents import ROOT, example, text_of
from worktime.state_council import STATE_COUNCIL

FROM = ("--from", "2026-11-20T11:00+08:00")
LIMIT = ("--limit", "4work_hour")

FILE = """\
zone: Asia/Shanghai
slots: [09:00-12:00, 13:30-17:30]
seasons:
  - {from: 05-01, to: 09-30, slots: [08:00-12:00, 15:00-18:00]}
week: [mon, tue, wed, thu, fri, sat]
days:
  2026-11-21: {holiday: 区运动会}
  2026-11-22: {working: 补班, slots: [08:00-10:00]}
  2026-11-24: holiday
  2026-11-29: working
  2027-01-01: {holiday: 元旦}
complete_years: [2027]
unknown_years: weekdays
"""


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    clock.register(app)
    return CliRunner().invoke(app, ["clock", *map(str, arguments)])


def lines(*arguments: str | Path) -> list[str]:
    ran = run(*arguments)
    assert ran.exit_code == 0, ran.exception or ran.output
    return ran.output.splitlines()


def said(*arguments: str | Path) -> str:
    """What is said of wrong input."""
    ran = run(*arguments)
    assert isinstance(ran.exception, InvalidInputError), ran.output
    return str(ran.exception)


def written(folder: Path, text: str) -> Path:
    path = folder / "calendar.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_deadline_stands_on_the_first_line_and_the_intervals_under_it() -> None:
    assert lines("deadline", *FROM, *LIMIT) == [
        "2026-11-20T17:00:00+08:00",
        "4work_hour from 2026-11-20T11:00:00+08:00 (Asia/Shanghai)",
        "  counted  Fri 2026-11-20T11:00:00+08:00  Fri 2026-11-20T12:00:00+08:00  1h  morning slot",
        "  skipped  Fri 2026-11-20T12:00:00+08:00  Fri 2026-11-20T14:00:00+08:00  2h  lunch break",
        "  counted  Fri 2026-11-20T14:00:00+08:00  Fri 2026-11-20T17:00:00+08:00  3h  afternoon slot",
    ]


def test_pauses_extensions_and_a_warning_are_regarded() -> None:
    told = lines(
        *("deadline", *FROM, "--limit", "4 工作时", "--extend", "2work_hour", "--warn", "80%"),
        *("--pause", "2026-11-20T11:30+08:00/2026-11-20T15:00+08:00"),
        *("--pause", "2026-11-23T09:00+08:00/2026-11-23T09:15:00.5+08:00"),
    )
    # Half an hour, three hours on Friday; the rest, two hours and a half, on Monday from 8 on.
    assert told[:3] == [
        "2026-11-23T10:45:00.500000+08:00",
        "warn at 2026-11-23T09:33:00.500000+08:00",
        "4work_hour and 2work_hour from 2026-11-20T11:00:00+08:00 (Asia/Shanghai)",
    ]
    assert told[4].endswith("3h 30m  pause (1h 30m not counted)")
    assert told[-2].endswith("15m 0.5s  pause (15m 0.5s not counted)")


@pytest.mark.parametrize(
    ("warn", "told"), [("25%", "12:00"), ("12.5%", "11:30"), ("1work_hour", "16:00"), ("3work_day", "11:00")]
)
def test_a_warning_comes_at_a_share_or_so_long_before(warn: str, told: str) -> None:
    assert lines("deadline", *FROM, *LIMIT, "--warn", warn)[1] == f"warn at 2026-11-20T{told}:00+08:00"


def test_any_offset_is_read_and_the_zone_s_own_is_told() -> None:
    assert lines("deadline", "--from", "2026-11-20T03:00Z", *LIMIT)[0] == "2026-11-20T17:00:00+08:00"
    # Eleven in Shanghai is ten at night in New York, the evening before.
    told = lines("deadline", *FROM, *LIMIT, "--zone", "America/New_York")
    assert told[0] == "2026-11-20T12:00:00-05:00"


def test_the_zone_is_the_district_s_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREETWARDEN_DISTRICT_TIMEZONE", "Asia/Urumqi")
    file = written(tmp_path, FILE)

    def zone(*more: str | Path) -> str:
        return lines("deadline", *FROM, *LIMIT, *more)[1].rpartition(" ")[2]

    assert zone() == "(Asia/Urumqi)"
    assert zone("--calendar", file) == "(Asia/Shanghai)"
    assert zone("--calendar", file, "--zone", "Asia/Tokyo") == "(Asia/Tokyo)"
    assert zone("--calendar", written(tmp_path, "week: [mon]")) == "(Asia/Urumqi)"


def test_what_has_elapsed_stands_in_seconds_on_the_first_line() -> None:
    assert lines("elapsed", *FROM, "--until", "2026-11-23T09:30:30.5+08:00")[:3] == [
        "23430.500000",
        "6h 30m 30.5s of work_hour from 2026-11-20T11:00:00+08:00 (Asia/Shanghai)",
        "  counted  Fri 2026-11-20T11:00:00+08:00  Fri 2026-11-20T12:00:00+08:00                   1h  morning slot",
    ]
    running = lines("elapsed", *FROM, "--until", "2026-11-21T11:00+08:00", "--unit", "natural_day")
    assert running[0] == "86400"
    paused = ("--pause", "2026-11-20T11:00+08:00/2026-11-20T12:00+08:00")
    assert lines("elapsed", *FROM, "--until", "2026-11-20T13:00+08:00", *paused)[:2] == [
        "0",
        "0s of work_hour from 2026-11-20T11:00:00+08:00 (Asia/Shanghai)",
    ]
    assert lines("elapsed", *FROM, "--until", FROM[1])[0] == "0"


def test_days_are_told_a_line_each() -> None:
    days = ("2026-10-01", "2026-10-10", "2026-11-25", "2026-11-28")
    assert lines("day", *days) == [
        "2026-10-01 Thu holiday: National Day 国庆节",
        "2026-10-10 Sat make-up day 调休 for National Day 国庆节 (08:00-12:00, 14:00-18:00)",
        "2026-11-25 Wed working day (08:00-12:00, 14:00-18:00)",
        "2026-11-28 Sat weekend",
    ]


def test_a_calendar_file_says_what_the_district_does_otherwise(tmp_path: Path) -> None:
    file = written(tmp_path, FILE)
    days = (
        "2026-09-30",
        "2026-11-21",
        "2026-11-22",
        "2026-11-24",
        "2026-11-28",
        "2026-11-29",
        "2027-01-01",
        "2027-01-04",
    )
    assert lines("day", *days, "2196-02-29", "--calendar", file) == [
        "2026-09-30 Wed working day (08:00-12:00, 15:00-18:00)",
        "2026-11-21 Sat holiday: 区运动会",
        "2026-11-22 Sun make-up day: 补班 (08:00-10:00)",
        "2026-11-24 Tue holiday: the district's own day off",
        "2026-11-28 Sat working day (09:00-12:00, 13:30-17:30)",
        "2026-11-29 Sun make-up day: the district's own working day (09:00-12:00, 13:30-17:30)",
        "2027-01-01 Fri holiday: 元旦",
        "2027-01-04 Mon working day (09:00-12:00, 13:30-17:30)",
        "2196-02-29 Mon working day, as the holidays of 2196 are not known (09:00-12:00, 13:30-17:30)",
    ]
    # Friday 11–12 and 13:30–17:30 are five hours, Sunday two, Monday from nine.
    assert lines("deadline", *FROM, "--limit", "8work_hour", "--calendar", file)[0] == "2026-11-23T10:00:00+08:00"


def test_a_calendar_may_know_no_holidays_at_all(tmp_path: Path) -> None:
    file = written(tmp_path, "holidays: none\n")
    assert lines("day", "2026-10-01", "2030-10-10", "--calendar", file) == [
        "2026-10-01 Thu working day (08:00-12:00, 14:00-18:00)",
        "2030-10-10 Thu working day (08:00-12:00, 14:00-18:00)",
    ]


UNITS = "urgent_hour, natural_day, work_hour, work_day"
FROM_EXPECTED = "--from must be a time with its offset, such as 2026-11-20T11:00+08:00"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("deadline", "--from", "2026-11-20T11:00", *LIMIT), f"{FROM_EXPECTED}, not '2026-11-20T11:00'"),
        (("deadline", "--from", "noon", *LIMIT), f"{FROM_EXPECTED}, not 'noon'"),
        (
            ("deadline", "--from", "9999-11-20T11:00Z", *LIMIT),
            "--from must lie between 1970 and 2199, not in 9999",
        ),
        (
            ("deadline", *FROM, "--limit", "4hours"),
            f"'4hours' is no limit: it must be a number and one of {UNITS}, such as 4work_hour",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--extend", "1natural_day"),
            "an extension of 4work_hour must be in work_hour or work_day, not 1natural_day",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--warn", "1urgent_hour"),
            "a warning of 4work_hour must be in work_hour or work_day, not 1urgent_hour",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--warn", "100%"),
            "--warn must be between 0% and 100%, or a limit such as 1work_hour, not '100%'",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--warn", "1/0%"),
            "--warn must be between 0% and 100%, or a limit such as 1work_hour, not '1/0%'",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--pause", "2026-11-20T11:00Z"),
            "--pause must be FROM/TO, two times with their offsets, not '2026-11-20T11:00Z'",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--pause", "2026-11-20T11:00Z/2026-11-20T10:00Z"),
            "a pause must begin before it ends, not 2026-11-20T11:00:00+00:00/2026-11-20T10:00:00+00:00",
        ),
        (
            ("deadline", *FROM, *LIMIT, "--zone", "Shanghai"),
            "--zone must be a time zone such as Asia/Shanghai, not 'Shanghai'",
        ),
        (
            ("elapsed", *FROM, "--until", "2026-11-20T02:00Z"),
            "--until must not be before --from: 2026-11-20T02:00Z is before 2026-11-20T11:00+08:00",
        ),
        (
            ("elapsed", *FROM, "--until", "2026-11-20T04:00Z", "--unit", "hour"),
            f"--unit must be one of {UNITS}, not 'hour'",
        ),
        (("day", "2026-02-30"), "a day must be a date such as 2026-10-10, not '2026-02-30'"),
        (("day", "1969-12-31"), "the clock runs from 1970 to 2199, not in 1969"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_input_is_told(arguments: Sequence[str], message: str) -> None:
    assert said(*arguments) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is empty; a calendar file has one or more of zone, slots, seasons, week, holidays, days, "),
        ("zones: x", ", line 1: the file knows no zones; it knows zone, slots, seasons, week, holidays, days, "),
        ("zone: Shanghai", ", line 1: zone must be a time zone such as Asia/Shanghai, not 'Shanghai'"),
        ("slots: 08:00-12:00", ", line 1: slots must be a list, not '08:00-12:00'"),
        ("slots: []", ", line 1: slots must be a list of one slot or more"),
        ("slots: [8-12]", ", line 1: a slot must be hours such as 08:00-12:00, not '8-12'"),
        ("slots: [14:00-18:00, 08:00-12:00]", ", line 1: slots must follow one another without overlap: 08:00-12:00 "),
        ("slots: [22:00-06:00]", ", line 1: a slot must begin before it ends and lie within one day, not 22:00-06:00"),
        ("slots: [20:00-24:30]", ", line 1: a slot must begin before it ends and lie within one day, not 20:00-24:30"),
        ("seasons:\n- {from: 05-01}", ", line 2: a season needs to"),
        (
            "seasons:\n- {from: 5-1, to: 09-30, slots: []}",
            ", line 2: from must be a month and a day such as 05-01, not '5-1'",
        ),
        (
            "seasons:\n- {from: 05-01, to: 09-31, slots: []}",
            ", line 2: to must be a month and a day such as 05-01, not ",
        ),
        ("seasons:\n- {from: 05-01, to: 09-30, slots: []}", ", line 2: slots must be a list of one slot or more"),
        (
            (
                "seasons:\n- {from: 05-01, to: 09-30, slots: [08:00-12:00]}\n"
                "- {from: 09-30, to: 10-31, slots: [08:00-12:00]}"
            ),
            ", line 2: seasons must not overlap: 05-01 to 09-30 and 09-30 to 10-31 do",
        ),
        ("week: [monday]", ", line 1: a weekday must be one of mon, tue, wed, thu, fri, sat, sun, not 'monday'"),
        ("holidays: china", ", line 1: holidays must be one of state_council, none, not 'china'"),
        ("unknown_years: guess", ", line 1: unknown_years must be one of refuse, weekdays, not 'guess'"),
        ("complete_years: [27]", ", line 1: a year must be four digits, such as 2027, not '27'"),
        ("days:\n  2026-13-01: holiday", ", line 2: a day must be a date such as 2026-12-25, not '2026-13-01'"),
        ("days:\n  20261201: holiday", ", line 2: a day must be a date such as 2026-12-25, not '20261201'"),
        ("days:\n  2026-12-25: off", ", line 2: 2026-12-25 must be one of working, holiday, not 'off'"),
        ("days:\n  2026-12-25: {}", ", line 2: 2026-12-25 must be either working or holiday, with the reason"),
        ("days:\n  2026-12-25: {working: a, holiday: b}", ", line 2: 2026-12-25 must be either working or holiday, "),
        ("days:\n  2026-12-25: {off: x}", ", line 2: 2026-12-25 knows no off; it knows working, holiday, slots"),
        ("days:\n  2026-12-25:\n    holiday: x\n    slots: []", ", line 4: a holiday has no slots"),
        (
            "days:\n  2026-12-25: {working: x, slots: [a]}",
            ", line 2: a slot must be hours such as 08:00-12:00, not 'a'",
        ),
        ("days:\n  2026-12-25: holiday\n  2026-12-25: working", ", line 3: 2026-12-25 stands twice in days"),
    ],
)
def test_what_is_wrong_in_a_calendar_file_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    assert said("day", "2026-11-25", "--calendar", file).startswith(f"{file}{message}")


def test_a_year_that_is_not_known_is_told_with_what_to_do() -> None:
    first, last = min(STATE_COUNCIL.years), max(STATE_COUNCIL.years)
    assert said("deadline", "--from", f"{last}-12-31T17:00+08:00", "--limit", "60work_day") == (
        f"which days of {last + 1} are worked is not known: the State Council's notices are at hand for {first} to "
        f"{last}. Bring the library chinesecalendar up to date; or give a calendar file that lists the year's days and "
        "names it in complete_years, or says unknown_years: weekdays"
    )


def test_wrong_input_ends_with_65(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["streetwarden", "clock", "day", "tomorrow"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 65
    assert capsys.readouterr().err == "streetwarden: a day must be a date such as 2026-10-10, not 'tomorrow'\n"


# ------------------------------------------------------------------------------------------------- the manual


def commanded(name: str) -> tuple[list[str], str]:
    """The words of an example's command after ``streetwarden clock``, and what the manual says it prints."""
    command, output = example("docs/working-time.md", name).replace("\\\n", " ").split("\n", 1)
    words = shlex.split(command)
    assert words[:3] == ["$", "streetwarden", "clock"]
    return words[3:], output


@pytest.mark.parametrize("name", ["deadline", "days", "elapsed"])
def test_the_manual_shows_what_is_printed(name: str) -> None:
    words, output = commanded(name)
    assert run(*words).output == output


def test_the_manual_shows_the_picture_that_is_drawn(tmp_path: Path) -> None:
    words, _ = commanded("deadline")
    picture = tmp_path / "deadline.svg"
    lines(*words, "--draw", picture)
    drawn = picture.read_text(encoding="utf-8")
    assert drawn == text_of(ROOT / "docs/pictures/deadline.svg")
    rows = re.findall(r'font-size="11">(\w.*?)</text>', drawn)
    assert rows == ["Wed 09-30", "10-01 to 10-07", "Thu 10-08", "Fri 10-09", "Sat 10-10"]


def test_the_manual_s_calendar_is_one(tmp_path: Path) -> None:
    file = written(tmp_path, example("docs/working-time.md", "calendar"))
    assert lines("day", "2026-08-03", "2026-12-25", "2026-12-26", "2027-01-01", "--calendar", file) == [
        "2026-08-03 Mon working day (08:30-12:00, 15:00-18:30)",
        "2026-12-25 Fri holiday: 区运动会",
        "2026-12-26 Sat make-up day: 补班 (08:30-12:00)",
        "2027-01-01 Fri holiday: the district's own day off",
    ]


def test_a_picture_that_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "x.svg"
    assert (
        said("deadline", *FROM, *LIMIT, "--draw", missing) == f"{missing} cannot be written: No such file or directory"
    )
    file = tmp_path / "x.svg"
    long = ("deadline", "--from", "2026-01-05T11:00+08:00", "--limit", "100natural_day", "--draw", file)
    assert said(*long) == "a picture shows at most 62 days, not 101"
    assert not file.exists()


def test_a_deadline_at_midnight_is_drawn_at_the_end_of_its_day(tmp_path: Path) -> None:
    file = tmp_path / "x.svg"
    calendar = written(tmp_path, "slots: [20:00-24:00]")
    told = lines("deadline", *FROM, *LIMIT, "--calendar", calendar, "--draw", file)
    assert told[0] == "2026-11-21T00:00:00+08:00"
    assert ">due 00:00</text>" in file.read_text(encoding="utf-8")
