"""A shift: watches the alerts of the service, plans each new ticket, and makes the planned moves when they are due."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from domain.errors import StreetwardenError, UnauthenticatedError, UnavailableError
from simulators.crews.duties import POSSIBLE, Move, plan
from simulators.crews.paths import Deed, PathStep, TicketPath
from simulators.scoring.match import TOLERANCE, Times
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.service_api import ServiceApi
from simulators.truth import FaultInstance, RunInfo

POLL_S: Final = 2.0


@dataclass(slots=True)
class _Case:
    """One ticket at work."""

    ticket: ObservedTicket
    fault: FaultInstance | None
    onset: datetime
    seen_at: float
    steps: list[PathStep]
    alerts: set[int] = field(default_factory=set[int])
    """Behind it, and not yet acknowledged."""
    done: int = 0
    """Steps that were made, or found to be impossible."""
    owner: str | None = None
    """Who acknowledged it, and whatever joins it later."""


class Shift:
    """Works the tickets of one run. Nothing is invented on the spot: every move follows from the plan."""

    def __init__(
        self,
        api: ServiceApi,
        run: RunInfo,
        truth: Sequence[FaultInstance],
        *,
        seed: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the run and its truth; ``now`` tells seconds."""
        self._api = api
        self._run = run
        self._times = Times.of(run, TOLERANCE)
        self._truth = sorted(truth, key=lambda fault: (fault.begins, fault.id))
        self._seed = seed
        self._now = now
        self._cases: dict[str, _Case] = {}

    async def work(self, lasts_s: float, pause: Callable[[float], Awaitable[object]], poll_s: float = POLL_S) -> None:
        """Look and act again and again for so many seconds.

        Raises:
            UnavailableError: the service is gone for good.
            UnauthenticatedError: the key is not valid.
        """
        until = self._now() + lasts_s
        while True:
            await self.look()
            await self.act()
            if self._now() >= until:
                return
            await pause(poll_s)

    async def look(self) -> None:
        """Take on what is new."""
        firing = [alert for alert in await self._api.firing() if self._times.within(alert)]
        fresh = {alert.ticket for alert in firing if alert.ticket is not None} - self._cases.keys()
        if fresh:
            tickets = {ticket.number: ticket for ticket in await self._api.tickets()}
            for alert in sorted(firing, key=lambda one: (one.onset, one.id)):
                if alert.ticket in fresh and alert.ticket in tickets and alert.ticket not in self._cases:
                    self._take(alert, tickets[alert.ticket])
        for alert in firing:
            if alert.ticket in self._cases:
                self._cases[alert.ticket].alerts.add(alert.id)

    async def act(self) -> None:
        """Make the moves that are due."""
        for case in self._cases.values():
            elapsed_s = (self._now() - case.seen_at) * self._run.speed
            while case.done < len(case.steps):
                step = case.steps[case.done]
                if (step.at - case.onset).total_seconds() > elapsed_s:
                    break
                deed, why = await self._make(case, step)
                case.steps[case.done] = replace(step, deed=deed, why=why)
                case.done += 1
            if case.owner is not None and case.alerts:
                await self._acknowledge(case, case.owner, "joined a ticket that is being worked")

    def paths(self) -> list[TicketPath]:
        """What was planned and done, ticket by ticket."""
        return [
            TicketPath(
                number,
                case.ticket.case_class,
                case.ticket.asset,
                None if case.fault is None else case.fault.id,
                tuple(case.steps),
            )
            for number, case in sorted(self._cases.items())
        ]

    def count(self) -> Counter[tuple[str, str]]:
        """(Move, deed) → how often."""
        return Counter((step.move, step.deed.value) for case in self._cases.values() for step in case.steps)

    def _take(self, alert: ObservedAlert, ticket: ObservedTicket) -> None:
        fault = self._fault_of(alert)
        steps = list(plan(self._seed, f"{ticket.asset}/{ticket.case_class}", alert.onset, fault))
        self._cases[ticket.number] = _Case(ticket, fault, alert.onset, self._now(), steps)

    def _fault_of(self, alert: ObservedAlert) -> FaultInstance | None:
        """The fault that the alert is right about."""
        for fault in self._truth:
            first, last = self._times.window(fault)
            if first <= alert.onset <= last and any(
                (expected.device, expected.rule) == (alert.device, alert.rule) for expected in fault.expect
            ):
                return fault
        return None

    async def _make(self, case: _Case, step: PathStep) -> tuple[Deed, str]:
        """Make one move, as far as the service lets us."""
        if step.move not in POSSIBLE:
            return Deed.NOT_POSSIBLE, step.why
        assert step.move == Move.ACKNOWLEDGE
        case.owner = step.by
        return await self._acknowledge(case, step.by, step.why)

    async def _acknowledge(self, case: _Case, owner: str, note: str) -> tuple[Deed, str]:
        """Acknowledge every alert of a ticket that was not yet."""
        alerts, case.alerts = sorted(case.alerts), set()
        for alert in alerts:
            try:
                await self._api.acknowledge(alert, owner=owner, note=note)
            except (UnavailableError, UnauthenticatedError):
                raise
            except StreetwardenError as error:
                return Deed.FAILED, f"{note}; {error}"
        return Deed.DONE, note
