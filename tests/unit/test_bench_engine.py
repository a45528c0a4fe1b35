"""The benchmark of the engine measures what it says: healthy readings pass by, faults fire, and every kind is in it."""

from datetime import timedelta

import pytest

from devices.catalogue import load_kinds
from domain.coverage import Coverage
from domain.instants import EPOCH
from rules.engine import Hearing, judge, uneventful
from rules.tracks import Tracks
from service.bench.engine import SIX, Subject, measure_engine, subjects
from service.bench.screen import Screen

KINDS = load_kinds()
SUBJECTS = subjects(KINDS)


def test_every_kind_and_every_phase_is_measured() -> None:
    with Screen.shown() as screen:
        figures = measure_engine(SUBJECTS, readings=6, rounds=2, screen=screen)
    assert [one["name"] for one in figures["subjects"]] == [subject.name for subject in SUBJECTS]
    assert {one["name"] for one in figures["subjects"]} >= KINDS.keys()
    for one in figures["subjects"]:
        assert one["us"].keys() == {"healthy", "firing", "changing", "decode", "encode"}
        assert all(us > 0 for us in one["us"].values())


def test_the_goal_s_six_rules_are_six() -> None:
    assert [len(one.plan.rules) for one in SUBJECTS if one.name == "manhole, 6 rules"] == [SIX]


@pytest.mark.parametrize("subject", SUBJECTS, ids=[subject.name for subject in SUBJECTS])
def test_healthy_readings_pass_by_and_every_fault_opens_an_alert(subject: Subject) -> None:
    heard = Hearing(EPOCH + timedelta(days=20_000), Coverage(EPOCH, EPOCH + timedelta(days=20_001)))
    assert uneventful(subject.plan, subject.reading(0, 0.0, subject.healthy), heard)
    for number, fault in enumerate(subject.faults):
        tracks = Tracks()
        steps = [
            step
            for after_s in (0.0, 3600.0)
            for step in judge(subject.plan, tracks, subject.reading(number, after_s, fault), heard)
        ]
        assert steps, f"{fault} opens nothing"
