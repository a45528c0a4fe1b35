"""Group rules: which alerts of several devices are one incident, however their transitions are split."""

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.catalogue import load_group_rules, load_kinds
from domain.alert import Severity
from rules.catalogue import load_rule_kinds
from rules.groups import (
    Cleared,
    Closed,
    Decision,
    Fired,
    Groups,
    GroupState,
    Joined,
    Left,
    Opened,
    Place,
    Whereabouts,
)
from rules.kinds.group import By, Group
from rules.plan import make_plan
from rules.rule import Rule, RuleOverrideError
from tests.support.documents import ROOT, text_of

START = datetime(2026, 11, 25, 18, tzinfo=UTC)
DARK = Group(
    members=("lamp.dark",),
    by=By.CIRCUIT,
    severity=Severity.MAJOR,
    at_least=3,
    share=0.5,
    within_s=300.0,
    clear_below=2,
    inhibits=("lamp.silent",),
)
FEEDER = Place("feeder", "C1")


def rule(condition: Group, key: str = "feeder") -> Rule:
    return Rule(key, key, key, condition)


def fired(number: int, seconds: float = 0.0, rule: str = "lamp.dark", **where: Any) -> Fired:
    place = Whereabouts(**(where or {"circuit": "C1"}))
    return Fired(number, number, "lamp", rule, START + timedelta(seconds=seconds), 900.0, place)


def cleared(number: int, seconds: float) -> Cleared:
    return Cleared(number, START + timedelta(seconds=seconds))


def groups(condition: Group = DARK, size: int = 6) -> Groups:
    return Groups([rule(condition)], {FEEDER: GroupState(size)})


def play(on: Groups, *transitions: Fired | Cleared) -> list[Decision]:
    return [decision for transition in transitions for decision in on.take(transition)]


def told(decisions: Sequence[Decision]) -> list[Any]:
    """Decisions as plain values, to be compared."""
    plain: list[Any] = []
    for one in decisions:
        match one:
            case Opened(incident, parts, hidden):
                plain.append(("opened", incident.place, incident.lead.alert, parts, hidden, incident.opened_at))
            case Joined(incident, new, is_hidden):
                plain.append(("joined", incident.place, new, is_hidden))
            case Left(incident, alert):
                plain.append(("left", incident.place, alert))
            case Closed(incident, released):
                plain.append(("closed", incident.place, incident.closed_at, released))
    return plain


def test_half_a_feeder_is_one_incident_and_the_rest_joins() -> None:
    on = groups()
    assert play(on, fired(1), fired(2, 60)) == []
    [opened] = on.take(fired(3, 90))
    assert isinstance(opened, Opened)
    incident = opened.incident
    assert (incident.lead.alert, incident.onset, incident.opened_at) == (1, START, START + timedelta(seconds=90))
    assert [one.alert for one in opened.parts] == [1, 2, 3]
    [joined] = on.take(fired(4, 4000))
    assert isinstance(joined, Joined)
    assert set(incident.parts) == {1, 2, 3, 4}


def test_two_dark_lamps_or_lamps_dark_one_after_the_other_are_no_incident() -> None:
    assert play(groups(), fired(1), fired(2)) == []
    assert play(groups(), fired(1), fired(2, 200), fired(3, 400)) == []
    assert play(groups(), fired(1), fired(2), cleared(1, 10), fired(3, 20)) == []
    assert play(groups(size=8), fired(1), fired(2), fired(3)) == [], "three of eight are no half"


def test_two_alerts_of_one_lamp_count_once() -> None:
    again = fired(9)._replace(device=1)
    assert play(groups(), fired(1), again, fired(2)) == []
    assert len(play(groups(), fired(1), again, fired(2), fired(3))) == 1


def test_commits_do_not_come_in_the_order_of_event_times() -> None:
    [opened] = play(groups(), fired(1, 290), fired(2, 0), fired(3, 150))
    assert isinstance(opened, Opened)
    assert [one.alert for one in opened.parts] == [2, 3, 1]
    assert play(groups(), fired(1, 310), fired(2, 0), fired(3, 150)) == []


def test_it_clears_when_too_few_are_left_and_lets_go_of_them() -> None:
    on = groups()
    play(on, fired(1), fired(2), fired(3), fired(4))
    assert told(play(on, cleared(2, 500), cleared(3, 510))) == [("left", FEEDER, 2), ("left", FEEDER, 3)]
    left, closed = on.take(cleared(4, 520))
    assert isinstance(left, Left)
    assert isinstance(closed, Closed)
    assert closed.incident.closed_at == START + timedelta(seconds=520)
    assert [one.alert for one in closed.released] == [1]
    assert on.take(cleared(1, 600)) == []


