"""Stories: those that come along hold and cover every default rule; what differs or is wrong in a file is told."""

import sys
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from domain.alert import Severity, Step
from domain.errors import InvalidInputError
from rules.kinds.expected import Expected, Wrong
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.plan import make_plan
from rules.rule import Rule
from rules.story import Shows, Story, differences, play, told
from service import cli
from service.commands import rules
from service.story_file import read_stories
from tests.support.documents import example

SHIPPED = rules.shipped_stories()
RULES = [(kind, rule) for kind in load_kinds().values() for rule in kind.rules]
each_rule = pytest.mark.parametrize("rule", [rule for _, rule in RULES], ids=lambda rule: rule.key)

GOOD = """\
kind: manhole
stories:
  - name: a cover is lifted
    rule: manhole.tilt
    inputs:
      - {at: 0, values: {tilt_deg: 20}}
      - {at: 1m, values: {tilt_deg: 1}}
    until: 2m
    expect:
      - {at: 30s, step: opened, severity: major}
      - {at: 1m, step: cleared, severity: major}
"""


def run(*files: Path) -> Result:
    app = typer.Typer()
    rules.register(app)
    return CliRunner().invoke(app, ["rules", "test", *map(str, files)])


def written(folder: Path, text: str) -> Path:
    path = folder / "stories.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def about(rule: Rule) -> list[Story]:
    return [story for story in SHIPPED if story.rule == rule.key]


@pytest.mark.parametrize("story", SHIPPED, ids=lambda story: f"{story.rule}: {story.shows}: {story.name}")
def test_a_story_that_comes_along_goes_as_it_expects(story: Story) -> None:
    assert differences(story.expect, play(story)) == []


@each_rule
def test_every_default_rule_has_a_story_of_all_that_it_can_show(rule: Rule) -> None:
    needed = {Shows.FIRE, Shows.CLEAR, Shows.NO_FIRE}
    if rule.condition.measures:
        needed.add(Shows.GAP)
        if any(level.hold_s for level in rule.condition.levels):
            needed.add(Shows.HOLD)
    assert {story.shows for story in about(rule)} == needed


@pytest.mark.parametrize("story", SHIPPED, ids=lambda story: f"{story.rule}: {story.shows}: {story.name}")
def test_a_story_shows_what_it_says(story: Story) -> None:
    steps = [one.step for one in story.expect]
    times = [*(one.at for one in story.inputs), story.until]
    longest = max(later - earlier for earlier, later in pairwise(times))
    match story.shows:
        case Shows.FIRE:
            assert Step.OPENED in steps
        case Shows.CLEAR:
            assert steps[-1] in {Step.CLEARED, Step.FELL}
        case Shows.NO_FIRE:
            assert steps == []
        case Shows.GAP:
            assert longest > timedelta(microseconds=story.plan.validity)
        case Shows.HOLD:
            assert story.rule is not None
            assert any(story.plan.by_key[story.rule].holds)
        case None:
            pytest.fail("it says nothing")


@each_rule
def test_every_severity_of_a_rule_is_reached_in_its_stories(rule: Rule) -> None:
    reached = {one.severity for story in about(rule) for one in story.expect}
    assert reached == {level.severity for level in rule.condition.levels}


def moved(rule: Rule) -> list[dict[str, object]]:
    """Overrides that each move one number of the rule a little: a level that is harder to reach, or holds longer."""
    condition = rule.condition
    if isinstance(condition, Expected):
        return _moved_lamp(condition)
    if not isinstance(condition, Threshold):
        return [{"intervals": (condition.silence_intervals or 0.0) + step} for step in (-0.1, 0.1)]
    away = 1.01 if condition.side is Side.ABOVE else 0.99
    changes: list[dict[str, object]] = []
    for level in condition.levels:
        name = level.severity.name.lower()
        changes.append({name: {"limit": level.limit * away}})
        if level.hold_s:
            changes.append({name: {"hold_s": level.hold_s + 1}})
    return changes


