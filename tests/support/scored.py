"""A small city whose truth is known, and a service that notices everything in it: what a score must call perfect."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from simulators.scoring.facts import DeviceFacts, Facts, RuleFacts
from simulators.scoring.observed import ObservedAlert, ObservedTicket
from simulators.scoring.score import Score, compute_score
from simulators.truth import Allowed, Expectation, FaultInstance, Forbidden, Purpose, RunInfo

START = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
RUN = RunInfo("synthetic", Purpose.JUDGING, 7, START, START + timedelta(days=7), 1.0)

COVER, LID, LEAN = "manhole.opened", "manhole.open", "manhole.tilt"
BIN, FULL = "bin.full", "bin.full"
ROW, LIT = "streetlight.leakage", "streetlight.leakage"
RULE_OF = {COVER: (LID, "0101-1"), BIN: (FULL, "E01-92"), ROW: (LIT, "0137-99")}

FACTS = Facts(
    devices={
        f"{kind}-{number}": DeviceFacts(kind, f"A-{kind}-{number}", interval, (107.5 + number / 1000, 31.2))
        for kind, interval in (("manhole", 24 * HOUR), ("bin", HOUR), ("streetlight", 15 * MINUTE))
        for number in range(8)
    },
    rules={
        LID: RuleFacts(timedelta(seconds=2)),
        LEAN: RuleFacts(timedelta(seconds=30)),
        FULL: RuleFacts(),
        LIT: RuleFacts(),
        "bin.offline": RuleFacts(silence_intervals=6.0),
    },
)


def fault(number: int, name: str = COVER, begins: datetime | None = None, **changes: object) -> FaultInstance:
    """One fault of two hours on a device of its kind; its alert and ticket are due within ten minutes.

    One that needs a rule kind expects the rule of it, which does not exist.
    """
    kind = name.partition(".")[0]
    device = f"{kind}-{number % 8}"
    start = begins or START + timedelta(hours=6 * number)
    rule, case_class = RULE_OF[name]
    if changes.get("needs") is not None:
        rule = f"{kind}.future"
    plain = FaultInstance(
        id=f"F{number:06d}",
        fault=name,
        kind=kind,
        device=device,
        asset=f"A-{device}",
        devices=(device,),
        begins=start,
        ends=start + 2 * HOUR,
        expect=(Expectation(device, rule, start + 10 * MINUTE, case_class, ticket=True),),
        forbid=(Forbidden(device, f"{kind}.offline", "it goes on reporting"),),
        allow=(Allowed(device, f"{kind}.battery"),),
        note="Played by a test.",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test changes what it likes


def week() -> list[FaultInstance]:
    """Twenty-four faults of three kinds over a week, one at a time on each device."""
    names = (COVER, BIN, ROW)
    return [fault(number, names[number % 3]) for number in range(24)]


def alert_for(
    one: FaultInstance, number: int, *, after: timedelta = MINUTE, rule: str | None = None, ticket: str | None = None
) -> ObservedAlert:
    """The alert that a service which works raises for a fault."""
    assert one.device is not None
    onset = one.begins + after
    return ObservedAlert(
        id=number,
        device=one.device,
        rule=rule or one.expect[0].rule,
        kind=one.kind,
        asset=one.asset,
        ticket=ticket,
        standing="upheld",
        onset=onset,
        fired_at=onset + timedelta(seconds=2),
        decided_at=onset + timedelta(seconds=3),
        cleared_at=one.ends,
    )


def noticed(faults: list[FaultInstance]) -> tuple[list[ObservedAlert], list[ObservedTicket]]:
    """What a service that notices everything raises and opens."""
    alerts: list[ObservedAlert] = []
    tickets: list[ObservedTicket] = []
    for number, one in enumerate(faults, start=1):
        ticket = f"T-{number:04d}"
        alert = alert_for(one, number, ticket=ticket)
        case_class = one.expect[0].case_class or ""
        alerts.append(alert)
        tickets.append(ObservedTicket(ticket, one.asset or "", case_class, alert.decided_at, alert.cleared_at))
    return alerts, tickets


def score_of(
    faults: list[FaultInstance],
    alerts: list[ObservedAlert],
    tickets: list[ObservedTicket] | None = None,
    run: RunInfo = RUN,
    facts: Facts = FACTS,
) -> Score:
    """The score of what was raised."""
    return compute_score(run, faults, alerts, tickets or [], facts)