def test_what_it_inhibits_is_hidden_and_does_not_count() -> None:
    on = groups()
    play(on, fired(1, rule="lamp.silent"), fired(2, rule="lamp.silent"), fired(90, -4000, rule="lamp.silent"))
    assert play(on, fired(3), fired(4)) == []
    [opened] = on.take(fired(5))
    assert isinstance(opened, Opened)
    assert [one.alert for one in opened.hidden] == [1, 2], "what was wrong long before has another cause"
    [joined] = on.take(fired(6, 30, rule="lamp.silent"))
    assert isinstance(joined, Joined)
    assert joined.hidden
    closed = play(on, cleared(3, 60), cleared(4, 60))[-1]
    assert isinstance(closed, Closed)
    assert [one.alert for one in closed.released] == [5, 1, 2, 6]


def test_one_alert_of_a_feeders_own_device_hides_its_lamps() -> None:
    breaker = Group(
        members=("breaker.tripped",),
        by=By.CIRCUIT,
        severity=Severity.MAJOR,
        at_least=1,
        within_s=300.0,
        inhibits=("lamp.dark", "lamp.silent"),
    )
    on = groups(breaker)
    [opened, joined] = play(on, fired(1, rule="lamp.dark"), fired(2, 20, rule="breaker.tripped"), fired(3, 30))
    assert isinstance(opened, Opened)
    assert [one.alert for one in opened.hidden] == [1]
    assert isinstance(joined, Joined)
    assert joined.hidden


def test_an_alert_belongs_to_one_incident_alone() -> None:
    circuit = rule(DARK, "a.circuit")
    site = rule(
        Group(members=("lamp.dark",), by=By.SITE, severity=Severity.MINOR, at_least=4, within_s=300.0), "b.site"
    )
    on = Groups([site, circuit], {Place("a.circuit", "C1"): GroupState(4), Place("b.site", "S1"): GroupState(4)})
    both: dict[str, Any] = {"circuit": "C1", "site": "S1"}
    [opened, joined] = play(on, *(fired(number, **both) for number in (1, 2, 3, 4)))
    assert opened.incident.place == joined.incident.place == Place("a.circuit", "C1")
    assert play(on, *(fired(number, site="S1") for number in (5, 6, 7))) == [], "four fire, but one of another cause"
    assert len(play(on, fired(8, site="S1"))) == 1


NEAR = load_group_rules()["manhole.washed_open"]
GROUP_RULES = [rule for rule in load_group_rules().values() if isinstance(rule.condition, Group)]


def well(number: int, seconds: float, rule: str, east: float, site: str | None = None) -> Fired:
    # 0.001 degrees of longitude are 95.6 m at 31 degrees north.
    return fired(number, seconds, rule, longitude=107.5 + east / 95_600, latitude=31.2, site=site)


def test_a_tilt_and_a_flood_near_each_other_are_one_incident_whichever_is_first() -> None:
    for transitions in (
        [well(1, 0, "manhole.tilt", 0), well(2, 600, "manhole.overflow", 120)],
        [well(2, 0, "manhole.overflow", 120), well(1, 600, "manhole.tilt", 0)],
    ):
        [opened] = play(Groups([NEAR], {}), *transitions)
        assert isinstance(opened, Opened)
        assert opened.incident.lead.alert == 1, "it hangs on the cover, not on the flood"
    far = [well(1, 0, "manhole.tilt", 0), well(2, 600, "manhole.overflow", 180)]
    assert play(Groups([NEAR], {}), *far) == []
    assert play(Groups([NEAR], {}), well(1, 0, "manhole.tilt", 0), well(2, 60, "manhole.open", 30)) == []
    late = [well(1, 0, "manhole.tilt", 0), well(2, 1900, "manhole.overflow", 10)]
    assert play(Groups([NEAR], {}), *late) == []


def test_wells_without_positions_are_near_in_one_site_or_grid() -> None:
    here = [
        fired(1, 0, "manhole.tilt", site="S1"),
        fired(2, 9, "manhole.overflow", site="S1", longitude=1.0, latitude=1.0),
    ]
    assert len(play(Groups([NEAR], {}), *here)) == 1
    there = [fired(1, 0, "manhole.tilt", grid="G1"), fired(2, 9, "manhole.overflow", grid="G2")]
    assert play(Groups([NEAR], {}), *there) == []
    assert play(Groups([NEAR], {}), fired(1, 0, "manhole.tilt", circuit="C"), fired(2, 0, "manhole.overflow")) == []


def test_two_places_of_one_neighbourhood_rule_are_two_incidents() -> None:
    on = Groups([NEAR], {})
    decisions = play(
        on,
        well(1, 0, "manhole.tilt", 0),
        well(2, 10, "manhole.overflow", 20),
        well(3, 20, "manhole.overflow", 5000),
        well(4, 30, "manhole.tilt", 5010),
        well(5, 40, "manhole.overflow", 5050),
    )
    assert [type(one) for one in decisions] == [Opened, Opened, Joined]
    assert decisions[1].incident is decisions[2].incident