def _moved_lamp(condition: Expected) -> list[dict[str, object]]:
    numbers = {"grace_s": condition.grace_s}
    if condition.wrong is Wrong.DIMMED:
        numbers["off_by_pct"] = condition.off_by_pct
    else:
        numbers["burns_from_w"] = condition.burns_from_w
    moves: list[dict[str, object]] = [
        {name: number * factor} for name, number in numbers.items() for factor in (0.99, 1.01)
    ]
    return [*moves, {condition.severity.name.lower(): {"hold_s": condition.hold_s + 1}}]


@pytest.mark.parametrize(
    ("kind", "rule", "change"),
    [pytest.param(kind, rule, change, id=f"{rule.key}: {change}") for kind, rule in RULES for change in moved(rule)],
)
def test_a_number_of_a_default_rule_that_moves_is_noticed_by_its_stories(
    kind: DeviceKind, rule: Rule, change: dict[str, object]
) -> None:
    def goes_otherwise(story: Story) -> bool:
        plan = make_plan(
            kind.rules,
            interval_s=story.plan.validity / 1_000_000 / kind.validity_factor,
            validity_factor=kind.validity_factor,
            overrides={rule.key: change},
            surroundings=story.surroundings,
        )
        return differences(story.expect, play(replace(story, plan=plan))) != []

    assert any(goes_otherwise(story) for story in about(rule))


def test_the_command_plays_what_comes_along() -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (0, f"{len(SHIPPED)} of {len(SHIPPED)} stories went as expected\n")


def test_the_example_of_the_manual_goes_as_it_expects(tmp_path: Path) -> None:
    result = run(written(tmp_path, example("docs/rules.md", "lorry.yaml")))
    assert (result.exit_code, result.stdout) == (0, "1 of 1 stories went as expected\n")


def test_what_goes_otherwise_is_printed_and_ends_with_1(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD.replace("at: 30s, step: opened", "at: 31s, step: opened"))
    result = run(path)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{path}, line 3: a cover is lifted",
        "    - 31s opened manhole.tilt major",
        "    + 30s opened manhole.tilt major",
        "      1m cleared manhole.tilt major",
        "",
        "1 of 1 stories went otherwise (- expected, + happened)",
    ]


def test_without_a_rule_the_steps_of_all_are_compared(tmp_path: Path) -> None:
    text = GOOD.replace("    rule: manhole.tilt\n", "").replace("step:", "rule: manhole.tilt, step:")
    assert run(written(tmp_path, text)).exit_code == 0
    noisy = text.replace("tilt_deg: 20}", "tilt_deg: 20, h2s_ppm: 7}")
    assert "+ 0s opened manhole.h2s minor" in run(written(tmp_path, noisy)).stdout


@pytest.mark.parametrize(
    "doubt", ["flags: {tilt_deg: out_of_range}, values: {tilt_deg: 20}", "values: {tilt_deg: 999}"]
)
def test_a_value_in_doubt_is_not_judged(tmp_path: Path, doubt: str) -> None:
    [story] = read_stories(written(tmp_path, GOOD.replace("values: {tilt_deg: 20}", doubt)))
    assert play(story) == []


def test_an_interval_and_overrides_are_a_devices_own(tmp_path: Path) -> None:
    own = "    interval_s: 10m\n    overrides: {manhole.tilt: {major: {hold_s: 45}}, manhole.offline: {intervals: 2}}\n"
    text = GOOD.replace("    rule: manhole.tilt\n", own).replace("until: 2m", "until: 1h")
    [story] = read_stories(written(tmp_path, text.replace("step:", "rule: manhole.tilt, step:")))
    assert [(told(one.at), one.step, one.rule, one.severity) for one in play(story)] == [
        ("45s", Step.OPENED, "manhole.tilt", Severity.MAJOR),
        ("1m", Step.CLEARED, "manhole.tilt", Severity.MAJOR),
        ("21m", Step.OPENED, "manhole.offline", Severity.MINOR),
    ]


