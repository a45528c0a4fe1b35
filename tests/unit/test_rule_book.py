"""Rule files: every rule kind can be told in one, what is wrong is told with its line, and the book has its ranks."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from devices.catalogue import load_kinds
from devices.kind import DeviceKind
from devices.rule_book import BookRule, read_rule, with_book
from domain.alert import Severity
from domain.errors import InvalidInputError
from rules.catalogue import load_rule_kinds
from rules.kinds.range import Range
from rules.kinds.threshold import Threshold
from rules.levels import Side
from rules.parameters import Reading, Vocabulary, WrongParametersError
from rules.rule import Condition, Level, Rule
from service import cli
from service.commands import rules
from service.rule_file import read_rules, write_rules
from tests.support.documents import example

KINDS = load_kinds()
DEFAULTS = [BookRule(rule, kind.key) for kind in KINDS.values() for rule in kind.rules]

KEY_EXPECTED = "key must be <device kind>.<what>, both of a-z, 0-9 and _, such as manhole.steep"
OF_BIN = "for must be bin: bin.full is a default rule of that kind, not 'manhole'"
OF_NONE = f"key must be of a device kind, which its first part or for names ({', '.join(sorted(KINDS))}), not 'x.y'"
TOLD = set(load_rule_kinds()) - {"reported"}
"""All but what the service reports of itself."""
KIND_EXPECTED = f"kind must be one of {', '.join(sorted(TOLD))}, not 'reported'"
OF_ONE_DEVICE = f"kind must be one of {', '.join(sorted(TOLD - {'balance', 'group'}))}, not 'group'"
CASE_EXPECTED = "case_class must be a case class such as 0101-1, E05-02 or M-battery, not 'manhole'"

STEEP = """\
rules:
  - key: manhole.steep
    kind: threshold
    title: Cover very steep
    title_zh: 井盖陡倾
    condition:
      measure: tilt_deg
      levels:
        - {severity: minor, limit: 30, clear: 25, hold_s: 10}
        - {severity: major, limit: 45}
"""


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    rules.register(app)
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


def written(folder: Path, text: str, name: str = "rules.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def document(**changes: object) -> dict[str, object]:
    told: dict[str, object] = {
        "key": "manhole.steep",
        "kind": "threshold",
        "title": "Cover very steep",
        "title_zh": "井盖陡倾",
        "condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 45}]},
    }
    return {name: value for name, value in (told | changes).items() if value is not None}


def objections(**changes: object) -> list[str]:
    with pytest.raises(WrongParametersError) as raised:
        read_rule(document(**changes), KINDS)
    return [str(each) for each in raised.value.objections]


@pytest.mark.parametrize("one", DEFAULTS, ids=lambda one: one.rule.key)
def test_a_default_written_to_a_file_is_read_back_as_it_was(one: BookRule, tmp_path: Path) -> None:
    assert read_rules(written(tmp_path, write_rules([one]))) == [one]


def test_shadow_and_off_are_read_back_as_they_were(tmp_path: Path) -> None:
    first, second = DEFAULTS[0], DEFAULTS[1]
    book = [replace(first, rule=replace(first.rule, shadow=True)), replace(second, enabled=False)]
    assert read_rules(written(tmp_path, write_rules(book))) == book


@pytest.mark.parametrize("kind", load_rule_kinds().values(), ids=lambda kind: kind.kind)
def test_the_fields_of_every_rule_kind_can_be_told_in_a_file(kind: type[Condition]) -> None:
    # A field of a type that nobody can read raises TypeError; a missing one is only an objection.
    reading = Reading(Vocabulary(load_rule_kinds(), ("tilt_deg",)))
    told = dict.fromkeys((each.name for each in fields(kind)), object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # every rule kind is a dataclass
    reading.condition(kind.kind, told, ("condition",))
    assert {each.path for each in reading.objections} == {("condition", name) for name in told}


def test_a_rule_file_is_read(tmp_path: Path) -> None:
    (one,) = read_rules(written(tmp_path, STEEP))
    levels = (Level(Severity.MINOR, 30.0, 25.0, 10.0), Level(Severity.MAJOR, 45.0))
    assert one == BookRule(
        Rule("manhole.steep", "Cover very steep", "井盖陡倾", Threshold("tilt_deg", levels)), "manhole", enabled=True
    )


def test_all_that_is_wrong_in_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """\
rules:
  - key: manhole.steep
    kind: threshold
    title: Cover very steep
    condition:
      measure: tilt
      levels:
        - {severity: huge, limit: 30}
        - severity: major
          limit: "45"
          holds: 3
  - key: manhole.tilt
    condition:
      measure: tilt_deg
      side: below
      levels:
        - {severity: major, limit: 30, clear: 20}
        - {severity: minor, limit: 20, hold_s: -1}
  - {key: manhole.h2s, enabled: false}
  - {key: manhole.h2s, enabled: maybe}
  - {key: Steep, kind: nonsense}
