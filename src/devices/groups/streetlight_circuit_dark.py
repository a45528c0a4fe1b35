"""streetlight.circuit_dark: many lamps of one feeder without supply are one fault of the feeder, not many of lamps."""

from typing import Final

from domain.alert import Severity
from rules.kinds.group import By, Group
from rules.rule import Rule

RULE: Final = Rule(
    key="streetlight.circuit_dark",
    title="Circuit dark",
    title_zh="回路停电",
    condition=Group(
        members=(
            "streetlight.lamp_failure",
            "streetlight.off_at_night",
            "streetlight.offline",
            "streetlight.voltage_low",
        ),
        by=By.CIRCUIT,
        severity=Severity.MAJOR,
        # Two lamps that fail together are two lamps; half a feeder is none of its lamps' fault.
        at_least=3,
        share=0.5,
        # A lamp reports every quarter of an hour: what all suffer at once is told over as long.
        within_s=900.0,
        # Reports are spread over the quarter: half of the lamps are known to be dark after half of it, on average.
        group_wait_s=600.0,
        # The rest of a feeder that is back are lamps with faults of their own.
        clear_below=3,
        clear_share=0.2,
    ),
    # No national condition for a dark feeder was seen: a local one, numbered down from 99 as cities do.
    case_class="0137-98",
)
