"""Thresholds: what a score must reach, and why a tuning run never can. Pure."""

from dataclasses import dataclass

from domain.errors import RefusedError
from simulators.scoring.score import Score
from simulators.truth import Purpose, RunInfo


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What was asked for; ``None`` asks for nothing."""

    min_recall: float | None = None
    min_precision: float | None = None
    max_delay_p99_s: float | None = None
    max_duplicates: int | None = None

    @property
    def any(self) -> bool:
        """Whether anything was asked for."""
        return any(getattr(self, name) is not None for name in self.__dataclass_fields__)

    def require_judging(self, run: RunInfo) -> None:
        """Refuse to judge by a run that was for tuning.

        Raises:
            RefusedError: it was.
        """
        if self.any and run.purpose is not Purpose.JUDGING:
            raise RefusedError(
                f"the run {run.scenario!r} (seed {run.seed}) is for tuning: rules that were fitted to it pass any "
                "threshold on it; play a judging run, or leave the thresholds out"
            )

    def broken_by(self, score: Score) -> list[str]:
        """A sentence for each threshold that the score does not keep. What cannot be told does not keep it."""
        recall, precision = score.whole.expected.recall, score.whole.raised.precision
        p99 = score.whole.expected.from_begin.p99
        broken: list[str] = []
        if self.min_recall is not None and (recall is None or recall < self.min_recall):
            broken.append(f"recall {_share(recall)} is below --min-recall {self.min_recall:g}")
        if self.min_precision is not None and (precision is None or precision < self.min_precision):
            broken.append(f"precision {_share(precision)} is below --min-precision {self.min_precision:g}")
        if self.max_delay_p99_s is not None and (p99 is None or p99 > self.max_delay_p99_s):
            told = "unknown" if p99 is None else f"{p99:g} s"
            broken.append(f"delay p99 {told} is above --max-delay-p99 {self.max_delay_p99_s:g}")
        if self.max_duplicates is not None and score.duplicate_tickets > self.max_duplicates:
            broken.append(f"{score.duplicate_tickets} duplicate tickets are more than {self.max_duplicates}")
        return broken


def _share(value: float | None) -> str:
    return "of nothing" if value is None else f"{value:.4f}"