""",
    )
    with pytest.raises(InvalidInputError) as raised:
        read_rules(path)
    measures = ", ".join(measure.name for measure in KINDS["manhole"].measures)
    assert str(raised.value).split("\n") == [
        f"{path}, line 6: manhole.steep: measure must be a measure of the device kind ({measures}), not 'tilt'",
        f"{path}, line 8: manhole.steep: severity must be one of critical, major, minor, notice, not 'huge'",
        f"{path}, line 11: manhole.steep: a level knows no holds; it knows severity, limit, clear, hold_s, keep_s",
        f"{path}, line 10: manhole.steep: limit must be a number, not '45'",
        f"{path}, line 2: a rule needs title_zh",
        f"{path}, line 18: manhole.tilt: hold_s must be seconds from 0 to 31622400, not -1",
        f"{path}, line 20: manhole.h2s: enabled must be true or false, not 'maybe'",
        f"{path}, line 21: Steep: {KEY_EXPECTED}, not 'Steep'",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": None}, f"{KEY_EXPECTED}, not None"),
        ({"key": "x.y", "for": "tree"}, "for must be one of bin, gas_meter, manhole, streetlight, not 'tree'"),
        ({"key": "bin.full", "for": "manhole"}, OF_BIN),
        ({"key": "x.y"}, OF_NONE),
        ({"kind": "reported"}, KIND_EXPECTED),
        ({"key": "manhole.tilt", "kind": "group"}, OF_ONE_DEVICE),
        ({"condition": None}, "a rule needs condition"),
        ({"case_class": "manhole"}, CASE_EXPECTED),
        ({"sort": "thing"}, "sort must be one of case, maintenance, not 'thing'"),
        ({"ticket_from": 9}, "ticket_from must be one of critical, major, minor, notice, not 9"),
        ({"shadow": 1}, "shadow must be true or false, not 1"),
        ({"title": ""}, "title must be a text of at most 200 printable characters, not ''"),
        ({"shadow": True, "enabled": False}, "enabled must be true where shadow is: a trial that ends is removed"),
        ({"condition": {"measure": "tilt_deg", "levels": []}}, "levels needs at least one entry"),
        ({"condition": {"measure": "tilt_deg"}}, "a threshold condition needs levels"),
        ({"condition": 3}, "condition must be the parameters of a threshold condition, by name, not 3"),
        ({"condition": {"measure": "tilt_deg", "baseline": True, "levels": [{"severity": "major", "limit": 45}]}},
         "baseline must be a number, not True"),
        ({"condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 45, "clear": 46}]}},
         "clear must be at or below the limit of 45, not 46.0"),
        ({"condition": {"measure": "tilt_deg", "side": "below",
                        "levels": [{"severity": "major", "limit": 45, "clear": 44}]}},
         "clear must be at or above the limit of 45, not 44.0"),
        ({"condition": {"measure": "tilt_deg", "levels": [{"severity": "major", "limit": 45},
                                                          {"severity": "minor", "limit": 50}]}},
         "severity must be graver than major, since levels stand mildest first, not 'minor'"),
        ({"kind": "range", "condition": {"measure": "tilt_deg", "low": 3, "high": 2,
                                         "levels": [{"severity": "major", "limit": 0}]}},
         "low must lie below high, not 3 and 2"),
        ({"kind": "stale", "condition": {"intervals": 0}}, "intervals must be above 0 and at most 1000, not 0"),
        ({"kind": "stale", "condition": {"intervals": float("nan")}}, "intervals must be a number, not nan"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_what_was_expected(changes: dict[str, object], expected: str) -> None:
    assert objections(**changes) == [expected]


def test_what_is_left_out_of_a_rule_with_the_key_of_a_default_is_as_there() -> None:
    default = next(rule for rule in KINDS["manhole"].rules if rule.key == "manhole.tilt")
    one = read_rule({"key": "manhole.tilt", "ticket_from": "critical"}, KINDS)
    assert one == BookRule(replace(default, ticket_from=Severity.CRITICAL), "manhole")


def kinds_with(*book: BookRule) -> DeviceKind:
    return with_book(KINDS, book)["manhole"]


def test_a_rule_of_the_book_takes_the_place_of_the_default_with_its_key() -> None:
    one = read_rule(document(key="manhole.tilt"), KINDS)
    in_force = [rule for rule in kinds_with(one).rules if rule.key == "manhole.tilt"]
    assert in_force == [one.rule]
    assert len(kinds_with(one).rules) == len(KINDS["manhole"].rules)


def test_a_default_switched_off_is_gone_and_other_kinds_stay() -> None:
    one = read_rule({"key": "manhole.tilt", "enabled": False}, KINDS)
    assert {rule.key for rule in KINDS["manhole"].rules} - {rule.key for rule in kinds_with(one).rules} == {
        "manhole.tilt"
    }
    assert with_book(KINDS, [one])["bin"].rules == KINDS["bin"].rules


def test_a_rule_in_shadow_takes_no_place() -> None:
    one = read_rule(document(key="manhole.tilt", shadow=True), KINDS)
    in_force = [rule for rule in kinds_with(one).rules if rule.key == "manhole.tilt"]
    assert [rule.slot for rule in in_force] == ["manhole.tilt", "manhole.tilt~shadow"]


def test_a_rule_may_judge_below_and_by_a_band(tmp_path: Path) -> None:
    below = read_rule(
        document(condition={"measure": "o2_pct", "side": "below", "levels": [{"severity": 3, "limit": 19}]}), KINDS
    )
    assert below.rule.condition == Threshold("o2_pct", (Level(Severity.MINOR, 19.0),), side=Side.BELOW)
    band = {"measure": "temp_c", "low": -20, "high": 60, "levels": [{"severity": "notice", "limit": 0, "clear": -5}]}
    assert read_rule(document(kind="range", condition=band), KINDS).rule.condition == Range(
        "temp_c", -20.0, 60.0, (Level(Severity.NOTICE, 0.0, -5.0),)
    )


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("counter", {"measure": "level_m", "looks": "night_flow", "night_from": "01:30", "night_to": 250,
                     "levels": [{"severity": "minor", "limit": 1, "keep_s": 60}]}),
        ("window", {"measure": "level_m", "window_s": 600, "statistic": "max", "at_least": 2,
                    "levels": [{"severity": "minor", "limit": 1}]}),
        ("combined", {"match": "all", "severity": "critical", "hold_s": 5, "parts": [
            {"kind": "threshold", "measure": "tilt_deg", "levels": [{"severity": "minor", "limit": 3}]},
            {"kind": "range", "measure": "temp_c", "low": 0, "high": 9, "levels": [{"severity": "minor", "limit": 0}]},
        ]}),
    ],
)  # fmt: skip
def test_conditions_with_times_and_parts_are_read_back_as_they_were(
    kind: str, condition: dict[str, object], tmp_path: Path
) -> None:
    one = read_rule(document(kind=kind, condition=condition), KINDS)
    assert read_rules(written(tmp_path, write_rules([one]))) == [one]
    assert read_rule(one.document(), KINDS) == one


def test_what_is_wrong_with_a_part_is_told_where_it_stands() -> None:
    parts = [
        {"kind": "threshold", "measure": "tilt_deg", "levels": [{"severity": "minor", "limit": 3, "clear": 4}]},
        {"kind": "nothing"},
        {"kind": "stale"},
    ]
    with pytest.raises(WrongParametersError) as raised:
        read_rule(document(kind="combined", condition={"match": "some", "parts": parts[1:2]}), KINDS)
    assert [each.path for each in raised.value.objections] == [("condition", "match"), ("condition", "parts", 0)]
    with pytest.raises(WrongParametersError) as raised:
        read_rule(document(kind="combined", condition={"match": "any", "parts": [parts[0], parts[0]]}), KINDS)
    assert [each.path for each in raised.value.objections] == [
        ("condition", "parts", number, "levels", 0, "clear") for number in (0, 1)
    ]


def test_check_says_that_nothing_is_wrong_or_ends_with_65(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path, STEEP)
    told = run("check", good)
    assert (told.exit_code, told.output) == (0, "1 rule, and nothing is wrong with it\n")
    bad = written(tmp_path, STEEP.replace("45", "steep"), "bad.yaml")
    monkeypatch.setattr("sys.argv", ["streetwarden", "rules", "check", str(good), str(bad)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 65
    assert f"{bad}, line 10: manhole.steep: limit must be a number, not 'steep'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules: &a [*a]\n", ", line 1: *a must be written out; aliases are not read here"),
        ("x: &a {key: b.c}\nrules:\n- *a\n", ", line 3: *a must be written out; aliases are not read here"),
        ("rules:\n- {key: [}\n", ", line 2: expected the node content, but found '}'"),
        ("", " is empty; a rule file has rules"),
        ("rules: []\nrule: 3\n", ", line 2: the file knows no rule; it knows rules"),
        ("rules: " + "[" * 3000 + "]" * 3000, " is nested deeper than any rule or story"),
    ],
)
def test_a_file_that_is_no_rule_file_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InvalidInputError) as raised:
        read_rules(path)
    assert str(raised.value) == f"{path}{expected}"


def test_one_key_in_two_files_is_refused(tmp_path: Path) -> None:
    one, two = written(tmp_path, STEEP), written(tmp_path, STEEP, "more.yaml")
    told = run("check", one, two)
    assert str(told.exception) == f"{two}: manhole.steep stands in {one}, too"


def test_a_story_tries_a_rule_file_before_it_goes_live(tmp_path: Path) -> None:
    written(tmp_path, STEEP.replace("kind: threshold", "shadow: true\n    kind: threshold"))
    story = written(
        tmp_path,
        """\
kind: manhole
rules: rules.yaml
stories:
  - name: steep
    rule: manhole.steep
    inputs:
      - {at: 0, values: {tilt_deg: 40}}
      - {at: 1m, values: {tilt_deg: 50}}
      - {at: 2m, values: {tilt_deg: 2}}
    until: 3m
    expect:
      - {at: 10s, step: opened, severity: minor}
      - {at: 1m, step: rose, severity: major}
      - {at: 2m, step: cleared, severity: major}
""",
        "story.yaml",
    )
    told = run("test", story)
    assert told.exit_code == 0, told.output


def test_the_rule_file_of_the_documents_is_right(tmp_path: Path) -> None:
    path = written(tmp_path, example("docs/rules.md", "own-rules.yaml"))
    assert [one.rule.slot for one in read_rules(path)] == [
        "manhole.steep",
        "manhole.tilt",
        "manhole.co",
        "manhole.overflow~shadow",
    ]
