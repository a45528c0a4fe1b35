"""balance: a zone's inflow less its outflows: what is lost between its meters (分区计量, district metering)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from domain.alert import Severity
from rules.numbers import Bounds
from rules.rule import Level, RuleOverrideError, Verdict
from rules.unasked import OverSeveral

_DAY_S: Final = 86_400
_LONGEST_S: Final = 30.0 * _DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance(OverSeveral):
    """Holds while a zone loses too much over several windows one after the other.

    The engine never asks it: what spans devices is decided from their stored readings, by the coordinator.
    """

    kind: ClassVar[str] = "balance"
    bounds: ClassVar[Mapping[str, Bounds]] = {
        "limit_m3h": Bounds(0.0, 1e9),
        "limit_share": Bounds(0.0, 1.0),
        "clear_m3h": Bounds(0.0, 1e9),
        "windows": Bounds(1.0, 100.0, whole=True),
        "window_s": Bounds(60.0, float(_DAY_S), whole=True),
        "gap_s": Bounds(1.0, _LONGEST_S),
        "wait_s": Bounds(0.0, _LONGEST_S),
    }
    """The parameters that may be set apart, and what they may be."""

    measure: str
    """``volume_m3``, a counter, or ``flow_m3h``, which is summed up over time."""
    counter: bool
    severity: Severity
    limit_m3h: float
    """Lost in an hour on average: from here on it is bad, if ``limit_share`` is reached, too."""
    limit_share: float = 0.0
    """Lost of the inflow, from 0 to 1."""
    clear_m3h: float = 0.0
    """Clears below this; not above ``limit_m3h``."""
    windows: int = 2
    """So many in a row must be bad, or good to clear."""
    window_s: int = _DAY_S
    """A whole part of a day; windows begin at the district's midnight."""
    gap_s: float = 1.5 * _DAY_S
    """Two readings further apart say nothing of the time between: such a window is not judged."""
    wait_s: float = 2.0 * _DAY_S
    """So long after its end a window waits for readings that are missing."""

    def __post_init__(self) -> None:
        """Refuse a parameter out of its bounds, and windows that do not fill a day.

        Raises:
            RuleOverrideError: the message names it.
        """
        super(Balance, self).__post_init__()
        if _DAY_S % self.window_s:
            message = f"window_s must be a whole part of a day, not {self.window_s}"
            raise RuleOverrideError(message)
        if self.clear_m3h > self.limit_m3h:
            message = f"clear_m3h must not lie above limit_m3h, not at {self.clear_m3h:g}"
            raise RuleOverrideError(message)

    def verdict(self, inflow_m3: float, outflow_m3: float, hours: float) -> Verdict:
        """What one window says."""
        lost = inflow_m3 - outflow_m3
        if lost / hours >= self.limit_m3h and lost >= self.limit_share * inflow_m3:
            return Verdict.BAD
        return Verdict.KEEP if lost / hours >= self.clear_m3h else Verdict.GOOD

    @property
    def levels(self) -> tuple[Level, ...]:
        """One level."""
        hold_s = float(self.windows * self.window_s)
        return (Level(self.severity, limit=self.limit_m3h, clear=self.clear_m3h, hold_s=hold_s),)

    def as_data(self) -> dict[str, object]:
        """JSON-able parameters."""
        return {
            "measure": self.measure,
            "counter": self.counter,
            **{name: getattr(self, name) for name in self.bounds},
            "severity": int(self.severity),
        }


RULE_KIND: Final = Balance
"""Found by ``rules.catalogue``."""
