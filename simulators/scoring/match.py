"""Matching: which alert answers which expectation, and what every alert is worth. Pure; the order of input is nothing.

An alert answers an expectation if device and rule agree and its onset lies within the fault, give or take a tolerance.
If several do, the one that stood first answers and the others are repetitions. An alert that was right about an earlier
fault and still stands when the next one begins answers that, too: nobody needs a second one.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Final

from simulators.scoring.facts import Facts
from simulators.scoring.observed import UPHELD, ObservedAlert
from simulators.truth import Expectation, FaultInstance, RunInfo

TOLERANCE: Final = timedelta(seconds=60)
"""Devices tell whole milliseconds and report when it suits them; a minute is less than any fault lasts."""
LAG_S: Final = 2.0
"""In an accelerated run, so many real seconds between firing and deciding are not held against the service: at six
hundred times they are twenty minutes of the city, and they say how fast the machine is."""

_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


class Outcome(StrEnum):
    """What became of an expectation."""

    MET = "met"
    LATE = "late"
    """An alert stands, and came after its time."""
    MISSED = "missed"
    UNDUE = "not due"
    """Nothing yet, and the run ended before it was due."""


class Verdict(StrEnum):
    """What an alert is worth."""

    RIGHT = "right"
    """It answers an expectation."""
    AGAIN = "again"
    """It would, but another stood before it."""
    ALLOWED = "allowed"
    """A side effect that the truth names."""
    FORBIDDEN = "forbidden"
    """The truth says that this must not be raised."""
    INVENTED = "invented"
    """Nothing that happened explains it."""
    CONTRADICTED = "contradicted"
    """The service itself took it back."""
    OUTSIDE = "outside"
    """Of another device or another time than the run's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One expectation of one fault and what answers it."""

    fault: FaultInstance
    expected: Expectation
    outcome: Outcome
    alerts: tuple[ObservedAlert, ...] = ()
    """What could answer, in the order in which it stood; the first does."""
    stood_at: datetime | None = None
    """In the time of the city."""
    carried: bool = False
    """It is answered by the alert of an earlier fault, which still stood."""
    future: bool = False
    """It waits for a rule that is not in force."""

    @property
    def counts(self) -> bool:
        """Whether the service can be held to it: the rule kind exists, and its time came."""
        return not self.future and self.outcome is not Outcome.UNDUE

    @property
    def found(self) -> bool:
        """Whether an alert stands, in time or not."""
        return bool(self.alerts)


@dataclass(frozen=True, slots=True)
class Judged:
    """One alert and what it is worth."""

    alert: ObservedAlert
    verdict: Verdict
    fault: FaultInstance | None = None
    """The fault that explains, allows or forbids it."""
    why: str = ""
    """Why it is forbidden."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Every expectation with its answer, every alert with its verdict, each in the order of their ids."""

    answers: tuple[Answer, ...]
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Times:
    """How the times of a run are to be read."""

    begins: datetime
    ends: datetime
    tolerance: timedelta
    lag: timedelta | None
    """What deciding may take at no charge; ``None``: the service's clock did not follow the scenario."""

    @classmethod
    def of(cls, run: RunInfo, tolerance: timedelta = TOLERANCE, lag_s: float = LAG_S) -> "Times":
        """Those of a run."""
        lag = None
        if run.speed == 1.0:
            lag = timedelta(0)
        elif run.sim_clock is not None:
            lag = timedelta(seconds=lag_s * run.speed)
        return cls(run.start, run.end, tolerance, lag)

    def stood_at(self, alert: ObservedAlert) -> datetime:
        """When the alert stood, in the time of the city: when it was decided, if the service's clock can tell."""
        return alert.fired_at if self.lag is None else max(alert.fired_at, alert.decided_at - self.lag)

    def window(self, fault: FaultInstance) -> tuple[datetime, datetime]:
        """Between which onsets an alert belongs to the fault."""
        end = _FOREVER if fault.ends is None else fault.ends + self.tolerance
        return fault.begins - self.tolerance, end

    def within(self, alert: ObservedAlert) -> bool:
        """Whether the alert began during the run."""
        return self.begins - self.tolerance <= alert.onset <= self.ends + self.tolerance


OF_GROUPS: Final = "group"
"""The rule kind over several devices."""

_Key = tuple[str, str]
"""Device and rule."""


