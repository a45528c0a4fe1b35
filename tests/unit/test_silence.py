"""Silences, without a database: where one stands at a moment."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.silence import SilenceScope, SilenceState, state_of

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
END = START + timedelta(hours=1)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (START - MOMENT, SilenceState.PLANNED),
        (START, SilenceState.ACTIVE),
        (END - MOMENT, SilenceState.ACTIVE),
        (END, SilenceState.ENDED),
    ],
)
def test_its_start_belongs_to_it_and_its_end_does_not(now: datetime, state: SilenceState) -> None:
    assert state_of(START, END, None, now) is state


def test_one_ended_by_a_person_has_ended_even_before_it_began() -> None:
    assert state_of(START, END, START - timedelta(hours=1), START - MOMENT) is SilenceState.ENDED


def test_a_scope_names_what_is_given() -> None:
    assert dict(SilenceScope(site="S-1", rule="manhole.tilt").given()) == {"site": "S-1", "rule": "manhole.tilt"}
