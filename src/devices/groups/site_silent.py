"""site.silent: nearly all devices of a place fall silent together: their gateway or its uplink, not each of them."""

from typing import Final

from domain.alert import Severity
from domain.ticket import TicketSort
from rules.kinds.group import By, Group
from rules.rule import Rule

RULE: Final = Rule(
    key="site.silent",
    title="Site silent: gateway or uplink down",
    title_zh="网关或站点离线",
    condition=Group(
        members=("bin.offline", "gas_meter.offline", "manhole.offline", "streetlight.offline"),
        by=By.SITE,
        severity=Severity.MINOR,
        # Devices of one kind fall silent within the same intervals; those of another may need days until it is noticed.
        same_kind=True,
        at_least=5,
        share=0.8,
        # Each was last heard at some moment of one interval; the second is for devices whose intervals drift.
        within_s=600.0,
        within_intervals=2.0,
        # Who was silent for three intervals or more can wait for one half hour; nobody's safety hangs on it.
        group_wait_s=1800.0,
        # A gateway that is back brings most of its devices within one interval.
        clear_below=3,
        clear_share=0.3,
    ),
    case_class="M-gateway",
    sort=TicketSort.MAINTENANCE,
)
