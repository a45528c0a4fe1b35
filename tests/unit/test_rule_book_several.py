"""Rules over several devices in rule files: read like every other rule, and refused with what was expected."""

from dataclasses import replace
from pathlib import Path

import pytest

from devices.catalogue import load_group_rules, load_kinds
from devices.rule_book import SEVERAL, BookRule, read_rule, several_with_book, with_book
from domain.alert import Severity
from domain.errors import InvalidInputError
from rules.kinds.group import By, Group
from rules.parameters import WrongParametersError
from rules.rule import Rule
from service.rule_file import read_rule_files, read_rules, write_rules
from tests.support.documents import example

KINDS = load_kinds()
DEFAULTS = load_group_rules()
NO_SUCH = "must be the key of a rule that there is, and that judges single devices"

KEY_EXPECTED = "key must be <what>.<what>, both of a-z, 0-9 and _, such as manhole.washed_open"

GROUP: dict[str, object] = {
    "members": ["manhole.tilt", "manhole.open"],
    "by": "site",
    "severity": "major",
    "within_s": 600,
}
BALANCE: dict[str, object] = {"measure": "volume_m3", "counter": True, "severity": "major", "limit_m3h": 1}


def document(condition: dict[str, object] | None = None, **changes: object) -> dict[str, object]:
    told = {"key": "park.shaken", "kind": "group", "title": "Park shaken", "title_zh": "多井盖同时异动"}
    return {**told, "condition": {**GROUP, **(condition or {})}, **changes}


def balance(**condition: object) -> dict[str, object]:
    return {**document(kind="balance"), "condition": {**BALANCE, **condition}}


def objections(given: dict[str, object], beside: set[str] | None = None) -> list[str]:
    with pytest.raises(WrongParametersError) as raised:
        read_rule(given, KINDS, beside or set())
    return [str(each) for each in raised.value.objections]


@pytest.mark.parametrize("rule", DEFAULTS.values(), ids=lambda rule: rule.key)
def test_a_default_written_to_a_file_is_read_back_as_it_was(rule: Rule, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    book = [BookRule(rule, SEVERAL), BookRule(KINDS["bin"].rules[0], "bin")]
    path.write_text(write_rules(book), encoding="utf-8")
    assert read_rules(path) == book


def test_a_new_one_is_read_whatever_its_key_begins_with() -> None:
    expected = Group(members=("manhole.tilt", "manhole.open"), by=By.SITE, severity=Severity.MAJOR, within_s=600.0)
    for given in (document(), document() | {"for": "group"}):
        one = read_rule(given, KINDS, set())
        assert one == BookRule(Rule("park.shaken", "Park shaken", "多井盖同时异动", expected), SEVERAL)


def test_what_is_left_out_of_one_with_the_key_of_a_default_is_as_there() -> None:
    one = read_rule({"key": "site.silent", "ticket_from": "major"}, KINDS, set())
    assert one == BookRule(replace(DEFAULTS["site.silent"], ticket_from=Severity.MAJOR), SEVERAL)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (document({"members": ["manhole.tilt", "manhole.steep"]}), f"members no. 2 {NO_SUCH}, not 'manhole.steep'"),
        (document({"members": ["site.silent"]}), f"members no. 1 {NO_SUCH}, not 'site.silent'"),
        (document({"inhibits": ["bin.gone"]}), f"inhibits no. 1 {NO_SUCH}, not 'bin.gone'"),
        (document({"every": [["manhole.tilt"], ["bin.full"]]}), "1 no. 1 must be one of the members, not 'bin.full'"),
        (document({"by": "near"}), "metres must be above 0 where by is near, not 0.0"),
        (document({"by": "street"}), "by must be one of circuit, site, grid, near, not 'street'"),
        (document({"at_least": 0}), "at_least must be a whole number from 1 to 100000, not 0"),
        (document({"clear_below": 3}),
         "clear_below may not exceed at_least, nor clear_share the share: it would clear as it fires"),
        (document({"members": []}), "members needs at least one entry"),
        (document(shadow=True), "a rule over several devices cannot be on trial: shadow must be false"),
        (document() | {"for": "manhole"},
         "for must be group, or left out, for a rule over several devices, not 'manhole'"),
        (document(key="Park"), f"{KEY_EXPECTED}, not 'Park'"),
        (document(key="site.silent", kind="stale"), "kind must be one of balance, group, not 'stale'"),
        (balance(measure="tilt_deg"),
         "measure must be a measure of the device kind (flow_m3h, volume_m3), not 'tilt_deg'"),
        (balance(counter=False),
         "counter must be true for a measure that counts (m³), and false for a flow (m³/h), not False"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_refused_with_what_was_expected(given: dict[str, object], expected: str) -> None:
    assert objections(given) == [expected]


def test_it_may_name_rules_of_the_book_and_of_the_files_beside_it(tmp_path: Path) -> None:
    members = ["manhole.tilt", "manhole.steep"]
    one = read_rule(document({"members": members}), KINDS, {"manhole.steep"})
    assert one.rule.condition.as_data()["members"] == members
    steep, group = tmp_path / "steep.yaml", tmp_path / "group.yaml"
    steep.write_text(
        "rules:\n  - {key: manhole.steep, kind: stale, title: x, title_zh: x, condition: {intervals: 9}}\n"
    )
    group.write_text(
        "rules:\n  - key: park.shaken\n    kind: group\n    title: x\n    title_zh: x\n    condition:\n"
        "      members: [manhole.steep]\n      by: site\n      severity: major\n      within_s: 60\n"
    )
    assert [one.rule.key for one, _ in read_rule_files([group, steep])] == ["park.shaken", "manhole.steep"]
    with pytest.raises(InvalidInputError) as raised:
        read_rules(group)
    assert str(raised.value) == f"{group}, line 7: park.shaken: members no. 1 {NO_SUCH}, not 'manhole.steep'"


def test_the_book_replaces_adds_and_switches_off_and_no_device_kind_notices() -> None:
    book = [
        read_rule(document(), KINDS, set()),
        read_rule({"key": "streetlight.circuit_dark", "enabled": False}, KINDS, set()),
        read_rule({"key": "site.silent", "title": "Gateway down"}, KINDS, set()),
    ]
    rules = several_with_book(book)
    assert rules.keys() == DEFAULTS.keys() - {"streetlight.circuit_dark"} | {"park.shaken"}
    assert (rules["site.silent"].title, rules["manhole.washed_open"]) == (
        "Gateway down",
        DEFAULTS["manhole.washed_open"],
    )
    assert with_book(KINDS, book) == KINDS


def test_the_rule_file_of_the_documents_is_right(tmp_path: Path) -> None:
    path = tmp_path / "group-rules.yaml"
    path.write_text(example("docs/rules.md", "group-rules.yaml"), encoding="utf-8")
    book = read_rules(path)
    assert several_with_book(book).keys() == DEFAULTS.keys() - {"site.silent"} | {"park.shaken"}
    assert [one.device_kind for one in book] == [SEVERAL] * 3
