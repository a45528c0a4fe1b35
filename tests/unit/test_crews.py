"""Crews and citizens: the same seed plans the same, nobody mends what the truth leaves broken, and paths are kept."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInputError
from simulators.crews.duties import CITIZEN, DUTIES, POSSIBLE, Move, State, plan
from simulators.crews.paths import Deed, PathStep, TicketPath, read_paths, write_paths
from tests.support.documents import ROOT, text_of
from tests.support.scored import HOUR, MINUTE, START, fault

BROKEN = replace(fault(0), ends=START + 3 * HOUR)


def moves(steps: tuple[PathStep, ...]) -> list[str]:
    return [step.move for step in steps if step.by != CITIZEN]


def test_every_state_but_closed_has_a_duty_and_every_way_leads_to_a_state() -> None:
    assert set(DUTIES) == set(State) - {State.CLOSED}
    for duty in DUTIES.values():
        assert duty.ways[-1].share == 1.0  # something is done in any case
        assert 0 < duty.within_s[0] < duty.within_s[1]
    assert {way.move for duty in DUTIES.values() for way in duty.ways} | {Move.REPORT_AGAIN} == set(Move)
    assert set(Move) > POSSIBLE


@given(st.integers(0, 10_000), st.text(max_size=20))
def test_a_plan_follows_from_its_seed_and_case(seed: int, case: str) -> None:
    steps = plan(seed, case, START, BROKEN)
    assert steps == plan(seed, case, START, BROKEN)
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert steps[0].at > START
    assert all(step.deed is Deed.NOT_DUE for step in steps)


@given(st.integers(0, 10_000))
def test_who_says_handled_says_it_after_the_fault_ended_or_says_it_falsely(seed: int) -> None:
    assert BROKEN.ends is not None
    steps = plan(seed, "A", START, BROKEN)
    for step in steps:
        if step.move == Move.HANDLE:
            assert step.at >= BROKEN.ends
        if step.move == Move.HANDLE_FALSELY:
            assert step.at < BROKEN.ends
    told = moves(steps)
    for number, move in enumerate(told):
        if move == Move.HANDLE_FALSELY:
            assert told[number + 1] == Move.REWORK


@given(st.integers(0, 10_000))
def test_what_outlasts_the_run_is_never_called_handled_truly(seed: int) -> None:
    assert Move.HANDLE not in moves(plan(seed, "A", START, replace(BROKEN, ends=None)))


def test_a_thousand_tickets_meet_refusal_falsehood_and_impatient_citizens() -> None:
    seen = {step.move for seed in range(1000) for step in plan(seed, "A", START, BROKEN)}
    assert seen == set(Move)


def test_paths_survive_the_file(tmp_path: Path) -> None:
    step = PathStep(START + MINUTE, Move.ACKNOWLEDGE, "operator 值班员", "seen", Deed.DONE)
    paths = [TicketPath("T-1", "0101-1", "A-1", "F1", (step,)), TicketPath("T-2", "E01-92", "A-2", None, ())]
    assert write_paths(tmp_path, paths) == 2
    assert read_paths(tmp_path) == [
        replace(paths[0], path=(replace(step, move="acknowledge"),)),
        paths[1],
    ]
    with (tmp_path / "tickets.jsonl").open("ab") as file:
        file.write(b'{"ticket": 5}\n')
    with pytest.raises(InvalidInputError, match=r"tickets\.jsonl, line 3: ticket: "):
        read_paths(tmp_path)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        read_paths(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_paths(tmp_path / "nowhere", paths)


def test_the_first_moves_are_made_within_the_hour() -> None:
    steps = plan(3, "A", START, BROKEN)
    acknowledged = next(step for step in steps if step.move == Move.ACKNOWLEDGE)
    assert timedelta(0) < acknowledged.at - START < HOUR


def test_the_manual_shows_the_table_as_it_is() -> None:
    rows = {
        cells[0]: cells[1:]
        for line in text_of(ROOT / "docs/simulator.md").splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
    }
    for state, duty in DUTIES.items():
        by, does, instead = rows[state.value]
        assert by == (duty.by or "crew") or duty.by.startswith(by)
        assert does.startswith(duty.ways[-1].move.value)
        assert bool(instead) == (len(duty.ways) > 1)
