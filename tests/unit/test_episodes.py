"""Episodes: told from a device's events alone, whatever order they came in and however often."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alert import Severity, Step
from rules.episodes import Episode, Told, episodes
from rules.kinds.event import Event
from rules.parameters import Reading, Vocabulary
from rules.plan import make_plan
from rules.rule import Rule, RuleOverrideError
from service.rule_file import read_rules

MANUAL = Path(__file__).parents[2] / "docs"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
TAMPER = ("tamper",)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def told(second: float, event_class: str = "tamper", digest: int = 1, *, ended: bool = False) -> Told:
    return Told(at(second), digest, event_class, ended)


def spans(found: list[Episode]) -> list[tuple[float, float, bool]]:
    """(onset, end, ended by an event)."""
    return [
        ((one.onset - START).total_seconds(), (one.end - START).total_seconds(), one.ended_by is not None)
        for one in found
    ]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([told(0)], [(0, 60, False)]),
        ([told(0), told(60)], [(0, 120, False)]),
        ([told(0), told(60.000001)], [(0, 60, False), (60.000001, 120.000001, False)]),
        ([told(0), told(10, ended=True)], [(0, 10, True)]),
        ([told(0), told(60, ended=True)], [(0, 60, True)]),
        ([told(0), told(61, ended=True)], [(0, 60, False)]),
        ([told(0), told(10, ended=True), told(20)], [(0, 10, True), (20, 80, False)]),
        ([told(0), told(10), told(20, ended=True)], [(0, 20, True)]),
        # What ends and begins in one moment goes on; what only begins in it is not ended by it.
        ([told(0), told(10, ended=True), told(10, digest=2)], [(0, 70, False)]),
        ([told(10), told(10, digest=2, ended=True)], [(10, 70, False)]),
        ([told(5, ended=True)], []),
        ([told(0, "door")], []),
    ],
)
def test_an_event_speaks_until_it_ended_or_for_as_long_as_it_lasts(
    events: list[Told], expected: list[tuple[float, float, bool]]
) -> None:
    assert spans(episodes(events, TAMPER, 60)) == expected


def test_an_end_ends_its_own_class_only_and_two_classes_make_one_episode() -> None:
    events = [told(0), told(20, "door"), told(30, ended=True)]
    assert spans(episodes(events, ("tamper", "door"), 60)) == [(0, 80, False)]


EVENTS = st.lists(
    st.builds(
        told,
        st.integers(0, 400),
        st.sampled_from(["tamper", "door", "other"]),
        st.integers(1, 3),
        ended=st.booleans(),
    ),
    max_size=25,
)


@given(EVENTS, st.randoms(use_true_random=False), st.sampled_from([1, 30, 60]))
def test_order_and_repetition_change_nothing_and_episodes_lie_apart(
    events: list[Told], chance: Random, lasts: int
) -> None:
    found = episodes(events, ("tamper", "door"), lasts)
    again = [*events, *events[:5]]
    chance.shuffle(again)
    assert episodes(again, ("tamper", "door"), lasts) == found
    assert all(one.end < other.onset for one, other in pairwise(found))


@given(EVENTS, st.integers(0, 400))
def test_from_an_onset_on_the_events_before_it_make_no_difference(events: list[Told], second: int) -> None:
    """So only the episode that reaches to what is new need be read."""
    whole = episodes(events, ("tamper", "door"), 60)
    for one in whole:
        later = [event for event in events if event.at >= one.onset]
        assert episodes(later, ("tamper", "door"), 60) == [each for each in whole if each.onset >= one.onset]
    reaching = [one for one in whole if one.onset <= at(second) and one.end >= at(second - 60)]
    since = min([at(second - 60), *(one.onset for one in reaching)])
    later = [event for event in events if event.at >= since]
    kept = [each for each in whole if each.onset >= since]
    assert episodes(later, ("tamper", "door"), 60) == kept


def test_only_what_is_decided_is_told() -> None:
    (one,) = episodes([told(0)], TAMPER, 60)
    assert [step.step for step in one.steps(1, "manhole.tampered", Severity.MAJOR, at(59))] == [Step.OPENED]
    begun, cleared = one.steps(1, "manhole.tampered", Severity.MAJOR, at(60))
    assert (begun.at, begun.onset, begun.reading) == (at(0), at(0), (at(0), 1))
    assert (cleared.at, cleared.onset, cleared.step, cleared.reading) == (at(60), at(0), Step.CLEARED, None)


def test_a_rule_on_events_is_read_by_its_fields_and_asked_by_no_reading() -> None:
    reading = Reading(Vocabulary({"event": Event}, ("tilt_deg",)))
    condition = reading.condition("event", {"classes": ["tamper"], "lasts_s": 90, "severity": "major"}, ())
    assert reading.objections == []
    assert isinstance(condition, Event)
    assert condition == Event(classes=TAMPER, lasts_s=90, severity=Severity.MAJOR)
    plan = make_plan(
        [Rule("manhole.tampered", "T", "T", condition)],
        interval_s=60,
        validity_factor=1.5,
        overrides={"manhole.tampered": {"lasts_s": 30}},
    )
    assert (plan.watches, plan.silences, plan.quiet) == ((), (), {})
    assert plan.rules["manhole.tampered"].condition.as_data() == {"classes": ["tamper"], "lasts_s": 30.0, "severity": 2}


@pytest.mark.parametrize(
    "wrong",
    [{"classes": []}, {"classes": [""]}, {"classes": ["a"], "lasts_s": 0}, {"classes": ["a"], "lasts_s": 1e9}],
)
def test_a_rule_that_nothing_fires_or_that_never_clears_is_refused(wrong: dict[str, object]) -> None:
    reading = Reading(Vocabulary({"event": Event}, ()))
    assert reading.condition("event", {"severity": "major", **wrong}, ()) is None
    assert reading.objections


def test_an_override_of_anything_else_is_refused() -> None:
    with pytest.raises(RuleOverrideError, match="lasts_s"):
        Event(classes=TAMPER, severity=Severity.MAJOR).overridden({"hold_s": 3})


def test_the_manual_shows_a_rule_file_that_is_read() -> None:
    shown = MANUAL / "rule-kinds" / "event.yaml"
    (written,) = read_rules(shown)
    assert isinstance(written.rule.condition, Event)
    assert shown.read_text("utf-8") in (MANUAL / "rules.md").read_text("utf-8")