@pytest.mark.parametrize(
    ("before", "after", "line", "expected"),
    [
        ("kind: manhole", "kind: drain", 1, "kind must be one of bin, gas_meter, manhole, streetlight, not 'drain'"),
        ("stories:", "storys:", 3, "the file knows no storys; it knows kind, stories"),
        ("    until: 2m\n", "", 3, "a story needs until"),
        ("until: 2m", "untill: 2m", 8, "a story knows no untill; it knows name, inputs, until, expect, rule"),
        ("until: 2m", "until: 2 min", 8, "until must be seconds, or a time such as 45s, 5m or 1h30m, not '2 min'"),
        ("until: 2m", "until: 10s", 8, "until must be no earlier than the last input"),
        ("until: 2m", "until: .nan", 8, "until must be seconds"),
        ("tilt_deg: 20", "tilt: 20", 6, "there is no measure tilt; known are tilt_deg, lid_open"),
        ("tilt_deg: 20", "tilt_deg: steep", 6, "tilt_deg must be a number of °, not 'steep'"),
        ("tilt_deg: 20", "lid_open: 1", 6, "lid_open must be true or false, not '1'"),
        (", values: {tilt_deg: 20}", "", 6, "an input needs values or flags"),
        ("at: 1m, values", "at: 0, values", 7, "inputs must stand in the order of their times"),
        ("rule: manhole.tilt", "rule: manhole.tilted", 4, "rule must be one of manhole.tilt, manhole.open"),
        ("step: opened", "step: raised", 10, "step must be one of opened, rose, fell, cleared, not 'raised'"),
        ("severity: major}\n      -", "severity: bad}\n      -", 10, "severity must be one of critical, major, minor"),
        ("until: 2m", "overrides: {manhole.x: {}}\n    until: 2m", 8, "there is no rule manhole.x; known are"),
        ("until: 2m", "overrides: {manhole.tilt: {minor: {limit: 1}}}\n    until: 2m", 8, "no parameter 'minor'"),
        (
            "until: 2m",
            "start: 2026-03-01\n    until: 2m",
            8,
            "start must be a time with its offset, such as 2026-03-01T",
        ),
        ("until: 2m", "lighting: []\n    until: 2m", 8, "lighting must be left out where place is"),
        ("until: 2m", "place: {longitude: 1}\n    until: 2m", 8, "place needs latitude"),
        (
            "until: 2m",
            "place: {longitude: 1, latitude: 99}\n    until: 2m",
            8,
            "latitude must be degrees from -90 to 90",
        ),
        (
            "until: 2m",
            "place: {longitude: 1, latitude: 9, zone: Sichuan}\n    until: 2m",
            8,
            "zone must be a time zone such as Asia/Shanghai, not 'Sichuan'",
        ),
        (
            "until: 2m",
            "place: {longitude: 1, latitude: 9}\n    lighting: [{from: 01-01, on: 18:00, off: noon}]\n    until: 2m",
            9,
            "off must be a time of day such as 19:30, or sunrise",
        ),
        ("until: 2m", "until: 2m\n    until: 3m", 9, "until stands twice in a story"),
        ("until: 2m", "until: [", 10, "expected"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_line_and_what_was_expected(
    tmp_path: Path, before: str, after: str, line: int, expected: str
) -> None:
    assert before in GOOD
    path = written(tmp_path, GOOD.replace(before, after, 1))
    with pytest.raises(InvalidInputError) as caught:
        read_stories(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert expected in str(caught.value)


def test_a_wrong_file_ends_the_command_with_65_and_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, GOOD.replace("until: 2m", "until: later"))
    monkeypatch.setattr(sys, "argv", ["streetwarden", "rules", "test", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == InvalidInputError.exit_code == 65
    assert capsys.readouterr().err.startswith(f"streetwarden: {path}, line 8: until must be seconds")


@pytest.mark.parametrize("text", ["", "kind: manhole\nstories: []\n"])
def test_a_file_without_a_story_is_refused(tmp_path: Path, text: str) -> None:
    assert isinstance(run(written(tmp_path, text)).exception, InvalidInputError)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_stories(tmp_path / "none.yaml")
