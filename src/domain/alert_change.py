"""AlertChange: all that one batch did to one alert, folded into what must be stored."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.alert import AlertState, Severity, Step, Transition

AlertKey = tuple[int, str, datetime]
"""(device, rule, onset): an alert's identity."""


@dataclass(frozen=True, slots=True)
class AlertChange:
    """The net effect of a batch on one alert."""

    key: AlertKey
    steps: tuple[Transition, ...]
    """In the order decided; at least one."""

    @property
    def opens(self) -> bool:
        """Whether the alert began in this batch."""
        return self.steps[0].step is Step.OPENED

    @property
    def state(self) -> AlertState:
        """State after the batch."""
        return AlertState.CLEARED if self.steps[-1].step is Step.CLEARED else AlertState.FIRING

    @property
    def severity(self) -> Severity:
        """Severity after the batch; of a cleared alert, the last while it fired."""
        return self.steps[-1].severity

    @property
    def peak(self) -> Severity:
        """The gravest it reached within the batch."""
        return min(step.severity for step in self.steps)

    @property
    def cleared_at(self) -> datetime | None:
        """Event time of its clearing."""
        return self.steps[-1].at if self.state is AlertState.CLEARED else None

    @property
    def evidence(self) -> Transition:
        """The step whose value is shown: the last that was not its end."""
        speaking = [step for step in self.steps if step.step is not Step.CLEARED]
        return speaking[-1] if speaking else self.steps[-1]


def fold(transitions: Iterable[Transition]) -> list[AlertChange]:
    """Group transitions by alert, in the order of the alerts' keys."""
    groups: dict[AlertKey, list[Transition]] = {}
    for transition in transitions:
        groups.setdefault((transition.device_id, transition.rule, transition.onset), []).append(transition)
    return [AlertChange(key, tuple(groups[key])) for key in sorted(groups)]
