"""manhole.washed_open: a flood that lifts covers: an open well below the water, where nobody sees it."""

from typing import Final

from domain.alert import Severity
from rules.kinds.group import By, Group
from rules.rule import Rule

RULE: Final = Rule(
    key="manhole.washed_open",
    title="Cover washed open by a flood",
    title_zh="内涝冲开井盖",
    condition=Group(
        members=("manhole.open", "manhole.overflow", "manhole.tilt"),
        by=By.NEAR,
        # A unit grid is about 100 m wide (万米单元网格), wells lie 30 to 50 m apart: the same reach of sewer.
        metres=150.0,
        severity=Severity.CRITICAL,
        # One well may say both.
        at_least=1,
        every=(("manhole.open", "manhole.tilt"), ("manhole.overflow",)),
        # A cloudburst fills a sewer in minutes; half an hour later a cover that opens has another reason.
        within_s=1800.0,
        # An open cover waits for nothing.
        group_wait_s=0.0,
    ),
    # Cover missing or shifted, as for a cover that is open by itself: both meet in one ticket.
    case_class="0101-1",
)
