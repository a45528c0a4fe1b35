"""Pictures of stories, and the manual's page on rule kinds: each has a rule, stories that hold, and their pictures."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rules.catalogue import load_rule_kinds
from rules.story import differences, play
from service import cli
from service.rule_file import read_rules
from service.story_file import read_stories
from service.story_picture import draw

MANUAL = Path(__file__).parents[2] / "docs"
KINDS = MANUAL / "rule-kinds"
WITHOUT_A_SIGNAL = {"reported", "group", "balance", "event"}
"""Decided by no reading of one device: nothing that a story of one device could tell."""

SVG = "{http://www.w3.org/2000/svg}"
STORIES = sorted(KINDS.glob("*.story.yaml"))
"""A page of the manual is written from these."""


def test_every_rule_kind_is_shown() -> None:
    shown = {path.name.split(".")[0] for path in STORIES}
    assert shown == set(load_rule_kinds()) - WITHOUT_A_SIGNAL


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.name)
def test_what_the_manual_shows_happens_and_is_drawn_so(path: Path) -> None:
    kind = path.name.split(".")[0]
    manual = (MANUAL / "rules.md").read_text("utf-8")
    rules = path.with_name(f"{kind}.yaml")
    assert {one.rule.condition.kind for one in read_rules(rules)} == {kind}
    assert rules.read_text("utf-8") in manual, f"docs/rules.md does not show {rules.name} as it is"
    assert f"rule-kinds/{path.name}" in manual
    for number, story in enumerate(read_stories(path), 1):
        assert differences(story.expect, play(story)) == []
        picture = MANUAL / "pictures" / f"{kind}-{number}.svg"
        assert picture.read_text("utf-8") == draw(story), "make pictures draws it anew"
        assert f"pictures/{picture.name}" in manual


def test_a_picture_shows_signal_limit_hold_and_alert() -> None:
    (story,) = read_stories(KINDS / "threshold.story.yaml")
    root = ET.fromstring(draw(story))
    assert len(root.findall(f"{SVG}circle")) == len(story.inputs)
    texts = [each.text for each in root.findall(f"{SVG}text")]
    assert {"tilt_deg", "15", "90", "95", "hold", "alert", "major", "critical"} <= set(texts)
    # The paper, the hold of thirty seconds, and two severities of one alert.
    frame, hold, major, critical = root.findall(f"{SVG}rect")
    assert float(frame.attrib["width"]) > float(hold.attrib["width"]) > 0
    assert float(hold.attrib["x"]) + float(hold.attrib["width"]) == pytest.approx(float(major.attrib["x"]), abs=0.2)
    assert float(major.attrib["x"]) + float(major.attrib["width"]) == pytest.approx(
        float(critical.attrib["x"]), abs=0.2
    )


def test_the_command_draws_every_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stories = str(KINDS / "counter.story.yaml")
    monkeypatch.setattr("sys.argv", ["streetwarden", "rules", "draw", stories, "--into", str(tmp_path / "p")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert [path.name for path in sorted((tmp_path / "p").iterdir())] == ["counter-1.svg", "counter-2.svg"]
    assert "a meter is turned round" in capsys.readouterr().out


def test_a_title_cannot_break_the_picture(tmp_path: Path) -> None:
    text = (KINDS / "stale.story.yaml").read_text("utf-8").replace("a sensor that", "<script> & a sensor that")
    (tmp_path / "stale.yaml").write_text((KINDS / "stale.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "odd.story.yaml").write_text(text, "utf-8")
    (story,) = read_stories(tmp_path / "odd.story.yaml")
    root = ET.fromstring(draw(story))
    assert root.find(f"{SVG}script") is None
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text is not None
    assert title.text.startswith("<script> & a sensor")