TRANSITIONS = st.lists(
    st.one_of(
        st.builds(
            fired,
            st.integers(1, 12),
            st.integers(0, 900),
            st.sampled_from(["lamp.dark", "lamp.silent"]),
        ),
        st.builds(cleared, st.integers(1, 12), st.integers(0, 1800)),
    ),
    max_size=40,
)


@given(TRANSITIONS, st.lists(st.integers(0, 40), max_size=6))
def test_batches_restarts_and_repeats_make_no_difference(transitions: list[Fired | Cleared], cuts: list[int]) -> None:
    whole = told(play(groups(), *transitions))
    states = {FEEDER: GroupState(6)}
    pieces: list[Any] = []
    edges = sorted({0, *(cut for cut in cuts if cut < len(transitions)), len(transitions)})
    for begin, end in pairwise(edges):
        on = Groups([rule(DARK)], states)
        pieces += told(play(on, *transitions[begin:end]))
        states = deepcopy(on.states)
    assert pieces == whole


@given(TRANSITIONS)
def test_every_alert_that_fires_is_held_exactly_once(transitions: list[Fired | Cleared]) -> None:
    on = groups()
    firing: set[int] = set()
    for transition in transitions:
        on.take(transition)
        firing = firing - {transition.alert} if isinstance(transition, Cleared) else firing | {transition.alert}
        state = on.states[FEEDER]
        held = [*state.free, *(alert for one in state.incidents for alert in (*one.parts, *one.hidden))]
        assert sorted(held) == sorted(firing)
        assert len(state.incidents) <= 1
        for incident in state.incidents:
            assert len({one.device for one in incident.parts.values()}) >= DARK.devices_kept(6)


def test_its_parameters_may_be_set_apart_and_impossible_ones_are_refused() -> None:
    assert DARK.overridden({"at_least": 5, "share": 0.75, "clear_below": 4}).devices_needed(20) == 15
    for wrong in (
        {"at_least": 1},
        {"share": 1.5},
        {"at_least": 2.5},
        {"members": 3},
        {"group_wait_s": -1},
        {"clear_share": 0.6},
        {"within_s": "soon"},
    ):
        with pytest.raises(RuleOverrideError):
            DARK.overridden(wrong)


def test_the_engine_is_never_asked_and_the_kind_is_found() -> None:
    plan = make_plan([rule(DARK)], interval_s=900.0, validity_factor=1.5, overrides={})
    assert (plan.watches, plan.silences, plan.quiet) == ((), (), {})
    assert plan.rules["feeder"].condition == DARK
    assert load_rule_kinds()["group"] is Group
    assert DARK.judge({"lamp_on": True}) is None


@pytest.mark.parametrize("one", GROUP_RULES, ids=lambda one: one.key)
def test_default_group_rules_name_rules_that_exist(one: Rule) -> None:
    assert isinstance(one.condition, Group)
    rules = {known.key for kind in load_kinds().values() for known in kind.rules}
    assert set(one.condition.concerns) <= rules
    assert {key for keys in one.condition.every for key in keys} <= set(one.condition.members)
    assert one.key not in rules
    assert one.case_class is not None


def test_the_manual_shows_the_default_group_rules() -> None:
    page = text_of(ROOT / "docs/rules.md").partition("The default group rules")[2].partition("Who decides")[0]
    told = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    assert told == [row_of(one) for one in GROUP_RULES], "\n".join(
        "| " + " | ".join(row_of(one)) + " |" for one in load_group_rules().values()
    )


def row_of(one: Rule) -> list[str]:
    group = one.condition
    assert isinstance(group, Group)
    where = (
        group.by.value + (f", {group.metres:g} m" if group.metres else "") + (", each kind" if group.same_kind else "")
    )
    within = f"{group.within_intervals:g} intervals" if group.within_intervals else f"{group.within_s:g} s"
    fires = f"{int(group.severity)}: ≥ {group.at_least} device{'s' if group.at_least > 1 else ''}"
    fires += (f" and {group.share:.0%}".replace("%", " %") if group.share else "") + (
        ", of each set one" if group.every else ""
    )
    clears = f"below {group.clear_below}" + (f" or {group.clear_share * 100:g} %" if group.clear_share else "")
    members = ", ".join(f"`{key}`" for key in group.members)
    return [
        f"`{one.key}`",
        members,
        where,
        f"{fires}, within {within}",
        clears,
        f"{group.group_wait_s:g} s",
        f"`{one.case_class}`",
    ]
