"""Amend: carry out, on alerts and tickets that stand, what late readings have changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.alert import AlertState, Standing, Step
from domain.ticket import Move
from rules.rejudge import Amendment
from store.alerts import News
from store.connection import Executor
from store.standings import Contradicted, contradict, correct, mark_reviews
from store.tickets import append_moves

UNAMENDED: Final = Amendment()
"""Nothing came late: the way of nearly every batch."""


@dataclass(slots=True)
class Amended:
    """What was changed in alerts that stood."""

    contradicted: list[Contradicted] = field(default_factory=list[Contradicted])
    corrected_tickets: set[int] = field(default_factory=set[int])

    @property
    def tickets(self) -> set[int]:
        """Those behind whose alerts something was changed."""
        return {one.ticket_id for one in self.contradicted if one.ticket_id is not None} | self.corrected_tickets

    async def mark_tickets(self, connection: Executor, now: datetime) -> None:
        """Let tickets that have only contradicted alerts wait for a person, and record why."""
        if not self.tickets:
            return
        against: dict[int, list[Contradicted]] = {}
        for one in self.contradicted:
            if one.ticket_id is not None:
                against.setdefault(one.ticket_id, []).append(one)
        await mark_reviews(connection, sorted(self.tickets))
        moves = [(ticket, Move.CONTRADICTED, _detail(against[ticket])) for ticket in sorted(against)]
        if moves:
            await append_moves(connection, moves, now)

    def news(self) -> list[News]:
        """What is told of it."""
        return [
            (
                "alert",
                {
                    "id": one.id,
                    "rule": one.key[1],
                    "state": AlertState.CLEARED.value,
                    "standing": Standing.CONTRADICTED.value,
                    "step": Step.CONTRADICTED.value,
                },
            )
            for one in self.contradicted
        ]


async def amend(connection: Executor, amendment: Amendment, now: datetime) -> Amended:
    """Contradict and correct; the new steps of alerts were saved before."""
    amended = Amended()
    if amendment.contradictions:
        amended.contradicted = await contradict(connection, amendment.contradictions, now)
    if amendment.corrections:
        amended.corrected_tickets = await correct(connection, amendment.corrections, now)
    return amended


def _detail(contradicted: Iterable[Contradicted]) -> dict[str, object]:
    keys = [one.key for one in contradicted]
    return {"alerts": [{"device_id": key[0], "rule": key[1], "onset": key[2].isoformat()} for key in keys]}