def match(faults: Iterable[FaultInstance], alerts: Iterable[ObservedAlert], times: Times, facts: Facts) -> Matching:
    """Match a truth with the alerts that were raised."""
    ordered = sorted(faults, key=lambda fault: fault.id)
    everything = sorted({alert.id: alert for alert in alerts}.values(), key=lambda alert: alert.id)
    scored = [
        alert for alert in everything if times.within(alert) and (not facts.devices or alert.device in facts.devices)
    ]
    upheld = _by_key(alert for alert in scored if alert.standing == UPHELD)
    answers = [_answer(fault, expected, upheld, times, facts) for fault in ordered for expected in fault.expect]
    verdicts = _verdicts(ordered, answers, upheld, times)
    answers = [_carry(answer, upheld, verdicts) for answer in answers]
    inside = {alert.id for alert in scored}
    judged: list[Judged] = []
    for alert in everything:
        if alert.id not in inside:
            judged.append(Judged(alert, Verdict.OUTSIDE))
        elif alert.standing != UPHELD:
            judged.append(Judged(alert, Verdict.CONTRADICTED))
        else:
            judged.append(verdicts.get(alert.id) or Judged(alert, Verdict.INVENTED))
    return Matching(tuple(answers), tuple(judged))


def _by_key(alerts: Iterable[ObservedAlert]) -> dict[_Key, list[ObservedAlert]]:
    groups: defaultdict[_Key, list[ObservedAlert]] = defaultdict(list)
    for alert in alerts:
        groups[alert.device, alert.rule].append(alert)
    for group in groups.values():
        group.sort(key=lambda alert: (alert.onset, alert.id))
    return dict(groups)


def _between(group: Sequence[ObservedAlert], first: datetime, last: datetime) -> list[ObservedAlert]:
    """Those of a group, sorted by onset, that began between two times."""
    start = bisect_left(group, first, key=lambda alert: alert.onset)
    found: list[ObservedAlert] = []
    for alert in group[start:]:
        if alert.onset > last:
            break
        found.append(alert)
    return found


def _answer(
    fault: FaultInstance,
    expected: Expectation,
    upheld: Mapping[_Key, Sequence[ObservedAlert]],
    times: Times,
    facts: Facts,
) -> Answer:
    """Find what answers an expectation by its onset."""
    # A fault that needs a new rule kind may well trip a rule that exists; to that one the service is held.
    future = fault.needs is not None and expected.rule not in facts.rules
    # The alert of a rule over several devices hangs on any one of them.
    devices = fault.devices if fault.needs == OF_GROUPS and not future else (expected.device,)
    found = chain.from_iterable(upheld.get((device, expected.rule), ()) for device in devices)
    candidates = _between(sorted(found, key=lambda alert: (alert.onset, alert.id)), *times.window(fault))
    candidates.sort(key=lambda alert: (times.stood_at(alert), alert.onset, alert.id))
    if not candidates:
        # A run that ended before the alert was due proves nothing.
        outcome = Outcome.UNDUE if expected.by > times.ends else Outcome.MISSED
        return Answer(fault, expected, outcome, future=future)
    stood_at = times.stood_at(candidates[0])
    outcome = Outcome.LATE if stood_at > expected.by + times.tolerance else Outcome.MET
    return Answer(fault, expected, outcome, tuple(candidates), stood_at, future=future)


def _verdicts(
    faults: Sequence[FaultInstance],
    answers: Sequence[Answer],
    upheld: Mapping[_Key, Sequence[ObservedAlert]],
    times: Times,
) -> dict[int, Judged]:
    """What explains each alert; the best explanation wins: expected, then allowed, then forbidden."""
    explanations = chain(
        (Judged(answer.alerts[0], Verdict.RIGHT, answer.fault) for answer in answers if answer.alerts),
        (Judged(alert, Verdict.AGAIN, answer.fault) for answer in answers for alert in answer.alerts[1:]),
        (
            Judged(alert, Verdict.ALLOWED, fault)
            for fault in faults
            for allowed in fault.allow
            for alert in _between(upheld.get((allowed.device, allowed.rule), ()), *times.window(fault))
        ),
        (
            Judged(alert, Verdict.FORBIDDEN, fault, forbidden.why)
            for fault in faults
            for forbidden in fault.forbid
            for alert in _between(upheld.get((forbidden.device, forbidden.rule), ()), *times.window(fault))
        ),
    )
    verdicts: dict[int, Judged] = {}
    for judged in explanations:
        verdicts.setdefault(judged.alert.id, judged)
    return verdicts


def _carry(answer: Answer, upheld: Mapping[_Key, Sequence[ObservedAlert]], verdicts: Mapping[int, Judged]) -> Answer:
    """Let the alert of an earlier fault, which was explained and still stands, answer what nothing else does."""
    if answer.found:
        return answer
    begins = answer.fault.begins
    standing = [
        alert
        for alert in upheld.get((answer.expected.device, answer.expected.rule), ())
        if alert.onset < begins
        and (alert.cleared_at is None or alert.cleared_at > begins)
        and alert.id in verdicts
        and verdicts[alert.id].verdict is not Verdict.FORBIDDEN
    ]
    if not standing:
        return answer
    return replace(answer, outcome=Outcome.MET, alerts=tuple(standing), stood_at=begins, carried=True)
