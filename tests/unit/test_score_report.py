"""The report and the verdict: one file that needs nothing else, honest figures, and no judgement by a tuning run."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from devices.catalogue import load_kinds
from domain.errors import InvalidInputError, RefusedError
from simulators.faultbook.catalogue import load_faultbook
from simulators.report.page import render_page, write_page
from simulators.report.table import show_score
from simulators.report.timeline import MOST_MARKS
from simulators.report.words import share, span, titles
from simulators.scoring.score import Score
from simulators.scoring.thresholds import Thresholds
from simulators.truth import Purpose
from tests.support.scored import COVER, FACTS, HOUR, RUN, alert_for, fault, noticed, score_of, week


def troubled() -> Score:
    """A score with something of everything."""
    faults = week()
    faults[3] = fault(3, needs="group", note='He said <b>"no & never"</b>.')
    faults[4] = replace(faults[4], ends=None)
    alerts, tickets = noticed(faults)
    stray = alert_for(faults[0], 900, after=5 * HOUR)
    forbidden = alert_for(faults[1], 901, after=HOUR, rule="bin.offline")
    late = replace(alerts[6], decided_at=alerts[6].decided_at + HOUR)
    return score_of(faults, [*alerts[7:], late, stray, forbidden], [*tickets[7:], replace(tickets[8], number="T-X")])


class Pictures(HTMLParser):
    """Gathers what a page would fetch, and its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data"}]


def test_the_page_is_one_file_without_scripts_and_fetches_nothing(tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", troubled(), FACTS)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Pictures()
    page.feed(text)
    assert page.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert page.tags.count("svg") == 5


def test_every_picture_is_well_formed_and_described() -> None:
    text = render_page(troubled(), FACTS)
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    for picture in pictures:
        root = ET.fromstring(picture)
        assert root.findtext("title")
        assert root.findtext("desc")
        left, top, width, height = map(float, str(root.get("viewBox")).split())
        for rect in root.iter("rect"):
            x, y = float(rect.get("x", 0)), float(rect.get("y", 0))
            assert left <= x <= left + width
            assert top <= y
            assert x + float(rect.get("width", 0)) <= left + width + 0.2
            assert y + float(rect.get("height", 0)) <= top + height + 0.2


def test_what_the_truth_says_is_shown_as_it_stands() -> None:
    text = render_page(troubled(), FACTS)
    assert '<b>"no & never"</b>' not in text
    assert "&lt;b&gt;&quot;no &amp; never&quot;&lt;/b&gt;" in text


def test_faults_and_kinds_bear_their_chinese_names() -> None:
    text = render_page(troubled(), FACTS)
    for name in ("井盖被打开", "查全率", "查准率", "误报", "漏报", "演练"):
        assert name in text


def test_everything_that_can_be_played_has_a_title_in_both_languages() -> None:
    named = titles()
    kinds = load_kinds()
    assert named.keys() >= {*load_faultbook(kinds.values()), *kinds}
    assert all(english and chinese for english, chinese in named.values())


def test_a_huge_run_draws_a_sample_and_says_so() -> None:
    one = fault(0)
    many = [replace(one, id=f"F{number}") for number in range(MOST_MARKS + 1)]
    text = render_page(score_of(many, []), FACTS)
    assert "One of 2 is drawn" in text
    assert text.count("<rect") < MOST_MARKS


@pytest.mark.parametrize("width", [80, 160])
def test_the_tables_say_the_same_on_narrow_and_wide_terminals(width: int) -> None:
    told = io.StringIO()
    show_score(troubled(), Console(file=told, width=width))
    text = told.getvalue()
    for words in ("judging run", "manhole.opened", "recall", "missed", "forbidden", "double"):
        assert words in text


def test_a_run_without_faults_has_no_shares() -> None:
    score = score_of([], [])
    text = render_page(score, replace(FACTS, devices={}))
    assert "Nothing was missed" in text
    assert (score.whole.expected.recall, score.whole.raised.precision) == (None, None)
    told = io.StringIO()
    show_score(score, Console(file=told, width=100))
    assert "Nothing was missed" in told.getvalue()


def test_only_all_is_a_hundred_percent() -> None:
    assert [share(value) for value in (None, 1.0, 0.99999, 0.5)] == ["–", "100.0 %", "99.9 %", "50.0 %"]
    assert [span(value) for value in (None, 0.25, 110.0, 300.0, 9000.0, 400_000.0)] == [
        "–",
        "0.2 s",
        "110 s",
        "5.0 min",
        "2.5 h",
        "4.6 d",
    ]


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_page(tmp_path / "nowhere" / "report.html", troubled(), FACTS)


def test_each_threshold_names_itself_when_it_is_broken() -> None:
    score = troubled()
    asked = Thresholds(min_recall=0.99, min_precision=0.99, max_delay_p99_s=60.0, max_duplicates=0)
    broken = asked.broken_by(score)
    assert [sentence.split()[0] for sentence in broken] == ["recall", "precision", "delay", "1"]
    assert "--min-recall 0.99" in broken[0]
    assert "--max-delay-p99 60" in broken[2]
    kept = Thresholds(min_recall=0.1, min_precision=0.1, max_delay_p99_s=1e6, max_duplicates=5)
    assert kept.broken_by(score) == []
    assert Thresholds().broken_by(score) == []


def test_what_cannot_be_told_keeps_no_threshold() -> None:
    nothing = score_of([], [])
    assert len(Thresholds(min_recall=0.0, min_precision=0.0, max_delay_p99_s=1e9).broken_by(nothing)) == 3


def test_a_tuning_run_judges_nothing() -> None:
    tuning = replace(RUN, purpose=Purpose.TUNING)
    with pytest.raises(RefusedError, match="is for tuning: rules that were fitted to it pass any threshold"):
        Thresholds(min_recall=0.5).require_judging(tuning)
    Thresholds().require_judging(tuning)
    Thresholds(min_recall=0.5).require_judging(RUN)
    told = io.StringIO()
    show_score(score_of([fault(0, COVER)], [], run=tuning), Console(file=told, width=100))
    assert "tuning run" in told.getvalue()
