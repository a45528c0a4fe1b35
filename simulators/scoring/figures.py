"""Figures of a score: counts of expectations and alerts, shares and delays. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from simulators.scoring.facts import Facts
from simulators.scoring.match import Answer, Judged, Outcome, Verdict

_TENTH: Final = 1
_SHARE_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Delays:
    """How long it took, in seconds; of nothing there is nothing to say."""

    count: int = 0
    p50: float | None = None
    p99: float | None = None
    most: float | None = None

    @classmethod
    def of(cls, spans: Iterable[timedelta]) -> "Delays":
        """Those of some spans; nearest rank, so that every figure is one that was seen."""
        seconds = sorted(span.total_seconds() for span in spans)
        if not seconds:
            return cls()
        return cls(len(seconds), percentile(seconds, 50), percentile(seconds, 99), seconds[-1])

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "count": self.count,
            "p50_s": _rounded(self.p50, _TENTH),
            "p99_s": _rounded(self.p99, _TENTH),
            "max_s": _rounded(self.most, _TENTH),
        }


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest of some ordered values that at least so many percent do not exceed."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Expected:
    """What became of some expectations."""

    met: int = 0
    late: int = 0
    missed: int = 0
    undue: int = 0
    """The run ended before they were due; not counted."""
    unanswerable: int = 0
    """Their rule is not in force; not counted."""
    answered_ahead: int = 0
    """Of those, the ones that an alert answers all the same."""
    from_begin: Delays = Delays()
    """From the begin of the fault until the alert stood."""
    beyond_wait: Delays = Delays()
    """The same without what the rule itself waits: its hold, or the silence that it allows."""

    @classmethod
    def of(cls, answers: Sequence[Answer], facts: Facts) -> "Expected":
        """Count some answers."""
        fair = [answer for answer in answers if answer.counts]
        future = [answer for answer in answers if answer.future]
        outcomes = [answer.outcome for answer in fair]
        return cls(
            met=outcomes.count(Outcome.MET),
            late=outcomes.count(Outcome.LATE),
            missed=outcomes.count(Outcome.MISSED),
            undue=sum(not answer.future and answer.outcome is Outcome.UNDUE for answer in answers),
            unanswerable=len(future),
            answered_ahead=sum(answer.found for answer in future),
            from_begin=Delays.of(delay_of(answer) for answer in fair if _timed(answer)),
            beyond_wait=Delays.of(
                max(timedelta(0), delay_of(answer) - facts.wait_of(answer.expected.rule, answer.expected.device))
                for answer in fair
                if _timed(answer)
            ),
        )

    @property
    def total(self) -> int:
        """Expectations that the service can be held to."""
        return self.met + self.late + self.missed

    @property
    def recall(self) -> float | None:
        """Share of them that were met in time."""
        return self.met / self.total if self.total else None

    @property
    def found(self) -> float | None:
        """Share of them that were met, in time or not."""
        return (self.met + self.late) / self.total if self.total else None

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "expected": self.total,
            "met": self.met,
            "late": self.late,
            "missed": self.missed,
            "not_due": self.undue,
            "not_yet_answerable": self.unanswerable,
            "answered_ahead": self.answered_ahead,
            "recall": _rounded(self.recall),
            "found": _rounded(self.found),
            "delay": self.from_begin.as_data(),
            "delay_beyond_wait": self.beyond_wait.as_data(),
        }


@dataclass(frozen=True, slots=True)
class Raised:
    """What some alerts are worth."""

    right: int = 0
    again: int = 0
    allowed: int = 0
    forbidden: int = 0
    invented: int = 0
    contradicted: int = 0

    @classmethod
    def of(cls, judged: Iterable[Judged]) -> "Raised":
        """Count some verdicts."""
        verdicts = [one.verdict for one in judged]
        return cls(
            right=verdicts.count(Verdict.RIGHT),
            again=verdicts.count(Verdict.AGAIN),
            allowed=verdicts.count(Verdict.ALLOWED),
            forbidden=verdicts.count(Verdict.FORBIDDEN),
            invented=verdicts.count(Verdict.INVENTED),
            contradicted=verdicts.count(Verdict.CONTRADICTED),
        )

    @property
    def precision(self) -> float | None:
        """Share of right alerts among the right and the false. Repetitions do not flatter it, side effects neither."""
        total = self.right + self.forbidden + self.invented
        return self.right / total if total else None

    def as_data(self) -> dict[str, object]:
        """JSON-able form."""
        return {
            "right": self.right,
            "again": self.again,
            "allowed": self.allowed,
            "forbidden": self.forbidden,
            "invented": self.invented,
            "contradicted": self.contradicted,
            "precision": _rounded(self.precision),
        }


def delay_of(answer: Answer) -> timedelta:
    """From the begin of the fault until its alert stood; an onset within the tolerance may lie before the begin."""
    assert answer.stood_at is not None
    return max(timedelta(0), answer.stood_at - answer.fault.begins)


def _timed(answer: Answer) -> bool:
    """Whether the answer tells a delay: an alert that stood before says nothing of how fast the service is."""
    return answer.found and not answer.carried


def _rounded(value: float | None, digits: int = _SHARE_DIGITS) -> float | None:
    return None if value is None else round(value, digits)
